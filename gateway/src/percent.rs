//! Percent-encoding (RFC 3986, section 2.1), strictly: badly encoded text is rejected, not passed on.

use std::borrow::Cow;

/// The text is badly encoded: a `%` without two hexadecimal digits, bytes that are no UTF-8, or a NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadEncoding;

/// Decodes a segment of a path.
pub(crate) fn decode_segment(text: &str) -> Result<Cow<'_, str>, BadEncoding> {
    decode(text, false)
}

/// Decodes a name or a value of a query, where a plus is a space as in HTML forms.
pub(crate) fn decode_parameter(text: &str) -> Result<Cow<'_, str>, BadEncoding> {
    decode(text, true)
}

fn decode(text: &str, plus_is_space: bool) -> Result<Cow<'_, str>, BadEncoding> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+' | 0)) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next())? << 4 | digit(bytes.next())?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    if decoded.contains(&0) {
        return Err(BadEncoding);
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| BadEncoding)
}

fn digit(byte: Option<u8>) -> Result<u8, BadEncoding> {
    match byte {
        Some(byte @ b'0'..=b'9') => Ok(byte - b'0'),
        Some(byte @ b'a'..=b'f') => Ok(byte - b'a' + 10),
        Some(byte @ b'A'..=b'F') => Ok(byte - b'A' + 10),
        _ => Err(BadEncoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_encoding_is_decoded() {
        assert_eq!(decode_segment("plain").unwrap(), "plain");
        assert_eq!(decode_segment("a%2Fb%20c+%C3%a4").unwrap(), "a/b c+ä");
        assert_eq!(decode_parameter("a+b%2B").unwrap(), "a b+");
    }

    #[test]
    fn bad_encoding_is_rejected() {
        // Overlong forms, a lone surrogate, a truncated character, NUL raw and encoded.
        for text in ["%", "%2", "%zz", "%c0%af", "%ed%a0%80", "%e2%82", "%ff", "%00", "\0"] {
            assert_eq!(decode_segment(text), Err(BadEncoding), "{text:?}");
        }
    }
}
