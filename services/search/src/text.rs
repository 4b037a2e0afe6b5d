//! Words of texts: what the index holds of them, what a query asks for, and where it is met.

mod characters;
mod fold;
#[cfg(test)]
mod fuzz;
mod matching;
mod parser;
mod pattern;
mod query;
mod snippet;
mod stems;
mod terms;
#[cfg(test)]
mod tests;
mod words;

pub use matching::Matches;
pub use query::Query;
pub use snippet::Snippet;
pub use terms::{Term, terms};
