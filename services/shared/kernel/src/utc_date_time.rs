use std::fmt;
use std::str::FromStr;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{FieldError, FieldReason, rfc3339};

const OUT_OF_RANGE: FieldError =
    FieldError::new(FieldReason::OutOfRange, "must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z");

/// An instant from the year 1 to the year 9999, as in a `google.protobuf.Timestamp`: [`Timestamp`] ends two hours into
/// the last day but one.
///
/// It is stored and printed in UTC (RFC 3339), as a [`Timestamp`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcDateTime(civil::DateTime);

impl UtcDateTime {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(civil::datetime(1, 1, 1, 0, 0, 0, 0));
    /// 9999-12-31T23:59:59.999999999Z.
    pub const MAX: Self = Self(civil::DateTime::MAX);

    const EPOCH: civil::DateTime = civil::datetime(1970, 1, 1, 0, 0, 0, 0);

    /// Returns the instant of these seconds since 1970, and nanoseconds (0 to 999,999,999) after that; none if it is out
    /// of range.
    #[must_use]
    pub fn from_unix(seconds: i64, nanoseconds: i32) -> Option<Self> {
        if !(0..1_000_000_000).contains(&nanoseconds) {
            return None;
        }
        // In two steps: a duration has one sign.
        let second = Self::EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()?;
        let instant = second.checked_add(SignedDuration::new(0, nanoseconds)).ok()?;
        Some(Self(instant)).filter(|instant| *instant >= Self::MIN)
    }

    /// Returns the whole seconds since 1970, and the nanoseconds after that.
    #[must_use]
    pub fn to_unix(self) -> (i64, i32) {
        let nanoseconds = self.0.subsec_nanosecond();
        let second = self.0.with().subsec_nanosecond(0).build().unwrap_or(self.0);
        (second.duration_since(Self::EPOCH).as_secs(), nanoseconds)
    }

    /// Returns the instant without what it has beyond milliseconds.
    #[must_use]
    pub fn to_millisecond(self) -> Self {
        let nanoseconds = self.0.subsec_nanosecond();
        let cut = self.0.with().subsec_nanosecond(nanoseconds - nanoseconds % 1_000_000).build();
        Self(cut.unwrap_or(self.0))
    }
}

impl From<Timestamp> for UtcDateTime {
    fn from(instant: Timestamp) -> Self {
        Self(Offset::UTC.to_datetime(instant))
    }
}

/// As RFC 3339 writes it, with an offset or `Z`.
impl FromStr for UtcDateTime {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (local, offset) = rfc3339::parse(text)?;
        let east = SignedDuration::from_secs(i64::from(offset.seconds()));
        let instant = local.checked_sub(east).map(Self).map_err(|_| OUT_OF_RANGE)?;
        if instant < Self::MIN { Err(OUT_OF_RANGE) } else { Ok(instant) }
    }
}

impl fmt::Display for UtcDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.0)
    }
}

impl Serialize for UtcDateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcDateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> UtcDateTime {
        text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
    }

    #[test]
    fn instant_is_printed_in_utc() {
        for (told, printed) in [
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
            ("0001-01-01T00:00:00-23:59", "0001-01-01T23:59:00Z"),
            ("9999-12-31T23:59:59+23:59", "9999-12-31T00:00:59Z"),
            ("2026-12-01t09:00:00.250+05:30", "2026-12-01T03:30:00.25Z"),
        ] {
            assert_eq!(parse(told).to_string(), printed, "{told}");
        }
        for bad in ["0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert_eq!(bad.parse::<UtcDateTime>(), Err(OUT_OF_RANGE), "{bad}");
        }
        assert!("2016-12-31T23:59:60Z".parse::<UtcDateTime>().is_err());
    }

    #[test]
    fn unix_time_is_counted_forward_from_whole_seconds() {
        for (text, seconds, nanoseconds) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
            ("0001-01-01T00:00:00.000000001Z", -62_135_596_800, 1),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
        ] {
            assert_eq!(parse(text).to_unix(), (seconds, nanoseconds), "{text}");
            assert_eq!(UtcDateTime::from_unix(seconds, nanoseconds), Some(parse(text)), "{text}");
        }
        for (seconds, nanoseconds) in [
            (-62_135_596_801, 999_999_999),
            (253_402_300_800, 0),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, 0),
            (i64::MIN, 0),
        ] {
            assert_eq!(UtcDateTime::from_unix(seconds, nanoseconds), None, "{seconds} {nanoseconds}");
        }
    }

    #[test]
    fn fraction_is_cut_to_the_millisecond() {
        for (told, cut) in [
            ("2026-12-01T09:00:00.123456789Z", "2026-12-01T09:00:00.123Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z"),
            ("2026-12-01T09:00:00.0009Z", "2026-12-01T09:00:00Z"),
        ] {
            assert_eq!(parse(told).to_millisecond(), parse(cut), "{told}");
        }
    }

    proptest! {
        /// So what a version stored as a `Timestamp` is read, and the other way round.
        #[test]
        fn instant_is_stored_as_timestamp_is(nanosecond in -62_135_596_800_000_000_000_i128..253_402_200_000_000_000_000) {
            let other = Timestamp::from_nanosecond(nanosecond).unwrap();
            let instant = UtcDateTime::from(other);
            prop_assert_eq!(instant.to_string(), other.to_string());
            prop_assert_eq!(other.to_string().parse::<UtcDateTime>(), Ok(instant));
            let (seconds, nanoseconds) = instant.to_unix();
            prop_assert_eq!(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds), nanosecond);
            prop_assert_eq!(UtcDateTime::from_unix(seconds, nanoseconds), Some(instant));
        }

        #[test]
        fn instants_are_ordered_by_time(one in any::<i64>(), other in any::<i64>()) {
            let instant = |seconds: i64| UtcDateTime::from_unix(seconds % 253_402_300_000, 0);
            let (Some(first), Some(second)) = (instant(one), instant(other)) else { return Ok(()) };
            prop_assert_eq!(first.cmp(&second), first.to_unix().cmp(&second.to_unix()));
        }
    }
}
