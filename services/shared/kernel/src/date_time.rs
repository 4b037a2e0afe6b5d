use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, civil};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::floor_to_millisecond;
use crate::{FieldError, FieldReason, rfc3339};

/// An instant and the offset from UTC in which it was given (RFC 3339), such as `2026-12-01T09:00:00+05:30`.
///
/// It is kept and printed in that offset; two are equal when both are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetDateTime {
    instant: Timestamp,
    offset: Offset,
}

impl OffsetDateTime {
    /// The instant.
    #[must_use]
    pub const fn instant(self) -> Timestamp {
        self.instant
    }

    /// Returns the instant, in its offset, without what it has beyond milliseconds.
    #[must_use]
    pub fn to_millisecond(self) -> Self {
        Self { instant: floor_to_millisecond(self.instant), ..self }
    }

    /// The day on which the instant lies in the offset.
    #[must_use]
    pub fn date(self) -> Date {
        self.local().date()
    }

    /// The time of that day.
    #[must_use]
    pub fn time(self) -> Time {
        self.local().time()
    }

    /// Another time of the same day, in the same offset; none past the last day that there is (9999-12-30).
    #[must_use]
    pub fn at(self, time: Time) -> Option<Self> {
        let instant = TimeZone::fixed(self.offset).to_timestamp(self.date().to_datetime(time)).ok()?;
        Some(Self { instant, ..self })
    }

    fn local(self) -> civil::DateTime {
        self.offset.to_datetime(self.instant)
    }
}

impl fmt::Display for OffsetDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset.is_zero() { self.instant.fmt(f) } else { self.instant.display_with_offset(self.offset).fmt(f) }
    }
}

impl FromStr for OffsetDateTime {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (local, offset) = rfc3339::parse(text)?;
        let instant = TimeZone::fixed(offset).to_timestamp(local);
        let instant = instant.map_err(|_| FieldError::new(FieldReason::OutOfRange, "must be before 9999-12-30"))?;
        if instant.as_second() < FIRST_SECOND {
            return Err(FieldError::new(FieldReason::OutOfRange, "must not be before 0001-01-01 in UTC"));
        }
        Ok(Self { instant, offset })
    }
}

/// 0001-01-01T00:00:00Z, the first instant of a proto `Timestamp`.
const FIRST_SECOND: i64 = -62_135_596_800;

impl Serialize for OffsetDateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OffsetDateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> OffsetDateTime {
        text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
    }

    #[test]
    fn instant_is_printed_in_given_offset() {
        for (told, printed) in [
            ("2026-12-01T09:00:00+05:30", "2026-12-01T09:00:00+05:30"),
            ("2026-12-01T00:00:00-08:00", "2026-12-01T00:00:00-08:00"),
            ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
            ("2026-12-01t09:00:00.250z", "2026-12-01T09:00:00.25Z"),
            ("2026-12-01T09:00:00+00:00", "2026-12-01T09:00:00Z"),
            ("0001-01-01T00:00:00-23:59", "0001-01-01T00:00:00-23:59"),
        ] {
            assert_eq!(parse(told).to_string(), printed);
        }
    }

    #[test]
    fn date_and_time_are_local_to_offset() {
        let told = parse("2026-12-01T00:30:00+05:30");
        assert_eq!(told.instant().to_string(), "2026-11-30T19:00:00Z");
        assert_eq!(
            (told.date().to_string(), told.time().to_string()),
            ("2026-12-01".to_owned(), "00:30:00".to_owned())
        );
        let ten = told.at(civil::time(10, 0, 0, 0)).unwrap();
        assert_eq!(ten.to_string(), "2026-12-01T10:00:00+05:30");
    }

    #[test]
    fn date_time_out_of_range_is_refused() {
        for bad in [
            "9999-12-31T23:59:59Z",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "2026-12-31T23:59:60Z",
            "2026-12-01",
        ] {
            assert!(bad.parse::<OffsetDateTime>().is_err(), "{bad}");
        }
    }

    #[test]
    fn fraction_is_cut_to_the_millisecond() {
        for (told, cut) in [
            ("2026-12-01T09:00:00.123456789+05:30", "2026-12-01T09:00:00.123+05:30"),
            ("1969-12-31T23:59:59.9999-08:00", "1969-12-31T23:59:59.999-08:00"),
            ("1960-01-01T00:00:00.0001Z", "1960-01-01T00:00:00Z"),
        ] {
            assert_eq!(parse(told).to_millisecond(), parse(cut), "{told}");
            assert_eq!(parse(told).to_string(), told, "not as it is read");
        }
    }

    proptest! {
        #[test]
        fn printed_date_time_is_read_back(second in -62_135_500_000_i64..253_402_000_000, minutes in -1439_i32..1440) {
            let offset = Offset::from_seconds(minutes * 60).unwrap();
            let told = OffsetDateTime { instant: Timestamp::from_second(second).unwrap(), offset };
            prop_assert_eq!(told.to_string().parse::<OffsetDateTime>(), Ok(told));
        }
    }
}
