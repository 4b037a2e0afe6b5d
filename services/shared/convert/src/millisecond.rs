//! Instants as milliseconds since 1970.

use kernel::FieldError;

use crate::time::{FIRST_SECOND, LAST_SECOND, in_range};

/// First millisecond of a `google.protobuf.Timestamp`.
pub const FIRST: i64 = FIRST_SECOND * 1000;
/// Last millisecond of a `google.protobuf.Timestamp`.
pub const LAST: i64 = LAST_SECOND * 1000 + 999;

/// Converts an instant, rounded down.
///
/// # Errors
/// If it is out of range.
pub fn floor_from_proto(time: prost_types::Timestamp) -> Result<i64, FieldError> {
    let (seconds, nanos) = in_range(time)?;
    Ok(seconds * 1000 + i64::from(nanos) / 1_000_000)
}

/// Converts an instant, rounded up and capped at [`LAST`].
///
/// # Errors
/// If it is out of range.
pub fn ceil_from_proto(time: prost_types::Timestamp) -> Result<i64, FieldError> {
    let (seconds, nanos) = in_range(time)?;
    Ok((seconds * 1000 + (i64::from(nanos) + 999_999) / 1_000_000).min(LAST))
}

/// Converts an instant.
#[must_use]
pub fn to_proto(millisecond: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(millisecond.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    prost_types::Timestamp { seconds: millisecond.div_euclid(1000), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::OUT_OF_RANGE;

    #[test]
    fn fractional_millisecond_rounds_down_or_up() {
        for (seconds, nanos, floor, ceil) in [
            (1, 0, 1_000, 1_000),
            (1, 1, 1_000, 1_001),
            (1, 999_999, 1_000, 1_001),
            (1, 1_000_000, 1_001, 1_001),
            (-1, 999_999_999, -1, 0),
            (FIRST_SECOND, 0, FIRST, FIRST),
            (LAST_SECOND, 999_999_999, LAST, LAST),
        ] {
            let time = prost_types::Timestamp { seconds, nanos };
            assert_eq!((floor_from_proto(time), ceil_from_proto(time)), (Ok(floor), Ok(ceil)), "{seconds} {nanos}");
            assert_eq!(floor_from_proto(to_proto(floor)), Ok(floor));
        }
        let late = prost_types::Timestamp { seconds: LAST_SECOND + 1, nanos: 0 };
        assert_eq!((floor_from_proto(late), ceil_from_proto(late)), (Err(OUT_OF_RANGE), Err(OUT_OF_RANGE)));
    }
}
