//! Tests of the OpenAPI document: it is up to date, agrees with the descriptors in both directions, shows examples that
//! the front accepts and produces, and describes everything.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that finds nothing, or what it doesn't know, has failed"
)]

mod descriptions;
mod errors;
mod examples;
mod lints;
mod reasons;

use std::collections::{BTreeMap, BTreeSet};

use contract::{document, pool, rest};

#[test]
fn committed_document_matches_emitter() {
    let written = openapi::document(proto::DESCRIPTOR_SET).unwrap();
    let line = written.lines().zip(document::TEXT.lines()).position(|(new, old)| new != old);
    assert!(
        written == document::TEXT,
        "gateway/openapi/swagger.yaml is stale from line {:?} on: cargo xtask regenerate",
        line.map(|line| line + 1)
    );
}

#[test]
fn documented_operations_match_descriptors() {
    assert_eq!(document::differences(&document::load(), &pool()), Vec::<String>::new());
}

#[test]
fn operation_ids_are_rpc_names_and_unique() {
    let document = document::load();
    let names = document::operations(&document).into_values().map(|operation| operation["operationId"].clone());
    let names: Vec<_> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    let called: BTreeSet<_> = names.iter().map(|name| name.trim_end_matches("Alias").to_owned()).collect();
    let mut rpcs: BTreeSet<_> =
        rest::routes(&pool()).into_iter().map(|route| lower_camel(route.rpc.method.name())).collect();
    rpcs.extend(["getDocs", "getDocument", "getHealth"].map(str::to_owned));
    assert_eq!(called, rpcs);
}

#[test]
fn aliases_name_the_operation_of_their_method() {
    let document = document::load();
    let operations = document::operations(&document);
    let mut first = BTreeMap::new();
    for route in rest::routes(&pool()) {
        let operation = operations[&route.row];
        match first.get(&route.rpc.path()) {
            None => {
                assert!(operation.get("x-alias-of").is_none(), "{}", route.row);
                first.insert(route.rpc.path(), (route.row, operation["operationId"].clone()));
            }
            Some((row, id)) => {
                assert_eq!(&operation["x-alias-of"], id, "{}", route.row);
                assert!(operation["description"].as_str().unwrap().contains(&format!("`{row}`")), "{}", route.row);
            }
        }
    }
}

#[test]
fn every_operation_takes_and_answers_a_request_id() {
    let document = document::load();
    for (row, operation) in document::operations(&document) {
        let mut parameters = operation["parameters"].as_array().unwrap().iter();
        assert!(parameters.any(|parameter| parameter["$ref"] == "#/components/parameters/RequestId"), "{row}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let shared = response["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
            let response = shared.map_or(response, |pointer| document.pointer(pointer).unwrap());
            assert_eq!(
                response["headers"]["x-request-id"]["$ref"], "#/components/headers/x-request-id",
                "{row} {status}"
            );
        }
    }
}

/// Generators name the types of an operation after it, and some rename what collides with those or with names of their own.
#[test]
fn schema_names_differ_from_names_of_generated_code() {
    let document = document::load();
    let mut taken: BTreeSet<_> = ["Client", "Config", "Error", "Options", "Response"].map(str::to_owned).into();
    for operation in document::operations(&document).values() {
        let (first, rest) = operation["operationId"].as_str().unwrap().split_at(1);
        let of_operation = ["Data", "Error", "Errors", "Response", "Responses"];
        taken.extend(of_operation.map(|kind| format!("{}{rest}{kind}", first.to_uppercase())));
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let collide: Vec<_> = schemas.keys().filter(|name| taken.contains(*name)).collect();
    assert_eq!(collide, Vec::<&String>::new(), "overlay.yaml: name them in `names`");
}

fn lower_camel(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_ascii_lowercase() + rest
}
