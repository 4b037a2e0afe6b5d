//! Readers of the options of RPCs: `google.api.http` and `therapy.options.v1.rule`.
//!
//! `build.rs` compiles this file too, so that every RPC in a binary has options that these readers accept.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

use prost_reflect::prost_types::method_options::IdempotencyLevel;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value};

use crate::path_template::PathTemplate;
use crate::rpc::{Caller, Ends};

/// Full name of the option that holds an RPC's HTTP rules.
pub const HTTP: &str = "google.api.http";

/// Full name of the option that holds an RPC's access rule.
pub const ACCESS: &str = "therapy.options.v1.rule";

/// An option that its reader does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOption(String);

/// One way to call an RPC over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRule {
    /// `GET`, `PUT`, `POST`, `DELETE` or `PATCH`.
    pub method: &'static str,
    /// Path template.
    pub path: PathTemplate,
    /// Field that the request body fills: `*` for the whole message, empty for no body.
    pub body: String,
    /// Field that is the response body: empty for the whole message.
    pub response_body: String,
}

/// Access to an RPC, and the form of its success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// The kinds of people who may call; empty for an internal RPC.
    pub callers: Vec<Caller>,
    /// The workloads that may call; empty for any other RPC.
    pub workloads: Vec<String>,
    /// The HTTP status of a success.
    pub http_status: u16,
    /// Calls that end something.
    pub ends: Ends,
}

/// The options of an RPC of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcOptions {
    /// Access rule.
    pub access: AccessRule,
    /// HTTP rules; none if it has no route.
    pub http: Vec<HttpRule>,
    /// Set if a call may be repeated.
    pub idempotent: bool,
    /// Set if it only reads.
    pub reads: bool,
    /// Set if a call may name the etag that the resource must have.
    pub takes_if_match: bool,
}

impl RpcOptions {
    /// Returns the options of an RPC.
    ///
    /// # Errors
    /// If it has no access rule, or if its options contradict each other. The build fails then.
    pub fn of(rpc: &MethodDescriptor) -> Result<Self, InvalidOption> {
        let invalid = |reason| Err(InvalidOption::of(rpc, reason));
        let http = HttpRule::of(rpc)?;
        let Some(access) = AccessRule::of(rpc)? else {
            return invalid("there is no (therapy.options.v1.rule): say who may call it");
        };
        if access.is_internal() && !http.is_empty() {
            return invalid("an internal RPC must not have a route");
        }
        let idempotent = idempotency_level(rpc) != IdempotencyLevel::IdempotencyUnknown;
        if access.is_internal() && !idempotent {
            return invalid("services repeat the calls between them: say `option idempotency_level`");
        }
        let shown = http.iter().map(|rule| &*rule.response_body).find(|field| !field.is_empty());
        if shown.is_some_and(|field| rpc.output().get_field_by_name(field).is_none()) {
            return invalid("there is no such field to answer with as response_body names");
        }
        let (reads, takes_if_match) = (reads(rpc, &http), takes_if_match(rpc, &http));
        Ok(Self { access, http, idempotent, reads, takes_if_match })
    }

    /// Returns the JSON name of the field that is the response body; empty for the whole message.
    #[must_use]
    pub fn response_body(&self, rpc: &MethodDescriptor) -> String {
        let field = self.http.first().and_then(|rule| rpc.output().get_field_by_name(&rule.response_body));
        field.map(|field| field.json_name().to_owned()).unwrap_or_default()
    }
}

impl HttpRule {
    /// Returns the HTTP rules of an RPC, the additional bindings last; none if it has no route.
    ///
    /// # Errors
    /// If a rule has a method or a path that is not supported.
    pub fn of(rpc: &MethodDescriptor) -> Result<Vec<Self>, InvalidOption> {
        let Some(rule) = option(rpc, HTTP) else { return Ok(Vec::new()) };
        let aliases = list(&rule, "additional_bindings");
        let all = [&rule].into_iter().chain(aliases.iter().filter_map(Value::as_message));
        all.map(|rule| Self::read(rpc, rule)).collect()
    }

    fn read(rpc: &MethodDescriptor, rule: &DynamicMessage) -> Result<Self, InvalidOption> {
        let text = |field: &str| rule.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned));
        let methods = [("get", "GET"), ("put", "PUT"), ("post", "POST"), ("delete", "DELETE"), ("patch", "PATCH")];
        let (field, method) = methods
            .into_iter()
            .find(|(field, _)| rule.has_field_by_name(field))
            .ok_or_else(|| InvalidOption::of(rpc, "a route has a method: get, put, post, delete or patch"))?;
        let path = text(field).unwrap_or_default();
        Ok(Self {
            method,
            path: PathTemplate::parse(&path)
                .ok_or_else(|| InvalidOption::of(rpc, format!("{path:?} is no path template")))?,
            body: text("body").unwrap_or_default(),
            response_body: text("response_body").unwrap_or_default(),
        })
    }
}

impl AccessRule {
    /// Returns the access rule of an RPC; none if its proto states none.
    ///
    /// # Errors
    /// If it names both callers and workloads, or neither, or if it has a value that no rule may have.
    pub fn of(rpc: &MethodDescriptor) -> Result<Option<Self>, InvalidOption> {
        let Some(rule) = option(rpc, ACCESS) else { return Ok(None) };
        let callers = list(&rule, "callers").into_iter().map(|caller| match caller.as_enum_number() {
            Some(1) => Ok(Caller::Anyone),
            Some(2) => Ok(Caller::Client),
            Some(3) => Ok(Caller::Therapist),
            _ => Err(InvalidOption::of(rpc, "a caller is ANYONE, CLIENT or THERAPIST")),
        });
        let callers = callers.collect::<Result<Vec<_>, _>>()?;
        let workloads: Vec<_> =
            list(&rule, "workloads").iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        if callers.is_empty() == workloads.is_empty() {
            return Err(InvalidOption::of(rpc, "a rule names callers or workloads, and not both"));
        }
        let http_status = match rule.get_field_by_name("http_status").and_then(|status| status.as_u32()) {
            None | Some(0) => 200,
            Some(201) => 201,
            Some(202) => 202,
            Some(204) => 204,
            Some(other) => {
                return Err(InvalidOption::of(rpc, format!("http_status {other} is none of 201, 202 and 204")));
            }
        };
        let ends = match rule.get_field_by_name("ends").and_then(|ends| ends.as_enum_number()) {
            Some(1) => Ends::Always,
            Some(2) => Ends::ByRequest,
            _ => Ends::Never,
        };
        Ok(Some(Self { callers, workloads, http_status, ends }))
    }

    /// Returns whether only other services may call.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.callers.is_empty()
    }

    /// Returns whether it may be called without a token.
    #[must_use]
    pub fn allows_anonymous(&self) -> bool {
        self.callers.contains(&Caller::Anyone)
    }
}

impl InvalidOption {
    /// Creates the error of an RPC.
    pub fn of(rpc: &MethodDescriptor, reason: impl fmt::Display) -> Self {
        Self(format!("{}: {reason}", rpc.full_name()))
    }
}

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InvalidOption {}

/// Returns whether an RPC only reads: each route is a GET, or its proto says NO_SIDE_EFFECTS.
#[must_use]
pub fn reads(rpc: &MethodDescriptor, http: &[HttpRule]) -> bool {
    let is_get = !http.is_empty() && http.iter().all(|rule| rule.method == "GET");
    is_get || idempotency_level(rpc) == IdempotencyLevel::NoSideEffects
}

/// Returns whether a message shows the version of a resource.
#[must_use]
pub fn has_etag(message: &MessageDescriptor) -> bool {
    message.get_field_by_name("etag").is_some()
}

/// Returns whether an RPC changes what has an etag: by PUT with an etag in the body, or by DELETE where an RPC of the same
/// service reads by the same fields, and answers an etag.
#[must_use]
pub fn takes_if_match(rpc: &MethodDescriptor, http: &[HttpRule]) -> bool {
    let fields = |rpc: &MethodDescriptor| {
        let input = rpc.input();
        input.fields().map(|field| field.name().to_owned()).collect::<BTreeSet<_>>()
    };
    http.iter().any(|rule| match rule.method {
        "PUT" => {
            let body = rpc.input().get_field_by_name(&rule.body).map(|field| field.kind());
            body.as_ref().and_then(Kind::as_message).is_some_and(has_etag)
        }
        "DELETE" => {
            rpc.parent_service().methods().any(|other| has_etag(&other.output()) && fields(&other) == fields(rpc))
        }
        _ => false,
    })
}

/// Returns the `idempotency_level` of an RPC.
#[must_use]
pub fn idempotency_level(rpc: &MethodDescriptor) -> IdempotencyLevel {
    let proto = rpc.method_descriptor_proto();
    proto.options.as_ref().map_or(IdempotencyLevel::IdempotencyUnknown, |options| options.idempotency_level())
}

/// Returns the message in an option of an RPC; none if it is not set.
fn option(rpc: &MethodDescriptor, name: &str) -> Option<DynamicMessage> {
    let extension = rpc.parent_pool().get_extension_by_name(name)?;
    let options = rpc.options();
    if options.has_extension(&extension) { options.get_extension(&extension).as_message().cloned() } else { None }
}

fn list(message: &DynamicMessage, field: &str) -> Vec<Value> {
    message.get_field_by_name(field).and_then(|value| value.as_list().map(<[Value]>::to_vec)).unwrap_or_default()
}
