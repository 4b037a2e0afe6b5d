//! Passes the listed headers on ([`front_settings::headers`]). No other header does: neither to a service (claimed identities,
//! tokens of services, binary metadata) nor to a caller (internal headers of the services).

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use chassis::IDEMPOTENCY_KEY;
use front_settings::headers;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use transport::{FORWARDED_FOR, TrustedProxies};

use crate::rest_error::RestError;

pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Headers that pass from a caller to a service.
static REQUEST: Names = LazyLock::new(|| names(&[&headers::REQUEST]));
/// Headers that pass besides if the caller speaks gRPC.
static GRPC_REQUEST: Names = LazyLock::new(|| names(&[&["content-type"], &headers::GRPC_CODING]));
/// Headers that pass from a service to a caller.
static RESPONSE: Names = LazyLock::new(|| names(&[&headers::RESPONSE]));
/// Headers and trailers that pass besides if the caller speaks gRPC.
static GRPC_RESPONSE: Names =
    LazyLock::new(|| names(&[&["content-type"], &headers::GRPC_CODING, &headers::GRPC_STATUS]));

type Names = LazyLock<Vec<HeaderName>>;

fn names(lists: &[&[&'static str]]) -> Vec<HeaderName> {
    lists.concat().into_iter().map(HeaderName::from_static).collect()
}

/// Returns the headers of a call to a service for a REST request.
///
/// # Errors
/// UNAUTHENTICATED where more than one credential was sent, INVALID_ARGUMENT where more than one idempotency key.
pub(crate) fn of_rest(
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
    proxies: &TrustedProxies,
) -> Result<HeaderMap, RestError> {
    let mut call = shared(headers, peer, proxies)?;
    call.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(call)
}

/// Returns the headers of a call to a service for a gRPC request.
///
/// # Errors
/// UNAUTHENTICATED where more than one credential was sent, INVALID_ARGUMENT where more than one idempotency key.
pub(crate) fn of_grpc(
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
    proxies: &TrustedProxies,
) -> Result<HeaderMap, RestError> {
    let mut call = shared(headers, peer, proxies)?;
    copy(&GRPC_REQUEST, headers, &mut call);
    Ok(call)
}

fn shared(headers: &HeaderMap, peer: Option<SocketAddr>, proxies: &TrustedProxies) -> Result<HeaderMap, RestError> {
    // On the way, repeated headers may be joined with commas (RFC 9110, section 5.3). No token has one.
    let mut credentials = headers.get_all(AUTHORIZATION).iter();
    if credentials.next().is_some_and(|first| first.as_bytes().contains(&b',')) || credentials.next().is_some() {
        return Err(RestError::two_credentials());
    }
    // A key may have a comma: only two separate headers differ from one key.
    if headers.get_all(IDEMPOTENCY_KEY).iter().nth(1).is_some() {
        return Err(RestError::two_keys());
    }
    let mut call = HeaderMap::with_capacity(16);
    copy(&REQUEST, headers, &mut call);
    call.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(peer) = peer
        && let Ok(origin) = HeaderValue::try_from(proxies.origin(peer.ip(), headers).to_string())
    {
        call.insert(FORWARDED_FOR, origin);
    }
    Ok(call)
}

/// Copies those of an answer's headers that a caller of REST may see.
pub(crate) fn copy_response(headers: &HeaderMap, answer: &mut HeaderMap) {
    copy(&RESPONSE, headers, answer);
}

/// Returns those of an answer's headers, or trailers, that a caller of gRPC may see.
pub(crate) fn grpc_response(headers: &HeaderMap) -> HeaderMap {
    let mut answer = HeaderMap::with_capacity(8);
    copy(&RESPONSE, headers, &mut answer);
    copy(&GRPC_RESPONSE, headers, &mut answer);
    answer
}

fn copy(names: &[HeaderName], from: &HeaderMap, to: &mut HeaderMap) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name.clone(), value.clone());
        }
    }
}

/// Returns the timeout of a call: its caller's (gRPC over HTTP/2, `grpc-timeout`), at most `most`. A malformed one is
/// ignored.
pub(crate) fn timeout(headers: &HeaderMap, most: Duration) -> Duration {
    telemetry::grpc_timeout(headers).map_or(most, |given| given.min(most))
}

/// Formats a timeout as `grpc-timeout`: in milliseconds, in at most eight digits.
pub(crate) fn timeout_value(timeout: Duration) -> HeaderValue {
    const MAX: u128 = 99_999_999;
    HeaderValue::try_from(format!("{}m", timeout.as_millis().min(MAX)))
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

    #[test]
    fn unlisted_headers_are_dropped() {
        let sent = headers(&[
            ("authorization", "Bearer x"),
            ("idempotency-key", "k"),
            ("last-event-id", "7"),
            ("traceparent", "t"),
            ("x-request-id", "r"),
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
        assert_eq!(
            names,
            [
                "authorization",
                "content-type",
                "idempotency-key",
                "last-event-id",
                "te",
                "traceparent",
                "x-forwarded-for",
                "x-request-id"
            ]
        );
        assert_eq!(call["x-forwarded-for"], "192.0.2.1");
    }

    #[test]
    fn duplicate_credentials_or_keys_are_rejected() {
        for (two, code) in [
            (&[("authorization", "Bearer x"), ("authorization", "Bearer y")][..], tonic::Code::Unauthenticated),
            (&[("authorization", "Bearer x, y")], tonic::Code::Unauthenticated),
            (&[("idempotency-key", "x"), ("idempotency-key", "y")], tonic::Code::InvalidArgument),
            (&[("idempotency-key", "x"), ("idempotency-key", "x")], tonic::Code::InvalidArgument),
        ] {
            let error = of_grpc(&headers(two), None, &TrustedProxies::default()).unwrap_err();
            assert_eq!(error.into_status().code(), code, "{two:?}");
        }
        assert!(of_grpc(&headers(&[("idempotency-key", "x, y")]), None, &TrustedProxies::default()).is_ok());
    }

    #[test]
    fn timeout_is_bounded_and_malformed_one_ignored() {
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
            assert_eq!(timeout(&headers(&[("grpc-timeout", text)]), most), expected, "{text}");
        }
        assert_eq!(timeout_value(Duration::from_secs(15)), "15000m");
        assert_eq!(timeout_value(Duration::MAX), "99999999m");
    }
}
