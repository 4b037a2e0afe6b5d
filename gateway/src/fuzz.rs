//! Compares the parsers of texts and headers with naive ones.

use std::collections::BTreeSet;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use kernel::OffsetDateTime;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use transport::TrustedProxies;

use crate::cors::Cors;
use crate::metadata;
use crate::percent::{decode_parameter, decode_segment};
use crate::proto_time::{Instant, parse_duration, parse_timestamp, put_duration, put_timestamp};

fuzz::target!(
    encoded_texts,
    fuzz::bytes(&[
        "a",
        "%",
        "%2",
        "%2f",
        "%2F",
        "%00",
        "\0",
        "%c3%a9",
        "%C3",
        "%ff",
        "%ed%a0%80",
        "%f0%9f%98%80",
        "%c0%af",
        "+",
        "%2B",
        "é",
        "%%",
        "%zz",
    ])
);

fn encoded_texts(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let is_encoded = text
        .split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()));
    let decoded = percent_decode_str(&text).decode_utf8().ok().filter(|decoded| is_encoded && !decoded.contains('\0'));
    prop_assert_eq!(decode_segment(&text).ok(), decoded.clone());
    let spaced = text.replace('+', " ");
    prop_assert_eq!(decode_parameter(&text).ok(), decode_segment(&spaced).ok());
    if let Some(decoded) = decoded {
        let encoded = utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string();
        prop_assert_eq!(decode_segment(&encoded), Ok(decoded));
        prop_assert_eq!(decode_parameter(&encoded), decode_segment(&encoded));
    }
    Ok(())
}

fuzz::target!(
    timestamps,
    fuzz::bytes(&[
        "2026-12-01T09:00:00Z",
        "2024-02-29T23:59:59.999999999+05:30",
        "0001-01-01T00:00:00-23:59",
        "0000-01-01T00:00:00Z",
        "Z",
        "+00:01",
        "9999-12-31T23:59:59.999999999Z",
        "9999-12-30T22:00:00Z",
        "2024-06-30T23:59:60Z",
        "-",
        "+",
        ":",
        ".",
        "T",
        "t",
        " ",
        "00",
        "24",
        "9",
    ])
);

fn timestamps(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let (ours, kernels) =
        (parse_timestamp(&text).ok(), text.parse::<OffsetDateTime>().ok().map(OffsetDateTime::instant));
    let theirs = text.parse::<jiff::Timestamp>().ok();
    if let (Some(instant), Some(theirs)) = (ours, theirs) {
        prop_assert_eq!(nanoseconds(instant), theirs.as_nanosecond());
    }
    // A time with its offset is the same, but its range ends two days earlier.
    match (ours, kernels) {
        (Some(instant), Some(parsed)) => prop_assert_eq!(nanoseconds(instant), parsed.as_nanosecond()),
        (Some(instant), None) => prop_assert!(nanoseconds(instant) > jiff::Timestamp::MAX.as_nanosecond(), "{}", text),
        (None, Some(parsed)) => prop_assert!(false, "{} is {}", text, parsed),
        (None, None) => {}
    }
    if let Some(instant) = ours {
        let canonical = quoted(|out| put_timestamp(out, instant));
        prop_assert_eq!(parse_timestamp(&canonical), Ok(instant));
    }
    Ok(())
}

fuzz::target!(
    durations,
    fuzz::bytes(&[
        "0s",
        "1.5s",
        "-1.000000001s",
        "315576000000s",
        "-315576000001s",
        "s",
        "-",
        "+",
        ".",
        "0",
        "9",
        "e",
        " "
    ])
);

fn durations(text: Vec<u8>) -> TestCaseResult {
    let text = String::from_utf8_lossy(&text);
    let ours = parse_duration(&text);
    // Digits with a point among them, of which nine come after it at most.
    let number = text.strip_suffix('s').unwrap_or("?");
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits =
        |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_written = is_digits(whole, 12) && is_digits(fraction, 9);
    let seconds: i128 = if is_written { whole.parse().unwrap() } else { 0 };
    prop_assert_eq!(ours.is_some(), is_written && seconds <= 315_576_000_000);
    if let Some(span) = ours {
        let nanos: i128 = format!("{fraction:0<9}").parse().unwrap();
        let sign = if number.starts_with('-') { -1 } else { 1 };
        prop_assert_eq!(nanoseconds(span), sign * (seconds * 1_000_000_000 + nanos));
        let canonical = quoted(|out| put_duration(out, span));
        prop_assert_eq!(parse_duration(&canonical), Some(span));
    }
    Ok(())
}

fn nanoseconds(instant: Instant) -> i128 {
    i128::from(instant.seconds) * 1_000_000_000 + i128::from(instant.nanos)
}

/// Returns the written JSON string without its quotes.
fn quoted(put: impl Fn(&mut Vec<u8>) -> Option<()>) -> String {
    let mut out = Vec::new();
    put(&mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fuzz::target!(
    headers,
    vec((select(&NAMES[..]), fuzz::bytes(&["Bearer a", ",", "1S", "k", " ", "127.0.0.1", "\u{e9}"])), 0..8)
);

const NAMES: [&str; 15] = [
    "authorization",
    "idempotency-key",
    "last-event-id",
    "traceparent",
    "tracestate",
    "grpc-timeout",
    "grpc-encoding",
    "content-type",
    "x-forwarded-for",
    "workload-identity-token",
    "x-user-id",
    "evil-bin",
    "cookie",
    "te",
    "x-http-code",
];

/// Checks that a service gets only the listed headers, each once, and the front's own `x-forwarded-for`.
fn headers(sent: Vec<(&'static str, Vec<u8>)>) -> TestCaseResult {
    let sent: HeaderMap = sent
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?)))
        .collect();
    let peer = "192.0.2.1:7".parse().unwrap();
    let count = |name| sent.get_all(name).iter().count();
    let credentials = count("authorization");
    let has_comma = sent.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().contains(&b','));
    let is_refused = credentials > 1 || has_comma || count("idempotency-key") > 1;
    let call = metadata::of_rest(&sent, Some(peer), &TrustedProxies::default());
    prop_assert_eq!(call.is_err(), is_refused);
    if let Ok(call) = call {
        let passed: BTreeSet<_> = call.keys().map(HeaderName::as_str).collect();
        prop_assert_eq!(call.len(), passed.len());
        for name in passed {
            let expected = match name {
                "content-type" => Some("application/grpc".parse().unwrap()),
                "te" => Some("trailers".parse().unwrap()),
                "x-forwarded-for" => Some("192.0.2.1".parse().unwrap()),
                "authorization" | "idempotency-key" | "last-event-id" | "traceparent" | "tracestate" => {
                    sent.get(name).cloned()
                }
                _ => None,
            };
            prop_assert_eq!(call.get(name).cloned(), expected, "{}", name);
        }
    }
    let most = Duration::from_secs(10);
    prop_assert!(metadata::timeout(&sent, most) <= most);
    Ok(())
}

fuzz::target!(
    origins,
    fuzz::damaged(
        select(vec![
            "https://app.example.org",
            "https://app.example.org:443",
            "https://app.example.org.evil.example",
            "null",
            "*",
            "",
            "HTTPS://APP.EXAMPLE.ORG",
        ])
        .prop_map(|origin: &str| origin.as_bytes().to_vec())
    )
);

/// Checks that only pages of the configured origin may read.
fn origins(origin: Vec<u8>) -> TestCaseResult {
    let Ok(value) = HeaderValue::from_bytes(&origin) else { return Ok(()) };
    let cors = Cors::new(vec!["https://app.example.org".parse().unwrap()]);
    let sent = HeaderMap::from_iter([(ORIGIN, value)]);
    prop_assert_eq!(cors.allowed(&sent).is_some(), origin == b"https://app.example.org");
    Ok(())
}
