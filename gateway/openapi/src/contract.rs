//! Reads routes, comments and enum values from the descriptors.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::fmt;

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, MethodDescriptor, Value,
};
use proto::Rpc;

use crate::examples;
use crate::prose::{Glossary, camel_case, markdown};

/// Routes, comments and enum values of the descriptors.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) routes: Vec<Route>,
    comments: HashMap<(String, Vec<i32>), String>,
    /// The values of the enums.
    values: HashSet<String>,
}

/// A way to call an RPC over REST.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) rpc: &'static Rpc,
    pub(crate) method: MethodDescriptor,
    /// 0 for the first, then one more for each alias.
    pub(crate) alias: usize,
    /// In lower case.
    pub(crate) verb: &'static str,
    /// With the variables as the proto names them.
    pub(crate) template: String,
    pub(crate) body: Body,
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

const VERBS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

impl Contract {
    pub(crate) fn load() -> Result<Self, Box<dyn Error>> {
        let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET)?;
        let mut routes = Vec::new();
        for service in pool.services() {
            for method in service.methods() {
                routes.extend(routes_of(&pool, &method)?);
            }
        }
        let is_ours = |kind: &EnumDescriptor| kind.full_name().starts_with("therapy.");
        let values = pool.all_enums().filter(is_ours).flat_map(|kind| examples::values(&kind)).collect();
        Ok(Self { routes, comments: pool.files().flat_map(|file| comments_of(&file)).collect(), values })
    }

    /// Every field of every message, as `Message.field` and by its name alone.
    pub(crate) fn fields(&self) -> BTreeSet<String> {
        let pools = self.routes.first().map(|route| route.method.parent_pool().clone());
        let messages = pools.iter().flat_map(|pool| pool.all_messages().collect::<Vec<_>>());
        let names = |field: FieldDescriptor| {
            [format!("{}.{}", field.parent_message().name(), field.name()), field.name().to_owned()]
        };
        messages.flat_map(|message| message.fields().flat_map(names).collect::<Vec<_>>()).collect()
    }

    /// The comment before something as Markdown; empty if there is none.
    pub(crate) fn markdown(&self, file: &FileDescriptor, path: &[i32]) -> String {
        let comment = self.comments.get(&(file.name().to_owned(), path.to_vec())).map_or("", String::as_str);
        markdown(comment, self)
    }
}

impl Glossary for Contract {
    fn route(&self, name: &str) -> Option<String> {
        self.routes.iter().find(|route| route.method.name() == name).map(Route::to_string)
    }

    fn is_value(&self, word: &str) -> bool {
        self.values.contains(word)
    }
}

/// Written as `GET /journal/{clientId}`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.to_uppercase(), self.path())
    }
}

impl Route {
    /// With the variables as JSON names them.
    pub(crate) fn path(&self) -> String {
        camel_case(&self.template)
    }

    /// The fields in the path, as the proto names them.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.template.split(['{', '}']).skip(1).step_by(2)
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
        self.method.input().fields().filter(in_query).collect()
    }
}

fn comments_of(file: &FileDescriptor) -> Vec<((String, Vec<i32>), String)> {
    let locations = file.file_descriptor_proto().source_code_info.clone().unwrap_or_default().location;
    let commented = locations.into_iter().filter_map(|location| Some((location.path, location.leading_comments?)));
    commented.map(|(path, comment)| ((file.name().to_owned(), path), comment)).collect()
}

fn routes_of(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<Vec<Route>, Box<dyn Error>> {
    let extension = pool.get_extension_by_name("google.api.http").ok_or("google.api.http is not imported")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return Ok(Vec::new());
    }
    let rule = options.get_extension(&extension);
    let rule = rule.as_message().ok_or("google.api.http is a message")?;
    let aliases = rule.get_field_by_name("additional_bindings");
    let aliases = aliases.iter().filter_map(|list| list.as_list()).flatten().filter_map(Value::as_message);
    std::iter::once(rule).chain(aliases).enumerate().map(|(alias, rule)| route(method, alias, rule)).collect()
}

fn route(method: &MethodDescriptor, alias: usize, rule: &DynamicMessage) -> Result<Route, Box<dyn Error>> {
    let name = method.full_name();
    let text = |field: &str| {
        let value = rule.get_field_by_name(field)?.as_str()?.to_owned();
        (!value.is_empty()).then_some(value)
    };
    let (verb, template) =
        VERBS.iter().find_map(|verb| Some((*verb, text(verb)?))).ok_or(format!("{name}: a route has a verb"))?;
    let body = match text("body").as_deref() {
        None => Body::None,
        Some("*") => Body::Whole,
        Some(field) => Body::Field(method.input().get_field_by_name(field).ok_or(format!("{name}: no field {field}"))?),
    };
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let rpc = Rpc::find(&path).ok_or(format!("{name} has no rule"))?;
    Ok(Route { rpc, method: method.clone(), alias, verb, template, body })
}
