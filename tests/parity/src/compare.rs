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
/// - `field-reasons`: a field that both name has a reason by Envoy that it doesn't have by the embedded front
/// - `text`: the rest of an error, if all of these are equal
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
            let (envoys, ours) = (fields(&a), fields(&b));
            let is_named = |name| ours.iter().any(|(field, _)| *field == name);
            let details = [
                ("code", a["code"] == b["code"]),
                ("reason", detail(&a, "ErrorInfo") == detail(&b, "ErrorInfo")),
                ("fields", envoys.iter().map(|field| field.0).eq(ours.iter().map(|field| field.0))),
                ("field-reasons", envoys.iter().all(|field| ours.contains(field) || !is_named(field.0))),
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

/// Returns the fields that an error names, each with its reason, which must be one of the list.
fn fields(status: &Value) -> Vec<(&Value, &Value)> {
    let violations = detail(status, "BadRequest").and_then(|detail| detail["fieldViolations"].as_array());
    let mut fields = Vec::new();
    for violation in violations.into_iter().flatten() {
        let (field, reason) = (&violation["field"], &violation["reason"]);
        assert!(FieldReason::ALL.iter().any(|listed| *reason == listed.name()), "{status}");
        fields.push((field, reason));
    }
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(fields: &[(&str, &str)]) -> Answer {
        let violations: Vec<_> =
            fields.iter().map(|(field, reason)| json!({"field": field, "reason": reason, "description": ""})).collect();
        let detail = json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations});
        Answer {
            status: 400,
            headers: [("content-type".to_owned(), vec!["application/json".to_owned()])].into(),
            body: json!({"code": 3, "message": "", "details": [detail]}).to_string().into_bytes(),
        }
    }

    #[test]
    fn fields_and_their_reasons_are_aspects() {
        let one = refusal(&[("from", "MALFORMED")]);
        for (other, expected) in [
            (&[("from", "MALFORMED")][..], &[][..]),
            (&[("from", "OUT_OF_RANGE")], &["field-reasons"]),
            (&[("to", "MALFORMED")], &["fields"]),
            (&[("from", "MALFORMED"), ("to", "MALFORMED")], &["fields"]),
            (&[("from", "OUT_OF_RANGE"), ("to", "MALFORMED")], &["field-reasons", "fields"]),
            (&[("from", "OUT_OF_RANGE"), ("from", "MALFORMED")], &["fields"]),
        ] {
            assert!(aspects(&one, &refusal(other)).iter().eq(expected), "{other:?}");
        }
    }
}
