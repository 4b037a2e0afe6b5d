//! Reads the REST surface from the descriptors, independently of the emitter.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value as Reflected,
};

use crate::document::{Answer, Operation, Shape};
use crate::{Rpc, methods};

/// Strings that hold a time with the offset given by the caller.
const TIMES: [&str; 3] =
    ["Session.session_date", "Appointment.appointment_date", "CreateAppointmentRequest.appointment_date"];

/// Partial updates: no field is required, and absent fields keep their values.
const PARTIAL: [&str; 2] = ["UpdateEntry", "UpdateSession"];

/// Message fields that an answer may lack. Services always set the others.
const MAY_BE_ABSENT: [&str; 12] = [
    "ClientRelation.access_since",
    "ClientRelation.entries_from",
    "ClientRelation.expires_at",
    "ClientRelation.mapped_since",
    "Relation.access_since",
    "Relation.entries_from",
    "Relation.expires_at",
    "Relation.mapped_since",
    "TherapistRelation.access_since",
    "TherapistRelation.entries_from",
    "TherapistRelation.expires_at",
    "TherapistRelation.mapped_since",
];

/// Fields that accept only some values of their enum: the service sets the others itself.
const CHOICES: [(&str, &[&str]); 2] = [
    ("JournalAccessChange.access", &["ACCEPTED", "REJECTED", "REVOKED"]),
    ("StatusChange.status", &["ACCEPTED", "REJECTED", "REVOKED"]),
];

/// A REST route of an RPC.
#[derive(Debug)]
pub struct Route {
    /// The RPC.
    pub rpc: Rpc,
    /// Method and path, such as `GET /journal/{clientId}`.
    pub row: String,
    /// Fields in the path.
    pub variables: Vec<FieldDescriptor>,
    /// Body field as in google.api.http: empty, `*` or a field name.
    pub body: String,
    /// Field of the answer that is its body; none for the whole message.
    pub response_body: Option<FieldDescriptor>,
}

/// Returns all routes, with aliases.
#[must_use]
pub fn routes(pool: &DescriptorPool) -> Vec<Route> {
    let extension = pool.get_extension_by_name("google.api.http").unwrap();
    let mut routes = Vec::new();
    for method in methods(pool) {
        let options = method.options();
        if !options.has_extension(&extension) {
            continue;
        }
        let rule = options.get_extension(&extension).as_message().unwrap().clone();
        let aliases = rule.get_field_by_name("additional_bindings").unwrap();
        let aliases: Vec<_> =
            aliases.as_list().unwrap().iter().map(|rule| rule.as_message().unwrap().clone()).collect();
        routes.extend([rule].into_iter().chain(aliases).map(|rule| route(&method, &rule)));
    }
    routes
}

fn route(method: &MethodDescriptor, rule: &DynamicMessage) -> Route {
    let text = |name: &str| rule.get_field_by_name(name).unwrap().as_str().unwrap().to_owned();
    let (verb, template) = ["get", "put", "post", "delete"]
        .iter()
        .map(|verb| (verb.to_uppercase(), text(verb)))
        .find(|(_, template)| !template.is_empty())
        .unwrap();
    let mut variables = Vec::new();
    let mut row = format!("{verb} ");
    for (at, part) in template.split(['{', '}']).enumerate() {
        if at % 2 == 0 {
            row.push_str(part);
        } else {
            let field = method.input().get_field_by_name(part).unwrap();
            row.push_str(&format!("{{{}}}", field.json_name()));
            variables.push(field);
        }
    }
    let response_body = method.output().get_field_by_name(&text("response_body"));
    Route { rpc: Rpc::of(method.clone()), row, variables, body: text("body"), response_body }
}

/// Returns the operations by method and path.
#[must_use]
pub fn operations(pool: &DescriptorPool) -> BTreeMap<String, Operation> {
    routes(pool).into_iter().map(|route| (route.row.clone(), operation(&route))).collect()
}

fn operation(route: &Route) -> Operation {
    let access = &route.rpc.access;
    let input = route.rpc.method.input();
    let in_path = |field: &FieldDescriptor| route.variables.contains(field);
    let mut parameters = BTreeMap::new();
    for field in input.fields() {
        let place = match route.body.as_str() {
            _ if in_path(&field) => "path",
            "*" => continue,
            body if body == field.name() => continue,
            _ => "query",
        };
        let required = place == "path" || behaves(&field, "REQUIRED");
        parameters.insert((place.to_owned(), field.json_name().to_owned()), (required, value(&field, Side::Request)));
    }
    if route.row.starts_with("POST ") && !route.row.starts_with("POST /auth/") {
        parameters.insert(("header".to_owned(), "Idempotency-Key".to_owned()), (false, Shape::Text));
    }
    if route.rpc.method.is_server_streaming() {
        parameters.insert(("header".to_owned(), "Last-Event-ID".to_owned()), (false, Shape::Text));
    }
    parameters.insert(("header".to_owned(), "x-request-id".to_owned()), (false, Shape::Text));
    Operation {
        public: access.allows_anonymous(),
        parameters,
        body: body(route),
        status: access.http_status,
        answer: answer(route),
        pages: route.rpc.method.output().get_field_by_name("next_page_token").is_some(),
    }
}

fn body(route: &Route) -> Option<(bool, Shape)> {
    let input = route.rpc.method.input();
    let side = if PARTIAL.contains(&route.rpc.method.name()) { Side::Change } else { Side::Request };
    let fields: Vec<_> = match route.body.as_str() {
        "" => return None,
        "*" => input.fields().filter(|field| !route.variables.contains(field)).collect(),
        name => input.get_field_by_name(name).unwrap().kind().as_message().unwrap().fields().collect(),
    };
    let required = side == Side::Request && fields.iter().any(|field| behaves(field, "REQUIRED"));
    Some((required, object(fields.into_iter(), side)))
}

fn answer(route: &Route) -> Answer {
    let Rpc { method, access } = &route.rpc;
    match &route.response_body {
        _ if access.http_status == 204 => Answer::Nothing,
        _ if method.is_server_streaming() => Answer::Events,
        None => Answer::Json(message(&method.output(), Side::Answer)),
        Some(field) => Answer::Json(value(field, Side::Answer)),
    }
}

/// Direction of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Answer,
    Request,
    /// A partial update: no field is required.
    Change,
}

fn message(message: &MessageDescriptor, side: Side) -> Shape {
    object(message.fields(), side)
}

fn object(fields: impl Iterator<Item = FieldDescriptor>, side: Side) -> Shape {
    // Output-only fields are not part of a request.
    let fields = fields.filter(|field| side == Side::Answer || !behaves(field, "OUTPUT_ONLY"));
    let described = fields.map(|field| {
        let required = match side {
            Side::Answer => !MAY_BE_ABSENT.contains(&full_name(&field).as_str()),
            Side::Request => behaves(&field, "REQUIRED"),
            Side::Change => false,
        };
        (field.json_name().to_owned(), (required, value(&field, side)))
    });
    Shape::Object(described.collect())
}

fn value(field: &FieldDescriptor, side: Side) -> Shape {
    let name = full_name(field);
    let one = match field.kind() {
        Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp" => Shape::Time,
        Kind::Message(kind) => message(&kind, side),
        Kind::Enum(kind) => {
            let choice = CHOICES.iter().find(|(of, _)| *of == name).map(|(_, choice)| *choice);
            let values = kind.values().map(|value| value.name().to_owned());
            let known: Vec<_> = values.filter(|value| !value.ends_with("_UNSPECIFIED")).collect();
            assert_eq!(known.len() + 1, kind.values().len(), "{name}: one value is for what is not told");
            let mut values =
                choice.map_or(known.clone(), |choice| choice.iter().map(|&value| value.to_owned()).collect());
            assert!(values.iter().all(|value| known.contains(value)), "{name}");
            values.sort();
            Shape::OneOf(values)
        }
        Kind::String if TIMES.contains(&name.as_str()) => Shape::Time,
        Kind::String => Shape::Text,
        Kind::Bool => Shape::Boolean,
        Kind::Int32 => Shape::Whole,
        Kind::Double => Shape::Number,
        other => panic!("{name}: no route has had a {other:?} yet"),
    };
    if field.is_list() { Shape::List(Box::new(one)) } else { one }
}

/// Returns `Message.field`.
fn full_name(field: &FieldDescriptor) -> String {
    format!("{}.{}", field.parent_message().name(), field.name())
}

fn behaves(field: &FieldDescriptor, behaviour: &str) -> bool {
    let extension = field.parent_pool().get_extension_by_name("google.api.field_behavior").unwrap();
    let Kind::Enum(kind) = extension.kind() else { panic!("google.api.field_behavior is an enum") };
    let number = kind.get_value_by_name(behaviour).unwrap().number();
    let options = field.options();
    let told = options.get_extension(&extension);
    told.as_list().unwrap().iter().any(|told| *told == Reflected::EnumNumber(number))
}
