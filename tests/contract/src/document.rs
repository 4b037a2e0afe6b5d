//! Reads the document into a form that can be compared with the descriptors.

use std::collections::BTreeMap;

use prost_reflect::DescriptorPool;
use serde_json::Value;

use crate::rest;

/// The committed document.
pub const TEXT: &str = include_str!("../../../gateway/openapi/swagger.yaml");

/// Routes that are not RPCs.
pub const NO_RPCS: [&str; 3] = ["GET /docs", "GET /healthz", "GET /openapi.yaml"];

/// An operation without its descriptions.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// True if no token is needed.
    pub public: bool,
    /// Parameters by place and name: true if required, and the shape.
    pub parameters: BTreeMap<(String, String), (bool, Shape)>,
    /// True if the body is required, and its shape.
    pub body: Option<(bool, Shape)>,
    /// Status of the success.
    pub status: u16,
    /// Body of the success.
    pub answer: Answer,
    /// True if the answer has the next page token header.
    pub pages: bool,
    /// True if the answer has the header `ETag`.
    pub tagged: bool,
    /// True if 304 is an answer, without a body and with the header `ETag`.
    pub not_modified: bool,
}

/// Body of a successful answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// None.
    Nothing,
    /// JSON.
    Json(Shape),
    /// Server-sent events.
    Events,
}

/// Type of a JSON value.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any string.
    Text,
    /// RFC 3339.
    Time,
    /// An integer.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// One of these strings.
    OneOf(Vec<String>),
    /// An array.
    List(Box<Shape>),
    /// Fields by name: true if required, and the shape.
    Object(BTreeMap<String, (bool, Shape)>),
}

/// Returns how the document differs from the descriptors: operations that only one of them has, or that are not alike.
#[must_use]
pub fn differences(document: &Value, pool: &DescriptorPool) -> Vec<String> {
    let mut documented = operations(document);
    let mut complaints = Vec::new();
    for row in NO_RPCS {
        if documented.remove(row).is_none() {
            complaints.push(format!("{row} is not documented"));
        }
    }
    for (row, described) in rest::operations(pool) {
        match documented.remove(&row).map(|operation| read(document, operation)) {
            None => complaints.push(format!("{row} is not documented")),
            Some(documented) if documented == described => {}
            Some(documented) => {
                complaints.push(format!("{row}: documented is {documented:?}, described {described:?}"))
            }
        }
    }
    complaints.extend(documented.into_keys().map(|row| format!("{row} is documented, and no RPC")));
    complaints
}

/// Parses the committed document.
#[must_use]
pub fn load() -> Value {
    serde_yaml_ng::from_str(TEXT).unwrap()
}

/// Returns the operations by method and path.
#[must_use]
pub fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let paths = document["paths"].as_object().unwrap().iter();
    let rows = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(verb, operation)| {
            assert!(["get", "put", "post", "delete"].contains(&verb.as_str()), "{path}: {verb}");
            (format!("{} {path}", verb.to_uppercase()), operation)
        })
    });
    rows.collect()
}

/// Follows a reference. Other values are returned as they are.
#[must_use]
pub fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    let found = document.pointer(reference.strip_prefix('#').unwrap());
    found.unwrap_or_else(|| panic!("{reference} refers to nothing"))
}

/// Reads an operation.
#[must_use]
pub fn read(document: &Value, operation: &Value) -> Operation {
    let (status, success) = success(document, operation);
    let content = success["content"].as_object();
    let answer = match content.map(|content| content.iter().collect::<Vec<_>>()).as_deref() {
        None => Answer::Nothing,
        Some([(media, json)]) if *media == "application/json" => Answer::Json(shape(document, &json["schema"])),
        Some([(media, _)]) if *media == "text/event-stream" => Answer::Events,
        other => panic!("an answer in {other:?}"),
    };
    let body = operation.get("requestBody").map(|body| {
        assert_eq!(body["content"].as_object().unwrap().len(), 1);
        (body["required"] == true, shape(document, &body["content"]["application/json"]["schema"]))
    });
    let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
        let parameter = resolve(document, parameter);
        let key = (parameter["in"].as_str().unwrap().to_owned(), parameter["name"].as_str().unwrap().to_owned());
        (key, (parameter["required"] == true, shape(document, &parameter["schema"])))
    });
    // An operation without `security` inherits that of the document.
    let security = operation.get("security").unwrap_or(&document["security"]);
    assert!(
        *security == serde_json::json!([]) || *security == serde_json::json!([{ "accessToken": [] }]),
        "{security}"
    );
    Operation {
        public: security.as_array().unwrap().is_empty(),
        parameters: parameters.collect(),
        body,
        status,
        answer,
        pages: success["headers"].get("x-next-page-token").is_some(),
        tagged: success["headers"].get("ETag").is_some(),
        not_modified: operation["responses"]
            .get("304")
            .is_some_and(|response| response.get("content").is_none() && response["headers"].get("ETag").is_some()),
    }
}

/// Returns the only successful response, with its status.
#[must_use]
pub fn success<'d>(document: &'d Value, operation: &'d Value) -> (u16, &'d Value) {
    let responses = operation["responses"].as_object().unwrap().iter();
    let mut successes = responses.filter(|(status, _)| status.starts_with('2'));
    let (status, response) = successes.next().unwrap();
    assert!(successes.next().is_none(), "more than one success");
    (status.parse().unwrap(), resolve(document, response))
}

fn shape(document: &Value, schema: &Value) -> Shape {
    let schema = resolve(document, schema);
    if let Some(values) = schema.get("enum") {
        let mut values: Vec<_> =
            values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect();
        values.sort();
        return Shape::OneOf(values);
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => Shape::Time,
        Some("string") => Shape::Text,
        Some("integer") => Shape::Whole,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        Some("array") => Shape::List(Box::new(shape(document, &schema["items"]))),
        Some("object") => {
            let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
            let fields = schema["properties"].as_object().into_iter().flatten().map(|(name, field)| {
                let is_required = required.iter().any(|required| *required == name);
                (name.clone(), (is_required, shape(document, field)))
            });
            let fields: BTreeMap<_, _> = fields.collect();
            let has = |name: &&&Value| fields.contains_key(name.as_str().unwrap());
            assert_eq!(required.iter().filter(has).count(), required.len(), "{required:?} names what is not there");
            Shape::Object(fields)
        }
        other => panic!("a schema of {other:?}"),
    }
}
