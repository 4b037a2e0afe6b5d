//! Fuzzes the reader of `x-forwarded-for` against a naive one.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

use crate::{FORWARDED_FOR, TrustedProxies};

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
    let values = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
    let headers: HeaderMap = values.map(|value| (HeaderName::from_static(FORWARDED_FOR), value)).collect();
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
