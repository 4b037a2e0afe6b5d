//! Assembles the front of a process from its settings, and serves it.

use chassis::identity::WorkloadTokens;
use front_settings::Hosts;
use ipnet::IpNet;
use kernel::BoxError;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transport::TrustedProxies;
use transport::listener::{self, Protocols, Worker, WorkerPool};

use crate::admission::Admission;
use crate::config::{Config, UpstreamAddress};
use crate::front::Front;
use crate::shared::Setup;
use crate::upstream::Upstream;

/// Name of the front's threads.
const NAME: &str = "gateway";

/// Settings of a front that serves the RPCs of the mesh.
#[derive(Debug)]
pub struct ServerSetup {
    /// Addresses of the services.
    pub upstreams: Vec<UpstreamAddress>,
    /// Tokens by which the front authenticates itself to the services.
    pub tokens: WorkloadTokens,
    /// Networks whose `x-forwarded-for` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The hosts that the front answers to.
    pub hosts: Hosts,
    /// Limits and CORS origins.
    pub config: Config,
    /// Limits of the callers' connections.
    pub connections: listener::Config,
    /// Cancelled at shutdown.
    pub stop: CancellationToken,
}

/// A front for each core, with a thread and connections to the services of its own.
#[derive(Debug)]
pub struct FrontServer {
    pool: WorkerPool,
    workers: Vec<Worker<Front>>,
    proxies: TrustedProxies,
    connections: listener::Config,
    stop: CancellationToken,
}

impl FrontServer {
    /// Creates the fronts, which connect with their first calls.
    ///
    /// # Errors
    /// If an address is malformed, a service has none, or a thread can't be started.
    pub fn new(setup: ServerSetup) -> Result<Self, BoxError> {
        let ServerSetup { upstreams, tokens, trusted_proxies, hosts, config, connections, stop } = setup;
        let pool = WorkerPool::start(NAME)?;
        let admission = Admission::new(&config);
        let workers = pool.workers(|| {
            let upstreams = upstreams.iter().map(|UpstreamAddress { name, address }| {
                Ok::<_, BoxError>((name.clone(), Upstream::remote(address, Some(tokens.clone()))?))
            });
            Ok(Front::new(Setup {
                descriptors: proto::DESCRIPTOR_SET,
                is_routable: crate::is_routable,
                upstreams: upstreams.collect::<Result<_, _>>()?,
                trusted_proxies: trusted_proxies.clone(),
                hosts: hosts.clone(),
                config: config.clone(),
                admission: admission.clone(),
                stop: stop.clone(),
            })?)
        })?;
        Ok(Self { pool, workers, proxies: TrustedProxies::new(&trusted_proxies), connections, stop })
    }

    /// Serves until shutdown. Returns whether the requests in flight ended within the drain timeout.
    pub async fn serve(self, listener: TcpListener) -> bool {
        let Self { pool, workers, proxies, connections, stop } = self;
        let drained = listener::serve(listener, workers, Protocols::Http1And2, &proxies, &connections, stop).await;
        // The workers run on its threads.
        drop(pool);
        drained
    }
}
