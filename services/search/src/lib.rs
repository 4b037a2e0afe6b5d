//! search: finds words again in what a person may read.

pub mod index;
mod text;

pub use text::{Matches, Query, Snippet, Term, terms};
