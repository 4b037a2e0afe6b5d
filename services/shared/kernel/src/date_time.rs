use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, civil};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{FieldError, FieldReason};

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
        const INVALID: FieldError = FieldError::new(
            FieldReason::Malformed,
            "must be an RFC 3339 date-time with its offset, such as 2026-12-01T09:00:00+05:30",
        );
        let at = text.char_indices().skip(FIRST_OF_OFFSET).find(|(_, c)| matches!(c, 'Z' | 'z' | '+' | '-'));
        let (at, _) = at.ok_or(INVALID)?;
        let (local, offset) = text.split_at_checked(at).ok_or(INVALID)?;
        if !is_full_time(local) {
            return Err(INVALID);
        }
        let offset = parse_offset(offset).ok_or(INVALID)?;
        let local: civil::DateTime = local.parse().map_err(|_| INVALID)?;
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
/// First position at which an offset can begin: after `2026-12-01T09:00:00`.
const FIRST_OF_OFFSET: usize = 19;

/// Returns whether a text has the form of `date-time` without its offset (RFC 3339, section 5.6): jiff reads more than
/// that.
fn is_full_time(text: &str) -> bool {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    let (Some(start), Some(fraction)) = (bytes.get(..FORM.len()), bytes.get(FORM.len()..)) else { return false };
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        other => byte.eq_ignore_ascii_case(other),
    };
    let is_fraction = match fraction {
        [] => true,
        [b'.', digits @ ..] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // jiff takes second 60 for 59.
    start.iter().zip(FORM).all(fits) && start[FORM.len() - 2] < b'6' && is_fraction
}

/// Parses `Z`, or hours and minutes.
fn parse_offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.as_bytes() {
        [b'Z' | b'z'] => return Some(Offset::UTC),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let &[h1, h2, b':', m1, m2] = rest else { return None };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    let (hours, minutes) = (digit(h1)? * 10 + digit(h2)?, digit(m1)? * 10 + digit(m2)?);
    let seconds = sign * (hours * 3600 + minutes * 60);
    if hours < 24 && minutes < 60 { Offset::from_seconds(seconds).ok() } else { None }
}

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
    fn malformed_date_time_is_refused() {
        for bad in [
            "",
            "2026-12-01",
            "2026-12-01T09:00",
            "2026-12-01T09:00:00",
            "2026-12-01 09:00:00Z",
            "2026-12-01T09:00:00 Z",
            "2026-12-01T09:00:00+0530",
            "2026-12-01T09:00:00+5:30",
            "2026-12-01T09:00:00+24:00",
            "2026-12-01T09:00:00+05:60",
            "2026-12-01T09:00:00+05:30[Asia/Kolkata]",
            "2026-12-01T09:00:00.Z",
            "2026-12-01T09:00:00.1234567890Z",
            "2026-02-30T09:00:00Z",
            "2026-12-01T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "+02026-12-01T09:00:00Z",
            "9999-12-31T23:59:59Z",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "2026-12-01T09:00:00é",
        ] {
            assert!(bad.parse::<OffsetDateTime>().is_err(), "{bad}");
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
