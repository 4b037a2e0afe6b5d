//! Parsers of the values of settings.

use std::time::Duration;

/// Parses a duration of a setting, such as 10s: longer than zero.
///
/// # Errors
/// A sentence that says how to write one.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than nothing, such as 10s".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

/// Parses a count of a setting: one or more.
///
/// # Errors
/// A sentence that says what it must be.
pub fn count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("must be 1 or more".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_setting_is_refused() {
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(count("1"), Ok(1));
        for refused in [duration("0s").unwrap_err(), duration("x").unwrap_err(), count("0").unwrap_err()] {
            assert!(!refused.is_empty());
        }
        assert!(count("-1").is_err());
    }
}
