//! search: finds words again in journals, notes and names of people.

mod text;

pub use text::{Matches, Query, Snippet, Term, terms};
