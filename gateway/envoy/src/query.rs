//! Query parameters that each route accepts, as patterns and tables of Lua for `query.lua.tmpl`.

use minijinja::{Value, context};
use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};

use crate::rpcs::Route;

/// Maximum depth of a parameter in its message.
const DEPTH: usize = 4;

/// Returns the values of the RPCs' routes for `query.lua.tmpl`; more literal routes come before others that match as well.
pub(crate) fn values<'r>(rpcs: impl Iterator<Item = (&'r MethodDescriptor, &'r [Route])>) -> Vec<Value> {
    let mut all: Vec<_> = rpcs
        .flat_map(|(method, routes)| routes.iter().map(|route| (order(&route.path), values_of(method, route))))
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.into_iter().map(|(_, values)| values).collect()
}

fn values_of(method: &MethodDescriptor, route: &Route) -> Value {
    let input = method.input();
    let takes = if route.body == "*" { Vec::new() } else { parameters(&input, DEPTH) };
    let body =
        input.get_field_by_name(&route.body).map_or_else(|| route.body.clone(), |field| field.json_name().to_owned());
    let given =
        variables(&route.path).map(|field_path| format!("[\"{}\"] = true", canonical(field_path))).collect::<Vec<_>>();
    let head = route.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let takes = takes.iter().map(|(field_path, often)| format!("[\"{field_path}\"] = {}", if *often { 2 } else { 1 }));
    context! {
        verb => &route.method,
        head => if head.starts_with('{') { "*" } else { head },
        pattern => pattern(&route.path),
        body,
        given => given.join(", "),
        takes => takes.collect::<Vec<_>>().join(", "),
    }
}

/// Returns the paths of a message's fields by JSON name, and whether each may be given more than once.
fn parameters(message: &MessageDescriptor, depth: usize) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for field in message.fields() {
        all.push((field.json_name().to_owned(), field.is_list()));
        if let Kind::Message(inner) = field.kind()
            && depth > 1
            && !field.is_list()
            && !inner.full_name().starts_with("google.protobuf.")
        {
            let inner = parameters(&inner, depth - 1).into_iter();
            all.extend(inner.map(|(field_path, often)| (format!("{}.{field_path}", field.json_name()), often)));
        }
    }
    all
}

/// The steps of a template, of which variables may have several.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path.trim_start_matches('/');
    std::iter::from_fn(move || {
        let mut depth = 0;
        let end = rest.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == '/' && depth == 0
        });
        let step = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or("", |end| &rest[end + 1..]);
        (!step.is_empty()).then_some(step)
    })
}

fn variables(path: &str) -> impl Iterator<Item = &str> {
    steps(path).filter_map(|step| step.strip_prefix('{')?.split(['=', '}']).next())
}

/// Converts a path template to a pattern of Lua.
fn pattern(path: &str) -> String {
    let mut pattern = "^".to_owned();
    for step in steps(path) {
        let inner = step.strip_prefix('{').and_then(|step| step.strip_suffix('}'));
        match inner.map(|inner| inner.split_once('=').map_or("*", |(_, inner)| inner)) {
            Some(inner) => pattern.push_str(&self::pattern(inner)[1..].replace('$', "")),
            None if step == "**" => pattern.push_str("/.+"),
            None if step == "*" => pattern.push_str("/[^/]+"),
            None => {
                pattern.push('/');
                for character in step.chars() {
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

/// Returns the sort key of a route: literal steps come before variables.
fn order(path: &str) -> Vec<bool> {
    steps(path).map(|step| step.starts_with('{') || step.starts_with('*')).collect()
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
        for (path, expected) in [
            ("/clients", "^/clients$"),
            ("/clients/{client_id}/access-log", "^/clients/[^/]+/access%-log$"),
            ("/v1/{name=items/*/parts/**}", "^/v1/items/[^/]+/parts/.+$"),
        ] {
            assert_eq!(pattern(path), expected);
        }
        assert_eq!(variables("/a/{client_id}/{b.name=x/*}").map(canonical).collect::<Vec<_>>(), ["clientId", "b.name"]);
        assert!(order("/messages/watch") < order("/messages/{peer_id}"));
    }
}
