//! Compares the documented error reasons and codes with the source code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use contract::document::{self, NO_RPCS};
use contract::{ROOT, pool};
use kernel::FieldReason;

use crate::errors::{CODES, failures};

/// Reasons that users of the REST API never see: those of calls between services and over gRPC, the front's own for a
/// service that gives no reason, that of a path that isn't in the document, and that of preflight requests, which browsers make.
const UNDOCUMENTED: [&str; 17] = [
    "ABORTED",
    "ALREADY_EXISTS",
    "BODY_INCOMPLETE",
    "CANCELLED",
    "INVALID_ARGUMENT",
    "MALFORMED_MESSAGE",
    "MESSAGE_TOO_LARGE",
    "ORIGIN_NOT_ALLOWED",
    "PERMISSION_DENIED",
    "ROUTE_NOT_FOUND",
    "UNAUTHENTICATED",
    "UNIMPLEMENTED",
    "UNKNOWN_ENCODING",
    "UNKNOWN_METHOD",
    "WORKLOAD_NOT_ALLOWED",
    "WORKLOAD_TOKEN_INVALID",
    "WORKLOAD_TOKEN_MISSING",
];

/// Returns the reason and the code name of every `Error::new(Kind::…, "REASON"` in the services and the embedded front.
fn reasons_in_code() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for directory in ["services", "gateway/src"] {
        read_sources(&Path::new(ROOT).join(directory), &mut found);
    }
    found
}

fn read_sources(directory: &Path, found: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            read_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            // Unit tests come last.
            let code = text.split("#[cfg(test)]").next().unwrap();
            found.extend(code.split("Error::new(").skip(1).filter_map(reason_of));
        }
    }
}

/// Parses `Kind::NotFound, "NOT_FOUND", …`. Returns nothing if the reason is a variable.
fn reason_of(arguments: &str) -> Option<(String, String)> {
    let (kind, rest) = arguments.trim_start().strip_prefix("Kind::")?.split_once(',')?;
    let reason = rest.trim_start().strip_prefix('"')?.split('"').next()?;
    let mut code = String::new();
    for (at, letter) in kind.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            code.push('_');
        }
        code.push(letter.to_ascii_uppercase());
    }
    Some((code, reason.to_owned()))
}

#[test]
fn committed_page_about_errors_matches_emitter() {
    let committed = fs::read_to_string(format!("{ROOT}/docs/errors.md")).unwrap();
    let written = openapi::errors(proto::DESCRIPTOR_SET).unwrap();
    assert!(committed == written, "docs/errors.md is stale: cargo xtask regenerate");
}

#[test]
fn reasons_of_fields_match_list() {
    let listed = pool().get_enum_by_name("therapy.errors.v1.FieldReason").unwrap();
    let listed: BTreeSet<_> =
        listed.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned()).collect();
    let in_code: BTreeSet<_> = FieldReason::ALL.into_iter().map(|reason| reason.name().to_owned()).collect();
    assert_eq!(in_code, listed);
}

#[test]
fn documented_reasons_match_codes_in_source() {
    let document = document::load();
    let examples = document["components"]["examples"].as_object().unwrap();
    let in_code = reasons_in_code();
    assert!(in_code.len() > 40, "{in_code:?}");
    for (code, reason) in in_code.iter().filter(|(_, reason)| !UNDOCUMENTED.contains(&reason.as_str())) {
        let number = CODES.iter().find(|(name, ..)| name == code).unwrap_or_else(|| panic!("{reason}: {code}")).1;
        let example = examples.get(reason).unwrap_or_else(|| panic!("{reason} is not documented"));
        assert_eq!(example["value"]["code"], number, "{reason}");
    }
    let of_code: BTreeSet<_> = in_code.iter().map(|(_, reason)| reason.as_str()).collect();
    let stale: Vec<_> = UNDOCUMENTED.iter().filter(|reason| !of_code.contains(*reason)).collect();
    assert!(stale.is_empty(), "no code has {stale:?}");
    let mut operations = document::operations(&document);
    operations.retain(|row, _| !NO_RPCS.contains(&row.as_str()));
    let used: BTreeSet<_> =
        operations.values().flat_map(|operation| failures(&document, operation).into_values().flatten()).collect();
    assert_eq!(examples.keys().cloned().collect::<BTreeSet<_>>(), used, "an example that no operation shows");
}
