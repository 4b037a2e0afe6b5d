use std::fmt;

use crate::{FieldError, FieldReason};

/// Text that somebody wrote in lines of their own, such as a note: at most 10,000 characters, kept as they were
/// written.
///
/// It is sealed where it is stored, and never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FreeText(String);

impl FreeText {
    /// The text, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FreeText {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        if text.chars().count() > 10_000 {
            return Err(FieldError::too_long(10_000));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(FieldError::new(
                FieldReason::ForbiddenCharacter,
                "must not contain control characters other than tabs and the ends of lines",
            ));
        }
        Ok(Self(text))
    }
}

impl From<FreeText> for String {
    fn from(text: FreeText) -> Self {
        text.0
    }
}

impl fmt::Debug for FreeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_lines_and_at_most_10000_characters() {
        for good in [String::new(), "a\tb\r\nc\n".to_owned(), "\u{1f600}".repeat(10_000), "  as written ".to_owned()] {
            assert_eq!(FreeText::try_from(good.clone()).map(String::from), Ok(good));
        }
        for bad in ["x".repeat(10_001), "a\u{0}b".to_owned(), "\u{1b}[2J".to_owned(), "\u{85}".to_owned()] {
            assert!(FreeText::try_from(bad).is_err());
        }
    }

    #[test]
    fn text_is_not_printed() {
        let text = FreeText::try_from("canary".to_owned()).unwrap();
        assert!(!format!("{text:?}").contains("canary"));
    }
}
