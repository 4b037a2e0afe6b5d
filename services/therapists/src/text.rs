//! Texts by which the directory finds therapists.

use std::fmt;
use std::str::FromStr;

use kernel::{FieldError, clean_text, fold_visible, is_blank};

/// Expertise of a therapist: 1 to 200 characters.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Specialty(String);

impl Specialty {
    /// Returns the text, as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text as it is compared and looked up.
    pub(crate) fn folded(&self) -> String {
        fold_visible(&self.0)
    }

    /// Creates a specialty from the store, where an earlier version may have put what is refused now.
    pub(crate) const fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Specialty {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        clean_text(text, 200).map(Self)
    }
}

/// Hides the text: what people wrote stays out of logs, also by accident.
impl fmt::Debug for Specialty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Specialty(…)")
    }
}

/// Returns the beginning of a name as it is looked up: folded; empty for any name.
///
/// # Errors
/// If no name can begin so.
pub(crate) fn fold_prefix(text: &str) -> Result<String, FieldError> {
    if is_blank(text) {
        return Ok(String::new());
    }
    clean_text(text, 200).map(|text| fold_visible(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_found_with_and_without_characters_that_show_nothing() {
        for text in ["ANNA", "an\u{ad}na", "anna\u{200d}", " \u{2060}anna"] {
            assert_eq!(fold_prefix(text), Ok("anna".to_owned()), "{text:?}");
        }
        for blank in ["", " ", "\u{200b}", "\u{3164}"] {
            assert_eq!(fold_prefix(blank), Ok(String::new()), "{blank:?}");
        }
        assert!(fold_prefix("a\u{202e}").is_err());
    }

    #[test]
    fn specialty_that_shows_nothing_is_missing() {
        for blank in [" ", "\u{200b}", "\u{2800}", "\u{3164}", "\u{ad}", "\u{feff}", "\u{2060}"] {
            assert_eq!(blank.parse::<Specialty>(), "".parse(), "{blank:?}");
        }
        assert_eq!("C\u{ad}BT".parse::<Specialty>().unwrap().folded(), "cbt");
    }

    #[test]
    fn text_with_too_long_folded_form_is_refused() {
        let ligatures = "\u{fdfa}".repeat(200);
        assert!(ligatures.parse::<Specialty>().is_err());
        assert!(fold_prefix(&ligatures).is_err());
    }
}
