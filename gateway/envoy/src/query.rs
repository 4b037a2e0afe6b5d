//! Query parameters that each route accepts, and the times in its body, as patterns and tables of Lua for `query.lua.tmpl`.

use std::collections::BTreeSet;

use minijinja::{Value, context};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use proto::options::HttpRule;
use proto::path_template::{PathTemplate, Segment};

/// Maximum depth of a parameter in its message.
const DEPTH: usize = 4;

/// Returns the values of the RPCs' routes for `query.lua.tmpl`; more literal routes come before others that match as well.
pub(crate) fn values<'r>(rpcs: impl Iterator<Item = (&'r MethodDescriptor, &'r [HttpRule])>) -> Vec<Value> {
    let mut all: Vec<_> = rpcs
        .flat_map(|(method, routes)| routes.iter().map(|route| (order(&route.path), values_of(method, route))))
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.into_iter().map(|(_, values)| values).collect()
}

fn values_of(method: &MethodDescriptor, route: &HttpRule) -> Value {
    let input = method.input();
    let takes = if route.body == "*" { Vec::new() } else { parameters(&input, DEPTH) };
    let body =
        input.get_field_by_name(&route.body).map_or_else(|| route.body.clone(), |field| field.json_name().to_owned());
    let given = route.path.variables().iter().map(|variable| format!("[\"{}\"] = true", canonical(&variable.field)));
    let head = match route.path.segments().first() {
        Some(Segment::Literal(text)) => &**text,
        Some(Segment::Any) | None => "*",
    };
    let takes = takes.iter().map(|(field_path, takes)| format!("[\"{field_path}\"] = {takes}"));
    let times = match input.get_field_by_name(&route.body).map(|field| field.kind()) {
        Some(Kind::Message(body)) => times(&body, DEPTH),
        _ if route.body == "*" => times(&input, DEPTH),
        _ => BTreeSet::new(),
    };
    context! {
        verb => route.method,
        head,
        pattern => pattern(&route.path),
        body,
        given => given.collect::<Vec<_>>().join(", "),
        takes => takes.collect::<Vec<_>>().join(", "),
        times => times.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
    }
}

/// Returns the paths of a message's fields by JSON name, and what each takes.
fn parameters(message: &MessageDescriptor, depth: usize) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    for field in message.fields() {
        all.push((field.json_name().to_owned(), takes(&field)));
        if let Kind::Message(inner) = field.kind()
            && depth > 1
            && !field.is_list()
            && !inner.full_name().starts_with("google.protobuf.")
        {
            let inner = parameters(&inner, depth - 1).into_iter();
            all.extend(inner.map(|(field_path, takes)| (format!("{}.{field_path}", field.json_name()), takes)));
        }
    }
    all
}

/// Returns the names of the times in a message, as the proto and as JSON has them.
fn times(message: &MessageDescriptor, depth: usize) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for field in message.fields() {
        if is_time(&field) {
            all.extend([field.name().to_owned(), field.json_name().to_owned()]);
        } else if let Kind::Message(inner) = field.kind()
            && depth > 1
        {
            all.extend(times(&inner, depth - 1));
        }
    }
    all
}

fn is_time(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp")
}

/// Returns the constant of the script for what a parameter takes.
fn takes(field: &FieldDescriptor) -> &'static str {
    let kind = field.kind();
    let message = kind.as_message().map(MessageDescriptor::full_name);
    if field.is_list() {
        "REPEATED"
    } else if kind == Kind::Bool || message == Some("google.protobuf.BoolValue") {
        "BOOL"
    } else if is_time(field) {
        "TIME"
    } else {
        "ONCE"
    }
}

/// Converts a path template to a pattern of Lua.
fn pattern(path: &PathTemplate) -> String {
    let mut pattern = "^".to_owned();
    for segment in path.segments() {
        pattern.push('/');
        match segment {
            Segment::Any => pattern.push_str("[^/]+"),
            Segment::Literal(text) => {
                for character in text.chars() {
                    if !character.is_ascii_alphanumeric() {
                        pattern.push('%');
                    }
                    pattern.push(character);
                }
            }
        }
    }
    pattern + "$"
}

/// Returns the sort key of a route: literal segments come before variables.
fn order(path: &PathTemplate) -> Vec<bool> {
    path.segments().iter().map(|segment| *segment == Segment::Any).collect()
}

fn canonical(field_path: &str) -> String {
    let mut canonical = String::new();
    let mut up = false;
    for character in field_path.chars() {
        if character == '_' {
            up = true;
        } else {
            canonical.push(if up { character.to_ascii_uppercase() } else { character });
            up = false;
        }
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_template_becomes_lua_pattern() {
        let template = |path| PathTemplate::parse(path).unwrap();
        for (path, expected) in [
            ("/clients", "^/clients$"),
            ("/clients/{client_id}/access-log", "^/clients/[^/]+/access%-log$"),
            ("/v1/{name=items/*/parts/*}", "^/v1/items/[^/]+/parts/[^/]+$"),
        ] {
            assert_eq!(pattern(&template(path)), expected);
        }
        assert_eq!(["client_id", "b.name"].map(canonical), ["clientId", "b.name"]);
        assert!(order(&template("/messages/watch")) < order(&template("/messages/{peer_id}")));
    }
}
