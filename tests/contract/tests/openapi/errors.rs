//! Documented failures of operations.

use std::collections::{BTreeMap, BTreeSet};

use contract::document::{self, NO_RPCS};
use contract::pool;
use contract::rest::{Route, routes};
use serde_json::Value;

/// Codes of google.rpc.Code and their HTTP statuses, as google/rpc/code.proto maps them.
pub(crate) const CODES: [(&str, i64, u16); 11] = [
    ("INVALID_ARGUMENT", 3, 400),
    ("DEADLINE_EXCEEDED", 4, 504),
    ("NOT_FOUND", 5, 404),
    ("ALREADY_EXISTS", 6, 409),
    ("PERMISSION_DENIED", 7, 403),
    ("RESOURCE_EXHAUSTED", 8, 429),
    ("FAILED_PRECONDITION", 9, 400),
    ("ABORTED", 10, 409),
    ("INTERNAL", 13, 500),
    ("UNAVAILABLE", 14, 503),
    ("UNAUTHENTICATED", 16, 401),
];

/// Reasons whose statuses don't follow from the code.
const OWN_STATUSES: [(&str, &str); 3] =
    [("DEADLINE_EXCEEDED", "408"), ("BODY_TOO_LARGE", "413"), ("HEADERS_TOO_LARGE", "431")];

/// Returns the documented reasons of an operation, by status.
pub(crate) fn failures(document: &Value, operation: &Value) -> BTreeMap<u16, BTreeSet<String>> {
    let responses = operation["responses"].as_object().unwrap().iter();
    let failures = responses.filter(|(status, _)| !status.starts_with('2')).map(|(status, response)| {
        let response = document::resolve(document, response);
        let examples = response["content"]["application/json"]["examples"].as_object();
        let reasons = examples.into_iter().flatten().map(|(name, _)| name.clone());
        (status.parse().unwrap(), reasons.collect())
    });
    failures.collect()
}

#[test]
fn error_examples_match_their_status() {
    let document = document::load();
    for (row, operation) in document::operations(&document) {
        let responses = operation["responses"].as_object().unwrap().iter();
        for (status, response) in responses.filter(|(status, _)| !status.starts_with('2')) {
            let json = &document::resolve(&document, response)["content"]["application/json"];
            for (reason, example) in json["examples"].as_object().into_iter().flatten() {
                assert_eq!(json["schema"]["$ref"], "#/components/schemas/ApiError", "{row}");
                let error = &document::resolve(&document, example)["value"];
                let code = CODES.iter().find(|(_, number, _)| *number == error["code"]).unwrap();
                let own = OWN_STATUSES.iter().any(|(of, own)| of == reason && own == status);
                assert!(own || status.parse() == Ok(code.2), "{row}: {status} {reason}");
                let details = error["details"].as_array().unwrap();
                let of = |kind: &str| {
                    let url = format!("type.googleapis.com/google.rpc.{kind}");
                    details.iter().find(|detail| detail["@type"] == url.as_str())
                };
                assert_eq!(of("ErrorInfo").unwrap()["reason"], reason.as_str());
                assert_eq!(of("BadRequest").is_some(), reason == "INVALID_FIELDS");
            }
        }
    }
}

#[test]
fn operations_document_failures_of_their_kind() {
    let document = document::load();
    let operations = document::operations(&document);
    for route in routes(&pool()) {
        let row = &route.row;
        let statuses: BTreeSet<_> = failures(&document, operations[row]).into_keys().collect();
        let all = [400, 401, 408, 429, 431, 500, 503, 504];
        assert!(all.iter().all(|status| statuses.contains(status)), "{row}: {statuses:?}");
        assert_eq!(statuses.contains(&413), !route.body.is_empty(), "{row}: only what has a body has a large one");
        let is_change = !row.starts_with("GET ") && !route.rpc.access.allows_anonymous();
        assert!(!is_change || statuses.contains(&409), "{row}: changes can collide");
        assert!(!row.starts_with("GET ") || !statuses.contains(&409), "{row}: reading changes nothing");
        let one_role = route.rpc.access.callers.len() == 1 && !route.rpc.access.allows_anonymous();
        assert!(!one_role || statuses.contains(&403), "{row}: not everybody may do this");
    }
    for row in NO_RPCS {
        assert!(failures(&document, operations[row]).contains_key(&431), "{row}");
    }
}

#[test]
fn failures_named_in_protos_are_documented() {
    let document = document::load();
    let operations = document::operations(&document);
    let known: BTreeSet<_> = document["components"]["examples"].as_object().unwrap().keys().cloned().collect();
    for route in routes(&pool()) {
        let failures = failures(&document, operations[&route.row]);
        let reasons: BTreeSet<_> = failures.values().flatten().cloned().collect();
        for word in errors_in_comment(&route) {
            match CODES.iter().find(|(code, ..)| *code == word) {
                Some((.., status)) => assert!(failures.contains_key(status), "{}: {word}", route.row),
                None if known.contains(&word) => assert!(reasons.contains(&word), "{}: {word}", route.row),
                None => assert!(is_state(&route, &word), "{}: {word} is no reason in overlay.yaml", route.row),
            }
        }
    }
}

/// Returns the names in capitals in the paragraph `Errors: …`.
fn errors_in_comment(route: &Route) -> BTreeSet<String> {
    let file = route.rpc.method.parent_file().file_descriptor_proto().clone();
    let locations = file.source_code_info.unwrap().location;
    let comment =
        locations.into_iter().find(|location| location.path == route.rpc.method.path()).unwrap().leading_comments;
    let errors = comment.unwrap().split_once(" Errors: ").map(|(_, errors)| errors.to_owned()).unwrap_or_default();
    let words = errors.split(|c: char| !c.is_ascii_uppercase() && c != '_').filter(|word| word.len() > 3);
    words.map(str::to_owned).collect()
}

/// Returns true if a word is an enum value of the RPC's package: comments may name those too.
fn is_state(route: &Route, word: &str) -> bool {
    let pool = route.rpc.method.parent_pool();
    let mut kinds =
        pool.all_enums().filter(|kind| kind.package_name() == route.rpc.method.parent_service().package_name());
    kinds.any(|kind| kind.get_value_by_name(word).is_some())
}
