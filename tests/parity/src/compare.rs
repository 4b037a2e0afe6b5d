//! Compares two answers aspect by aspect.

use std::collections::BTreeSet;

use kernel::FieldReason;
use serde_json::Value;

use crate::wire::Answer;

/// Returns the aspects in which two answers differ:
///
/// - `status`: the HTTP status
/// - `header:<name>`: a header, or the trailer of a native call
/// - `code`, `reason`, `fields`: an error's code, the reason of its ErrorInfo, the fields of its BadRequest
/// - `text`: the rest of an error, if code, reason and fields are equal
/// - `json`: the JSON value of the body
/// - `bytes`: the bytes of the body, if the JSON values are equal
pub(crate) fn aspects(envoy: &Answer, embedded: &Answer) -> BTreeSet<String> {
    let mut differ = BTreeSet::new();
    let mut note = |aspect: &str, alike: bool| {
        if !alike {
            differ.insert(aspect.to_owned());
        }
    };
    note("status", envoy.status == embedded.status);
    let names: BTreeSet<_> = envoy.headers.keys().chain(embedded.headers.keys()).collect();
    for name in names {
        note(&format!("header:{name}"), envoy.headers.get(name) == embedded.headers.get(name));
    }
    match (json(envoy), json(embedded)) {
        (Some(a), Some(b)) if envoy.status >= 400 && embedded.status >= 400 => {
            let details = [
                ("code", a["code"] == b["code"]),
                ("reason", detail(&a, "ErrorInfo") == detail(&b, "ErrorInfo")),
                ("fields", fields(&a) == fields(&b)),
            ];
            note("text", a == b || details.iter().any(|(_, alike)| !alike));
            details.iter().for_each(|(aspect, alike)| note(aspect, *alike));
        }
        (Some(a), Some(b)) => {
            note("json", a == b);
            note("bytes", a != b || envoy.body == embedded.body);
        }
        _ => note("bytes", envoy.body == embedded.body),
    }
    differ
}

fn json(answer: &Answer) -> Option<Value> {
    let is_json = answer.headers.get("content-type")?.iter().any(|kind| kind == "application/json");
    is_json.then(|| serde_json::from_slice(&answer.body).ok())?
}

fn detail<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    let name = format!("type.googleapis.com/google.rpc.{kind}");
    status["details"].as_array()?.iter().find(|detail| detail["@type"] == *name)
}

/// Returns the fields that an error names. Each must have a reason of the list.
fn fields(status: &Value) -> Vec<&Value> {
    let violations = detail(status, "BadRequest").and_then(|detail| detail["fieldViolations"].as_array());
    let mut fields = Vec::new();
    for violation in violations.into_iter().flatten() {
        assert!(FieldReason::ALL.iter().any(|reason| violation["reason"] == reason.name()), "{status}");
        fields.push(&violation["field"]);
    }
    fields
}
