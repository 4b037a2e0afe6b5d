//! Accepts connections within the limits on all of them and on those of one source. A new connection takes the slot of
//! one that is idle before it is refused, or waits.

use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stall::ConnectionActivity;
use super::{Config, Protocols};
use crate::budget::Holders;
use crate::proxies::TrustedProxies;
use crate::slots::{Full, Slot, SlotPool};

const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Interval at which a new connection looks for one that has become idle, while no slot is left.
const FULL_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Connection slots of a listener.
pub(super) struct ConnectionSlots {
    pool: Arc<SlotPool<Arc<ConnectionActivity>>>,
    /// Proxies without a budget, where untrusted peers connect; none where only the mesh does.
    exempt_proxies: Option<TrustedProxies>,
}

/// Connection and its slot.
pub(super) struct Accepted {
    pub(super) stream: net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) activity: Arc<ConnectionActivity>,
    pub(super) slot: Slot<Arc<ConnectionActivity>>,
}

impl ConnectionSlots {
    pub(super) fn new(protocols: Protocols, proxies: &TrustedProxies, config: &Config) -> Self {
        let exempt_proxies = match protocols {
            Protocols::Http2 => None,
            Protocols::Http1And2 => Some(proxies.clone()),
        };
        Self { pool: SlotPool::new(config.max_connections, config.max_connections_per_source), exempt_proxies }
    }

    /// Returns the holders of a budget that a connection of this peer counts for.
    fn holders(&self, peer: SocketAddr) -> Holders {
        match &self.exempt_proxies {
            Some(proxies) if !proxies.trusts(peer.ip().to_canonical()) => Holders::of_source(peer.ip()),
            _ => Holders::NOBODY,
        }
    }

    /// Waits for a slot. None for a source that has used its budget.
    async fn acquire(
        &self,
        peer: SocketAddr,
        activity: &Arc<ConnectionActivity>,
    ) -> Option<Slot<Arc<ConnectionActivity>>> {
        loop {
            match self.pool.acquire(self.holders(peer), Arc::clone(activity)) {
                Ok(slot) => return Some(slot),
                Err(Full::Holder) => return None,
                // Nobody says when a connection becomes idle.
                Err(Full::Pool) => drop(timeout(FULL_RETRY_INTERVAL, self.pool.freed()).await),
            }
        }
    }
}

/// Accepts the next connection that gets a slot. None once it is time to stop.
pub(super) async fn accept(
    listener: &TcpListener,
    slots: &ConnectionSlots,
    stop: &CancellationToken,
) -> Option<Accepted> {
    let next = async {
        loop {
            let accepted = listener.accept().await;
            let (stream, peer) = match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                Ok(accepted) => accepted,
                // Out of file descriptors, or the peer gave up already: neither ends the listener.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            };
            // Without this a small answer waits for the peer's acknowledgement; if it fails, it is only slower.
            let _ = stream.set_nodelay(true);
            let activity = ConnectionActivity::new();
            if let Some(slot) = slots.acquire(peer, &activity).await {
                return Accepted { stream, peer, activity, slot };
            }
            tracing::debug!("a source has its budget of connections; one more is closed");
        }
    };
    stop.run_until_cancelled(next).await
}
