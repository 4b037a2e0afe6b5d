use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use crate::visible::{is_blank, is_directional, is_ignorable};

/// Error of a text, as a sentence that follows the name of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextError(pub &'static str);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Returns a text as it is compared: compatibility forms unified (NFKC), lower case, runs of white space as one space.
pub(crate) fn fold(text: &str) -> String {
    let lower: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a name, or another text that people read, as it is compared: compatibility forms unified (NFKC), lower case,
/// runs of white space as one space, without characters that Unicode ignores by default, such as joiners and soft
/// hyphens. A text of nothing else keeps them.
#[must_use]
pub fn fold_visible(text: &str) -> String {
    let visible: String = text.nfkc().filter(|c| !is_ignorable(*c)).collect();
    let folded = fold(&visible);
    if folded.is_empty() { fold(text) } else { folded }
}

/// Maximum bytes of a text before anything is done with it: none that is accepted can come to more.
const MOST_RAW: usize = 4096;
/// Maximum bytes of a folded text: it is part of keys of DynamoDB, and a sort key has 1,024 at most. Some single
/// characters fold to dozens.
const MOST_FOLDED: usize = 900;

/// Returns a line of text trimmed and in one canonical form (NFC): 1 to `most` characters, at least one of which shows
/// something, and none of which is a control character or changes the direction of the text.
///
/// # Errors
/// `required` for a text that shows nothing, `long` for one that is too long, or another sentence.
pub fn clean_line(text: &str, most: usize, required: &'static str, long: &'static str) -> Result<String, TextError> {
    if text.len() > MOST_RAW {
        return Err(TextError(long));
    }
    let clean: String = text.trim().nfc().collect();
    if is_blank(&clean) {
        return Err(TextError(required));
    }
    if clean.chars().count() > most {
        return Err(TextError(long));
    }
    if clean.chars().any(char::is_control) {
        return Err(TextError("must not contain control characters"));
    }
    if clean.chars().any(is_directional) {
        return Err(TextError("must not contain characters that embed, override or isolate the direction of text"));
    }
    Ok(clean)
}

/// Returns a [`clean_line`] that is short enough for a key when it is folded.
///
/// # Errors
/// As [`clean_line`], and for a folded form of more than 900 bytes.
pub fn clean_text(text: &str, most: usize, required: &'static str, long: &'static str) -> Result<String, TextError> {
    let clean = clean_line(text, most, required, long)?;
    if fold(&clean).len() > MOST_FOLDED {
        return Err(TextError("is too long once its ligatures are spelt out: at most 900 bytes of UTF-8 (NFKC)"));
    }
    Ok(clean)
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $parse:expr, $fold:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text, as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text from the store, where an earlier version may have put what is refused now.
            #[must_use]
            pub const fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The text as it is compared and looked up: never empty, 900 bytes at most.
            #[must_use]
            pub fn folded(&self) -> String {
                $fold(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                $parse(text).map(Self)
            }
        }

        /// Hides the text: what people wrote stays out of logs, also by accident.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

pub(crate) use text;

text! {
    /// A person's name: 1 to 200 characters.
    PersonName, parse_name, fold_visible
}
text! {
    /// A postal code: 3 to 10 letters, digits, spaces or hyphens, of which 3 are letters or digits. Folded, it has no
    /// spaces and no hyphens.
    Pincode, parse_pincode, fold_pincode
}

fn parse_name(text: &str) -> Result<String, TextError> {
    clean_text(text, 200, "is required: 1 to 200 characters", "is too long: at most 200 characters")
}

fn parse_pincode(text: &str) -> Result<String, TextError> {
    const INVALID: TextError =
        TextError("must be 3 to 10 letters, digits, spaces or hyphens, of which 3 are letters or digits");
    let text = clean_text(text, 10, "is required: 3 to 10 letters, digits, spaces or hyphens", INVALID.0)?;
    let known = text.chars().all(|c| (c.is_alphanumeric() && !is_ignorable(c)) || c == ' ' || c == '-');
    if known && fold_pincode(&text).chars().count() >= 3 { Ok(text) } else { Err(INVALID) }
}

fn fold_pincode(text: &str) -> String {
    fold(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Email;

    #[test]
    fn folding_ignores_case_width_and_spacing() {
        for (one, other) in [("Anna  Meyer", "ANNA MEYER"), ("ＣＢＴ", "cbt"), ("Zoë", "ZOE\u{308}"), ("İ", "i\u{307}")]
        {
            assert_eq!(fold(one), fold(other), "{one}");
        }
    }

    proptest! {
        #[test]
        fn folding_is_idempotent(text in "\\PC*") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
            prop_assert_eq!(fold_visible(&fold_visible(&text)), fold_visible(&text));
        }

        #[test]
        fn visible_folding_ignores_what_shows_nothing(
            words in "[a-zA-Z\u{915}-\u{939} ]{0,5}[a-z]",
            ignorable in "[\u{ad}\u{200b}-\u{200f}\u{2060}\u{feff}\u{3164}]{1,3}",
            at: prop::sample::Index,
        ) {
            let (at, _) = words.char_indices().nth(at.index(words.chars().count())).unwrap();
            let text = format!("{}{ignorable}{}", &words[..at], &words[at..]);
            prop_assert_eq!(fold_visible(&text), fold_visible(&words));
        }
    }

    #[test]
    fn text_that_shows_nothing_folds_to_something() {
        for blank in ["\u{200b}", "\u{ad}", "\u{3164}"] {
            assert!(!fold_visible(blank).is_empty(), "earlier versions stored it");
        }
    }

    #[test]
    fn text_that_shows_nothing_is_missing() {
        for blank in
            ["", " ", "\u{200b}", "\u{2800}", "\u{3164}", "\u{ad}", "\u{feff}", "\u{2060}", "\u{200e}", "\u{202e}"]
        {
            assert_eq!(blank.parse::<PersonName>(), "".parse(), "{blank:?}");
            assert_eq!(blank.parse::<Pincode>(), "".parse(), "{blank:?}");
            assert_eq!(blank.parse::<Email>(), "".parse(), "{blank:?}");
        }
        for name in ["क्\u{200d}ष", "می\u{200c}خواهم", "\u{200f}שרה", "👩\u{200d}⚕\u{fe0f}"] {
            assert_eq!(name.parse::<PersonName>().map(|name| name.as_str().to_owned()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn text_that_changes_direction_is_refused() {
        for c in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert!(format!("a{c}b").parse::<PersonName>().is_err(), "{c:?}");
            assert!(format!("a{c}b@example.org").parse::<Email>().is_err(), "{c:?}");
        }
    }

    #[test]
    fn malformed_email_is_refused() {
        for good in ["a@b.org", "First.Last+tag@Example.ORG", "zoë@exämple.org"] {
            assert_eq!(good.parse::<Email>().map(|e| e.as_str().to_owned()), Ok(good.to_owned()));
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in [
            "",
            "  ",
            "a",
            "a@",
            "@b.org",
            "a@b",
            "a b@c.org",
            "a@b.org, c@d.org",
            "A <a@b.org>",
            "a@[127.0.0.1]",
            "a\0@b.org",
            "a\u{ff20}b.org@c.org",
            "a\u{a8}@b.org",
            &long,
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_pincodes_have_bounds() {
        assert!("é".repeat(200).parse::<PersonName>().is_ok());
        for bad in ["", " \t ", &"x".repeat(201), "a\u{7}b"] {
            assert!(bad.parse::<PersonName>().is_err(), "{bad}");
        }
        for good in ["110001", "SW1A 1AA", "12345-6789"] {
            assert!(good.parse::<Pincode>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "12",
            "12345678901",
            "12_45",
            "<script>",
            "---",
            "- -1- -",
            "1-2",
            "1\u{3164}2\u{3164}",
            "110\u{ad}001",
        ] {
            assert!(bad.parse::<Pincode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn text_with_too_long_folded_form_is_refused() {
        let ligatures = "\u{fdfa}".repeat(200);
        assert!(fold(&ligatures).len() > 6_000, "one character is a phrase");
        assert!(ligatures.parse::<PersonName>().is_err());
        assert!(format!("{}@example.org", "\u{fdfa}".repeat(64)).parse::<Email>().is_err());
        assert!(format!("a@{}.org", vec!["\u{fdfa}"; 60].join(".")).parse::<Email>().is_err());
        assert!("\u{1d400}".repeat(200).parse::<PersonName>().is_ok(), "four bytes a character are fine");
        assert!(" ".repeat(5_000).parse::<PersonName>().is_err(), "refused before anything is done with it");
    }

    proptest! {
        #[test]
        fn accepted_text_fits_key(text in "\\PC{1,12}|[\u{fb50}-\u{fdff}]{1,60}|[0-9a-z\u{3164}\u{fe70} -]{3,10}") {
            let folded = [
                text.parse::<PersonName>().map(|text| text.folded()),
                text.parse::<Pincode>().map(|text| text.folded()),
                format!("{text}@example.org").parse::<Email>().map(|text| text.folded()),
            ];
            for folded in folded.into_iter().flatten() {
                prop_assert!((1..=MOST_FOLDED).contains(&folded.len()));
            }
        }
    }
}
