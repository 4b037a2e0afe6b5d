use http::Method;

use super::bind;
use crate::route::{Segments, Table};

/// Returns the message of the error of a request.
fn message(method: &Method, target: &str, body: &[u8]) -> String {
    let table = Table::new(proto::DESCRIPTOR_SET, crate::is_routable).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments = Segments::of(path).unwrap();
    let route = table.find(method, &segments).unwrap();
    let bound = bind(&table.schema, route, segments.as_slice(), Some(query), body, &mut Vec::new());
    bound.unwrap_err().message().to_owned()
}

/// The body is the message of the RPC, or one of its fields: REST users don't see which.
#[test]
fn body_that_is_no_object_is_named_as_body() {
    for (path, body) in [("/auth/login", "null"), ("/journal/a", "null"), ("/journal/a", "[]"), ("/journal/a", "7")] {
        assert_eq!(message(&Method::POST, path, body.as_bytes()), "body must be a JSON object", "{path} {body}");
    }
    let inside = message(&Method::PUT, "/mapping/a", br#"{"status":{}}"#);
    assert_eq!(inside, "status must be ACCEPTED or REJECTED; therapistId is required");
}

#[test]
fn byte_order_mark_is_named() {
    let expected = "the body is not JSON: at line 1, column 1, it begins with a byte order mark: send it without one";
    assert_eq!(message(&Method::POST, "/auth/login", b"\xef\xbb\xbf{}"), expected);
}

#[test]
fn plus_in_a_time_of_a_query_is_explained() {
    let expected = "from has a + that stands for a space: write + as %2B";
    assert_eq!(message(&Method::GET, "/journal/a?from=2026-01-01T00:00:00+05:30", b""), expected);
    let space = message(&Method::GET, "/journal/a?from=2026-01-01T00:00:00%2005:30", b"");
    assert!(space.starts_with("from must be an RFC 3339"), "{space}");
    let other = message(&Method::GET, "/journal/a?from=to+morrow", b"");
    assert!(other.starts_with("from must be an RFC 3339"), "{other}");
}

#[test]
fn every_badly_encoded_variable_is_named() {
    let path = "/therapists/%ff/clients/%zz/journal-access?x=1";
    let expected =
        "therapistId is badly percent-encoded; clientId is badly percent-encoded; x is no parameter of this path";
    assert_eq!(message(&Method::PUT, path, br#"{"access":"ACCEPTED"}"#), expected);
}

/// A parameter may have an empty name.
#[test]
fn parameter_without_a_name_is_not_the_body() {
    assert_eq!(message(&Method::GET, "/journal/a?=1", b""), " is no parameter of this path");
}
