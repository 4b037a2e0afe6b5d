use prost_reflect::DescriptorPool;
use proto::options::HttpRule;

use super::*;
use crate::route::{Segments, Table};

fn table() -> Table {
    Table::new(proto::DESCRIPTOR_SET, crate::is_routable).unwrap()
}

/// Returns the description of each bad field of a request, in order.
fn refused(method: &http::Method, path: &str, body: &str) -> Vec<(String, &'static str, String)> {
    let table = table();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let segments = Segments::of(path).unwrap();
    let route = table.find(method, &segments).unwrap();
    let bound =
        crate::bind::bind(&table.schema, route, segments.as_slice(), Some(query), body.as_bytes(), &mut Vec::new());
    let bad = bound.err().map(|error| error.violations().to_vec()).unwrap_or_default();
    let parts = |bad: kernel::Violation| (bad.field.to_string(), bad.error.reason.name(), bad.error.to_string());
    bad.into_iter().map(parts).collect()
}

fn row(field: &str, reason: &'static str, description: &str) -> (String, &'static str, String) {
    (field.to_owned(), reason, description.to_owned())
}

/// A request that has the form of its message goes to the service, which tells all of its own.
#[test]
fn well_formed_request_is_not_judged() {
    let entry = r#"{"emotion":"","intensity":9,"timestamp":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(refused(&http::Method::POST, "/journal/a", entry), []);
}

#[test]
fn format_error_names_every_bad_field_by_its_bounds() {
    let date = "must be an RFC 3339 date-time with its offset, such as 2026-12-01T09:00:00+05:30";
    let entry = r#"{"emotion":"","intensity":9,"timestamp":"x","note":7,"visibility":"HIDDEN"}"#;
    assert_eq!(
        refused(&http::Method::POST, "/journal/a", entry),
        [
            row("emotion", "REQUIRED", "is required: 1 to 100 characters"),
            row("intensity", "OUT_OF_RANGE", "must be 1 to 5"),
            row("timestamp", "MALFORMED", date),
            row("note", "MALFORMED", "must be a string"),
            row("visibility", "UNKNOWN_VALUE", "must be SHARED or PRIVATE"),
        ]
    );
    let nothing = r#"{"intensity":"x"}"#;
    assert_eq!(
        refused(&http::Method::POST, "/journal/a", nothing),
        [
            row("emotion", "REQUIRED", "is required: 1 to 100 characters"),
            row("intensity", "MALFORMED", "must be a whole number, 1 to 5"),
            row("timestamp", "REQUIRED", "is required"),
        ]
    );
}

/// An answer has more values of the enum, and so has its proto.
#[test]
fn refused_enum_names_values_that_requests_take() {
    let decisions = "must be ACCEPTED, REJECTED or REVOKED";
    let appointment = refused(&http::Method::PUT, "/appointments/a/status", r#"{"status":"NONE_SUCH"}"#);
    assert_eq!(appointment, [row("status", "UNKNOWN_VALUE", decisions)]);
    let access = refused(&http::Method::PUT, "/journal/a/access", r#"{"access":"NONE_SUCH"}"#);
    assert_eq!(access, [row("access", "UNKNOWN_VALUE", decisions), row("therapistId", "REQUIRED", "is required")]);
}

#[test]
fn query_is_judged_beside_body_and_path() {
    let list = refused(&http::Method::GET, "/journal/a?pageSize=x&minIntensity=9&from=2026-01-01T00:00:00Z&to=", "");
    assert_eq!(
        list,
        [
            row("to", "MALFORMED", "must be an RFC 3339 date-time with its offset, such as 2026-12-01T09:00:00+05:30"),
            row("minIntensity", "OUT_OF_RANGE", "must be 0 to 5"),
            row("pageSize", "MALFORMED", "must be a whole number, not negative"),
        ]
    );
}

#[test]
fn size_of_page_is_judged_by_its_own_bounds() {
    for (size, reason, description) in [
        ("", "MALFORMED", "must be a whole number, not negative"),
        ("1.5", "MALFORMED", "must be a whole number, not negative"),
        ("-2147483649", "OUT_OF_RANGE", "must not be negative"),
        ("2147483648", "OUT_OF_RANGE", "must be at most 2147483647"),
        ("1e400", "OUT_OF_RANGE", "must be at most 2147483647"),
    ] {
        let list = refused(&http::Method::GET, &format!("/journal/a?pageSize={size}"), "");
        assert_eq!(list, [row("pageSize", reason, description)], "{size}");
    }
}

/// Callers may write names as the proto has them.
#[test]
fn parameter_is_named_as_it_was_written() {
    let list = refused(&http::Method::GET, "/journal/a?page_size=x&min_intensity=9", "");
    assert_eq!(list.into_iter().map(|bad| bad.0).collect::<Vec<_>>(), ["min_intensity", "page_size"]);
}

/// Fields of the proto, members of JSON that are given twice, and null count as for a request that is passed on.
#[test]
fn last_member_of_a_name_counts() {
    let profile = r#"{"name":7,"pincode":"1","pincode":"110001","email":null,"etag":7}"#;
    assert_eq!(
        refused(&http::Method::POST, "/clients", profile),
        [
            row("name", "MALFORMED", "must be a string"),
            row("email", "REQUIRED", "is required: 1 to 254 characters"),
            row("etag", "MALFORMED", "must be a string"),
        ]
    );
}

#[test]
fn texts_are_judged_by_length_and_form() {
    let long = "é".repeat(129);
    for (password, expected) in [
        ("", Some(row("password", "REQUIRED", "is required: 12 to 128 characters"))),
        ("short", Some(row("password", "TOO_SHORT", "is too short: 12 to 128 characters"))),
        (&*long, Some(row("password", "TOO_LONG", "is too long: at most 128 characters"))),
        ("seven quiet herons", None),
    ] {
        let body = format!(r#"{{"email":"a@example.org","password":"{password}","role":7.5}}"#);
        let mut bad = refused(&http::Method::POST, "/auth/register", &body);
        assert_eq!(bad.pop().unwrap().0, "role");
        assert_eq!(bad, Vec::from_iter(expected), "{password}");
    }
    let session = r#"{"sessionDate":"today","startTime":"24:00","endTime":"09:60","clientId":"nobody","status":7.5}"#;
    let fields: Vec<_> = refused(&http::Method::POST, "/sessions", session).into_iter().map(|bad| bad.0).collect();
    assert_eq!(fields, ["clientId", "sessionDate", "startTime", "endTime", "status"]);
}

/// Returns the description of each bad field of a body beside `etag`, whose type is wrong.
fn refused_beside_etag(path: &str, body: &str) -> Vec<(String, &'static str, String)> {
    let mut bad = refused(&http::Method::POST, path, &body.replacen('{', r#"{"etag":7,"#, 1));
    assert_eq!(bad.pop(), Some(row("etag", "MALFORMED", "must be a string")));
    bad
}

#[test]
fn line_is_counted_in_its_canonical_form() {
    for (name, expected) in [
        ("e\u{301}".repeat(200), None),
        (format!("  {}  ", "é".repeat(200)), None),
        ("e\u{301}".repeat(201), Some(row("name", "TOO_LONG", "is too long: at most 200 characters"))),
        ("\u{200b}".to_owned(), Some(row("name", "REQUIRED", "is required: 1 to 200 characters"))),
    ] {
        let body = format!(r#"{{"name":"{name}","email":"a@example.org","pincode":"110001"}}"#);
        assert_eq!(refused_beside_etag("/clients", &body), Vec::from_iter(expected), "{name}");
    }
}

/// A name to search for may be blank: any name begins so.
#[test]
fn name_in_a_query_is_counted_in_its_canonical_form() {
    for (name, bad) in [
        ("e%CC%81".repeat(200), &["pageSize"][..]),
        ("%20".repeat(300), &["pageSize"]),
        ("e%CC%81".repeat(201), &["name", "pageSize"]),
    ] {
        let list = refused(&http::Method::GET, &format!("/therapists?pageSize=x&name={name}"), "");
        assert_eq!(list.into_iter().map(|bad| bad.0).collect::<Vec<_>>(), bad, "{name}");
    }
}

#[test]
fn password_is_counted_in_the_form_that_is_hashed() {
    for (password, expected) in [
        ("\u{fb03}".repeat(6), None),
        ("\u{fb03}".repeat(3), Some(row("password", "TOO_SHORT", "is too short: 12 to 128 characters"))),
        ("e\u{301}".repeat(128), None),
        ("\u{fb03}".repeat(43), Some(row("password", "TOO_LONG", "is too long: at most 128 characters"))),
    ] {
        let body = format!(r#"{{"email":"a@example.org","password":"{password}","role":7.5}}"#);
        let mut bad = refused(&http::Method::POST, "/auth/register", &body);
        assert_eq!(bad.pop().unwrap().0, "role");
        assert_eq!(bad, Vec::from_iter(expected), "{password}");
    }
    let login = r#"{"email":7,"password":"short"}"#;
    assert_eq!(refused(&http::Method::POST, "/auth/login", login), [row("email", "MALFORMED", "must be a string")]);
}

#[test]
fn pincode_is_judged_without_the_spaces_around_it() {
    const FORM: &str = "must be 3 to 10 letters, digits, spaces or hyphens, of which 3 are letters or digits";
    for (pincode, expected) in [
        ("     110001     ", None),
        ("\u{fb03}", None),
        ("     1     ", Some(row("pincode", "TOO_SHORT", FORM))),
        (" ", Some(row("pincode", "REQUIRED", "is required: 3 to 10 characters"))),
    ] {
        let body = format!(r#"{{"name":"A","email":"a@example.org","pincode":"{pincode}"}}"#);
        assert_eq!(refused_beside_etag("/clients", &body), Vec::from_iter(expected), "{pincode}");
    }
}

#[test]
fn free_text_is_counted_as_it_is_written() {
    let entry = |note: &str| {
        format!(r#"{{"emotion":"calm","intensity":3,"timestamp":"2026-01-01T00:00:00Z","note":"{note}"}}"#)
    };
    assert_eq!(refused_beside_etag("/journal/a", &entry(&"é\\n".repeat(5_000))), []);
    let long = row("note", "TOO_LONG", "is too long: at most 10,000 characters");
    assert_eq!(refused_beside_etag("/journal/a", &entry(&"e\u{301}".repeat(5_001))), [long]);
}

/// A body of one name, over and over, takes no more memory than one with each name once.
#[test]
fn repeated_member_takes_one_place() {
    let (table, path) = (table(), Segments::of("/journal/a").unwrap());
    let route = table.find(&http::Method::POST, &path).unwrap();
    let rules = route.rules.unwrap().body;
    let message = crate::bind::body_message(&table.schema, route).unwrap();
    let body = format!(r#"{{{}"note":"last"}}"#, r#""note":0,"#.repeat(1000));
    let given = members(rules, &table.schema, message, &body).unwrap();
    assert_eq!(given.len(), rules.len());
    let given: Vec<_> = given.into_iter().flatten().map(|member| (member.path, member.value)).collect();
    assert_eq!(given, [("note".into(), Given::Text("last".into()))]);
}

/// A route whose requests have fields, and no rules, would name too few.
#[test]
fn every_route_with_fields_has_rules() {
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap();
    let mut found = 0;
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        if !crate::is_routable(&path) {
            continue;
        }
        for rule in HttpRule::of(&method).unwrap() {
            let in_path = rule.path.variables().len();
            if method.input().fields().len() > in_path {
                assert!(of(rule.method, rule.path.as_str()).is_some(), "{} {}", rule.method, rule.path);
                found += 1;
            }
        }
    }
    assert!(found > 30, "{found}");
}
