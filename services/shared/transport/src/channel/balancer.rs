//! Balances calls over the addresses a DNS name resolves to, each over a connection of its own.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use std::{fmt, io, mem};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use http::Uri;
use hyper_util::rt::TokioIo;
use kernel::Error;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use crate::public_status;

/// Intervals at which a name is resolved, and the timeout of doing so.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResolveIntervals {
    /// Interval while all addresses of the name are connected.
    pub(super) settled: Duration,
    /// Interval while some are not, or the name can't be resolved.
    pub(super) unsettled: Duration,
    /// Timeout for resolving a name and connecting to its addresses, together.
    pub(super) timeout: Duration,
}

/// Looks up the addresses of one name.
pub(super) type Lookup = Box<dyn Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Reason for which no replica is connected.
type Failure = Arc<dyn StdError + Send + Sync>;

/// Resolution of the name, which all waiting calls share.
type Resolution = Shared<BoxFuture<'static, Result<(), Failure>>>;

/// Channel that balances calls over the replicas of one name.
pub(super) struct BalancedChannel {
    endpoint: Endpoint,
    lookup: Lookup,
    intervals: ResolveIntervals,
    state: Mutex<State>,
}

struct State {
    connected: Vec<Replica>,
    /// Round-robin counter.
    round_robin: usize,
    /// Instant at which the name is due to be resolved again.
    due: Instant,
    resolution: Option<(AbortHandle, Resolution)>,
}

#[derive(Clone)]
struct Replica {
    address: SocketAddr,
    channel: Channel,
}

impl BalancedChannel {
    /// Creates a channel to the addresses that `lookup` finds, connected to as `endpoint` says. Resolves with the first
    /// call; without calls it does nothing.
    pub(super) fn new(endpoint: Endpoint, lookup: Lookup, intervals: ResolveIntervals) -> Arc<Self> {
        let state = State { connected: Vec::new(), round_robin: 0, due: Instant::now(), resolution: None };
        Arc::new(Self { endpoint, lookup, intervals, state: Mutex::new(state) })
    }

    /// Returns the next replica in round-robin order: its address and its channel. Waits only where no replica is
    /// connected.
    ///
    /// # Errors
    /// UNAVAILABLE, if none can be reached.
    pub(super) async fn next(self: &Arc<Self>) -> Result<(SocketAddr, Channel), Status> {
        let resolution = {
            let mut state = self.lock();
            if let Some(replica) = state.next() {
                if state.due <= Instant::now() {
                    drop(self.resolve_once(&mut state));
                }
                return Ok((replica.address, replica.channel));
            }
            self.resolve_once(&mut state)
        };
        let resolved = resolution.await;
        let replica = self.lock().next();
        replica.map(|replica| (replica.address, replica.channel)).ok_or_else(|| unavailable(resolved.err()))
    }

    /// Removes an address until it is connected to anew. Returns the others.
    pub(super) fn remove(&self, address: SocketAddr) -> Vec<SocketAddr> {
        let mut state = self.lock();
        state.connected.retain(|replica| replica.address != address);
        state.due = Instant::now();
        state.connected.iter().map(|replica| replica.address).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the resolution under way, or else starts one, which goes on when its caller hangs up.
    fn resolve_once(self: &Arc<Self>, state: &mut State) -> Resolution {
        if let Some((_, resolution)) = state.resolution.as_ref().filter(|(task, _)| !task.is_finished()) {
            return resolution.clone();
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "it ends by itself when its timeout does, and nothing waits for its end"
        )]
        let task = tokio::spawn(Arc::clone(self).resolve());
        let handle = task.abort_handle();
        let resolution = task.map(|done| done.unwrap_or_else(|ended| Err(Arc::new(ended)))).boxed().shared();
        state.resolution = Some((handle, resolution.clone()));
        resolution
    }

    /// Resolves the name, connects to new addresses, and removes those that are gone: calls under way there may end.
    async fn resolve(self: Arc<Self>) -> Result<(), Failure> {
        let by = Instant::now() + self.intervals.timeout;
        let found = match self.addresses(by).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(uri = %self.endpoint.uri(), %error, "the name of a service can't be looked up");
                self.lock().due = Instant::now() + self.intervals.unsettled;
                return Err(Arc::new(error));
            }
        };
        let known: BTreeSet<_> = self.lock().connected.iter().map(|replica| replica.address).collect();
        let new = join_all(found.difference(&known).map(|address| self.connect(*address, by))).await;

        let mut state = self.lock();
        state.connected.retain(|replica| found.contains(&replica.address));
        let mut failed = None;
        for connected in new {
            match connected {
                Ok(replica) => state.connected.push(replica),
                Err(failure) => failed = Some(failure),
            }
        }
        state.due = Instant::now() + if failed.is_some() { self.intervals.unsettled } else { self.intervals.settled };
        failed.filter(|_| state.connected.is_empty()).map_or(Ok(()), Err)
    }

    /// Returns the addresses of the name: at least one.
    async fn addresses(&self, by: Instant) -> io::Result<BTreeSet<SocketAddr>> {
        let found = timeout_at(by, (self.lookup)()).await.unwrap_or_else(|late| Err(late.into()))?;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(found.into_iter().collect())
    }

    async fn connect(self: &Arc<Self>, address: SocketAddr, by: Instant) -> Result<Replica, Failure> {
        let connecting = self.endpoint.connect_with_connector(connector(Arc::downgrade(self), address));
        match timeout_at(by, connecting).await {
            Ok(Ok(channel)) => Ok(Replica { address, channel }),
            Ok(Err(error)) => Err(Arc::new(error)),
            Err(late) => Err(Arc::new(late)),
        }
    }
}

impl State {
    fn next(&mut self) -> Option<Replica> {
        self.round_robin = self.round_robin.wrapping_add(1);
        self.connected.get(self.round_robin.checked_rem(self.connected.len())?).cloned()
    }
}

impl fmt::Debug for BalancedChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalancedChannel").field("uri", self.endpoint.uri()).finish_non_exhaustive()
    }
}

/// Connects to one address. Where a connection was lost and can't be made again, the call that finds that out goes to
/// another replica, over a connection that gets no further calls.
fn connector(
    replicas: Weak<BalancedChannel>,
    address: SocketAddr,
) -> impl Service<Uri, Response = TokioIo<TcpStream>, Error = io::Error, Future: Send> + Send {
    let mut was_connected = false;
    tower::service_fn(move |_: Uri| {
        let (replicas, again) = (Weak::clone(&replicas), mem::replace(&mut was_connected, true));
        async move {
            let own = open(address).await;
            let Some(replicas) = replicas.upgrade().filter(|_| again && own.is_err()) else { return own };
            for other in replicas.remove(address) {
                if let Ok(stream) = open(other).await {
                    return Ok(stream);
                }
            }
            own
        }
    })
}

async fn open(address: SocketAddr) -> io::Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

fn unavailable(failure: Option<Failure>) -> Status {
    let mut status = public_status(&Error::unavailable("no replica can be reached"), None);
    if let Some(failure) = failure {
        status.set_source(failure);
    }
    status
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use tokio_stream::wrappers::TcpListenerStream;
    use tokio_util::sync::CancellationToken;
    use tonic::Code;
    use tonic::transport::Server;
    use tonic_health::ServingStatus;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;
    use crate::channel::{Channel, Way};

    /// Replica that is identified by its status.
    struct Replica {
        status: ServingStatus,
        address: SocketAddr,
        stop: CancellationToken,
        served: JoinHandle<()>,
    }

    impl Replica {
        async fn start(host: &str, status: ServingStatus) -> Self {
            let listener = TcpListener::bind((host, 0)).await.unwrap();
            let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
            let (reporter, health) = tonic_health::server::health_reporter();
            reporter.set_service_status("", status).await;
            let served = Server::builder().add_service(health);
            let served =
                served.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.clone().cancelled_owned());
            #[allow(clippy::disallowed_methods, reason = "the test waits for it")]
            let served = tokio::spawn(async move { served.await.unwrap() });
            Self { status, address, stop, served }
        }

        async fn stop(self) {
            self.stop.cancel();
            self.served.await.unwrap();
        }
    }

    /// Name whose addresses a test sets, and a client that resolves it before every call.
    struct Name {
        addresses: Arc<Mutex<Vec<SocketAddr>>>,
        client: HealthClient<Channel>,
    }

    impl Name {
        fn of(replicas: &[&Replica]) -> Self {
            let addresses = Arc::new(Mutex::new(Vec::new()));
            let known = Arc::clone(&addresses);
            let lookup = move || {
                let found = known.lock().unwrap().clone();
                async move { Ok(found) }.boxed()
            };
            let name = Self { addresses, client: client(Box::new(lookup), Duration::from_secs(10)) };
            name.set_replicas(replicas);
            name
        }

        fn set_replicas(&self, replicas: &[&Replica]) {
            *self.addresses.lock().unwrap() = replicas.iter().map(|replica| replica.address).collect();
        }

        async fn call(&mut self) -> Result<i32, Status> {
            let answer = self.client.check(HealthCheckRequest::default()).await;
            answer.map(|answer| answer.into_inner().status)
        }

        /// Calls until that replica answers. Panics if a call fails.
        async fn reach(&mut self, replica: &Replica) {
            while self.call().await.unwrap() != replica.status as i32 {}
        }
    }

    fn client(lookup: Lookup, timeout: Duration) -> HealthClient<Channel> {
        let intervals = ResolveIntervals { settled: Duration::ZERO, unsettled: Duration::ZERO, timeout };
        let endpoint = Endpoint::from_static("http://journals:50051");
        HealthClient::new(Channel(Way::Balanced(BalancedChannel::new(endpoint, lookup, intervals))))
    }

    #[tokio::test]
    async fn calls_are_balanced_over_running_replicas() {
        let one = Replica::start("127.0.0.1", ServingStatus::Serving).await;
        let two = Replica::start("127.0.0.2", ServingStatus::NotServing).await;
        let three = Replica::start("127.0.0.3", ServingStatus::Unknown).await;
        let mut name = Name::of(&[&one, &two]);
        let mut statuses = [name.call().await.unwrap(), name.call().await.unwrap()];
        statuses.sort_unstable();
        assert_eq!(statuses, [one.status as i32, two.status as i32]);

        // The name still resolves to it.
        two.stop().await;
        let mut failed = 0;
        for _ in 0..100 {
            failed += usize::from(name.call().await.is_err());
        }
        assert!(failed <= 1, "{failed} calls of a hundred failed");

        name.set_replicas(&[&one, &three]);
        name.reach(&three).await;
        name.reach(&one).await;
        // It shares the calls with no other any more.
        name.set_replicas(&[&three]);
        let mut before = one.status as i32;
        while before != three.status as i32 || name.call().await.unwrap() != before {
            before = name.call().await.unwrap();
        }
        one.stop().await;
        assert_eq!(name.call().await.unwrap(), three.status as i32);
        three.stop().await;
    }

    #[tokio::test]
    async fn unresolved_or_unreachable_name_is_unavailable() {
        let gone = Replica::start("127.0.0.1", ServingStatus::Serving).await;
        let address = gone.address;
        gone.stop().await;
        let unknown = || async { Err(io::Error::from(io::ErrorKind::NotFound)) }.boxed();
        let nothing = || async { Ok(Vec::new()) }.boxed();
        let silent = || std::future::pending().boxed();
        let refusing = move || async move { Ok(vec![address]) }.boxed();
        let lookups: [Lookup; 4] = [Box::new(unknown), Box::new(nothing), Box::new(silent), Box::new(refusing)];
        for lookup in lookups {
            let mut client = client(lookup, Duration::from_millis(50));
            for _ in 0..2 {
                let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
                assert_eq!(status.code(), Code::Unavailable);
                assert!(status.source().is_some(), "{status}: nobody learns why");
            }
        }
    }

    #[tokio::test]
    async fn failed_resolution_keeps_known_replicas() {
        let replica = Replica::start("127.0.0.1", ServingStatus::Serving).await;
        let mut name = Name::of(&[&replica]);
        name.reach(&replica).await;
        name.set_replicas(&[]);
        for _ in 0..20 {
            name.reach(&replica).await;
        }
        replica.stop().await;
    }

    #[test]
    fn address_is_single_and_name_is_balanced() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _within = runtime.enter();
        let is_one = |address: &str| matches!(crate::channel(address).unwrap(), Channel(Way::Single(_)));
        assert!(is_one("http://127.0.0.1:50051") && is_one("http://[::1]:50051"));
        assert!(!is_one("http://journals:50051") && !is_one("http://localhost:50051"));
        assert!(crate::channel("/journals").is_err());
    }
}
