//! Reads date-times as RFC 3339 writes them. All that read one use this.

use jiff::civil;
use jiff::tz::Offset;

use crate::{FieldError, FieldReason};

const INVALID: FieldError = FieldError::new(
    FieldReason::Malformed,
    "must be an RFC 3339 date-time with its offset, such as 2026-12-01T09:00:00+05:30",
);
const LEAP_SECOND: FieldError =
    FieldError::new(FieldReason::OutOfRange, "must not be in a leap second: the seconds of a minute are 00 to 59");

/// Form of a `date-time` without fraction and offset. The last field of it are the seconds.
const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";

/// Parses a `date-time` (RFC 3339, section 5.6) with at most nine digits of fraction: the local time and its offset.
///
/// # Errors
/// If the text has another form, or names a day or a time that there isn't. Second 60 has an error of its own.
pub(crate) fn parse(text: &str) -> Result<(civil::DateTime, Offset), FieldError> {
    let rest = text.get(FORM.len()..).ok_or(INVALID)?;
    let at = rest.find(['Z', 'z', '+', '-']).ok_or(INVALID)?;
    let (local, offset) = text.split_at_checked(FORM.len() + at).ok_or(INVALID)?;
    if !has_form(local) {
        return Err(INVALID);
    }
    let offset = parse_offset(offset).ok_or(INVALID)?;
    // jiff takes second 60 for 59.
    match &local.as_bytes()[FORM.len() - 2..FORM.len()] {
        b"60" => Err(LEAP_SECOND),
        [b'0'..=b'5', _] => local.parse().map_err(|_| INVALID).map(|local| (local, offset)),
        _ => Err(INVALID),
    }
}

/// Returns whether a text has the form of a `date-time` without its offset: jiff reads more than that.
fn has_form(text: &str) -> bool {
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
    start.iter().zip(FORM).all(fits) && is_fraction
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_time_is_read_with_its_offset() {
        for (text, local, seconds) in [
            ("2026-12-01T09:00:00+05:30", "2026-12-01T09:00:00", 19_800),
            ("2026-12-01t09:00:00.5z", "2026-12-01T09:00:00.5", 0),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00", 0),
            ("9999-12-31T23:59:59.999999999-23:59", "9999-12-31T23:59:59.999999999", -86_340),
            ("2024-02-29T23:59:59-00:00", "2024-02-29T23:59:59", 0),
        ] {
            let (read, offset) = parse(text).unwrap();
            assert_eq!((read.to_string().as_str(), offset.seconds()), (local, seconds), "{text}");
        }
    }

    #[test]
    fn malformed_date_time_is_refused() {
        for bad in [
            "",
            "2026",
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
            "2026-1-01T09:00:00Z",
            "2026-02-30T09:00:00Z",
            "2026-12-01T24:00:00Z",
            "2026-12-01T09:60:00Z",
            "2026-12-01T09:00:61Z",
            "2026-12-01T09:00:00Zx",
            "+02026-12-01T09:00:00Z",
            "2026-12-01T09:00:00é",
            "2026-12-01T09:00:0é",
            "٢٠٢٦-12-01T09:00:00Z",
        ] {
            assert_eq!(parse(bad), Err(INVALID), "{bad}");
        }
    }

    #[test]
    fn leap_second_is_refused_in_words_of_its_own() {
        for text in ["2016-12-31T23:59:60Z", "2026-12-01T09:00:60+05:30", "2016-12-31t23:59:60.5z"] {
            assert_eq!(parse(text), Err(LEAP_SECOND), "{text}");
        }
    }
}
