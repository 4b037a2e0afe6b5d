//! Fuzzes the reader of idempotency keys.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderValue;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::{Context, IDEMPOTENCY_KEY};

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
