//! Serves the embedded REST front over the services' own ports.

use std::net::SocketAddr;
use std::sync::Arc;

use chassis::Running;
use chassis::identity::Issuer;
use front_settings::Hosts;
use gateway::{Admission, Front, Setup, Upstream};
use kernel::BoxError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::TrustedProxies;
use transport::listener::{self, Protocols, WorkerPool};

use crate::Config;

/// A listening front.
#[derive(Debug)]
pub(crate) struct RunningFront {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<bool>,
}

impl RunningFront {
    pub(crate) fn start(
        listener: TcpListener,
        config: &Config,
        hosts: &Hosts,
        services: &[Running],
        issuer: &Arc<Issuer>,
    ) -> Result<Self, BoxError> {
        let tokens = issuer.workload("gateway").tokens;
        let stop = CancellationToken::new();
        let pool = WorkerPool::start("gateway")?;
        let admission = Admission::new(&config.front);
        let workers = pool.workers(|| {
            let upstreams = services.iter().map(|service| {
                let upstream = Upstream::remote(&format!("http://{}", service.address()), Some(tokens.clone()))?;
                Ok::<_, BoxError>((service.name().to_owned(), upstream))
            });
            Ok(Front::new(Setup {
                descriptors: proto::DESCRIPTOR_SET,
                is_routable: gateway::is_routable,
                upstreams: upstreams.collect::<Result<_, _>>()?,
                trusted_proxies: config.server.identity().trusted_proxies.clone(),
                hosts: hosts.clone(),
                config: config.front.clone(),
                admission: admission.clone(),
                stop: stop.clone(),
            })?)
        })?;
        let (address, connections) = (listener.local_addr()?, config.server.connections().clone());
        let proxies = TrustedProxies::new(&config.server.identity().trusted_proxies);
        let shutdown = stop.clone();
        #[allow(clippy::disallowed_methods, reason = "its owner is the RunningFront, which waits for it")]
        let served = tokio::spawn(async move {
            let drained =
                listener::serve(listener, workers, Protocols::Http1And2, &proxies, &connections, shutdown).await;
            drop(pool);
            drained
        });
        Ok(Self { address, stop, served })
    }

    /// Accepts no more connections, and waits for the requests in flight. Returns whether they ended in time.
    pub(crate) async fn drain(self) -> bool {
        self.stop.cancel();
        self.served.await.unwrap_or(false)
    }
}
