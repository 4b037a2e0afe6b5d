//! The timeout that a caller gives in the headers of a call.

use std::time::Duration;

use ::http::HeaderMap;

/// Returns the timeout that the caller gives (`grpc-timeout`): at most eight digits and a unit (gRPC over HTTP/2). A
/// malformed one is ignored.
#[must_use]
pub fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn malformed_timeout_is_ignored() {
        let cases: [(&str, Option<Duration>); 12] = [
            ("1S", Some(Duration::from_secs(1))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0n", Some(Duration::ZERO)),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("+1S", None),
            ("1", None),
            ("1 S", None),
            ("1s", None),
        ];
        for (text, expected) in cases {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), HeaderValue::from_str(text).unwrap())]);
            assert_eq!(grpc_timeout(&headers), expected, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_bytes("1µ".as_bytes()).unwrap());
        assert_eq!(grpc_timeout(&headers), None);
    }
}
