//! Fuzzes texts and queries: what is in a text is found again, by terms that the index has of it.

use std::collections::BTreeMap;

use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

use super::fold::fold;
use super::terms::MIN_PREFIX;
use super::words::Words;
use crate::{Matches, Query, Snippet, terms};

/// Pieces of texts: words of many scripts, what is between them, and what composes with them or shows nothing.
const TOKENS: [&str; 96] = [
    " ",
    " ",
    " ",
    " ",
    "\n",
    ".",
    ",",
    "-",
    "'",
    "’",
    "\"",
    "“",
    "”",
    "„",
    "«",
    "»",
    "*",
    "*",
    "_",
    "…",
    "\0",
    "\r\n",
    "a",
    "I",
    "running",
    "Anxieties",
    "mother's",
    "well-being",
    "snake_case",
    "3.5",
    "1,000",
    "2026",
    "été",
    "Ete\u{301}",
    "STRASSE",
    "Straße",
    "Łódź",
    "œuvre",
    "ﬁnd",
    "ＣＢＴ",
    "ｶﾞﾝ",
    "İyi",
    "ısı",
    "ᾳ",
    "ŉ",
    "½",
    "™",
    "m²",
    "ёжик",
    "Тревога",
    "п'ять",
    "بالقلق",
    "مُتْعَبٌ",
    "می‌خواهم",
    "ـ",
    "ﷺ",
    "שָׁלוֹם",
    "צה\"ל",
    "चिंता",
    "ज़िंदगी",
    "मुझे",
    "क्षमा",
    "กังวล",
    "น้ำ",
    "นํ้า",
    "ความสุข",
    "ๆ",
    "๑",
    "ພາສາລາວ",
    "ភាសាខ្មែរ",
    "မြန်မာစာ",
    "東京都",
    "京都",
    "友達",
    "々",
    "ストレス",
    "ー",
    "と",
    "焦虑",
    "불안해서",
    "ㄱㅏ",
    "\u{1100}",
    "\u{1161}",
    "👍🏽",
    "👨‍👩‍👧",
    "❤️",
    "🇩🇪",
    "🇫",
    "\u{301}",
    "\u{3099}",
    "\u{345}",
    "\u{94d}",
    "\u{200d}",
    "\u{200c}",
    "\u{200b}",
    "\u{202e}",
];

fuzz::target!(words_in_text, fuzz::text(&TOKENS));

/// Maximum words of a text that are looked for: long runs of a token repeat them.
const MAX_WORDS: usize = 20;

/// Every word of a text finds it: as it is written, in other spellings, and by its beginnings.
fn words_in_text(text: String) -> TestCaseResult {
    let words = Words::of(&text);
    let places = words.iter().enumerate().map(|(at, word)| (word.text, words.source(at..at + 1))).collect::<Vec<_>>();
    let is_apart = |at: usize| places[at..].iter().take(2).is_sorted_by(|one, next| one.1.end <= next.1.start);
    let stored = terms(&text);
    let distinct = places.iter().enumerate().map(|(at, place)| (place.0, at)).collect::<BTreeMap<_, _>>();
    for (word, at) in distinct.into_iter().take(MAX_WORDS) {
        let lengths = MIN_PREFIX..=word.chars().count().min(12);
        let mut queries =
            lengths.map(|length| word.chars().take(length).chain(['*']).collect()).collect::<Vec<String>>();
        queries.push(word.to_owned());
        // A ligature that stands for words finds all of them.
        if is_apart(at) && (at == 0 || is_apart(at - 1)) {
            let written: String = text.chars().skip(places[at].1.start).take(places[at].1.len()).collect();
            let decomposed = DecomposingNormalizer::new_nfd().normalize(&written).into_owned();
            // Case is mapped in the canonical order of marks: one of them becomes a letter.
            queries.extend([decomposed.to_uppercase(), decomposed.to_lowercase(), decomposed]);
            queries.push(ComposingNormalizer::new_nfc().normalize(&written).into_owned());
            queries.push(written);
        }
        for query in queries {
            let Ok(parsed) = query.parse::<Query>() else {
                prop_assert!(query.chars().count() > 200, "{:?}", query);
                continue;
            };
            prop_assert!(parsed.find(&text).is_some(), "{:?}", query);
            prop_assert!(parsed.terms().is_subset(&stored), "{:?}", query);
        }
    }
    Ok(())
}

fuzz::target!(terms_of_matches, (fuzz::text(&TOKENS), texts_with_queries()));

/// Returns texts, and queries of the same words.
fn texts_with_queries() -> impl Strategy<Value = (String, String)> {
    (vec(select(&TOKENS[..]), 0..40), vec(select(&TOKENS[..]), 0..6), any::<prop::sample::Index>(), 1..6_usize)
        .prop_map(|(text, other, at, length)| {
            let at = at.index(text.len() + 1);
            let query = [&text[at..(at + length).min(text.len())], &other[..other.len().saturating_sub(4)]].concat();
            (text.concat(), query.concat())
        })
}

/// The index has the terms of every query that a text matches.
fn terms_of_matches((any, (text, query)): (String, (String, String))) -> TestCaseResult {
    for (text, query) in [(&text, &query), (&text, &any), (&any, &query), (&any, &any)] {
        let Ok(parsed) = query.parse::<Query>() else { continue };
        let wanted = parsed.terms();
        prop_assert!((1..=16).contains(&wanted.len()));
        if let Some(matches) = parsed.find(text) {
            prop_assert!(wanted.is_subset(&terms(text)), "{query:?} in {text:?}");
            check_snippet(text, &matches)?;
        }
    }
    Ok(())
}

/// A snippet is a piece of the text, with the matches that it has there.
fn check_snippet(text: &str, matches: &Matches) -> TestCaseResult {
    let count = text.chars().count();
    prop_assert!(!matches.ranges().is_empty());
    prop_assert!(matches.ranges().iter().all(|place| place.start < place.end && place.end <= count));
    prop_assert!(matches.ranges().is_sorted_by(|one, next| one.end <= next.start));

    let snippet = Snippet::new(text, matches);
    let characters = snippet.text().chars().collect::<Vec<_>>();
    prop_assert!(characters.len() <= 200 && !characters.iter().any(|c| c.is_control()));
    prop_assert!(!snippet.matches().is_empty());
    for (place, in_text) in snippet.matches().iter().zip(matches.ranges()) {
        prop_assert!(place.end <= characters.len());
        prop_assert!(place.len() == in_text.len() || place.len() == 200 || in_text.len() > 200);
        let shown = characters[place.clone()].iter().collect::<String>();
        let written = text.chars().skip(in_text.start).take(place.len());
        let written = written.map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
        prop_assert_eq!(shown, written.collect::<String>());
    }
    Ok(())
}

fuzz::target!(folded_texts, fuzz::bytes(&TOKENS));

/// Folding is idempotent, and its sources are in order.
fn folded_texts(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let characters = fold(&text);
    prop_assert!(characters.is_sorted_by_key(|folded| (folded.source.start, folded.source.end)));
    let folded = characters.iter().map(|folded| folded.character).collect::<String>();
    prop_assert_eq!(fold(&folded).iter().map(|folded| folded.character).collect::<String>(), folded);
    Ok(())
}
