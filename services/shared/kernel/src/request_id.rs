use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::ParseIdError;

/// Id by which a request is found in the logs of every hop: 1 to 128 characters of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`.
///
/// Callers choose it freely. None of its characters ends a line, a string or a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Maximum length in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Makes an id of random bytes, written as a UUIDv4 (RFC 9562).
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string().into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RequestId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_id = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(fits);
        if is_id { Ok(Self(text.into())) } else { Err(ParseIdError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_characters_make_an_id() {
        let longest = "x".repeat(RequestId::MAX_LENGTH);
        for text in ["a", "-", "0.9_Z-a", "01933b5e-7a4c-4def-8abc-0123456789ab", &longest] {
            assert_eq!(text.parse::<RequestId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn other_texts_are_no_id() {
        let longer = "x".repeat(RequestId::MAX_LENGTH + 1);
        for text in
            ["", " ", "a b", "a\nb", "a\r\nx: y", "a\"b", "a,b", "a/b", "a{b}", "ä", "\u{1b}[31m", "\0", &longer]
        {
            assert_eq!(text.parse::<RequestId>(), Err(ParseIdError), "{text:?}");
        }
    }

    #[test]
    fn random_id_is_well_formed() {
        let made = RequestId::from_random([0xff; 16]);
        assert_eq!(made.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(made.as_str().parse(), Ok(made));
    }
}
