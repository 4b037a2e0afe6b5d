//! Routes of the mesh from its descriptors, with aliases.

use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::corpus::Request;

/// An HTTP method and a path template.
#[derive(Debug)]
pub(super) struct Route {
    method: String,
    path: String,
}

impl Route {
    /// Returns true if a request matches this route. A variable is any one segment.
    pub(super) fn leads(&self, request: &Request) -> bool {
        let target = String::from_utf8_lossy(&request.target);
        let path = target.split('?').next().unwrap_or_default();
        let (asked, own): (Vec<_>, Vec<_>) = (path.split('/').collect(), self.path.split('/').collect());
        let fits = |(asked, own): (&&str, &&str)| asked == own || own.starts_with('{') && !asked.is_empty();
        self.method == request.method && asked.len() == own.len() && asked.iter().zip(&own).all(fits)
    }

    fn of(rule: &DynamicMessage) -> Option<Self> {
        let verb = ["get", "put", "post", "delete", "patch"].into_iter().find(|verb| rule.has_field_by_name(verb))?;
        let path = rule.get_field_by_name(verb)?.as_str()?.to_owned();
        Some(Self { method: verb.to_uppercase(), path })
    }
}

/// Returns all routes and aliases.
pub(super) fn all() -> Vec<Route> {
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let mut routes = Vec::new();
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = method.options();
        if !options.has_extension(&http) {
            continue;
        }
        let rule = options.get_extension(&http);
        let rule = rule.as_message().unwrap();
        routes.push(Route::of(rule).expect("a rule has a path"));
        let aliases = rule.get_field_by_name("additional_bindings").unwrap();
        let aliases = aliases.as_list().unwrap().iter().map(|alias| Route::of(alias.as_message().unwrap()));
        routes.extend(aliases.map(|alias| alias.expect("an alias has a path")));
    }
    assert!(routes.len() > 50, "{}", routes.len());
    routes
}
