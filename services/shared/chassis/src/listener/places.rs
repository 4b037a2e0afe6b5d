//! Places of connections: so many of all and so many of one source. A newcomer gets the place of a connection that is idle
//! before it is refused, or waits.

use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::stall::Life;
use super::{Config, Protocols};
use crate::budget::Holders;
use crate::proxies::TrustedProxies;
use crate::room::{Full, Room, Seat};

const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Interval at which a newcomer looks for a connection that has become idle, while no place is left.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The places of a listener.
pub(super) struct Places {
    room: Arc<Room<Arc<Life>>>,
    /// The proxies without a budget, where strangers connect; none where only the mesh does.
    strangers_but: Option<TrustedProxies>,
}

/// A connection and its place.
pub(super) struct Accepted {
    pub(super) stream: net::TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) life: Arc<Life>,
    pub(super) seat: Seat<Arc<Life>>,
}

impl Places {
    pub(super) fn new(protocols: Protocols, proxies: &TrustedProxies, config: &Config) -> Self {
        let strangers_but = match protocols {
            Protocols::Http2 => None,
            Protocols::Http1And2 => Some(proxies.clone()),
        };
        Self { room: Room::new(config.max_connections, config.max_connections_per_source), strangers_but }
    }

    /// The holders of a budget that a connection of this peer counts for.
    fn holders(&self, peer: SocketAddr) -> Holders {
        match &self.strangers_but {
            Some(proxies) if !proxies.trusts(peer.ip().to_canonical()) => Holders::of_source(peer.ip()),
            _ => Holders::NOBODY,
        }
    }

    /// A place, as soon as there is one. None for a source that has its budget.
    async fn place(&self, peer: SocketAddr, life: &Arc<Life>) -> Option<Seat<Arc<Life>>> {
        loop {
            match self.room.enter(self.holders(peer), Arc::clone(life)) {
                Ok(seat) => return Some(seat),
                Err(Full::Holder) => return None,
                // Nobody says when a connection becomes idle.
                Err(Full::Room) => drop(timeout(LOOK_AGAIN, self.room.freed()).await),
            }
        }
    }
}

/// The next connection that has a place, or nothing once it is time to stop.
pub(super) async fn accept(listener: &TcpListener, places: &Places, stop: &CancellationToken) -> Option<Accepted> {
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
            let life = Life::new();
            if let Some(seat) = places.place(peer, &life).await {
                return Accepted { stream, peer, life, seat };
            }
            tracing::debug!("a source has its budget of connections; one more is closed");
        }
    };
    stop.run_until_cancelled(next).await
}
