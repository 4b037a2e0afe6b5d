//! Serves HTTP/2, and for the front HTTP/1.1 too, on a bounded number of connections in total and per source. Closes
//! connections that make no request soon or don't take their answers, and drains all before the process ends.
//!
//! Not by tonic's or axum's server: neither bounds connections by source, nor makes room by closing the longest idle one.

mod accept;
mod body_drain;
mod stall;
mod worker;

pub use body_drain::RequestBody;
pub use worker::{Worker, WorkerPool};

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::Body;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use kernel::{BoxError, setting};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use self::accept::{Accepted, ConnectionSlots, accept};
use self::body_drain::BodyDrain;
use self::stall::{ConnectionActivity, InFlightBody, TrackedBody, WriteTimeout};
use self::worker::least_busy;
use crate::proxies::TrustedProxies;

/// The bounds of a listener.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Connections")]
pub struct Config {
    /// Maximum open connections; one more takes the place of the one that has been idle longest, and waits where none
    /// is idle.
    #[arg(long, env = "MESH_MAX_CONNECTIONS", default_value_t = 1024, value_parser = setting::count)]
    pub max_connections: usize,

    /// Maximum open connections of one source at the front: of an IPv4 address or an IPv6 /64, twice as many of a /56
    /// and four times as many of a /48. One more closes an idle one of the same source, or is closed.
    #[arg(long, env = "MESH_MAX_CONNECTIONS_PER_SOURCE", default_value_t = 256, value_parser = setting::count)]
    pub max_connections_per_source: usize,

    /// Time in which a new connection must make its first request, and in which HTTP/1.1 must send its headers.
    #[arg(long, env = "MESH_FIRST_REQUEST_TIMEOUT", default_value = "10s", value_parser = setting::duration)]
    pub first_request_timeout: Duration,

    /// Time after which a connection is closed whose peer takes nothing of an answer that waits for it.
    #[arg(long, env = "MESH_STALL_TIMEOUT", default_value = "30s", value_parser = setting::duration)]
    pub stall_timeout: Duration,

    /// Time in which requests under way must end when the process is told to stop.
    #[arg(long, env = "MESH_DRAIN_TIMEOUT", default_value = "20s", value_parser = setting::duration)]
    pub drain_timeout: Duration,
}

/// Protocols of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2 without TLS, by prior knowledge: gRPC.
    Http2,
    /// HTTP/1.1 too: REST.
    Http1And2,
}

/// Maximum concurrent requests on a connection of an untrusted peer.
const MAX_STREAMS: u32 = 100;
/// Maximum concurrent requests on a connection between a front and a service, which carries those of many callers.
const MAX_SHARED_STREAMS: u32 = 1024;
const MAX_HEADERS: u32 = 32 * 1024;
/// Maximum size of an HTTP/1.1 head, and of the part of a body that is read ahead.
const MAX_HTTP1_HEAD: usize = 32 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Time without a request after which the connection of an untrusted peer is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Time in which a replaced connection must shut down.
const REPLACED_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves connections until `stop`, each on the worker with the fewest, then drains them. The requests that services
/// get carry the peer's `SocketAddr` in their extensions. Returns whether all connections ended within the drain
/// timeout.
///
/// Untrusted peers have a budget of connections for each source; `proxies`, and the callers of a service, have none.
pub async fn serve<S, B>(
    listener: TcpListener,
    workers: Vec<Worker<S>>,
    protocols: Protocols,
    proxies: &TrustedProxies,
    config: &Config,
    stop: CancellationToken,
) -> bool
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let http = Arc::new(protocol(protocols, config));
    let slots = ConnectionSlots::new(protocols, proxies, config);
    let (ending, tracker) = (CancellationToken::new(), TaskTracker::new());
    while let Some(Accepted { stream, peer, activity, slot }) = accept(&listener, &slots, &stop).await {
        let Some(worker) = least_busy(&workers) else { break };
        let (service, open) = (worker.service.clone(), Arc::clone(&worker.connections));
        let (http, config, ending) = (Arc::clone(&http), config.clone(), ending.clone());
        let drain = BodyDrain { tracker: tracker.clone(), runtime: worker.runtime.clone() };
        let connection = async move {
            let _lasts = open;
            // A socket that can't change its runtime is as good as one that broke off.
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let service = track_activity(service, peer, protocols, Arc::clone(&activity), drain);
            let io = TokioIo::new(WriteTimeout::new(stream, config.stall_timeout, Arc::clone(&activity)));
            let connection = http.serve_connection(io, TowerToHyperService::new(service));
            drive_connection(connection, &activity, protocols, &config, &ending, slot.replaced()).await;
        };
        tracker.spawn_on(connection, &worker.runtime);
    }
    // New connections are refused from here on, so that a front goes elsewhere at once.
    drop(listener);
    tracker.close();
    ending.cancel();
    tokio::time::timeout(config.drain_timeout, tracker.wait()).await.is_ok()
}

/// Answer with a body that records the connection's activity.
type Tracked<B> = http::Response<Either<TrackedBody<Pin<Box<B>>>, InFlightBody<B>>>;

/// Wraps the service of one connection so that its requests and answers are recorded as activity.
fn track_activity<S, B>(
    service: S,
    peer: SocketAddr,
    protocols: Protocols,
    activity: Arc<ConnectionActivity>,
    drain: BodyDrain,
) -> impl Service<http::Request<Incoming>, Response = Tracked<B>, Error = Infallible, Future: Send> + Clone + Send
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    tower::service_fn(move |mut request: http::Request<Incoming>| {
        let begun = activity.begin();
        request.extensions_mut().insert::<SocketAddr>(peer);
        // Mesh connections carry the calls of many callers: none of these may end because another one stops reading.
        let has_one_reader = protocols == Protocols::Http1And2 && request.version() == Version::HTTP_2;
        if has_one_reader {
            activity.note_streams();
        }
        let request = RequestBody::wrap(request, drain.clone());
        let answer = service.clone().oneshot(request);
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(if has_one_reader {
                answer.map(|body| Either::Left(TrackedBody::new(Box::pin(body), begun)))
            } else {
                answer.map(|body| Either::Right(InFlightBody::new(body, begun)))
            })
        }
    })
}

fn protocol(protocols: Protocols, config: &Config) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.first_request_timeout)
        .max_headers(64)
        .max_buf_size(MAX_HTTP1_HEAD);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(match protocols {
            Protocols::Http2 => MAX_SHARED_STREAMS,
            Protocols::Http1And2 => MAX_STREAMS,
        })
        .max_header_list_size(MAX_HEADERS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    match protocols {
        Protocols::Http2 => http.http2_only(),
        Protocols::Http1And2 => http,
    }
}

/// Drives a connection to its end. Drops it if no request comes on it in time, or if nothing of its answers is taken;
/// shuts it down gracefully if it is `replaced`, if the listener ends, or if an untrusted peer is idle for long.
async fn drive_connection<C: GracefulConnection>(
    connection: C,
    activity: &Arc<ConnectionActivity>,
    protocols: Protocols,
    config: &Config,
    ending: &CancellationToken,
    replaced: &CancellationToken,
) {
    tokio::pin!(connection);
    let (mut shutting_down, mut is_replaced) = (false, false);
    let mut timeout = config.first_request_timeout;
    loop {
        tokio::select! {
            // A broken connection is the peer's affair: its requests have been counted and logged by themselves.
            _ = &mut connection => return,
            () = ending.cancelled(), if !shutting_down => shutting_down = true,
            () = replaced.cancelled(), if !is_replaced => {
                (shutting_down, is_replaced, timeout) = (true, true, REPLACED_TIMEOUT);
            }
            () = tokio::time::sleep(timeout) => {
                let is_quiet = activity.is_quiet();
                let Some(inactive_for) = activity.inactive_for().filter(|_| !is_replaced || !is_quiet) else { return };
                // HTTP/2 may still hold the last piece of an answer, which the peer makes no room for.
                let has_unsent_end = shutting_down && is_quiet && activity.has_streams();
                if inactive_for >= config.stall_timeout && (activity.has_pending_body() || has_unsent_end) {
                    return;
                }
                timeout = config.stall_timeout / 2;
                let is_idle = is_quiet && inactive_for >= IDLE_TIMEOUT;
                if shutting_down || protocols == Protocols::Http2 || !is_idle {
                    continue;
                }
                shutting_down = true;
            }
        }
        if shutting_down {
            connection.as_mut().graceful_shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// Asks for `/` over HTTP/2 with an initial window of one byte (RFC 9113, section 6.5.2), then answers pings and
    /// takes nothing until the connection ends.
    async fn request_with_one_byte_window(mut peer: DuplexStream) {
        const PING: u8 = 6;
        peer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        peer.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\x01").await.unwrap();
        peer.write_all(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a").await.unwrap();
        let mut head = [0; 9];
        while peer.read_exact(&mut head).await.is_ok() {
            let [a, b, c, kind, flags, ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            peer.read_exact(&mut payload).await.unwrap();
            if kind == PING && flags == 0 {
                let answer = [b"\0\0\x08\x06\x01\0\0\0\0".as_slice(), &payload].concat();
                // The front may have closed meanwhile.
                drop(peer.write_all(&answer).await);
            }
        }
    }

    /// Returns a future that drives one connection, whose service answers without reading, and the peer's side of it.
    fn connection() -> (impl Future<Output = ()>, DuplexStream) {
        let config = Config {
            max_connections: 1,
            max_connections_per_source: 1,
            first_request_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(20),
        };
        let (front, peer) = tokio::io::duplex(MAX_HTTP1_HEAD);
        let answers = tower::service_fn(|_: http::Request<RequestBody>| async {
            Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"an answer"))))
        });
        let (activity, ending) = (ConnectionActivity::new(), CancellationToken::new());
        let drain = BodyDrain { tracker: TaskTracker::new(), runtime: tokio::runtime::Handle::current() };
        let service =
            track_activity(answers, ([127, 0, 0, 1], 9).into(), Protocols::Http1And2, Arc::clone(&activity), drain);
        let http = protocol(Protocols::Http1And2, &config);
        let served = async move {
            let connection = http.serve_connection(TokioIo::new(front), TowerToHyperService::new(service));
            drive_connection(connection, &activity, Protocols::Http1And2, &config, &ending, &CancellationToken::new())
                .await;
        };
        (served, peer)
    }

    #[tokio::test(start_paused = true)]
    async fn unread_end_of_answer_closes_connection() {
        let (served, peer) = connection();
        let both = async { tokio::join!(served, request_with_one_byte_window(peer)) };
        tokio::time::timeout(2 * IDLE_TIMEOUT, both).await.expect("an end");
    }

    #[tokio::test(start_paused = true)]
    async fn endless_unread_body_closes_connection() {
        let (served, mut peer) = connection();
        let sends = async {
            peer.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
            while peer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let both = async { tokio::join!(served, sends) };
        tokio::time::timeout(Duration::from_secs(15), both).await.expect("an end");
    }
}
