//! Cuts the piece out of a text that shows its first matches.

use std::fmt;
use std::ops::Range;

use super::matching::Matches;
use super::words::{boundaries, graphemes};

/// Maximum characters of a snippet.
const MAX_CHARACTERS: usize = 200;
/// Minimum characters around the first match, if it leaves so many: further matches are shown if they fit in the rest.
const CONTEXT: usize = 60;

/// A piece of a text around its first matches: at most 200 characters, in one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Snippet {
    text: String,
    matches: Vec<Range<usize>>,
}

impl Snippet {
    /// Cuts the snippet out of the text in which the matches were found.
    ///
    /// It begins and ends where a word does, and holds no part of a match unless that is longer than a snippet. The end
    /// of a line is a space, as any other control character, so that a list of hits needs a line for each.
    #[must_use]
    pub fn new(text: &str, matches: &Matches) -> Self {
        let characters = text.chars().map(|c| if is_line_end(c) { ' ' } else { c }).collect::<Vec<_>>();
        let cut = cut(text, &characters, matches.ranges());
        let matches = matches
            .ranges()
            .iter()
            .map(|place| place.start..place.end.min(cut.end))
            .take_while(|place| place.start < place.end)
            .map(|place| place.start - cut.start..place.end - cut.start)
            .collect();
        Self { text: characters[cut].iter().collect(), matches }
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the matches in it, in code points.
    #[must_use]
    pub fn matches(&self) -> &[Range<usize>] {
        &self.matches
    }
}

/// Hides the text, which a person wrote.
impl fmt::Debug for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snippet(…)")
    }
}

fn is_line_end(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns the code points that a snippet shows.
fn cut(text: &str, characters: &[char], matches: &[Range<usize>]) -> Range<usize> {
    let shown = shown(text, matches);
    let room = MAX_CHARACTERS - shown.len();
    let after = (room - shown.start.min(room / 2)).min(characters.len() - shown.end);
    let before = (room - after).min(shown.start);

    let words = points(text, boundaries(text)).collect::<Vec<_>>();
    let (first, last) = (shown.start - before, shown.end + after);
    let mut start = words.iter().copied().find(|at| *at >= first).unwrap_or(first).min(shown.start);
    let mut end = words.iter().copied().rfind(|at| *at <= last).unwrap_or(last).max(shown.end);
    if let Some(partly) = matches.iter().find(|place| (shown.end..end).contains(&place.start) && place.end > end) {
        end = partly.start;
    }
    while start < shown.start && characters[start].is_whitespace() {
        start += 1;
    }
    while end > shown.end && characters[end - 1].is_whitespace() {
        end -= 1;
    }
    start..end
}

/// Returns the code points of the first matches: as many as leave room for what is around them.
fn shown(text: &str, matches: &[Range<usize>]) -> Range<usize> {
    let [first, others @ ..] = matches else { return 0..0 };
    if first.len() > MAX_CHARACTERS {
        let fits = |at: &usize| (first.start + 1..=first.start + MAX_CHARACTERS).contains(at);
        let end = points(text, graphemes(text)).filter(fits).last().unwrap_or(first.start + MAX_CHARACTERS);
        return first.start..end;
    }
    let fits = |place: &&Range<usize>| place.end - first.start <= MAX_CHARACTERS - CONTEXT;
    first.start..others.iter().take_while(fits).last().unwrap_or(first).end
}

/// Returns the code points at offsets of bytes, which ascend.
fn points(text: &str, bytes: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
    bytes.scan((0, 0), |(byte, point), next| {
        *point += text[*byte..next].chars().count();
        *byte = next;
        Some(*point)
    })
}
