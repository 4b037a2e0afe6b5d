//! Decides which requests reach the engine.

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};

use crate::key::AccessKey;

/// Host names of the listener.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// Returns true if a request is from a program that knows the key. A page in a browser is refused: it sends its origin,
/// or by DNS rebinding the host name of its own site.
pub(crate) fn admits(request: &Parts, key: &AccessKey) -> bool {
    let Parts { uri, headers, .. } = request;
    !headers.contains_key(ORIGIN)
        && host(headers).is_some_and(|host| is_own(&host))
        && uri.authority().is_none_or(is_own)
        && credential(headers).is_some_and(|shown| key.is(shown))
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    only(headers, HOST)?.as_bytes().try_into().ok()
}

fn is_own(authority: &Authority) -> bool {
    // No HTTP client sends a host with a user name.
    !authority.as_str().contains('@') && NAMES.iter().any(|name| authority.host().eq_ignore_ascii_case(name))
}

/// The access key ID in the `Authorization` header of AWS' Signature Version 4.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let parameters = only(headers, AUTHORIZATION)?.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let credential = parameters.split(',').find_map(|parameter| parameter.trim().strip_prefix("Credential="))?;
    credential.split_once('/').map(|(key, _scope)| key)
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use kernel::Entropy;

    use super::*;

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn admitted(uri: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        admits(&request.body(()).unwrap().into_parts().0, &AccessKey::generate(&Zeros))
    }

    fn signed(key: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    #[test]
    fn valid_key_at_own_host_is_admitted() {
        let good = signed(&"0".repeat(64));
        for host in ["127.0.0.1:8000", "localhost:8000", "LocalHost", "127.0.0.1"] {
            assert!(admitted("/", &[("host", host), ("authorization", &good)]), "{host}");
        }
        assert!(admitted("http://127.0.0.1:8000/", &[("host", "127.0.0.1:8000"), ("authorization", &good)]));
    }

    #[test]
    fn foreign_host_or_origin_is_refused() {
        let good = signed(&"0".repeat(64));
        for host in
            ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "0.0.0.0", "a@127.0.0.1", ""]
        {
            assert!(!admitted("/", &[("host", host), ("authorization", &good)]), "{host}");
        }
        let own = ("host", "127.0.0.1:8000");
        assert!(!admitted("http://evil.example/", &[own, ("authorization", &good)]));
        assert!(!admitted("/", &[own, ("host", "127.0.0.1"), ("authorization", &good)]));
        assert!(!admitted("/", &[("authorization", &good)]));
        for origin in ["http://127.0.0.1:8080", "null", ""] {
            assert!(!admitted("/", &[own, ("authorization", &good), ("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn missing_or_wrong_key_is_refused() {
        let own = ("host", "127.0.0.1:8000");
        assert!(!admitted("/", &[own]));
        let key = "0".repeat(64);
        let no_scope = format!("AWS4-HMAC-SHA256 Credential={key}");
        let bearer = format!("Bearer Credential={key}/x");
        for value in [signed("local"), signed(""), signed(&"1".repeat(64)), signed(&"0".repeat(63)), no_scope, bearer] {
            assert!(!admitted("/", &[own, ("authorization", &value)]), "{value}");
        }
        let good = signed(&key);
        assert!(!admitted("/", &[own, ("authorization", &good), ("authorization", &good)]));
        assert!(!admitted("/?X-Amz-Credential=0", &[own]));
    }
}
