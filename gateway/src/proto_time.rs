//! `Timestamp` and `Duration` as JSON writes them, by the JSON mapping of proto3.
//!
//! Source: <https://protobuf.dev/programming-guides/json/>, RFC 3339.
//!
//! A text is read as everywhere in the mesh, by `kernel::UtcDateTime`.

use std::io::Write as _;

use kernel::{FieldError, UtcDateTime};

const NANOS_PER_SECOND: i32 = 1_000_000_000;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years.
const DURATION_SECONDS: std::ops::RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds since the epoch (or in all) and nanoseconds, as both messages hold them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Instant {
    pub(crate) seconds: i64,
    pub(crate) nanos: i32,
}

/// Parses an RFC 3339 text, as the services do.
///
/// # Errors
/// If it is malformed, a leap second, or outside the years 1 to 9999.
pub(crate) fn parse_timestamp(text: &str) -> Result<Instant, FieldError> {
    let (seconds, nanos) = text.parse::<UtcDateTime>()?.to_unix();
    Ok(Instant { seconds, nanos })
}

/// Appends an instant in UTC with 0, 3, 6 or 9 digits; none if it is no valid Timestamp.
pub(crate) fn put_timestamp(out: &mut Vec<u8>, instant: Instant) -> Option<()> {
    if !TIMESTAMP_SECONDS.contains(&instant.seconds) || !(0..NANOS_PER_SECOND).contains(&instant.nanos) {
        return None;
    }
    let (year, month, day) = civil_from_days(instant.seconds.div_euclid(SECONDS_PER_DAY));
    let second = u32::try_from(instant.seconds.rem_euclid(SECONDS_PER_DAY)).ok()?;
    let (year, month, day) = (u32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let mut text = *b"\"0000-00-00T00:00:00";
    let pairs = [year / 100, year % 100, month, day, second / 3600, second / 60 % 60, second % 60];
    for (at, value) in [1, 3, 6, 9, 12, 15, 18].into_iter().zip(pairs) {
        text[at] = digit(value / 10);
        text[at + 1] = digit(value % 10);
    }
    out.extend_from_slice(&text);
    put_fraction(out, instant.nanos);
    out.extend_from_slice(b"Z\"");
    Some(())
}

/// Parses a duration such as `1.5s`; none if it is malformed or out of range.
pub(crate) fn parse_duration(text: &str) -> Option<Instant> {
    let text = text.strip_suffix('s')?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    if whole.is_empty() || whole.len() > 12 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos = fraction.map_or(Some(0), parse_fraction)?;
    let sign = if negative { -1 } else { 1 };
    DURATION_SECONDS.contains(&seconds).then(|| Instant { seconds: seconds * i64::from(sign), nanos: nanos * sign })
}

/// Appends a span with 0, 3, 6 or 9 digits; none if it is no valid Duration.
pub(crate) fn put_duration(out: &mut Vec<u8>, span: Instant) -> Option<()> {
    let Instant { seconds, nanos } = span;
    let agree = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    if !DURATION_SECONDS.contains(&seconds) || nanos.unsigned_abs() >= NANOS_PER_SECOND.unsigned_abs() || !agree {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    // Writing to memory can't fail.
    let _ = write!(out, "\"{sign}{}", seconds.unsigned_abs());
    put_fraction(out, nanos.abs());
    out.extend_from_slice(b"s\"");
    Some(())
}

fn put_fraction(out: &mut Vec<u8>, nanos: i32) {
    let (value, digits) = match nanos {
        0 => return,
        _ if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        _ if nanos % 1_000 == 0 => (nanos / 1_000, 6),
        _ => (nanos, 9),
    };
    out.push(b'.');
    // With zeros before it.
    let (mut text, mut value) = ([b'0'; 9], value.unsigned_abs());
    for place in text[..digits].iter_mut().rev() {
        *place = digit(value % 10);
        value /= 10;
    }
    out.extend_from_slice(&text[..digits]);
}

#[allow(clippy::cast_possible_truncation, reason = "of a number below ten")]
const fn digit(value: u32) -> u8 {
    b'0' + value as u8
}

/// Year, month and day of a number of days since the epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

/// One to nine digits behind the point, as nanoseconds.
fn parse_fraction(digits: &str) -> Option<i32> {
    let is_fraction = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: i32 = digits.parse().ok().filter(|_| is_fraction)?;
    Some(value * 10_i32.pow(9 - u32::try_from(digits.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp(instant: Instant) -> Option<String> {
        let mut out = Vec::new();
        put_timestamp(&mut out, instant)?;
        Some(serde_json::from_slice(&out).unwrap())
    }

    fn duration(span: Instant) -> Option<String> {
        let mut out = Vec::new();
        put_duration(&mut out, span)?;
        Some(serde_json::from_slice(&out).unwrap())
    }

    proptest! {
        #[test]
        fn timestamp_round_trips_and_matches_jiff(
            seconds in TIMESTAMP_SECONDS,
            nanos in 0..NANOS_PER_SECOND,
        ) {
            let instant = Instant { seconds, nanos };
            let text = timestamp(instant).unwrap();
            prop_assert_eq!(parse_timestamp(&text), Ok(instant));
            if let Ok(other) = text.parse::<jiff::Timestamp>() {
                prop_assert_eq!(other.as_nanosecond(), i128::from(seconds) * 1_000_000_000 + i128::from(nanos));
            }
        }

        #[test]
        fn duration_round_trips(seconds in DURATION_SECONDS, nanos in 0..NANOS_PER_SECOND) {
            let span = Instant { seconds, nanos: if seconds < 0 { -nanos } else { nanos } };
            prop_assert_eq!(parse_duration(&duration(span).unwrap()), Some(span));
        }
    }

    #[test]
    fn timestamp_has_0_3_6_or_9_fraction_digits() {
        let shown = |nanos| timestamp(Instant { seconds: 0, nanos }).unwrap();
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(120_000_000), "1970-01-01T00:00:00.120Z");
        assert_eq!(shown(1_000), "1970-01-01T00:00:00.000001Z");
        assert_eq!(shown(1), "1970-01-01T00:00:00.000000001Z");
    }

    #[test]
    fn timestamp_offset_is_subtracted() {
        let there = parse_timestamp("2024-02-29T23:30:00.5+05:30").unwrap();
        assert_eq!(timestamp(there).unwrap(), "2024-02-29T18:00:00.500Z");
        assert_eq!(parse_timestamp("1970-01-01T00:00:00-00:00"), Ok(Instant::default()));
    }

    #[test]
    fn malformed_timestamp_is_rejected() {
        for text in [
            "",
            "2024",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-06-30T23:59:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.1234567890Z",
            "2024-01-01T00:00:00Zx",
            "2024-01-01T00:00:00+0530",
            "2024-01-01T00:00:00+24:00",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2024-1-1T00:00:00Z",
            "٢٠٢٤-01-01T00:00:00Z",
        ] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }

    #[test]
    fn malformed_duration_is_rejected() {
        for text in ["", "s", "1", "1.s", ".5s", "1m", "1s ", "+1s", "--1s", "315576000001s", "1.0000000001s", "1e3s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        assert_eq!(duration(Instant { seconds: 1, nanos: -1 }), None);
    }
}
