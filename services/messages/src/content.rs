//! Encodes and decodes the sealed content of a message.

use kernel::{Error, FreeText, Result};
use prost::Message as _;
use zeroize::Zeroizing;

use crate::model::{Side, Text};

/// Format version of new contents. It is stored beside the content and authenticated by the seal.
pub(crate) const FORMAT: u8 = 1;

/// Content in format 1. It includes the sender, so that nobody with write access to the table can attribute a text to
/// somebody else.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct Written {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(bool, tag = "2")]
    by_therapist: bool,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written(…)")
    }
}

/// Encodes a sender and a text in the format [`FORMAT`].
pub(crate) fn encode(sender: Side, text: &Text) -> Zeroizing<Vec<u8>> {
    let written = Written { text: text.as_str().to_owned(), by_therapist: sender == Side::Therapist };
    Zeroizing::new(written.encode_to_vec())
}

/// Decodes a sender and a text from bytes in a format.
///
/// # Errors
/// INTERNAL when the bytes are no content in this format.
pub(crate) fn decode(format: u8, bytes: &[u8]) -> Result<(Side, Text)> {
    let broken = || Error::internal(format!("what was sealed is no message of form {format}"));
    if format != FORMAT {
        return Err(broken());
    }
    let Written { text, by_therapist } = Written::decode(bytes).map_err(|_| broken())?;
    let sender = if by_therapist { Side::Therapist } else { Side::Client };
    let text = FreeText::try_from(text).ok().filter(|text| !text.as_str().is_empty()).ok_or_else(broken)?;
    Ok((sender, Text::from_stored(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_round_trips_and_invalid_bytes_are_rejected() {
        for sender in [Side::Client, Side::Therapist] {
            let text = Text::try_from("first line\nsecond".to_owned()).unwrap();
            let bytes = encode(sender, &text);
            assert_eq!(decode(FORMAT, &bytes).unwrap(), (sender, text));
            assert!(decode(FORMAT + 1, &bytes).is_err());
            assert!(decode(FORMAT, &bytes[..5]).is_err());
        }
        assert!(decode(FORMAT, &[]).is_err());
    }
}
