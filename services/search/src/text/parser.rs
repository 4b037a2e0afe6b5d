//! Parses queries.

use kernel::{FieldError, FieldReason};

use super::pattern::{Pattern, Phrase};
use super::terms::MIN_PREFIX;
use super::words::{Word, Words};

/// Maximum characters of a query, as of any line that people write.
const MAX_CHARACTERS: usize = 200;
/// Maximum words of a query: each is looked up in the index of each journal. More than a sentence has.
const MAX_WORDS: usize = 16;

const SHORT_PREFIX: FieldError =
    FieldError::new(FieldReason::TooShort, "must have at least three letters before each *");

/// Parses a query into phrases of one word or more.
///
/// Text in quotes is a phrase, to be found as it is written. So is a run of characters without a space, though its
/// words may be inflected: `well-being` is two words, and so is what a script without spaces writes in one, but they
/// were meant together, and are rarer than each. A `*` behind a run leaves the end of its last word open.
///
/// # Errors
/// If it is too long, holds no word or too many, control characters, or a prefix that is too short.
pub(super) fn parse(text: &str) -> Result<Vec<Phrase>, FieldError> {
    let text = text.trim();
    if text.chars().count() > MAX_CHARACTERS {
        return Err(FieldError::too_long(200));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(FieldReason::ForbiddenCharacter, "must not contain control characters"));
    }
    let mut phrases = Vec::new();
    for (at, part) in split_at_quotes(text).into_iter().enumerate() {
        if at % 2 == 1 {
            phrases.push(Words::of(part).iter().map(|word| Pattern::Exact(word.text.to_owned())).collect());
        } else {
            for run in part.split_whitespace() {
                phrases.push(parse_run(run)?);
            }
        }
    }
    phrases.retain(|phrase: &Phrase| !phrase.is_empty());
    match phrases.iter().map(Vec::len).sum() {
        0 => Err(FieldError::new(FieldReason::Required, "must hold a word: letters, digits or an emoji")),
        1..=MAX_WORDS if phrases.iter().flatten().all(|pattern| pattern.term().is_none()) => Err(SHORT_PREFIX),
        1..=MAX_WORDS => Ok(phrases),
        _ => Err(FieldError::new(FieldReason::TooLong, "has too many words: at most 16")),
    }
}

/// Splits a query at its quotes: each second part was in them. A quote without a second one is no quote.
fn split_at_quotes(text: &str) -> Vec<&str> {
    let mut quotes = text.char_indices().filter(|(at, c)| is_quote(text, *at, *c)).collect::<Vec<_>>();
    if quotes.len() % 2 == 1 {
        quotes.pop();
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for (at, quote) in quotes {
        parts.push(&text[start..at]);
        start = at + quote.len_utf8();
    }
    parts.push(&text[start..]);
    parts
}

fn is_quote(text: &str, at: usize, c: char) -> bool {
    const HEBREW_LETTERS: std::ops::RangeInclusive<char> = '\u{5d0}'..='\u{5ea}';
    let is_hebrew = |c: Option<char>| c.is_some_and(|c| HEBREW_LETTERS.contains(&c));
    match c {
        // Hebrew acronyms have one before their last letter.
        '"' => !is_hebrew(text[..at].chars().next_back()) || !is_hebrew(text[at + 1..].chars().next()),
        '“' | '”' | '„' | '‟' | '«' | '»' | '＂' => true,
        _ => false,
    }
}

fn parse_run(run: &str) -> Result<Phrase, FieldError> {
    let words = Words::of(run);
    let mut phrase = words.iter().map(|word| Pattern::inflected(word.text)).collect::<Phrase>();
    if words.tail().starts_with('*') {
        let words = words.iter().collect::<Vec<_>>();
        if words.iter().map(|word| word.text.chars().count()).sum::<usize>() < MIN_PREFIX {
            return if words.is_empty() { Ok(phrase) } else { Err(SHORT_PREFIX) };
        }
        let (place, prefix) = open_end(&words);
        phrase.truncate(place);
        phrase.push(Pattern::Prefix(prefix));
    }
    Ok(phrase)
}

/// Returns the last word, as the beginning of one, and its place.
///
/// In a script without spaces it is all from the last boundary that is sure: where words end before it, only what comes
/// after it could tell.
fn open_end(words: &[Word<'_>]) -> (usize, String) {
    let is_sure = |pair: &[Word<'_>]| match pair {
        [word, next] => !(word.is_unspaced() && next.is_unspaced() && word.touches(*next)),
        _ => true,
    };
    let place = words.windows(2).rposition(is_sure).map_or(0, |at| at + 1);
    (place, words[place..].iter().map(|word| word.text).collect())
}
