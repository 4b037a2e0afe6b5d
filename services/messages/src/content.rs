//! What is sealed of a message, as bytes.

use kernel::{Error, Result};
use prost::Message as _;
use zeroize::Zeroizing;

use crate::model::{Side, Text};

/// The version of the form that contents are written in. It stands beside the content, and the seal vouches for it.
pub(crate) const FORMAT: u8 = 1;

/// Version 1. Who wrote it is in it, so that nobody who can write to the table can put words into another's mouth.
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

/// The bytes of what a side wrote, in the form [`FORMAT`].
pub(crate) fn encode(sender: Side, text: &Text) -> Zeroizing<Vec<u8>> {
    let written = Written { text: text.as_str().to_owned(), by_therapist: sender == Side::Therapist };
    Zeroizing::new(written.encode_to_vec())
}

/// What a side wrote, of bytes in a form.
///
/// # Errors
/// INTERNAL when they are no content.
pub(crate) fn decode(format: u8, bytes: &[u8]) -> Result<(Side, Text)> {
    let broken = || Error::internal(format!("what was sealed is no message of form {format}"));
    if format != FORMAT {
        return Err(broken());
    }
    let Written { text, by_therapist } = Written::decode(bytes).map_err(|_| broken())?;
    let sender = if by_therapist { Side::Therapist } else { Side::Client };
    Ok((sender, text.try_into().map_err(|_| broken())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_comes_back_as_it_was_and_what_is_none_does_not() {
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
