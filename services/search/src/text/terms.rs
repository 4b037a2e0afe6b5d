//! Terms of the index: what is looked up instead of words.

use std::collections::BTreeSet;
use std::fmt;

use super::characters::{is_mark, is_unspaced};
use super::stems::stem;
use super::words::{Word, Words};

/// Letters of a prefix: fewer would be in nearly every text.
pub(super) const MIN_PREFIX: usize = 3;
/// Maximum letters of a prefix in the index. What a longer one asks for beyond them, the opened text decides.
const MAX_PREFIX: usize = 8;

/// A term of the index: the stem of a word, or a prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(String);

impl Term {
    /// Returns the term as text, of which no two terms have the same.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the term of the words that have this stem.
    pub(super) fn stem(stem: &str) -> Self {
        Self(format!("w{stem}"))
    }

    /// Returns the term of a folded word.
    pub(super) fn word(word: &str) -> Self {
        Self::stem(&stem(word))
    }

    /// Returns the longest term that all texts have in which a word begins like this, if there is one.
    pub(super) fn prefix(folded: &str) -> Option<Self> {
        prefixes(folded).last()
    }
}

impl AsRef<str> for Term {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Hides the term, which is of what people wrote.
impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Term(…)")
    }
}

/// Returns the terms of a text: of each word the stem, and the prefixes of 3 to 8 letters.
///
/// In scripts without spaces, a word has one prefix: its first three letters, beyond its end if it is shorter and more
/// follows. Where words end there is known from the whole text alone, not from a prefix.
///
/// A text of n characters has at most 2n terms, unless it is of ligatures that stand for whole words. A note has
/// 10,000 characters at most (`kernel::FreeText`).
#[must_use]
pub fn terms(text: &str) -> BTreeSet<Term> {
    let words = Words::of(text);
    words
        .iter()
        .flat_map(|word| {
            let Word { text, rest } = word;
            prefixes(if word.is_unspaced() { rest } else { text }).chain([Term::word(text)])
        })
        .collect()
}

/// Returns the terms of the prefixes of a folded text, shortest first.
fn prefixes(folded: &str) -> impl Iterator<Item = Term> {
    let unspaced = folded.starts_with(is_unspaced);
    let most = if unspaced { MIN_PREFIX } else { MAX_PREFIX };
    let letters = folded.char_indices().take_while(move |(_, c)| !unspaced || is_unspaced(*c) || is_mark(*c));
    letters
        .map(|(at, c)| &folded[..at + c.len_utf8()])
        .take(most)
        .skip(MIN_PREFIX - 1)
        .map(|prefix| Term(format!("p{prefix}")))
}
