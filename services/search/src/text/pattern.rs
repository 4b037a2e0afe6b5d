//! Patterns of words, of which queries are made.

use std::borrow::Cow;

use super::stems::stem;
use super::terms::Term;
use super::words::Word;

/// Patterns that consecutive words of a text meet.
pub(super) type Phrase = Vec<Pattern>;

/// A pattern that a word of a text meets, or, in a script without spaces, some words.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Words of this stem.
    Stem(String),
    /// This folded word.
    Exact(String),
    /// Words that begin like this. In scripts without spaces, the words that follow may continue it.
    Prefix(String),
}

/// A word of a text with its stem.
pub(super) struct Stemmed<'a> {
    word: Word<'a>,
    stem: Cow<'a, str>,
}

impl<'a> Stemmed<'a> {
    pub(super) fn of(word: Word<'a>) -> Self {
        Self { word, stem: stem(word.text) }
    }
}

impl Pattern {
    /// Returns the pattern of the words that share their stem with a folded word.
    pub(super) fn inflected(word: &str) -> Self {
        Self::Stem(stem(word).into_owned())
    }

    /// Returns a term that every text has in which the pattern is met, if there is one.
    pub(super) fn term(&self) -> Option<Term> {
        match self {
            Self::Stem(stem) => Some(Term::stem(stem)),
            Self::Exact(word) => Some(Term::word(word)),
            Self::Prefix(prefix) => Term::prefix(prefix),
        }
    }

    /// Returns the number of words that meet the pattern at the beginning of some words; `None` if they don't meet it.
    pub(super) fn met_by(&self, words: &[Stemmed<'_>]) -> Option<usize> {
        let Stemmed { word: first, stem } = words.first()?;
        match self {
            Self::Stem(wanted) => (stem == wanted).then_some(1),
            Self::Exact(wanted) => (first.text == wanted).then_some(1),
            Self::Prefix(prefix) => {
                let within = if first.is_unspaced() { first.rest } else { first.text };
                let left = first.rest.len() - within.strip_prefix(&**prefix).map(|_| prefix.len())?;
                Some(words.iter().take_while(|other| other.word.rest.len() > left).count())
            }
        }
    }
}
