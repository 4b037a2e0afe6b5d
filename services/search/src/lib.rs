//! search: finds words again in what a person may read.

pub mod index;
