//! Reads the rule, the routes and the retry policy of each RPC from the descriptors.

use prost_reflect::{DescriptorPool, MethodDescriptor};
use proto::options::{self, AccessRule, HttpRule, InvalidOption};

use crate::Error;

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
    pub(crate) routes: Vec<HttpRule>,
    /// True if it may be called without a token.
    pub(crate) allows_anonymous: bool,
    /// True if it answers with a stream.
    pub(crate) streams: bool,
    /// True if its request is a stream.
    pub(crate) takes_stream: bool,
    /// True if a call may be retried, as it has no side effects: every route is a GET, or the proto says so.
    pub(crate) retryable: bool,
}

/// Returns the routable RPCs of a descriptor set. Internal ones are left out, and so have no route.
///
/// # Errors
/// If it is no set with the options of our protos.
pub(crate) fn read(descriptor_set: &[u8]) -> Result<Vec<Rpc>, Error> {
    let pool = DescriptorPool::decode(descriptor_set).map_err(|error| Error::Descriptors(error.to_string()))?;
    if pool.get_extension_by_name(options::ACCESS).is_none() {
        return Err(Error::Descriptors(format!("{} is not among them", options::ACCESS)));
    }
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let rpcs = methods.iter().filter_map(|method| rpc(method).transpose());
    rpcs.collect::<Result<_, _>>().map_err(|error| Error::Descriptors(error.to_string()))
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

/// Returns an RPC; none if it is internal.
fn rpc(method: &MethodDescriptor) -> Result<Option<Rpc>, InvalidOption> {
    let Some(access) = AccessRule::of(method)?.filter(|access| !access.is_internal()) else { return Ok(None) };
    let routes = HttpRule::of(method)?;
    let service = method.parent_service().full_name().to_owned();
    Ok(Some(Rpc {
        path: format!("/{service}/{}", method.name()),
        domain: service.split('.').nth(1).unwrap_or_default().to_owned(),
        service,
        method: method.clone(),
        retryable: options::reads(method, &routes),
        routes,
        allows_anonymous: access.allows_anonymous(),
        streams: method.is_server_streaming(),
        takes_stream: method.is_client_streaming(),
    }))
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
