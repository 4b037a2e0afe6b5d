//! Writes the rules of the fields of requests, which `swagger.yaml` documents, as Rust.

use std::error::Error;
use std::fmt::Write as _;

use serde_yaml_ng::Value;

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];
const REFERENCE: &str = "#/components/schemas/";

/// Patterns of texts, and the variants of `Takes` for them. What those without one take, the services tell.
const PATTERNS: [(&str, Option<&str>); 2] = [
    ("^([01][0-9]|2[0-3]):[0-5][0-9]$", Some("Takes::TimeOfDay")),
    ("^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$", None),
];

/// Fields with texts of one line that services keep in a canonical form, unless they have no maximum length.
const LINES: [&str; 3] = ["name", "specialty", "emotion"];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Returns a slice of `Operation`, one for each operation with fields in its body or its query.
pub(crate) fn written(document: &str) -> Result<String> {
    let document = Document(serde_yaml_ng::from_str(document)?);
    let mut written = "&[\n".to_owned();
    let paths = document.0["paths"].as_mapping().ok_or("no paths")?;
    for (path, operations) in paths {
        let path = path.as_str().ok_or("a path is a text")?;
        for method in METHODS {
            let Some(operation) = operations.get(method) else { continue };
            let (body, query) = (document.body(operation)?, document.query(operation)?);
            if !(body.is_empty() && query.is_empty()) {
                let (method, path) = (method.to_uppercase(), without_names(path));
                writeln!(
                    written,
                    "Operation {{ method: {method:?}, path: {path:?}, body: &[{body}], query: &[{query}] }},"
                )?;
            }
        }
    }
    Ok(written + "]\n")
}

/// Returns a path with `{}` for each variable.
fn without_names(path: &str) -> String {
    let segment = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

struct Document(Value);

impl Document {
    /// Returns a schema, or that which it refers to.
    fn resolved<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix(REFERENCE));
        name.map_or(schema, |name| &self.0["components"]["schemas"][name])
    }

    fn body(&self, operation: &Value) -> Result<String> {
        let schema = self.resolved(&operation["requestBody"]["content"]["application/json"]["schema"]);
        let required: Vec<_> = schema["required"].as_sequence().into_iter().flatten().collect();
        let mut rules = String::new();
        for (name, property) in schema["properties"].as_mapping().into_iter().flatten() {
            rules += &self.rule(name, required.contains(&name), property)?;
        }
        Ok(rules)
    }

    fn query(&self, operation: &Value) -> Result<String> {
        let mut rules = String::new();
        for parameter in operation["parameters"].as_sequence().into_iter().flatten() {
            if parameter["in"] == "query" {
                rules += &self.rule(&parameter["name"], parameter["required"] == true, &parameter["schema"])?;
            }
        }
        Ok(rules)
    }

    fn rule(&self, name: &Value, required: bool, schema: &Value) -> Result<String> {
        let name = name.as_str().ok_or("a field has a name")?;
        let takes = self.takes(name, schema).map_err(|why| format!("{name}: {why}"))?;
        Ok(format!("Rule {{ name: {name:?}, required: {required}, takes: {takes} }}, "))
    }

    /// Returns a variant of `Takes`.
    fn takes(&self, name: &str, schema: &Value) -> Result<String> {
        let whole = |keyword: &str| schema[keyword].as_i64();
        let resolved = self.resolved(schema);
        if let Some(names) = resolved["enum"].as_sequence() {
            let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
            return Ok(format!("Takes::OneOf(&{names:?})"));
        }
        let format = schema["format"].as_str().unwrap_or_default();
        Ok(match (resolved["type"].as_str(), format) {
            (Some("string"), "email") => "Takes::Email".to_owned(),
            (Some("string"), "uuid") => "Takes::Id".to_owned(),
            (Some("string"), "date-time") => "Takes::DateTime".to_owned(),
            (Some("string"), "password") => {
                let least = whole("minLength").unwrap_or_default();
                format!("Takes::Password {{ least: {least}, most: {:?} }}", whole("maxLength"))
            }
            (Some("string"), _) if name == "pincode" && whole("minLength").is_some() => "Takes::Pincode".to_owned(),
            (Some("string"), _) => {
                let pattern = schema["pattern"].as_str();
                let known = PATTERNS.iter().find(|(known, _)| Some(*known) == pattern);
                if let Some((_, Some(takes))) = known {
                    return Ok((*takes).to_owned());
                }
                let visible = pattern == Some("\\S");
                if !visible && pattern.is_some() && known.is_none() {
                    return Err(format!("no rule for the pattern {pattern:?}").into());
                }
                if whole("minLength").is_some_and(|least| least != 1 || !visible) {
                    return Err("no rule for a minimum length of characters that may show nothing".into());
                }
                match whole("maxLength") {
                    Some(most) if LINES.contains(&name) => {
                        format!("Takes::Line {{ most: {most}, visible: {visible} }}")
                    }
                    most => format!("Takes::Text {{ most: {most:?}, visible: {visible} }}"),
                }
            }
            (Some("integer"), "int32") => {
                let least = whole("minimum").unwrap_or(i32::MIN.into());
                let most = whole("maximum").unwrap_or(i32::MAX.into());
                format!("Takes::Whole {{ least: {least}, most: {most} }}")
            }
            (Some("boolean"), _) => "Takes::Bool".to_owned(),
            (Some("array"), _) => "Takes::List".to_owned(),
            (other, format) => return Err(format!("no rule for {other:?} of the format {format:?}").into()),
        })
    }
}
