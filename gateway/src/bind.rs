//! Binds path, query and body of an HTTP request to the fields of its RPC's message, as `google.api.http` describes it.
//! Every bad field of all three is reported at once.

#[cfg(test)]
mod fuzz;

use std::borrow::Cow;

use kernel::{Error, FieldError, FieldReason, Violations};

use crate::json::Malformed;
use crate::percent::{decode_parameter, decode_segment};
use crate::route::{BodyRule, Route, resolve};
use crate::schema::{Cardinality, Field, MessageId, Schema};
use crate::transcode::{BadFields, EXCLUDED, MAX_NAMED, parse_field, parse_message, put_text, wire_type};
use crate::wire::{WireType, close_length, put_tag};

/// Maximum characters of an unknown parameter's name in an error.
const ECHO: usize = 64;

/// Error of a path variable or a parameter that is no percent-encoded UTF-8.
const BADLY_ENCODED: FieldError = FieldError::new(FieldReason::Malformed, "is badly percent-encoded");

/// Appends the request's message.
///
/// # Errors
/// INVALID_ARGUMENT: `MALFORMED_JSON`, or `INVALID_FIELDS` with every bad field.
pub(crate) fn bind(
    schema: &Schema,
    route: &Route,
    segments: &[&str],
    query: Option<&str>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut bad = Violations::default();
    bind_body(schema, route, body, out, &mut bad)?;
    // After the body: on the wire the last value of a field wins, and the path takes precedence over the body.
    bind_path(schema, route, segments, out, &mut bad);
    if let Some(query) = query {
        bind_query(schema, route, query, out, &mut bad);
    }
    if bad.is_empty() { Ok(()) } else { Err(bad.into_error()) }
}

fn bind_body(
    schema: &Schema,
    route: &Route,
    body: &[u8],
    out: &mut Vec<u8>,
    bad: &mut Violations,
) -> Result<(), Error> {
    if body.is_empty() || route.body == BodyRule::Ignored {
        return Ok(());
    }
    let json = std::str::from_utf8(body)
        .map_err(|error| malformed(body, Malformed::new(error.valid_up_to(), "it is not UTF-8")))?;
    let mut wrong = BadFields::new();
    let (parsed, whole) = match route.body {
        BodyRule::Field(slot) => {
            let field = &schema.message(route.input).fields[slot];
            (parse_field(schema, field, json, out, &mut wrong), &*field.json)
        }
        BodyRule::Whole | BodyRule::Ignored => (parse_message(schema, route.input, json, out, &mut wrong), "body"),
    };
    parsed.map_err(|fault| malformed(body, fault))?;
    for field in wrong {
        let path = if field.path.is_empty() { whole.to_owned() } else { field.path };
        bad.add(path, field.error);
    }
    Ok(())
}

fn malformed(body: &[u8], fault: Malformed) -> Error {
    let (line, column) = fault.position(body);
    let message = format!("the body is not JSON: at line {line}, column {column}, {}", fault.why);
    Error::new(kernel::Kind::InvalidArgument, "MALFORMED_JSON", message)
}

fn bind_path(schema: &Schema, route: &Route, segments: &[&str], out: &mut Vec<u8>, bad: &mut Violations) {
    for variable in &route.variables {
        let mut text = Cow::Borrowed("");
        for (at, segment) in segments[variable.segments.clone()].iter().enumerate() {
            match decode_segment(segment) {
                Ok(decoded) if at == 0 => text = decoded,
                Ok(decoded) => text = Cow::Owned(format!("{text}/{decoded}")),
                Err(_) => {
                    bad.add(variable.name.to_string(), BADLY_ENCODED);
                    return;
                }
            }
        }
        if let Err(error) = put_at(schema, route.input, &variable.field, &text, out) {
            bad.add(variable.name.to_string(), error);
        }
    }
}

fn bind_query(schema: &Schema, route: &Route, query: &str, out: &mut Vec<u8>, bad: &mut Violations) {
    let mut seen: Vec<Vec<usize>> = Vec::new();
    let mut named = 0;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, bound) = match decode_parameter(name) {
            Ok(name) => {
                let bound = bind_parameter(schema, route, &name, value, &mut seen, out);
                (name, bound)
            }
            Err(_) => (Cow::Borrowed(name), Err(BADLY_ENCODED)),
        };
        if let Err(error) = bound {
            bad.add(echo(&name), error);
            named += 1;
        }
        if named == MAX_NAMED {
            return;
        }
    }
}

fn bind_parameter(
    schema: &Schema,
    route: &Route,
    name: &str,
    value: &str,
    seen: &mut Vec<Vec<usize>>,
    out: &mut Vec<u8>,
) -> Result<(), FieldError> {
    const UNKNOWN: FieldError = FieldError::new(FieldReason::NotAllowed, "is no parameter of this path");
    if route.body == BodyRule::Whole {
        return Err(UNKNOWN);
    }
    let field_path = resolve(schema, route.input, name).ok_or(UNKNOWN)?;
    if route.body == BodyRule::Field(field_path[0]) {
        return Err(FieldError::new(FieldReason::NotAllowed, "belongs in the body"));
    }
    if route.variables.iter().any(|variable| *variable.field == *field_path) {
        return Err(FieldError::new(FieldReason::NotAllowed, "is given by the path"));
    }
    let text = decode_parameter(value).map_err(|_| BADLY_ENCODED)?;
    put_at(schema, route.input, &field_path, &text, out)?;
    let field = field_at(schema, route.input, &field_path);
    if field.is_some_and(|field| field.cardinality == Cardinality::Repeated) {
        return Ok(());
    }
    if seen.contains(&field_path) {
        return Err(FieldError::new(FieldReason::NotAllowed, "is given more than once"));
    }
    let sibling = |other: &Vec<usize>| match (other.split_last(), field_path.split_last(), field) {
        (Some((other, before)), Some((_, same)), Some(field)) => before == same && field.oneof_siblings.contains(other),
        _ => false,
    };
    if seen.iter().any(sibling) {
        return Err(FieldError::new(FieldReason::NotAllowed, EXCLUDED));
    }
    seen.push(field_path);
    Ok(())
}

/// Appends a text as the value of a field, nested in one message for each step of its path. Readers merge messages that
/// come in parts.
fn put_at(
    schema: &Schema,
    id: MessageId,
    field_path: &[usize],
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), FieldError> {
    let Some((first, rest)) = field_path.split_first() else { return Ok(()) };
    let field = &schema.message(id).fields[*first];
    if let Some(inner) = field.kind.message()
        && !rest.is_empty()
    {
        put_tag(out, field.number, WireType::Bytes);
        let start = out.len();
        put_at(schema, inner, rest, text, out)?;
        close_length(out, start);
        return Ok(());
    }
    put_tag(out, field.number, wire_type(field.kind));
    put_text(schema, field.kind, text, out)
}

fn field_at<'s>(schema: &'s Schema, root: MessageId, field_path: &[usize]) -> Option<&'s Field> {
    let (first, rest) = field_path.split_first()?;
    let field = &schema.message(root).fields[*first];
    match field.kind.message() {
        Some(inner) if !rest.is_empty() => field_at(schema, inner, rest),
        _ => Some(field),
    }
}

fn echo(name: &str) -> String {
    name.chars().take(ECHO).collect()
}
