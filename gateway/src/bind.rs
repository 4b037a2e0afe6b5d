//! Binds path, query and body of an HTTP request to the fields of its RPC's message, as `google.api.http` describes it.
//! Every bad field of all three is reported at once.

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use kernel::{Error, FieldError, FieldReason, Violations};

use crate::json::Malformed;
use crate::percent::{decode_parameter, decode_segment};
use crate::route::{BodyRule, Route, resolve};
use crate::schema::{Cardinality, Field, MessageId, Schema};
use crate::transcode::{BadField, BadFields, EXCLUDED, MAX_NAMED, parse_field, parse_message, put_text, wire_type};
use crate::wire::{WireType, close_length, put_tag};

/// Maximum characters of an unknown parameter's name in an error.
const ECHO: usize = 64;

/// U+FEFF in UTF-8. RFC 8259, section 8.1, forbids to send one.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Error of a path variable or a parameter that is no percent-encoded UTF-8.
const BADLY_ENCODED: FieldError = FieldError::new(FieldReason::Malformed, "is badly percent-encoded");

/// Description of a parameter whose plus, as forms encode a space, was meant as one.
const PLUS_IS_SPACE: &str = "has a + that stands for a space: write + as %2B";

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
    let mut of_body = BadFields::new();
    bind_body(schema, route, body, out, &mut of_body)?;
    // After the body: on the wire the last value of a field wins, and the path takes precedence over the body.
    let (mut of_path, mut of_query) = (BadFields::new(), BadFields::new());
    bind_path(schema, route, segments, out, &mut of_path);
    bind_query(schema, route, query.unwrap_or_default(), out, &mut of_query);
    if of_body.is_empty() && of_path.is_empty() && of_query.is_empty() {
        return Ok(());
    }
    if let Some(rules) = route.rules {
        if let Some(message) = body_message(schema, route) {
            let json = std::str::from_utf8(body).unwrap_or_default();
            of_body = rules.judge_body(schema, message, json, of_body);
        }
        of_query = rules.judge_query(schema, route.input, query.unwrap_or_default(), of_query);
    }
    let mut bad = Violations::default();
    for BadField { path, error } in of_body {
        bad.add(if path.is_empty() { "body".to_owned() } else { path }, error);
    }
    for BadField { path, error } in of_path.into_iter().chain(of_query) {
        bad.add(path, error);
    }
    Err(bad.into_error())
}

/// Returns the message whose fields the body has.
pub(crate) fn body_message(schema: &Schema, route: &Route) -> Option<MessageId> {
    match route.body {
        BodyRule::Ignored => None,
        BodyRule::Whole => Some(route.input),
        BodyRule::Field(slot) => schema.message(route.input).fields[slot].kind.message(),
    }
}

fn bind_body(schema: &Schema, route: &Route, body: &[u8], out: &mut Vec<u8>, bad: &mut BadFields) -> Result<(), Error> {
    if body.is_empty() || route.body == BodyRule::Ignored {
        return Ok(());
    }
    if body.starts_with(BYTE_ORDER_MARK) {
        return Err(malformed(body, Malformed::new(0, "it begins with a byte order mark: send it without one")));
    }
    let json = std::str::from_utf8(body)
        .map_err(|error| malformed(body, Malformed::new(error.valid_up_to(), "it is not UTF-8")))?;
    let parsed = match route.body {
        BodyRule::Field(slot) => parse_field(schema, &schema.message(route.input).fields[slot], json, out, bad),
        BodyRule::Whole | BodyRule::Ignored => parse_message(schema, route.input, json, out, bad),
    };
    parsed.map_err(|fault| malformed(body, fault))
}

fn malformed(body: &[u8], fault: Malformed) -> Error {
    let (line, column) = fault.position(body);
    let message = format!("the body is not JSON: at line {line}, column {column}, {}", fault.why);
    Error::new(kernel::Kind::InvalidArgument, "MALFORMED_JSON", message)
}

fn bind_path(schema: &Schema, route: &Route, segments: &[&str], out: &mut Vec<u8>, bad: &mut BadFields) {
    for variable in &route.variables {
        let bound = decode_variable(&segments[variable.segments.clone()])
            .and_then(|text| put_at(schema, route.input, &variable.field, &text, out));
        if let Err(error) = bound {
            bad.push(BadField { path: variable.name.to_string(), error });
        }
    }
}

/// Decodes the segments of a variable.
fn decode_variable<'a>(segments: &[&'a str]) -> Result<Cow<'a, str>, FieldError> {
    let mut decoded = segments.iter().map(|segment| decode_segment(segment).map_err(|_| BADLY_ENCODED));
    let first = decoded.next().unwrap_or(Ok(Cow::Borrowed("")))?;
    decoded.try_fold(first, |text, next| Ok(Cow::Owned(format!("{text}/{}", next?))))
}

fn bind_query(schema: &Schema, route: &Route, query: &str, out: &mut Vec<u8>, bad: &mut BadFields) {
    let mut seen: Vec<Vec<usize>> = Vec::new();
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
            bad.push(BadField { path: echo(&name), error });
        }
        if bad.len() == MAX_NAMED {
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
    let put = |text: &str, out: &mut Vec<u8>| put_at(schema, route.input, &field_path, text, out);
    put(&text, out).map_err(|error| {
        let has_plus = value.contains('+') && put(&text.replace(' ', "+"), &mut Vec::new()).is_ok();
        if has_plus { FieldError::new(FieldReason::Malformed, PLUS_IS_SPACE) } else { error }
    })?;
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
