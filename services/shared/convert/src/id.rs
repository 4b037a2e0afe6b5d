//! Ids.

use std::str::FromStr;

use kernel::{FieldError, ParseIdError, UserId};

/// Converts an id that must be there.
///
/// # Errors
/// If it is missing or invalid.
pub fn from_proto<T: FromStr<Err = ParseIdError>>(text: &str) -> Result<T, FieldError> {
    optional_from_proto(text)?.ok_or(FieldError::REQUIRED)
}

/// Converts an id that may be left out.
///
/// # Errors
/// If it is invalid.
pub fn optional_from_proto<T: FromStr<Err = ParseIdError>>(text: &str) -> Result<Option<T>, FieldError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(FieldError::from) }
}

/// Rewrites ids as they are printed, so that requests that differ only in the case of an id have the same bytes. Leaves
/// text that is no id.
pub fn normalize<const N: usize>(ids: [&mut String; N]) {
    for text in ids {
        if text.parse::<UserId>().is_ok() {
            text.make_ascii_lowercase();
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::UserId;

    use super::*;

    #[test]
    fn missing_and_invalid_id_are_told_apart() {
        let id = UserId::from_bytes([1; 16]);
        assert_eq!(from_proto(&id.to_string()), Ok(id));
        assert_eq!(from_proto::<UserId>(""), Err(FieldError::REQUIRED));
        assert_eq!(from_proto::<UserId>("x"), Err(FieldError::NOT_AN_ID));
        assert_eq!(optional_from_proto(&id.to_string()), Ok(Some(id)));
        assert_eq!(optional_from_proto::<UserId>(""), Ok(None));
        assert_eq!(optional_from_proto::<UserId>("x"), Err(FieldError::NOT_AN_ID));
    }

    #[test]
    fn only_ids_are_normalized() {
        let id = UserId::from_bytes([0xab; 16]).to_string();
        let (mut upper, mut lower, mut other) = (id.to_uppercase(), id.clone(), "Nobody".to_owned());
        normalize([&mut upper, &mut lower, &mut other]);
        assert_eq!((upper, lower, other), (id.clone(), id, "Nobody".to_owned()));
    }
}
