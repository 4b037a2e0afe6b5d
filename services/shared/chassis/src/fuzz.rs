//! Fuzzes the readers of untrusted headers against naive ones.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::TraceContextExt as _;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

use crate::proxies::{FORWARDED_FOR, TrustedProxies};
use crate::telemetry::propagation::{extract, inject};
use crate::{Context, IDEMPOTENCY_KEY, grpc_timeout};

/// The headers with these values of one name, without those that no header can have.
fn headers(name: &'static str, values: &[Vec<u8>]) -> HeaderMap {
    let values = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
    values.map(|value| (http::HeaderName::from_static(name), value)).collect()
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
    let timeout = grpc_timeout(&headers("grpc-timeout", std::slice::from_ref(&value)));
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

fuzz::target!(forwarded_addresses, (select(&PEERS[..]), vec(fuzz::bytes(&HOPS), 0..4)));

const PEERS: [&str; 5] = ["10.0.0.1", "::ffff:10.0.0.1", "192.0.2.1", "fd00::1", "2001:db8::1"];
const HOPS: [&str; 16] = [
    "10.0.0.2",
    "198.51.100.7",
    "::ffff:10.0.0.3",
    "::ffff:198.51.100.8",
    "fd00::2",
    "2001:db8::7",
    ",",
    ", ",
    " ",
    "\t",
    "unknown",
    "\"[2001:db8::1]\"",
    "198.51.100.7:80",
    "010.0.0.1",
    "",
    "fe80::1%eth0",
];

fn forwarded_addresses((peer, values): (&'static str, Vec<Vec<u8>>)) -> TestCaseResult {
    let is_ours = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    };
    let headers = headers(FORWARDED_FOR, &values);
    let proxies = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    let peer: IpAddr = peer.parse().unwrap();
    let origin = proxies.origin(peer, &headers);
    // From the nearest: as long as it is one of ours, what it wrote is believed, if it is an address.
    let joined: Vec<_> = headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or("?")).collect();
    let mut written: Vec<_> = joined.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut expected = peer.to_canonical();
    while is_ours(&expected)
        && let Some(hop) = written.pop()
        && let Ok(hop) = hop.parse::<IpAddr>()
    {
        expected = hop.to_canonical();
    }
    prop_assert_eq!(origin, expected);
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
    let mut sent = headers("traceparent", &[parent]);
    sent.extend(headers("tracestate", &[state]));
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

fuzz::target!(idempotency_keys, fuzz::bytes(&["k", " ", "~", "\u{7f}", "\t", "é", "\u{fffd}", "00000000-0000", ","]));

/// Two keys stay two: nothing is trimmed, folded or replaced so that one becomes the other, but for what is refused
/// later.
fn idempotency_keys(key: Vec<u8>) -> TestCaseResult {
    let Ok(value) = HeaderValue::from_bytes(&key) else { return Ok(()) };
    let mut request = tonic::Request::new(());
    request.metadata_mut().as_mut().insert(IDEMPOTENCY_KEY, value);
    let read = Context::of(&request).idempotency_key.unwrap();
    prop_assert_eq!(read.as_bytes() == key, std::str::from_utf8(&key).is_ok());
    prop_assert!(std::str::from_utf8(&key).is_ok() || !read.is_ascii());
    prop_assert_eq!(Context::of(&request).source, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Ok(())
}
