use jiff::civil::Time;

use crate::FieldError;

/// Parses a time of a day, to the minute: `HH:MM`, from `00:00` to `23:59`.
///
/// # Errors
/// [`FieldError::NOT_A_TIME_OF_DAY`].
pub fn parse_time_of_day(text: &str) -> Result<Time, FieldError> {
    const INVALID: FieldError = FieldError::NOT_A_TIME_OF_DAY;
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return Err(INVALID) };
    let digit = |byte: u8| i8::try_from(byte.checked_sub(b'0')?).ok().filter(|digit| *digit < 10);
    let number = |tens, ones| Some(digit(tens)? * 10 + digit(ones)?);
    let (hour, minute) = number(h1, h2).zip(number(m1, m2)).ok_or(INVALID)?;
    Time::new(hour, minute, 0, 0).map_err(|_| INVALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_parses_only_hh_mm() {
        for (good, hour, minute) in [("00:00", 0, 0), ("09:05", 9, 5), ("23:59", 23, 59)] {
            assert_eq!(parse_time_of_day(good), Ok(Time::constant(hour, minute, 0, 0)));
        }
        for bad in [
            "", "9:00", "09:5", "24:00", "12:60", "12:00:00", "12.00", "-1:00", "+1:00", "aa:bb", " 09:00", "09:00Z",
            "０9:00",
        ] {
            assert_eq!(parse_time_of_day(bad), Err(FieldError::NOT_A_TIME_OF_DAY), "{bad}");
        }
    }
}
