//! The one listener: HTTP/2 for services, HTTP/1.1 beside it for the front, on a bounded number of connections, each of
//! which must say something soon, and all of which are drained before the process ends.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use kernel::BoxError;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::config;

/// The bounds of a listener.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Connections")]
pub struct Config {
    /// How many connections may be open at once; more wait in the backlog.
    #[arg(long, env = "MESH_MAX_CONNECTIONS", default_value_t = 1024, value_parser = config::count)]
    pub max_connections: usize,

    /// How long a new connection may take to make its first request, and HTTP/1.1 to send its headers.
    #[arg(long, env = "MESH_FIRST_REQUEST_TIMEOUT", default_value = "10s", value_parser = config::duration)]
    pub first_request_timeout: Duration,

    /// How long requests under way may take to end when the process is told to stop.
    #[arg(long, env = "MESH_DRAIN_TIMEOUT", default_value = "20s", value_parser = config::duration)]
    pub drain_timeout: Duration,
}

/// Which protocols a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2 without TLS, by prior knowledge: gRPC.
    Http2,
    /// HTTP/1.1 too: REST.
    Http1And2,
}

const MAX_STREAMS: u32 = 256;
const MAX_HEADERS: u32 = 32 * 1024;
/// Also how much of a body is read ahead.
const MAX_HTTP1_HEAD: usize = 32 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Serves connections until `stop`, then lets those that are there finish. The requests that `service` gets carry the
/// peer's `SocketAddr` in their extensions. Answers whether all connections ended within the drain timeout.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    protocols: Protocols,
    config: &Config,
    stop: CancellationToken,
) -> bool
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let http = Arc::new(protocol(protocols, config));
    let places = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let (graceful, tracker) = (GracefulShutdown::new(), TaskTracker::new());
    while let Some((stream, peer, place)) = accept(&listener, &places, &stop).await {
        let spoken = Arc::new(AtomicBool::new(false));
        let (heard, service) = (Arc::clone(&spoken), service.clone());
        let service = tower::service_fn(move |mut request: http::Request<Incoming>| {
            heard.store(true, Ordering::Relaxed);
            request.extensions_mut().insert::<SocketAddr>(peer);
            service.clone().oneshot(request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
        let connection = graceful.watch(connection);
        let patience = config.first_request_timeout;
        tracker.spawn(async move {
            let _place = place;
            // A broken connection is the peer's affair: its requests have been counted and logged by themselves.
            until_silent(connection, &spoken, patience).await;
        });
    }
    // New connections are refused from here on, so that a front goes elsewhere at once.
    drop(listener);
    tracker.close();
    let drained = async {
        graceful.shutdown().await;
        tracker.wait().await;
    };
    tokio::time::timeout(config.drain_timeout, drained).await.is_ok()
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
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    match protocols {
        Protocols::Http2 => http.http2_only(),
        Protocols::Http1And2 => http,
    }
}

/// The next connection and its place, or nothing once it is time to stop.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    stop.run_until_cancelled(async {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Without this a small answer waits for the peer's acknowledgement; if it fails, it is only slower.
                    let _ = stream.set_nodelay(true);
                    return Some((stream, peer, place));
                }
                // Out of file descriptors, or the peer gave up already: neither ends the listener.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    })
    .await
    .flatten()
}

/// Runs a connection; drops it if no request came on it in time, whether it said nothing or half a preface.
async fn until_silent<F: Future>(connection: F, spoken: &AtomicBool, patience: Duration) {
    tokio::pin!(connection);
    if tokio::time::timeout(patience, &mut connection).await.is_ok() || !spoken.load(Ordering::Relaxed) {
        return;
    }
    connection.await;
}
