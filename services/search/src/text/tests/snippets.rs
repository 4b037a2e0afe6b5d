//! Snippets around first matches.

use crate::{Query, Snippet};

/// Returns the snippet of a text, its matches in brackets.
fn snippet(query: &str, text: &str) -> String {
    let snippet = Snippet::new(text, &query.parse::<Query>().unwrap().find(text).unwrap());
    assert!(snippet.text().chars().count() <= 200);
    let mut shown = String::new();
    for (at, c) in snippet.text().chars().chain(['\0']).enumerate() {
        shown.extend(snippet.matches().iter().filter(|place| place.end == at).map(|_| ']'));
        shown.extend(snippet.matches().iter().filter(|place| place.start == at).map(|_| '['));
        shown.extend((c != '\0').then_some(c));
    }
    shown
}

#[test]
fn short_text_is_its_own_snippet_in_one_line() {
    assert_eq!(snippet("run", "I run.\nYou\trun, too. "), "I [run]. You [run], too.");
    assert_eq!(snippet("run", "\n\nrun\r\nI"), "[run]  I");
    assert_eq!(snippet("x", "x"), "[x]");
}

#[test]
fn long_text_is_cut_between_words() {
    let text = format!("{}needle{}", "some words ".repeat(100), " more words".repeat(100));
    let shown = snippet("needle", &text);
    assert!(shown.starts_with("words some words ") && shown.ends_with(" words more"), "{shown}");
    assert!(shown.contains("some words [needle] more words"), "{shown}");
    assert!((185..=202).contains(&shown.len()), "{shown}");
}

#[test]
fn context_is_taken_from_the_side_that_has_it() {
    let words = "some words ".repeat(100);
    assert!(snippet("needle", &format!("needle {words}")).len() > 185);
    assert!(snippet("needle", &format!("{words} needle")).len() > 185);
}

#[test]
fn further_matches_are_shown_whole_or_not() {
    let far = format!("needle {} needle{} needle", "word ".repeat(20), " w".repeat(20));
    assert_eq!(snippet("needle", &far).matches('[').count(), 3, "{far}");
    let phrase = format!("needle {} \"in the\" haystack", "word ".repeat(36));
    let shown = snippet("needle \"in the haystack\"", &phrase);
    assert_eq!(shown.matches('[').count(), 1);
    assert!(shown.ends_with("word  \""), "{shown}");
}

#[test]
fn match_longer_than_snippet_is_cut_between_characters() {
    let long = "e\u{301}\u{327}".repeat(100);
    assert_eq!(snippet(&"e".repeat(100), &format!("{long} a")), format!("[{}]", "e\u{301}\u{327}".repeat(66)));
    let spaced = format!("a{}b", " ".repeat(300));
    assert_eq!(snippet("\"a b\"", &spaced), format!("[a{}]", " ".repeat(199)));
}

#[test]
fn text_of_one_word_is_cut_to_its_match() {
    let text = format!("{}。仕事。{}", "あ".repeat(300), "x".repeat(300));
    let shown = snippet("仕事", &text);
    assert!(shown.contains("。[仕事]。") && !shown.contains('x'), "{shown}");
}
