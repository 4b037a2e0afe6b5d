//! Valid and invalid queries.

use crate::Query;

fn refusal(query: &str) -> Option<String> {
    query.parse::<Query>().err().map(|error| error.to_string())
}

#[test]
fn malformed_query_is_refused_by_the_rule_it_breaks() {
    const EMPTY: &str = "must hold a word: letters, digits or an emoji";
    const PREFIX: &str = "must have at least three letters before each *";
    const CONTROL: &str = "must not contain control characters";
    let words = |count| (0..count).map(|word| format!("w{word} ")).collect::<String>();
    for (query, expected) in [
        ("", EMPTY),
        (" \u{3000}\t ", EMPTY),
        ("*", EMPTY),
        ("… ?! -", EMPTY),
        ("\"\"", EMPTY),
        ("\" \"*", EMPTY),
        ("\u{200b}\u{ad}\u{3164}\u{301}", EMPTY),
        ("\u{202e}", EMPTY),
        ("a*", PREFIX),
        ("word ab*", PREFIX),
        ("é\u{301}a*", PREFIX),
        ("a-b*", PREFIX),
        ("東京*", PREFIX),
        ("😀*", PREFIX),
        ("a\0b", CONTROL),
        ("a\nb", CONTROL),
        ("a\u{85}b", CONTROL),
        (&"a".repeat(201), "is too long: at most 200 characters"),
        (&"word ".repeat(2_000), "is too long: at most 200 characters"),
        (&words(17), "has too many words: at most 16"),
        (&format!("\"{}\"", words(17)), "has too many words: at most 16"),
    ] {
        assert_eq!(refusal(query).as_deref(), Some(expected), "{query:?}");
    }
    for query in ["a", "abc*", "a-b-c*", "don't*", "the of", "7", "日本語*", " x ", &words(16), &"a".repeat(200)] {
        assert_eq!(refusal(query), None, "{query:?}");
    }
}

#[test]
fn query_is_looked_up_by_stems_and_prefixes_of_at_most_eight_letters() {
    for (query, expected) in [
        ("Worries", &["wworri"][..]),
        ("\"panic attacks\" panic", &["wattack", "wpanic"]),
        ("well-bei*", &["pbei", "wwell"]),
        ("don't*", &["wdon"]),
        ("anx*", &["panx"]),
        ("understanding*", &["pundersta"]),
        ("тревоги", &["wтревоги"]),
        ("日本語*", &["p日本語"]),
    ] {
        let terms = query.parse::<Query>().unwrap().terms();
        let terms = terms.iter().map(|term| term.as_str()).collect::<Vec<_>>();
        assert_eq!(terms, expected, "{query}");
    }
}

#[test]
fn matches_are_places_of_the_source() {
    for (query, text, expected) in [
        ("run", "I run. He RUNS!", &[(2, 5), (10, 14)][..]),
        ("anx*", "no anxieties", &[(3, 12)]),
        ("well-being", "the well - being", &[(4, 16)]),
        ("\"panic attack\" attack", "panic attack, attack", &[(0, 12), (14, 20)]),
        ("zoe", "Hi Zoe\u{308}!", &[(3, 7)]),
        ("strasse", "Straße", &[(0, 6)]),
        ("ストレ*", "仕事のストレスで", &[(3, 7)]),
        ("仕事のスト*", "仕事のストレスで", &[(0, 7)]),
        ("👍", "ok 👍🏽.", &[(3, 5)]),
        ("صلى", "ﷺ!", &[(0, 1)]),
        ("العمل", "من العمل،", &[(3, 8)]),
    ] {
        let matches = query.parse::<Query>().unwrap().find(text).unwrap();
        let places = matches.ranges().iter().map(|place| (place.start, place.end)).collect::<Vec<_>>();
        assert_eq!(places, expected, "{query} in {text}");
    }
}

#[test]
fn neither_query_nor_term_is_printed() {
    let query: Query = "canary \"canary\" can*".parse().unwrap();
    let matches = query.find("canary").unwrap();
    let shown = format!("{query:?} {:?} {:?}", query.terms(), crate::Snippet::new("canary", &matches));
    assert!(!shown.contains("canary"), "{shown}");
}
