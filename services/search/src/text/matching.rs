//! Finds the places where a text meets a query.

use std::ops::Range;

use super::pattern::{Phrase, Stemmed};
use super::words::Words;

/// Places where a text meets a query: at least one, in order, none within another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches(Vec<Range<usize>>);

impl Matches {
    /// Returns the places, in code points of the text.
    #[must_use]
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }
}

/// Returns the places where a text meets each phrase; `None` if it doesn't meet all of them.
pub(super) fn find(phrases: &[Phrase], text: &str) -> Option<Matches> {
    let words = Words::of(text);
    let list = words.iter().map(Stemmed::of).collect::<Vec<_>>();
    let mut places = Vec::new();
    for phrase in phrases {
        let others = places.len();
        places.extend((0..list.len()).filter_map(|at| Some(words.source(at..at + met_by(phrase, &list[at..])?))));
        if places.len() == others {
            return None;
        }
    }
    Some(Matches(merged(places)))
}

/// Returns the number of words that meet the phrase at the beginning of some words; `None` if they don't meet it.
fn met_by(phrase: &Phrase, words: &[Stemmed<'_>]) -> Option<usize> {
    phrase.iter().try_fold(0, |met, pattern| Some(met + pattern.met_by(&words[met..])?))
}

/// Returns the places in order, those that overlap as one.
fn merged(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_unstable_by_key(|place| (place.start, place.end));
    places.dedup_by(|place, before| {
        let overlaps = place.start < before.end;
        if overlaps {
            before.end = before.end.max(place.end);
        }
        overlaps
    });
    places
}
