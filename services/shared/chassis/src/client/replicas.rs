//! The replicas of a service, by its name: calls go round all addresses that the name has, each over a connection of its own.

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

use crate::status;

/// How long it is believed what a name stands for, and how long what doesn't answer is left alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Where all addresses of the name are connected.
    pub(super) settled: Duration,
    /// Where some are not, or the name can't be looked up.
    pub(super) unsettled: Duration,
    /// The time for looking a name up and connecting to its addresses, together.
    pub(super) patience: Duration,
}

/// Asks for the addresses of one name.
pub(super) type Lookup = Box<dyn Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Why no replica is connected.
type Failure = Arc<dyn StdError + Send + Sync>;

/// A look at the name, which all who wait share.
type Look = Shared<BoxFuture<'static, Result<(), Failure>>>;

/// The replicas of one name.
pub(super) struct Replicas {
    endpoint: Endpoint,
    lookup: Lookup,
    pace: Pace,
    known: Mutex<Known>,
}

struct Known {
    connected: Vec<Replica>,
    /// Whose turn it is.
    turn: usize,
    /// When to look at the name again.
    due: Instant,
    look: Option<(AbortHandle, Look)>,
}

#[derive(Clone)]
struct Replica {
    address: SocketAddr,
    channel: Channel,
}

impl Replicas {
    /// The addresses that `lookup` finds, connected to as `endpoint` says. Looks with the first call; without calls it does nothing.
    pub(super) fn new(endpoint: Endpoint, lookup: Lookup, pace: Pace) -> Arc<Self> {
        let known = Known { connected: Vec::new(), turn: 0, due: Instant::now(), look: None };
        Arc::new(Self { endpoint, lookup, pace, known: Mutex::new(known) })
    }

    /// The channel whose turn it is, and its address. Waits only where no replica is connected.
    ///
    /// # Errors
    /// UNAVAILABLE, if none can be reached.
    pub(super) async fn next(self: &Arc<Self>) -> Result<(SocketAddr, Channel), Status> {
        let look = {
            let mut known = self.lock();
            if let Some(replica) = known.next() {
                if known.due <= Instant::now() {
                    drop(self.look_once(&mut known));
                }
                return Ok((replica.address, replica.channel));
            }
            self.look_once(&mut known)
        };
        let looked = look.await;
        let replica = self.lock().next();
        replica.map(|replica| (replica.address, replica.channel)).ok_or_else(|| unavailable(looked.err()))
    }

    /// Gives no calls to an address any more, until it was connected to anew. Answers the others.
    pub(super) fn lose(&self, address: SocketAddr) -> Vec<SocketAddr> {
        let mut known = self.lock();
        known.connected.retain(|replica| replica.address != address);
        known.due = Instant::now();
        known.connected.iter().map(|replica| replica.address).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The look that is under way, or else a new one, which goes on when its caller hangs up.
    fn look_once(self: &Arc<Self>, known: &mut Known) -> Look {
        if let Some((_, look)) = known.look.as_ref().filter(|(task, _)| !task.is_finished()) {
            return look.clone();
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "it ends by itself when its patience does, and nothing waits for its end"
        )]
        let task = tokio::spawn(Arc::clone(self).look());
        let handle = task.abort_handle();
        let look = task.map(|done| done.unwrap_or_else(|ended| Err(Arc::new(ended)))).boxed().shared();
        known.look = Some((handle, look.clone()));
        look
    }

    /// Looks the name up, connects to what is new, and forgets what is gone: what is under way there may end.
    async fn look(self: Arc<Self>) -> Result<(), Failure> {
        let by = Instant::now() + self.pace.patience;
        let found = match self.find(by).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(uri = %self.endpoint.uri(), %error, "the name of a service can't be looked up");
                self.lock().due = Instant::now() + self.pace.unsettled;
                return Err(Arc::new(error));
            }
        };
        let known: BTreeSet<_> = self.lock().connected.iter().map(|replica| replica.address).collect();
        let new = join_all(found.difference(&known).map(|address| self.connect(*address, by))).await;

        let mut known = self.lock();
        known.connected.retain(|replica| found.contains(&replica.address));
        let mut failed = None;
        for connected in new {
            match connected {
                Ok(replica) => known.connected.push(replica),
                Err(failure) => failed = Some(failure),
            }
        }
        known.due = Instant::now() + if failed.is_some() { self.pace.unsettled } else { self.pace.settled };
        failed.filter(|_| known.connected.is_empty()).map_or(Ok(()), Err)
    }

    /// The addresses of the name: at least one.
    async fn find(&self, by: Instant) -> io::Result<BTreeSet<SocketAddr>> {
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

impl Known {
    fn next(&mut self) -> Option<Replica> {
        self.turn = self.turn.wrapping_add(1);
        self.connected.get(self.turn.checked_rem(self.connected.len())?).cloned()
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas").field("uri", self.endpoint.uri()).finish_non_exhaustive()
    }
}

/// Connects to one address. Where a connection was lost and can't be made again, the call that finds that out goes to another
/// replica, over a connection that gets no further calls.
fn connector(
    replicas: Weak<Replicas>,
    address: SocketAddr,
) -> impl Service<Uri, Response = TokioIo<TcpStream>, Error = io::Error, Future: Send> + Send {
    let mut was_connected = false;
    tower::service_fn(move |_: Uri| {
        let (replicas, again) = (Weak::clone(&replicas), mem::replace(&mut was_connected, true));
        async move {
            let own = open(address).await;
            let Some(replicas) = replicas.upgrade().filter(|_| again && own.is_err()) else { return own };
            for other in replicas.lose(address) {
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
    let mut status = status::without_log(&Error::unavailable("no replica can be reached"));
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
    use crate::client::{Channel, Way};

    /// A replica that can be told from others by the status that it has.
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

    /// A name that stands for what it is told, and a client of whoever that is. It looks before every call.
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
            name.stands_for(replicas);
            name
        }

        fn stands_for(&self, replicas: &[&Replica]) {
            *self.addresses.lock().unwrap() = replicas.iter().map(|replica| replica.address).collect();
        }

        async fn call(&mut self) -> Result<i32, Status> {
            let answer = self.client.check(HealthCheckRequest::default()).await;
            answer.map(|answer| answer.into_inner().status)
        }

        /// Calls until that replica answers: it must.
        async fn reach(&mut self, replica: &Replica) {
            while self.call().await.unwrap() != replica.status as i32 {}
        }
    }

    fn client(lookup: Lookup, patience: Duration) -> HealthClient<Channel> {
        let pace = Pace { settled: Duration::ZERO, unsettled: Duration::ZERO, patience };
        let endpoint = Endpoint::from_static("http://journals:50051");
        HealthClient::new(Channel(Way::Each(Replicas::new(endpoint, lookup, pace))))
    }

    #[tokio::test]
    async fn replicas_take_turns_one_that_stops_is_left_out_and_a_new_one_gets_calls() {
        let one = Replica::start("127.0.0.1", ServingStatus::Serving).await;
        let two = Replica::start("127.0.0.2", ServingStatus::NotServing).await;
        let three = Replica::start("127.0.0.3", ServingStatus::Unknown).await;
        let mut name = Name::of(&[&one, &two]);
        let mut turns = [name.call().await.unwrap(), name.call().await.unwrap()];
        turns.sort_unstable();
        assert_eq!(turns, [one.status as i32, two.status as i32]);

        // The name stands for it still.
        two.stop().await;
        let mut failed = 0;
        for _ in 0..100 {
            failed += usize::from(name.call().await.is_err());
        }
        assert!(failed <= 1, "{failed} calls of a hundred failed");

        name.stands_for(&[&one, &three]);
        name.reach(&three).await;
        name.reach(&one).await;
        // Not in turns with another any more.
        name.stands_for(&[&three]);
        let mut before = one.status as i32;
        while before != three.status as i32 || name.call().await.unwrap() != before {
            before = name.call().await.unwrap();
        }
        one.stop().await;
        assert_eq!(name.call().await.unwrap(), three.status as i32);
        three.stop().await;
    }

    #[tokio::test]
    async fn who_is_not_to_be_found_or_to_be_reached_is_unavailable_at_once() {
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
    async fn a_name_that_can_not_be_looked_up_any_more_stands_for_what_it_did() {
        let replica = Replica::start("127.0.0.1", ServingStatus::Serving).await;
        let mut name = Name::of(&[&replica]);
        name.reach(&replica).await;
        name.stands_for(&[]);
        for _ in 0..20 {
            name.reach(&replica).await;
        }
        replica.stop().await;
    }

    #[test]
    fn an_address_is_connected_to_and_a_name_looked_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _within = runtime.enter();
        let is_one = |address: &str| matches!(crate::client::channel(address).unwrap(), Channel(Way::One(_)));
        assert!(is_one("http://127.0.0.1:50051") && is_one("http://[::1]:50051"));
        assert!(!is_one("http://journals:50051") && !is_one("http://localhost:50051"));
        assert!(crate::client::channel("/journals").is_err());
    }
}
