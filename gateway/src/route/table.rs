//! The table of routes, built once from the descriptors.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::str::FromStr as _;
use std::sync::Arc;

use http::Method;
use http::uri::PathAndQuery;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use proto::options::HttpRule;

use super::tree::{Node, Segments};
use crate::rules::{self, Operation};
use crate::schema::{Cardinality, Compiler, Field, MessageId, Schema, Shape};

/// The types of error details, which travel as `Any`.
const DETAILS: &str = "google.rpc";
const HTTP_BODY: &str = "google.api.HttpBody";

/// Descriptors that a front can't serve.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors can't be served: {0}")]
pub struct UnusableDescriptors(String);

impl UnusableDescriptors {
    pub(crate) fn because(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }

    fn of(method: &MethodDescriptor, why: impl std::fmt::Display) -> Self {
        Self(format!("{}: {why}", method.full_name()))
    }
}

/// Routes and RPCs of a front.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Schema,
    routes: Vec<Arc<Route>>,
    tree: Node,
    rpcs: HashMap<Arc<str>, Rpc>,
}

/// A routable RPC.
#[derive(Debug)]
pub(crate) struct Rpc {
    /// `/package.Service/Method`.
    pub(crate) path: Arc<str>,
    /// The full name of its service.
    pub(crate) service: Arc<str>,
    /// True if the caller's side is a stream.
    pub(crate) takes_stream: bool,
    /// True if either side is a stream.
    pub(crate) streams: bool,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// The path template, which telemetry records as the route.
    pub(crate) template: Arc<str>,
    /// The path of the RPC.
    pub(crate) rpc: PathAndQuery,
    /// The full name of its service.
    pub(crate) service: Arc<str>,
    pub(crate) input: MessageId,
    pub(crate) body: BodyRule,
    pub(crate) variables: Box<[Bound]>,
    pub(crate) success: Success,
    /// True if it answers with a stream.
    pub(crate) streams: bool,
    /// Rules of the fields of its requests; none if they are not documented.
    pub(crate) rules: Option<&'static Operation>,
}

/// A field that the path fills.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Path of the field, as indices of fields from the request inwards.
    pub(crate) field: Box<[usize]>,
    /// Path of the field in errors: JSON names with dots.
    pub(crate) name: Box<str>,
    pub(crate) segments: Range<usize>,
}

/// Part of the request that its body fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRule {
    Ignored,
    Whole,
    Field(usize),
}

/// Part of the answer that its body shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Success {
    Message(MessageId),
    Field(MessageId, usize),
    /// `google.api.HttpBody`: bytes with a content type of their own.
    Raw,
}

impl Table {
    /// Reads an encoded `google.protobuf.FileDescriptorSet`. Only RPCs whose path `is_routable` accepts are routed.
    pub(crate) fn new(descriptors: &[u8], is_routable: impl Fn(&str) -> bool) -> Result<Self, UnusableDescriptors> {
        let pool = DescriptorPool::decode(descriptors).map_err(UnusableDescriptors::because)?;
        let mut compiler = Compiler::default();
        for message in pool.all_messages().filter(|message| message.package_name() == DETAILS) {
            compiler.response(&message).map_err(UnusableDescriptors::because)?;
        }
        let mut routed = Vec::new();
        let mut rpcs = HashMap::new();
        for service in pool.services() {
            let service_name: Arc<str> = service.full_name().into();
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                if !is_routable(&path) {
                    continue;
                }
                for rule in HttpRule::of(&method).map_err(UnusableDescriptors::because)? {
                    let unusable = |why| UnusableDescriptors::of(&method, why);
                    let input = compiler.request(&method.input()).map_err(unusable)?;
                    let output = compiler.response(&method.output()).map_err(unusable)?;
                    routed.push((method.clone(), service_name.clone(), path.clone(), rule, input, output));
                }
                let path: Arc<str> = path.into();
                let takes_stream = method.is_client_streaming();
                let streams = method.is_server_streaming() || takes_stream;
                rpcs.insert(Arc::clone(&path), Rpc { path, service: service_name.clone(), takes_stream, streams });
            }
        }

        let mut table = Self { schema: compiler.finish(), routes: Vec::new(), tree: Node::default(), rpcs };
        for (method, service, path, rule, input, output) in routed {
            table
                .add(&method, service, &path, &rule, input, output)
                .map_err(|why| UnusableDescriptors::of(&method, why))?;
        }
        Ok(table)
    }

    fn add(
        &mut self,
        method: &MethodDescriptor,
        service: Arc<str>,
        path: &str,
        rule: &HttpRule,
        input: MessageId,
        output: MessageId,
    ) -> Result<(), String> {
        if method.is_client_streaming() {
            return Err("a stream of requests has no route".to_owned());
        }
        let verb = Method::from_str(rule.method).map_err(|error| error.to_string())?;
        let variables = rule.path.variables().iter().map(|variable| {
            let field = resolve(&self.schema, input, &variable.field)
                .ok_or_else(|| format!("{:?} is no field that a path can fill", variable.field))?;
            let name = json_name(&self.schema, input, &field).into_boxed_str();
            Ok(Bound { field: field.into(), name, segments: variable.segments.clone() })
        });
        let variables = variables.collect::<Result<_, String>>()?;
        let slot = |id, name: &str| {
            self.schema.message(id).named(name).ok_or_else(|| format!("{name:?} is no field that a body can be"))
        };
        let body = match rule.body.as_str() {
            "" => BodyRule::Ignored,
            "*" => BodyRule::Whole,
            field => BodyRule::Field(slot(input, field)?),
        };
        let success = match rule.response_body.as_str() {
            "" if method.output().full_name() == HTTP_BODY => Success::Raw,
            "" => Success::Message(output),
            field => Success::Field(output, slot(output, field)?),
        };
        if method.is_server_streaming() && success != Success::Raw {
            return Err(format!("a stream has a route only as parts of one body: of {HTTP_BODY}"));
        }
        if !self.tree.insert(verb, &rule.path, self.routes.len()) {
            return Err(format!("{} {} is taken or too long", rule.method, rule.path));
        }
        self.routes.push(Arc::new(Route {
            template: rule.path.as_str().into(),
            rpc: PathAndQuery::from_str(path).map_err(|error| error.to_string())?,
            service,
            input,
            body,
            variables,
            success,
            streams: method.is_server_streaming(),
            rules: rules::of(rule.method, rule.path.as_str()),
        }));
        Ok(())
    }

    /// The route of a request.
    pub(crate) fn find(&self, method: &Method, segments: &Segments<'_>) -> Option<&Arc<Route>> {
        self.tree.find(method, segments.as_slice()).map(|at| &self.routes[at])
    }

    /// Returns a routable RPC by its path.
    pub(crate) fn rpc(&self, path: &str) -> Option<&Rpc> {
        self.rpcs.get(path)
    }

    /// Returns the full names of the services with a routable RPC.
    pub(crate) fn services(&self) -> BTreeSet<&Arc<str>> {
        self.rpcs.values().map(|rpc| &rpc.service).collect()
    }
}

/// Resolves the path of a field that a text can fill: JSON or proto names, separated by dots. Fields inside a list or a map
/// have no such path, and objects have no text form.
pub(crate) fn resolve(schema: &Schema, root: MessageId, path: &str) -> Option<Vec<usize>> {
    let mut field_path = Vec::new();
    let mut id = root;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let slot = schema.message(id).named(name)?;
        field_path.push(slot);
        let field = &schema.message(id).fields[slot];
        let inner = object(schema, field);
        if names.peek().is_none() {
            return (inner.is_none() && field.cardinality != Cardinality::Map).then_some(field_path);
        }
        id = inner.filter(|_| field.cardinality == Cardinality::Explicit)?;
    }
    None
}

/// The message of a field that is an object in JSON.
fn object(schema: &Schema, field: &Field) -> Option<MessageId> {
    field.kind.message().filter(|id| matches!(schema.message(*id).shape, Shape::Object | Shape::Any))
}

fn json_name(schema: &Schema, root: MessageId, field_path: &[usize]) -> String {
    let mut id = root;
    let mut names = Vec::new();
    for slot in field_path {
        let field = &schema.message(id).fields[*slot];
        names.push(&*field.json);
        id = field.kind.message().unwrap_or(id);
    }
    names.join(".")
}
