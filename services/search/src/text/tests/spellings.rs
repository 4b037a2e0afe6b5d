//! Folding of every character.

use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};

use crate::text::fold::fold;

fn folded(text: &str) -> String {
    fold(text).into_iter().map(|folded| folded.character).collect()
}

#[test]
fn spellings_of_a_character_fold_alike() {
    let (nfc, nfd) = (ComposingNormalizer::new_nfc(), DecomposingNormalizer::new_nfd());
    // Behind them are ideographs, tags, and what is not assigned or private.
    for c in ('\0'..'\u{20000}').filter(|c| !('\u{3400}'..='\u{9fff}').contains(c)) {
        let text = format!("a{c}b");
        let expected = folded(&text);
        for other in [
            text.to_uppercase(),
            text.to_lowercase(),
            nfc.normalize(&text).into_owned(),
            nfd.normalize(&text).into_owned(),
            expected.clone(),
        ] {
            assert_eq!(folded(&other), expected, "U+{:04X} as {other:?}", u32::from(c));
        }
    }
}

#[test]
fn folded_characters_know_their_source() {
    let told = |text| {
        let characters = fold(text);
        characters.into_iter().map(|folded| (folded.character, folded.source)).collect::<Vec<_>>()
    };
    assert_eq!(told("Ze\u{308}\u{301}!"), [('z', 0..1), ('e', 1..4), ('!', 4..5)]);
    assert_eq!(told("ßﬁ"), [('s', 0..1), ('s', 0..1), ('f', 1..2), ('i', 1..2)]);
    assert_eq!(told("น\u{e4d}\u{e49}\u{e32}"), [('น', 0..3), ('\u{e49}', 0..3), ('\u{e33}', 0..4)]);
    assert_eq!(told("か\u{3099}ｶﾞ"), [('が', 0..2), ('ガ', 2..4)]);
}

#[test]
fn mark_signs_end_words() {
    assert_eq!(folded("Prozac™ forte"), "prozac  forte");
    assert_eq!(folded("a\u{200b}b co\u{ad}op"), "a b coop");
}
