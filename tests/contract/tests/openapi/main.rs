//! The OpenAPI document: it is what the emitter writes, says what the descriptors say and nothing else, shows examples that
//! the front takes and gives, and leaves nothing without words.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that finds nothing, or what it doesn't know, has failed"
)]

mod descriptors;
mod document;
mod errors;
mod examples;
mod lints;
mod reasons;
mod words;

use std::collections::BTreeSet;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The rows of the contract that are no RPCs.
const NO_RPCS: [&str; 3] = ["GET /docs", "GET /healthz", "GET /openapi.yaml"];

#[test]
fn the_document_is_what_the_emitter_writes() {
    let written = openapi::document().unwrap();
    let line = written.lines().zip(document::TEXT.lines()).position(|(new, old)| new != old);
    assert!(
        written == document::TEXT,
        "gateway/openapi/swagger.yaml is stale from line {:?} on: cargo run -p openapi > gateway/openapi/swagger.yaml",
        line.map(|line| line + 1)
    );
}

#[test]
fn every_route_is_documented_as_the_descriptors_say_and_there_is_no_other() {
    let document = document::load();
    let mut documented = document::operations(&document);
    for row in NO_RPCS {
        assert!(documented.remove(row).is_some(), "{row} is not documented");
    }
    let described = descriptors::operations();
    assert_eq!(documented.keys().collect::<BTreeSet<_>>(), described.keys().collect::<BTreeSet<_>>());
    for (row, operation) in described {
        let documented = document::read(&document, documented[&row]);
        assert_eq!(documented, operation, "{row}: documented, and as the descriptors say");
    }
}

#[test]
fn operations_are_called_as_their_rpcs_and_no_two_alike() {
    let document = document::load();
    let names = document::operations(&document).into_values().map(|operation| operation["operationId"].clone());
    let names: Vec<_> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let called: BTreeSet<_> = names.iter().map(|name| name.trim_end_matches("Alias").to_owned()).collect();
    let mut rpcs: BTreeSet<_> =
        descriptors::routes().into_iter().map(|route| lower_camel(route.method.name())).collect();
    rpcs.extend(["getDocs", "getDocument", "getHealth"].map(str::to_owned));
    assert_eq!(called, rpcs);
}

fn lower_camel(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_ascii_lowercase() + rest
}
