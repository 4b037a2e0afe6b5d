//! Instants.

use kernel::{FieldError, FieldReason, Timestamp, UtcDateTime};

/// Error of a `google.protobuf.Timestamp` out of its range.
pub const OUT_OF_RANGE: FieldError =
    FieldError::new(FieldReason::OutOfRange, "is not an instant from the year 1 to the year 9999");

/// First and last second of a `google.protobuf.Timestamp` since 1970.
pub(crate) const FIRST_SECOND: i64 = -62_135_596_800;
pub(crate) const LAST_SECOND: i64 = 253_402_300_799;

/// Converts an instant.
///
/// # Errors
/// If it is out of range, or on 9999-12-31, which the kernel's type ends before.
pub fn from_proto(time: prost_types::Timestamp) -> Result<Timestamp, FieldError> {
    let (seconds, nanos) = in_range(time)?;
    Timestamp::new(seconds, nanos).map_err(|_| OUT_OF_RANGE)
}

/// Converts an instant, rounded up to a whole second and capped at the last one of the kernel's type.
///
/// # Errors
/// If it is out of range.
pub fn second_from_proto(time: prost_types::Timestamp) -> Result<Timestamp, FieldError> {
    let (seconds, nanos) = in_range(time)?;
    let second = seconds + i64::from(nanos > 0);
    Ok(Timestamp::from_second(second.min(Timestamp::MAX.as_second())).unwrap_or(Timestamp::MAX))
}

/// Converts an instant, rounded down to a whole millisecond.
#[must_use]
pub fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = UtcDateTime::from(time).to_millisecond().to_unix();
    prost_types::Timestamp { seconds, nanos }
}

/// Converts an instant, also of the last day, rounded down to a whole millisecond.
///
/// # Errors
/// If it is out of range.
pub fn utc_from_proto(time: prost_types::Timestamp) -> Result<UtcDateTime, FieldError> {
    let prost_types::Timestamp { seconds, nanos } = time;
    UtcDateTime::from_unix(seconds, nanos).map(UtcDateTime::to_millisecond).ok_or(OUT_OF_RANGE)
}

/// Converts an instant as it is.
#[must_use]
pub fn utc_to_proto(time: UtcDateTime) -> prost_types::Timestamp {
    let (seconds, nanos) = time.to_unix();
    prost_types::Timestamp { seconds, nanos }
}

/// Returns the seconds and nanoseconds of an instant that is in range.
pub(crate) fn in_range(time: prost_types::Timestamp) -> Result<(i64, i32), FieldError> {
    let prost_types::Timestamp { seconds, nanos } = time;
    let is_in_range = (FIRST_SECOND..=LAST_SECOND).contains(&seconds) && (0..=999_999_999).contains(&nanos);
    if is_in_range { Ok((seconds, nanos)) } else { Err(OUT_OF_RANGE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: [(i64, i32); 5] =
        [(0, -1), (0, 1_000_000_000), (FIRST_SECOND - 1, 0), (LAST_SECOND + 1, 0), (i64::MIN, 0)];

    const fn time(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    #[test]
    fn converted_instant_is_converted_back() {
        for (seconds, nanos) in
            [(0, 0), (60, 1_000_000), (-1, 999_000_000), (-1, 0), (FIRST_SECOND, 0), (4_102_444_800, 5_000_000)]
        {
            let told = time(seconds, nanos);
            assert_eq!(from_proto(told).map(to_proto), Ok(told));
            assert_eq!(utc_from_proto(told).map(utc_to_proto), Ok(told));
        }
        let last = time(LAST_SECOND, 999_000_000);
        assert_eq!(utc_from_proto(last).map(utc_to_proto), Ok(last));
        assert_eq!(to_proto("1969-12-31T23:59:59.5Z".parse().unwrap()), time(-1, 500_000_000));
    }

    #[test]
    fn instant_out_of_range_is_refused() {
        for (seconds, nanos) in OUT {
            assert_eq!(from_proto(time(seconds, nanos)), Err(OUT_OF_RANGE), "{seconds} {nanos}");
            assert_eq!(utc_from_proto(time(seconds, nanos)), Err(OUT_OF_RANGE), "{seconds} {nanos}");
            assert_eq!(second_from_proto(time(seconds, nanos)), Err(OUT_OF_RANGE), "{seconds} {nanos}");
        }
        assert_eq!(from_proto(time(LAST_SECOND, 0)), Err(OUT_OF_RANGE), "the last day");
    }

    #[test]
    fn fractional_millisecond_rounds_down() {
        for (nanos, floor) in [(1, 0), (999_999, 0), (123_456_789, 123_000_000), (999_999_999, 999_000_000)] {
            for seconds in [FIRST_SECOND, -1, 0, 4_102_444_800] {
                let (told, floor) = (time(seconds, nanos), time(seconds, floor));
                assert_eq!(from_proto(told).map(to_proto), Ok(floor), "{seconds} {nanos}");
                assert_eq!(utc_from_proto(told).map(utc_to_proto), Ok(floor), "{seconds} {nanos}");
            }
        }
        let stored: UtcDateTime = "2026-01-05T00:00:00.123456789Z".parse().unwrap();
        assert_eq!(utc_to_proto(stored).nanos, 123_456_789, "as an earlier version stored it");
    }

    #[test]
    fn fractional_second_rounds_up() {
        let second = |seconds, nanos| second_from_proto(time(seconds, nanos)).map(Timestamp::as_second);
        assert_eq!(second(60, 0), Ok(60));
        assert_eq!(second(60, 1), Ok(61));
        assert_eq!(second(-1, 999_999_999), Ok(0));
        assert_eq!(second(LAST_SECOND, 999_999_999), Ok(Timestamp::MAX.as_second()));
    }
}
