//! Reads routes, comments and enum values from the descriptors.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::fmt;

use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor,
};
use proto::options::{self, AccessRule, HttpRule, InvalidOption};

use crate::examples;
use crate::prose::{Glossary, camel_case, markdown};

/// Routes, comments and enum values of the descriptors.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) routes: Vec<Route>,
    /// The reasons of errors.
    pub(crate) reasons: EnumDescriptor,
    /// The reasons of bad fields.
    pub(crate) field_reasons: EnumDescriptor,
    comments: HashMap<(String, Vec<i32>), String>,
    /// The values of the enums.
    values: HashSet<String>,
}

/// A way to call an RPC over REST.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) rpc: MethodDescriptor,
    pub(crate) access: AccessRule,
    pub(crate) http: HttpRule,
    /// 0 for the first, then one more for each alias.
    pub(crate) alias: usize,
    pub(crate) body: Body,
    /// Field of the response that is the body; none for the whole message.
    pub(crate) response_body: Option<FieldDescriptor>,
    /// Set if it may name the etag that the resource must have.
    pub(crate) takes_if_match: bool,
}

/// Part of the request that is the body.
#[derive(Debug, PartialEq)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// All that isn't in the path.
    Whole,
    /// One field; the rest is in the path and the query.
    Field(FieldDescriptor),
}

impl Contract {
    /// Reads an encoded `google.protobuf.FileDescriptorSet`.
    pub(crate) fn read(descriptors: &[u8]) -> Result<Self, Box<dyn Error>> {
        let pool = DescriptorPool::decode(descriptors)?;
        let mut routes = Vec::new();
        for service in pool.services() {
            for method in service.methods() {
                routes.extend(routes_of(&method)?);
            }
        }
        let is_ours = |kind: &EnumDescriptor| kind.full_name().starts_with("therapy.");
        let values = pool.all_enums().filter(is_ours).flat_map(|kind| examples::values(&kind)).collect();
        let named = |name: &str| pool.get_enum_by_name(name).ok_or_else(|| format!("there is no enum {name}"));
        let reasons = named("therapy.errors.v1.Reason")?;
        let field_reasons = named("therapy.errors.v1.FieldReason")?;
        Ok(Self {
            routes,
            reasons,
            field_reasons,
            comments: pool.files().flat_map(|file| comments_of(&file)).collect(),
            values,
        })
    }

    /// Every field of every message, as `Message.field` and by its name alone.
    pub(crate) fn fields(&self) -> BTreeSet<String> {
        let pools = self.routes.first().map(|route| route.rpc.parent_pool().clone());
        let messages = pools.iter().flat_map(|pool| pool.all_messages().collect::<Vec<_>>());
        let names = |field: FieldDescriptor| {
            [format!("{}.{}", field.parent_message().name(), field.name()), field.name().to_owned()]
        };
        messages.flat_map(|message| message.fields().flat_map(names).collect::<Vec<_>>()).collect()
    }

    /// Returns a message of our protos by its name without the package.
    pub(crate) fn message(&self, name: &str) -> Option<MessageDescriptor> {
        let pool = self.routes.first()?.rpc.parent_pool().clone();
        pool.all_messages().find(|message| message.name() == name && message.full_name().starts_with("therapy."))
    }

    /// The comment before something as Markdown; empty if there is none.
    pub(crate) fn markdown(&self, file: &FileDescriptor, path: &[i32]) -> String {
        let comment = self.comments.get(&(file.name().to_owned(), path.to_vec())).map_or("", String::as_str);
        markdown(comment, self)
    }
}

impl Glossary for Contract {
    fn route(&self, name: &str) -> Option<String> {
        self.routes.iter().find(|route| route.rpc.name() == name).map(Route::to_string)
    }

    fn is_value(&self, word: &str) -> bool {
        self.values.contains(word)
    }
}

/// Written as `GET /journal/{clientId}`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.http.method, self.path())
    }
}

impl Route {
    /// With the variables as JSON names them.
    pub(crate) fn path(&self) -> String {
        camel_case(self.http.path.as_str())
    }

    /// The fields in the path, as the proto names them.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.http.path.variables().iter().map(|variable| &*variable.field)
    }

    /// Returns the full name of the RPC's service.
    pub(crate) fn service(&self) -> String {
        self.rpc.parent_service().full_name().to_owned()
    }

    /// Returns whether its answer has an etag.
    pub(crate) fn answers_etag(&self) -> bool {
        options::has_etag(&self.rpc.output())
    }

    /// Returns whether it answers 304 to a caller who knows the present etag.
    pub(crate) fn takes_if_none_match(&self) -> bool {
        self.http.method == "GET" && self.answers_etag()
    }

    pub(crate) fn has_body(&self) -> bool {
        self.body != Body::None
    }

    /// The fields in the query.
    pub(crate) fn query(&self) -> Vec<FieldDescriptor> {
        let in_query = |field: &FieldDescriptor| {
            !self.variables().any(|name| name == field.name())
                && match &self.body {
                    Body::None => true,
                    Body::Whole => false,
                    Body::Field(body) => body != field,
                }
        };
        self.rpc.input().fields().filter(in_query).collect()
    }
}

fn comments_of(file: &FileDescriptor) -> Vec<((String, Vec<i32>), String)> {
    let locations = file.file_descriptor_proto().source_code_info.clone().unwrap_or_default().location;
    let commented = locations.into_iter().filter_map(|location| Some((location.path, location.leading_comments?)));
    commented.map(|(path, comment)| ((file.name().to_owned(), path), comment)).collect()
}

fn routes_of(rpc: &MethodDescriptor) -> Result<Vec<Route>, InvalidOption> {
    let routes = HttpRule::of(rpc)?;
    let takes_if_match = options::takes_if_match(rpc, &routes);
    routes.into_iter().enumerate().map(|(alias, http)| route(rpc, alias, http, takes_if_match)).collect()
}

fn route(rpc: &MethodDescriptor, alias: usize, http: HttpRule, takes_if_match: bool) -> Result<Route, InvalidOption> {
    let access = AccessRule::of(rpc)?.ok_or_else(|| InvalidOption::of(rpc, "has no access rule"))?;
    let field = |message: MessageDescriptor, name: &str| {
        message.get_field_by_name(name).ok_or_else(|| InvalidOption::of(rpc, format!("no field {name}")))
    };
    let body = match http.body.as_str() {
        "" => Body::None,
        "*" => Body::Whole,
        name => Body::Field(field(rpc.input(), name)?),
    };
    let response_body = match http.response_body.as_str() {
        "" => None,
        name => Some(field(rpc.output(), name)?),
    };
    Ok(Route { rpc: rpc.clone(), access, http, alias, body, response_body, takes_if_match })
}
