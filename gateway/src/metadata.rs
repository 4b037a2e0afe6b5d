//! Which headers pass. What is not named here does not: neither inwards (identities that somebody claims, tokens of
//! services, binary metadata) nor outwards (what services tell the front).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use ipnet::IpNet;

use crate::refusal::Refusal;

/// The token of the next page, which services set and callers read.
pub(crate) const NEXT_PAGE_TOKEN: HeaderName = HeaderName::from_static("x-next-page-token");
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What passes from a caller to a service.
const INWARDS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What passes besides where the caller speaks gRPC.
const INWARDS_GRPC: [HeaderName; 3] =
    [CONTENT_TYPE, HeaderName::from_static("grpc-encoding"), HeaderName::from_static("grpc-accept-encoding")];

/// What passes from a service to a caller that speaks gRPC, as headers or as trailers.
const OUTWARDS_GRPC: [HeaderName; 7] = [
    CONTENT_TYPE,
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
    NEXT_PAGE_TOKEN,
];

/// Where a request came from and how its origin is found.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The address of the caller: the peer, or, where the peer is a trusted proxy, the last address in
    /// `x-forwarded-for` that is not.
    fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |address: IpAddr| self.0.iter().any(|network| network.contains(&address));
        let mut origin = peer.to_canonical();
        let hops = headers.get_all(FORWARDED_FOR).iter().rev();
        for hop in hops.flat_map(|value| value.to_str().unwrap_or_default().rsplit(',')) {
            if !trusted(origin) {
                break;
            }
            // What is no address was not written by a proxy of ours, nor is what stands before it.
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            origin = address.to_canonical();
        }
        origin
    }
}

/// The headers of a call to a service, for a request that came by REST.
///
/// # Errors
/// UNAUTHENTICATED where more than one credential was sent.
pub(crate) fn of_rest(
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
    proxies: &TrustedProxies,
) -> Result<HeaderMap, Refusal> {
    let mut call = shared(headers, peer, proxies)?;
    call.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(call)
}

/// The headers of a call to a service, for a request that came as gRPC.
///
/// # Errors
/// UNAUTHENTICATED where more than one credential was sent.
pub(crate) fn of_grpc(
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
    proxies: &TrustedProxies,
) -> Result<HeaderMap, Refusal> {
    let mut call = shared(headers, peer, proxies)?;
    copy(&INWARDS_GRPC, headers, &mut call);
    Ok(call)
}

fn shared(headers: &HeaderMap, peer: Option<SocketAddr>, proxies: &TrustedProxies) -> Result<HeaderMap, Refusal> {
    if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(Refusal::two_credentials());
    }
    let mut call = HeaderMap::with_capacity(16);
    copy(&INWARDS, headers, &mut call);
    call.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(peer) = peer
        && let Ok(origin) = HeaderValue::try_from(proxies.origin(peer.ip(), headers).to_string())
    {
        call.insert(FORWARDED_FOR, origin);
    }
    Ok(call)
}

/// Leaves of an answer's headers, or trailers, what a caller may see.
pub(crate) fn outwards(headers: &HeaderMap) -> HeaderMap {
    let mut answer = HeaderMap::with_capacity(8);
    copy(&OUTWARDS_GRPC, headers, &mut answer);
    answer
}

fn copy(names: &[HeaderName], from: &HeaderMap, to: &mut HeaderMap) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

/// What a call may take: what its caller gives it (gRPC over HTTP/2, `grpc-timeout`), at most `most`. What is malformed
/// is as if it were not there.
pub(crate) fn patience(headers: &HeaderMap, most: Duration) -> Duration {
    given(headers).map_or(most, |given| given.min(most))
}

fn given(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
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

/// A timeout as `grpc-timeout` writes it, in milliseconds, within its eight digits.
pub(crate) fn timeout_value(patience: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    HeaderValue::try_from(format!("{}m", patience.as_millis().min(MOST)))
        .unwrap_or_else(|_| HeaderValue::from_static("99999999m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn origin(peer: &str, forwarded: &[&'static str]) -> String {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let pairs: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
        proxies.origin(peer.parse().unwrap(), &headers(&pairs)).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_where_a_request_came_from() {
        assert_eq!(origin("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(origin("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(origin("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(origin("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(origin("10.0.0.1", &["203.0.113.9", "198.51.100.7,10.1.1.1"]), "198.51.100.7");
        assert_eq!(origin("fd00::1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        assert_eq!(origin("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(origin("10.0.0.1", &["\""]), "10.0.0.1");
    }

    #[test]
    fn claims_of_strangers_do_not_pass() {
        let sent = headers(&[
            ("authorization", "Bearer x"),
            ("idempotency-key", "k"),
            ("traceparent", "t"),
            ("x-user-id", "somebody"),
            ("x-forwarded-for", "1.2.3.4"),
            ("workload-identity-token", "w"),
            ("evil-bin", "AAAA"),
            ("grpc-timeout", "1S"),
            ("cookie", "c"),
            ("user-agent", "u"),
        ]);
        let call = of_rest(&sent, Some("192.0.2.1:1".parse().unwrap()), &TrustedProxies::default()).unwrap();
        let mut names: Vec<_> = call.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "content-type", "idempotency-key", "te", "traceparent", "x-forwarded-for"]);
        assert_eq!(call["x-forwarded-for"], "192.0.2.1");
    }

    #[test]
    fn two_credentials_are_refused() {
        let sent = headers(&[("authorization", "Bearer x"), ("authorization", "Bearer y")]);
        let refusal = of_grpc(&sent, None, &TrustedProxies::default()).unwrap_err();
        assert_eq!(refusal.into_status().code(), tonic::Code::Unauthenticated);
    }

    #[test]
    fn a_timeout_is_bounded_and_a_malformed_one_ignored() {
        let most = Duration::from_secs(10);
        for (text, expected) in [
            ("1S", Duration::from_secs(1)),
            ("99999999H", most),
            ("0n", Duration::ZERO),
            ("18446744073709551616S", most),
            ("-1S", most),
            ("1s", most),
            ("", most),
            ("S", most),
        ] {
            assert_eq!(patience(&headers(&[("grpc-timeout", text)]), most), expected, "{text}");
        }
        assert_eq!(timeout_value(Duration::from_secs(15)), "15000m");
        assert_eq!(timeout_value(Duration::MAX), "99999999m");
    }
}
