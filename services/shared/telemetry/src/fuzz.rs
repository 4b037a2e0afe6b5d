//! Fuzzes the readers of untrusted headers against naive ones.

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::TraceContextExt as _;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::grpc_timeout;
use crate::propagation::{extract, inject};

/// The header of this name, unless no header can have that value.
fn headers(name: &'static str, value: &[u8]) -> HeaderMap {
    HeaderValue::from_bytes(value).ok().map(|value| (HeaderName::from_static(name), value)).into_iter().collect()
}

fuzz::target!(
    timeouts,
    fuzz::bytes(&[
        "0",
        "1",
        "9",
        "99999999",
        "100000000",
        "H",
        "M",
        "S",
        "m",
        "u",
        "n",
        "s",
        "-",
        "+",
        ".",
        " ",
        "µ",
        "١",
        "_",
        "e",
    ])
);

fn timeouts(value: Vec<u8>) -> TestCaseResult {
    let timeout = grpc_timeout(&headers("grpc-timeout", &value));
    let text = String::from_utf8_lossy(&value);
    let mut digits = text.chars().collect::<Vec<_>>();
    let unit = digits.pop().and_then(|unit| "HMSmun".chars().position(|known| known == unit));
    let is_timeout = (1..=8).contains(&digits.len()) && digits.iter().all(char::is_ascii_digit);
    let expected = unit.filter(|_| is_timeout).map(|unit| {
        let amount = digits.iter().fold(0, |amount, digit| amount * 10 + u128::from(digit.to_digit(10).unwrap()));
        amount * [3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1][unit]
    });
    prop_assert_eq!(timeout.map(|timeout| timeout.as_nanos()), expected);
    prop_assert!(timeout <= Some(Duration::from_secs(99_999_999 * 3600)));
    Ok(())
}

fuzz::target!(trace_parents, (fuzz::bytes(&PARENTS), fuzz::bytes(&["a=b", ",", "=", "vendor@tenant=1", " ", "x"])));

const PARENTS: [&str; 12] = [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00",
    "ff",
    "-",
    "0af7651916cd43dd8448eb211c80319c",
    "b7ad6b7169203331",
    "0000000000000000",
    "01",
    "+",
    "A",
    "g",
    " ",
];

fn trace_parents((parent, state): (Vec<u8>, Vec<u8>)) -> TestCaseResult {
    let mut sent = headers("traceparent", &parent);
    sent.extend(headers("tracestate", &state));
    let context = extract(&sent);
    let span = context.span().span_context().clone();
    let mut passed = HeaderMap::new();
    inject(&context, &mut passed);
    // A malformed parent passes nothing on; any other passes on as it was, and as the specification writes it.
    prop_assert_eq!(span.is_valid(), passed.contains_key("traceparent"));
    if let Some(parent) = passed.get("traceparent") {
        let parent = parent.to_str().unwrap();
        let lengths: Vec<_> = parent.split('-').map(str::len).collect();
        prop_assert_eq!(lengths, [2, 32, 16, 2]);
        prop_assert!(parent.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')));
        let again = extract(&passed).span().span_context().clone();
        prop_assert_eq!((again.trace_id(), again.span_id()), (span.trace_id(), span.span_id()));
    }
    prop_assert!(passed.len() <= 2);
    Ok(())
}
