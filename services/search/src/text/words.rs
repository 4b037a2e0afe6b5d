//! Splits texts into words.

use std::ops::Range;
use std::sync::LazyLock;

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{GraphemeClusterSegmenter, WordSegmenter, WordSegmenterBorrowed};

use super::characters::{JOINER, is_mark, is_pictograph, is_unspaced};
use super::fold::fold;

/// Segmenter by UAX 29, and by dictionaries in scripts without spaces.
///
/// By dictionaries rather than by the neural models that ICU has too: the longest word that begins where the last one
/// ended is the same wherever it stands, so that a query is split as the text was in which it is found. They are also
/// the same on every machine, because no floating point takes part.
static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// A text, folded, and its words.
pub(super) struct Words {
    folded: String,
    words: Vec<Place>,
}

struct Place {
    /// Bytes of the folded text.
    bytes: Range<usize>,
    /// Code points of the source.
    source: Range<usize>,
}

/// A word of a text.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    /// The word, folded.
    pub(super) text: &'a str,
    /// The folded text from the beginning of the word.
    pub(super) rest: &'a str,
}

impl Words {
    /// Splits a text.
    pub(super) fn of(text: &str) -> Self {
        let mut folded = String::with_capacity(text.len());
        // By each byte at which a folded character begins.
        let mut sources = Vec::new();
        for character in fold(text) {
            sources.push((folded.len(), character.source));
            folded.push(character.character);
        }
        let mut sources = sources.into_iter().peekable();
        let words = word_ranges(&folded)
            .map(|bytes| {
                let mut source: Option<Range<usize>> = None;
                while let Some((at, origin)) = sources.next_if(|(at, _)| *at < bytes.end) {
                    if at >= bytes.start {
                        source.get_or_insert(origin.clone()).end = origin.end;
                    }
                }
                Place { bytes, source: source.unwrap_or_default() }
            })
            .collect();
        Self { folded, words }
    }

    /// Returns the words in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Word<'_>> {
        self.words.iter().map(|Place { bytes, source: _ }| Word {
            text: &self.folded[bytes.clone()],
            rest: &self.folded[bytes.start..],
        })
    }

    /// Returns the code points of the source from the first word of a range to its last.
    pub(super) fn source(&self, words: Range<usize>) -> Range<usize> {
        match &self.words[words] {
            [] => 0..0,
            [only] => only.source.clone(),
            [first, .., last] => first.source.start..last.source.end,
        }
    }

    /// Returns the folded text behind the last word.
    pub(super) fn tail(&self) -> &str {
        &self.folded[self.words.last().map_or(0, |last| last.bytes.end)..]
    }
}

impl Word<'_> {
    /// Returns whether nothing is between this word and the next one.
    pub(super) fn touches(self, next: Self) -> bool {
        self.rest.len() == self.text.len() + next.rest.len()
    }

    /// Returns whether the word is of a script without spaces.
    pub(super) fn is_unspaced(self) -> bool {
        self.text.starts_with(is_unspaced)
    }
}

/// Returns the boundaries of words and of what is between them, as offsets of bytes.
pub(super) fn boundaries(text: &str) -> impl Iterator<Item = usize> {
    SEGMENTER.segment_str(text)
}

/// Returns the boundaries of what readers see as one character, as offsets of bytes.
pub(super) fn graphemes(text: &str) -> impl Iterator<Item = usize> {
    GraphemeClusterSegmenter::new().segment_str(text)
}

/// Returns the words of a folded text: pieces of segments that hold a letter, a digit or an emoji.
///
/// Emoji are words because people write feelings with them. UAX 29 keeps `don't`, `l'amour` and `snake_case` in one
/// piece, in which `amour` could not be found; what belongs together is a phrase of a query instead.
fn word_ranges(folded: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    boundaries(folded).flat_map(move |end| {
        let segment = start..end;
        start = end;
        pieces(&folded[segment.clone()])
            .map(move |piece| segment.start + piece.start..segment.start + piece.end)
            .collect::<Vec<_>>()
    })
}

fn pieces(segment: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |c: char| is_core(c) || is_mark(c) || c == JOINER;
    let mut at = 0;
    segment.split_inclusive(move |c| !is_part(c)).filter_map(move |piece| {
        let word = piece.trim_end_matches(|c| !is_part(c));
        let range = at..at + word.len();
        at += piece.len();
        word.contains(is_core).then_some(range)
    })
}

fn is_core(c: char) -> bool {
    c.is_alphanumeric() || is_pictograph(c)
}
