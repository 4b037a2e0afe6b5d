//! Reduces English words to their stems.

use std::borrow::Cow;

use snowball_stemmers_rs::{Algorithm, Stemmer};

/// Maximum letters of a word that is stemmed: far more than English words have, and few enough that the time it takes
/// is nothing.
const MAX_LETTERS: usize = 64;

/// Returns the stem of a folded word: by Snowball's English algorithm if all of it is ASCII letters, or else itself.
pub(super) fn stem(word: &str) -> Cow<'_, str> {
    if word.len() <= MAX_LETTERS && word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        Stemmer::create(Algorithm::English).stem(word)
    } else {
        Cow::Borrowed(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_words_have_stems_and_others_stay() {
        for (word, expected) in [
            ("feelings", "feel"),
            ("feeling", "feel"),
            ("worried", "worri"),
            ("worries", "worri"),
            ("running", "run"),
            ("anxieties", "anxieti"),
            ("anxiety", "anxieti"),
            ("the", "the"),
            ("s", "s"),
            ("тревоги", "тревоги"),
            ("2026s", "2026s"),
            ("सोचते", "सोचते"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
        let long = "worries".repeat(10);
        assert_eq!(stem(&long), long);
    }
}
