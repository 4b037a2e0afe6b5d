//! Checks that everything has a description, written for readers who don't know gRPC.

use contract::{document, methods, pool};
use serde_json::Value;

/// Collects the texts under a keyword in a value, with their paths.
fn texts(value: &Value, keyword: &str, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if name == keyword => found.push((path.to_owned(), text.to_owned())),
                    _ if name == "example" || name == "examples" || name == "value" => {}
                    _ => texts(member, keyword, &format!("{path}/{name}"), found),
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                texts(item, keyword, &format!("{path}/{at}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn everything_has_a_description() {
    let document = document::load();
    let said = |value: &Value, place: &str| {
        let text = document::resolve(&document, value)["description"].as_str().unwrap_or_default();
        assert!(text.len() > 3, "{place} has no description");
    };
    said(&document["info"], "the document");
    for tag in document["tags"].as_array().unwrap() {
        said(tag, "a tag");
    }
    for (row, operation) in document::operations(&document) {
        said(operation, &row);
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{row} has no summary");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            said(parameter, &format!("{row}: a parameter"));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            said(response, &format!("{row}: {status}"));
            let response = document::resolve(&document, response);
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                said(header, &format!("{row}: {status}: {name}"));
            }
        }
        if let Some(body) = operation.get("requestBody") {
            said(body, &format!("{row}: the body"));
        }
    }
    let components = &document["components"];
    for scheme in components["securitySchemes"].as_object().unwrap().values() {
        said(scheme, "a security scheme");
    }
    for (name, schema) in components["schemas"].as_object().unwrap() {
        said(schema, name);
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                schema["description"].as_str().is_some_and(|text| text.len() > 3),
                "{name}.{field} has no description"
            );
        }
    }
}

#[test]
fn enum_values_are_explained() {
    let document = document::load();
    for kind in pool().all_enums().filter(|kind| kind.full_name().starts_with("therapy.")) {
        let mut values: Vec<_> = kind.values().map(|value| value.name().to_owned()).collect();
        values.retain(|value| !value.ends_with("_UNSPECIFIED"));
        for schema in document["components"]["schemas"].as_object().unwrap().values() {
            if schema["enum"] == serde_json::json!(values) {
                let description = schema["description"].as_str().unwrap();
                assert!(values.iter().all(|value| description.contains(&format!("- `{value}`: "))), "{description}");
            }
        }
    }
}

#[test]
fn descriptions_use_rest_terms() {
    let document = document::load();
    let mut found = Vec::new();
    texts(&document, "description", "", &mut found);
    texts(&document, "summary", "", &mut found);
    assert!(found.len() > 400, "{}", found.len());
    let rpcs: Vec<_> = methods(&pool()).collect();
    for (path, text) in found {
        let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let of_two_words = |name: &str| name.chars().filter(char::is_ascii_uppercase).count() > 1;
        for rpc in rpcs.iter().filter(|rpc| of_two_words(rpc.name())) {
            assert!(!words.contains(&rpc.name()), "{path} speaks of {}, which REST has no name for", rpc.name());
        }
        for (at, code) in text.split('`').enumerate() {
            let snake = code.contains('_') && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(at % 2 == 0 || !snake, "{path}: {code} has another name in JSON");
        }
        for never in ["_UNSPECIFIED", "Errors:", "google.protobuf", "MESH_"] {
            assert!(!text.contains(never), "{path}: {text}");
        }
    }
}
