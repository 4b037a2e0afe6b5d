//! Rejects requests that the parser accepts, but that readers of HTTP understand in more than one way or not at all, so
//! that the proxies before the front and the services behind it see the same request.

use http::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{Uri, Version};

/// Returns whether a request can be read in one way only.
pub(crate) fn is_unambiguous(parts: &Parts) -> bool {
    is_plain(&parts.uri)
        && has_one_host(parts)
        && has_one_framing(&parts.headers)
        && !parts.headers.keys().any(|n| n.as_str().contains('_'))
}

/// Returns whether the target is one of HTTP in the characters of RFC 3986, section 2: some readers take a backslash
/// for a slash, and they differ on raw bytes beyond ASCII.
fn is_plain(uri: &Uri) -> bool {
    let is_http = uri.scheme_str().is_none_or(|scheme| scheme == "http" || scheme == "https");
    is_http && !uri.path().contains('\\') && uri.path_and_query().is_none_or(|target| target.as_str().is_ascii())
}

/// Returns whether there is one host, without a user (RFC 9112, section 3.2; RFC 9113, section 8.3.1). HTTP/1.0 needs
/// none.
fn has_one_host(parts: &Parts) -> bool {
    let authority = parts.uri.authority().map(Authority::as_str);
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    let is_named = host.is_some() || authority.is_some() || parts.version < Version::HTTP_11;
    is_named && hosts.next().is_none() && !authority.unwrap_or_default().contains('@')
}

/// Returns the host that a request is for: `:authority`, or else the `host` header; empty where an older request names
/// none.
pub(crate) fn host(parts: &Parts) -> &str {
    let header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(Authority::as_str).or_else(header).unwrap_or_default()
}

/// Returns whether the body is chunked, or has a length, which the parser has checked (RFC 9112, section 6.1): no other
/// coding is decoded here.
fn has_one_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    is_chunked && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(version: Version, uri: &'static str, headers: &[(&'static str, &'static str)]) -> bool {
        let mut request = Request::builder().version(version).uri(Uri::from_static(uri));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_unambiguous(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn request_without_exactly_one_host_is_ambiguous() {
        assert!(read(Version::HTTP_11, "/", &[("host", "a")]));
        assert!(read(Version::HTTP_11, "http://a/", &[("host", "a")]));
        assert!(read(Version::HTTP_2, "http://a/", &[]));
        assert!(read(Version::HTTP_10, "/", &[]));
        assert!(!read(Version::HTTP_11, "/", &[]));
        assert!(!read(Version::HTTP_2, "/", &[]));
        assert!(!read(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]));
        assert!(!read(Version::HTTP_2, "http://user@a/", &[]));
    }

    #[test]
    fn target_outside_rfc_3986_is_ambiguous() {
        assert!(read(Version::HTTP_11, "/a%5Cb?c=d", &[("host", "a")]));
        assert!(!read(Version::HTTP_11, "/a\\b", &[("host", "a")]));
        assert!(!read(Version::HTTP_11, "gopher://a/b", &[("host", "a")]));
        let raw = Request::get(Uri::from_maybe_shared("/é".as_bytes()).unwrap()).header("host", "a");
        assert!(!is_unambiguous(&raw.body(()).unwrap().into_parts().0));
    }

    #[test]
    fn body_with_other_transfer_codings_is_ambiguous() {
        let coded = |codings: &[&'static str]| {
            let headers: Vec<_> = codings.iter().map(|coding| ("transfer-encoding", *coding)).collect();
            read(Version::HTTP_11, "/", &[&[("host", "a")], &headers[..]].concat())
        };
        assert!(coded(&[]) && coded(&["chunked"]) && coded(&["Chunked"]));
        for codings in
            [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked", "chunked"], &["identity", "chunked"]]
        {
            assert!(!coded(codings), "{codings:?}");
        }
    }

    #[test]
    fn header_name_with_underscore_is_ambiguous() {
        assert!(!read(Version::HTTP_11, "/", &[("host", "a"), ("x_user_id", "1")]));
    }
}
