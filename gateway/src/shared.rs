//! State that all requests of a front share, and the settings it is made of.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use front_settings::Hosts;
use http::Extensions;
use http::request::Parts;
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use transport::{Holders, TrustedProxies};

use crate::admission::Admission;
use crate::config::Config;
use crate::cors::Cors;
use crate::health::Readiness;
use crate::rest_error::RestError;
use crate::route::{Table, UnusableDescriptors};
use crate::upstream::Upstream;
use crate::{reflection, request_validation};

/// Parts of a front.
pub struct Setup {
    /// An encoded `google.protobuf.FileDescriptorSet`, with options and with the details of google.rpc.
    pub descriptors: &'static [u8],
    /// Predicate on an RPC's path (`/package.Service/Method`): only RPCs that it accepts are routed.
    pub is_routable: fn(&str) -> bool,
    /// The services, by domain: the second component of their packages.
    pub upstreams: HashMap<String, Upstream>,
    /// Networks whose `x-forwarded-for` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The hosts that the front answers to.
    pub hosts: Hosts,
    /// Limits and CORS origins.
    pub config: Config,
    /// Admission limits of each source, shared by all threads of the front.
    pub admission: Admission,
    /// Cancelled at shutdown: the front's streams end then, so that the drain does not wait for them.
    pub stop: CancellationToken,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("upstreams", &self.upstreams.keys()).finish_non_exhaustive()
    }
}

/// State that all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) table: Arc<Table>,
    pub(crate) limits: Config,
    pub(crate) admission: Admission,
    pub(crate) stop: CancellationToken,
    pub(crate) proxies: TrustedProxies,
    pub(crate) cors: Cors,
    hosts: Hosts,
    upstreams: HashMap<Arc<str>, Upstream>,
    pub(crate) readiness: Readiness,
    /// The front's own gRPC services.
    pub(crate) own: Routes,
}

impl Shared {
    /// Wires the parts of a front.
    ///
    /// # Errors
    /// If the descriptors can't be served, or a service in them has no upstream.
    pub(crate) fn new(setup: Setup) -> Result<Self, UnusableDescriptors> {
        let Setup { descriptors, is_routable, upstreams: domains, trusted_proxies, hosts, config, admission, stop } =
            setup;
        let table = Table::new(descriptors, is_routable)?;
        let mut upstreams = HashMap::new();
        for service in table.services() {
            let domain = service.split('.').nth(1).unwrap_or_default();
            let upstream = domains
                .get(domain)
                .ok_or_else(|| UnusableDescriptors::because(format!("{service} has no upstream named {domain}")))?;
            upstreams.insert(Arc::clone(service), upstream.clone());
        }
        let readiness = Readiness::new(domains);
        let own = Routes::new(HealthServer::new(readiness.clone()));
        Ok(Self {
            table: Arc::new(table),
            proxies: TrustedProxies::new(&trusted_proxies),
            hosts,
            upstreams,
            cors: Cors::new(config.cors_origins.clone()),
            limits: config,
            admission,
            stop,
            readiness,
            own: reflection::add(own, descriptors, is_routable)?,
        })
    }

    /// Returns the error for a request whose host is not the front's.
    pub(crate) fn foreign_host(&self, parts: &Parts) -> Option<RestError> {
        (!self.hosts.cover(request_validation::host(parts))).then(RestError::foreign_host)
    }

    pub(crate) fn upstream(&self, service: &str) -> Option<&Upstream> {
        self.upstreams.get(service)
    }

    /// Returns the networks that a request counts against.
    pub(crate) fn source(&self, parts: &Parts) -> Holders {
        let origin = peer(&parts.extensions).map(|peer| self.proxies.origin(peer.ip(), &parts.headers));
        origin.map_or(Holders::NOBODY, Holders::of_source)
    }
}

/// Returns the peer address of the request's connection, which the listener sets.
pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<SocketAddr>().copied()
}
