//! Fuzzes the texts of the directory: whatever is accepted has one form, and is kept in it.

use kernel::{PersonName, fold_visible};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::text::{Specialty, fold_prefix};

/// Most bytes of a folded text: it is part of keys of DynamoDB.
const MOST_FOLDED: usize = 900;

fuzz::target!(
    directory_texts,
    fuzz::bytes(&[
        "a",
        "Z",
        "1",
        " ",
        "-",
        "_",
        "é",
        "e\u{301}",
        "ﷺ",
        "\u{1d400}",
        "ﬁ",
        "Ⅷ",
        "İ",
        "\t",
        "\n",
        "\0",
        "\u{85}",
        "\u{3164}",
        "\u{a0}",
        "\u{ad}",
        "\u{200b}",
        "\u{200d}",
        "\u{202e}",
        "ＣＢＴ",
    ])
);

fn directory_texts(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    if let Ok(specialty) = text.parse::<Specialty>() {
        prop_assert_eq!(specialty.as_str().parse().ok(), Some(specialty.clone()));
        let folded = specialty.folded();
        prop_assert!((1..=MOST_FOLDED).contains(&folded.len()));
        prop_assert_eq!(fold_visible(&folded), folded);
    }
    // A name is found by the whole of it.
    if let Ok(name) = text.parse::<PersonName>() {
        prop_assert_eq!(fold_prefix(&text).ok(), Some(name.folded()));
    }
    Ok(())
}
