//! Serves the embedded REST front over the services' own ports.

use std::net::SocketAddr;
use std::sync::Arc;

use chassis::Running;
use chassis::identity::Issuer;
use front_settings::Hosts;
use gateway::{FrontServer, ServerSetup, UpstreamAddress};
use kernel::BoxError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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
        hosts: Hosts,
        services: &[Running],
        issuer: &Arc<Issuer>,
    ) -> Result<Self, BoxError> {
        let stop = CancellationToken::new();
        let upstreams = services.iter().map(|service| UpstreamAddress {
            name: service.name().to_owned(),
            address: format!("http://{}", service.address()),
        });
        let front = FrontServer::new(ServerSetup {
            upstreams: upstreams.collect(),
            tokens: issuer.workload("gateway").tokens,
            trusted_proxies: config.server.identity().trusted_proxies.clone(),
            hosts,
            config: config.front.clone(),
            connections: config.server.connections().clone(),
            stop: stop.clone(),
        })?;
        let address = listener.local_addr()?;
        #[allow(clippy::disallowed_methods, reason = "its owner is the RunningFront, which waits for it")]
        let served = tokio::spawn(front.serve(listener));
        Ok(Self { address, stop, served })
    }

    /// Accepts no more connections, and waits for the requests in flight. Returns whether they ended in time.
    pub(crate) async fn drain(self) -> bool {
        self.stop.cancel();
        self.served.await.unwrap_or(false)
    }
}
