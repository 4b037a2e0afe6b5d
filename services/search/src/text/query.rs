//! Queries: what must be in a text for it to be found.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use kernel::FieldError;

use super::matching::{Matches, find};
use super::parser::parse;
use super::pattern::{Pattern, Phrase};
use super::terms::Term;

/// A query: words, prefixes and phrases, all of which must be in a text. It has 1 to 16 words, and a term.
#[derive(Clone, PartialEq, Eq)]
pub struct Query(Vec<Phrase>);

impl Query {
    /// Returns the terms that every text has in which the query is found. Other texts may have them too.
    #[must_use]
    pub fn terms(&self) -> BTreeSet<Term> {
        self.0.iter().flatten().filter_map(Pattern::term).collect()
    }

    /// Returns the places where a text meets the query; `None` if it doesn't meet all of it.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Matches> {
        find(&self.0, text)
    }
}

impl FromStr for Query {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        parse(text).map(Self)
    }
}

/// Hides the query, which somebody wrote.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query(…)")
    }
}
