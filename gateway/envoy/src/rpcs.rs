//! Reads the rule, the routes and the retry policy of each RPC from the descriptors.

use prost_reflect::prost_types::method_options::IdempotencyLevel;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

use crate::Error;

/// The number of `ANYONE` among callers.
const ANYONE: i32 = 1;

/// A routable RPC.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rpc {
    /// `/<package>.<Service>/<Method>`.
    pub(crate) path: String,
    /// The service's full name.
    pub(crate) service: String,
    /// The second component of the package.
    pub(crate) domain: String,
    /// The method's descriptor.
    pub(crate) method: MethodDescriptor,
    /// Its route and the aliases, in the order of the proto.
    pub(crate) routes: Vec<Route>,
    /// True if it may be called without a token.
    pub(crate) allows_anonymous: bool,
    /// True if it answers with a stream.
    pub(crate) streams: bool,
    /// True if its request is a stream.
    pub(crate) takes_stream: bool,
    /// True if a call may be retried, as it has no side effects: every route is a GET, or the proto says so.
    pub(crate) retryable: bool,
}

/// A path and method of an RPC.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// GET, PUT, POST, DELETE or PATCH.
    pub(crate) method: String,
    /// The path, as the proto writes it.
    pub(crate) path: String,
    /// The field that the body fills; `*` for the whole message, empty for no body.
    pub(crate) body: String,
}

/// Returns the routable RPCs of a descriptor set. Internal ones are left out, and so have no route.
///
/// # Errors
/// If it is no set with the options of our protos.
pub(crate) fn read(descriptor_set: &[u8]) -> Result<Vec<Rpc>, Error> {
    let pool = DescriptorPool::decode(descriptor_set).map_err(|error| Error::Descriptors(error.to_string()))?;
    let rule = extension(&pool, "therapy.options.v1.rule")?;
    let http = extension(&pool, "google.api.http")?;
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    Ok(methods.iter().filter_map(|method| rpc(method, &rule, &http)).collect())
}

impl Rpc {
    /// Returns method and path of its first route, as the proto writes it: `GET /clients/{client_id}`; without one its path.
    pub(crate) fn template(&self) -> String {
        self.routes.first().map_or_else(|| self.path.clone(), |route| format!("{} {}", route.method, route.path))
    }

    /// Returns the field that a request's body fills; empty for the whole message or no body.
    pub(crate) fn body(&self) -> &str {
        self.routes.first().map_or("", |route| &*route.body).trim_matches('*')
    }
}

fn extension(pool: &DescriptorPool, name: &str) -> Result<prost_reflect::ExtensionDescriptor, Error> {
    pool.get_extension_by_name(name).ok_or_else(|| Error::Descriptors(format!("{name} is not among them")))
}

fn rpc(
    method: &MethodDescriptor,
    rule: &prost_reflect::ExtensionDescriptor,
    http: &prost_reflect::ExtensionDescriptor,
) -> Option<Rpc> {
    let options = method.options();
    let rule = options.get_extension(rule);
    let callers: Vec<_> = list(rule.as_message()?, "callers").iter().filter_map(Value::as_enum_number).collect();
    if callers.is_empty() {
        return None;
    }
    let http = options.has_extension(http).then(|| options.get_extension(http));
    let http = http.as_deref().and_then(Value::as_message);
    let routes = http.map(routes).unwrap_or_default();
    let service = method.parent_service().full_name().to_owned();
    let level = method.method_descriptor_proto().options.as_ref().map(|options| options.idempotency_level());
    let reads = !routes.is_empty() && routes.iter().all(|route| route.method == "GET");
    Some(Rpc {
        path: format!("/{service}/{}", method.name()),
        domain: service.split('.').nth(1).unwrap_or_default().to_owned(),
        service,
        method: method.clone(),
        routes,
        allows_anonymous: callers.contains(&ANYONE),
        streams: method.is_server_streaming(),
        takes_stream: method.is_client_streaming(),
        retryable: reads || level == Some(IdempotencyLevel::NoSideEffects),
    })
}

/// Returns the route of an RPC and its aliases.
fn routes(http: &DynamicMessage) -> Vec<Route> {
    let text = |field: &str| {
        let value = http.get_field_by_name(field)?;
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let own = ["get", "put", "post", "delete", "patch"].into_iter().find_map(|method| {
        let body = text("body").unwrap_or_default();
        text(method).map(|path| Route { method: method.to_uppercase(), path, body })
    });
    let aliases = list(http, "additional_bindings");
    own.into_iter().chain(aliases.iter().filter_map(Value::as_message).flat_map(routes)).collect()
}

fn list(message: &DynamicMessage, field: &str) -> Vec<Value> {
    let list = message.get_field_by_name(field);
    list.and_then(|list| Some(list.as_list()?.to_vec())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routable_rpcs_match_their_rules() {
        let rpcs = read(proto::ENVOY_DESCRIPTOR_SET).unwrap();
        let paths: Vec<_> = rpcs.iter().map(|rpc| (rpc.path.as_str(), rpc.allows_anonymous, rpc.streams)).collect();
        for rpc in proto::RPCS {
            let expected = !rpc.is_internal();
            assert_eq!(paths.contains(&(rpc.path, rpc.allows_anonymous(), rpc.streams)), expected, "{}", rpc.path);
        }
        assert_eq!(paths.len(), proto::RPCS.iter().filter(|rpc| !rpc.is_internal()).count());
    }

    #[test]
    fn only_reads_are_retryable() {
        let rpcs = read(proto::ENVOY_DESCRIPTOR_SET).unwrap();
        let found = |name: &str| rpcs.iter().find(|rpc| rpc.path.ends_with(name)).unwrap();
        assert!(found("/GetClient").retryable && found("/ListEntries").retryable);
        for name in ["/Refresh", "/Login", "/CreateClient", "/SendMessage", "/UpdateClient"] {
            assert!(!found(name).retryable, "{name}");
        }
        assert_eq!(found("/GetClient").template(), "GET /clients/{client_id}");
        let bodies = ["/GetClient", "/Login", "/UpdateClient"].map(|name| found(name).body());
        assert_eq!(bodies, ["", "", "client"]);
    }

    #[test]
    fn malformed_descriptor_set_is_rejected() {
        assert!(matches!(read(b"\xff"), Err(Error::Descriptors(_))));
        assert!(matches!(read(b""), Err(Error::Descriptors(_))));
    }
}
