//! Ids of a batch.

use std::str::FromStr;

use kernel::{Error, FieldError, FieldReason};

/// Checks the number of elements of a batch.
///
/// # Errors
/// INVALID_ARGUMENT for more than `most`.
pub fn check_len(field: &'static str, len: usize, most: usize) -> Result<(), Error> {
    if len > most { Err(Error::invalid(field, too_many(most))) } else { Ok(()) }
}

fn too_many(most: usize) -> FieldError {
    FieldError::of(FieldReason::TooLong, format!("must be {most} at most"))
}

/// Converts the ids of a batch. An invalid id names nothing, and is skipped.
///
/// # Errors
/// INVALID_ARGUMENT for more than `most`.
pub fn from_proto<T: FromStr, B: FromIterator<T>>(
    field: &'static str,
    ids: &[String],
    most: usize,
) -> Result<B, Error> {
    check_len(field, ids.len(), most)?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use kernel::UserId;

    use super::*;

    #[test]
    fn invalid_id_is_skipped_and_long_batch_refused() {
        let id = UserId::from_bytes([1; 16]);
        let ids = [id.to_string(), "x".to_owned(), String::new()];
        assert_eq!(from_proto::<UserId, Vec<_>>("userIds", &ids, 3).unwrap(), [id]);
        let refused = from_proto::<UserId, Vec<_>>("userIds", &ids, 2).unwrap_err();
        assert_eq!(refused.message(), "userIds must be 2 at most");
    }
}
