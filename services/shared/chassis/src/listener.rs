//! The one listener: HTTP/2 for services, HTTP/1.1 beside it for the front, on a bounded number of connections, of all and of
//! one source, each of which must say something soon and take what it asked for, and all of which are drained before the process ends.

mod lane;
mod places;
mod stall;
mod unread;

pub use lane::{Lane, Threads};
pub use unread::RequestBody;

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
use kernel::BoxError;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use self::lane::least_busy;
use self::places::{Accepted, Places, accept};
use self::stall::{Impatient, Lasting, Life, Owed};
use self::unread::Discard;
use crate::config;
use crate::proxies::TrustedProxies;

/// The bounds of a listener.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Connections")]
pub struct Config {
    /// How many connections may be open at once; one more takes the place of the one that has been idle longest, and waits
    /// where none is idle.
    #[arg(long, env = "MESH_MAX_CONNECTIONS", default_value_t = 1024, value_parser = config::count)]
    pub max_connections: usize,

    /// How many connections of one source may be open at once at the front: of an IPv4 address or an IPv6 /64, twice as many
    /// of a /56 and four times as many of a /48. One more closes an idle one of the same source, or is closed.
    #[arg(long, env = "MESH_MAX_CONNECTIONS_PER_SOURCE", default_value_t = 256, value_parser = config::count)]
    pub max_connections_per_source: usize,

    /// How long a new connection may take to make its first request, and HTTP/1.1 to send its headers.
    #[arg(long, env = "MESH_FIRST_REQUEST_TIMEOUT", default_value = "10s", value_parser = config::duration)]
    pub first_request_timeout: Duration,

    /// How long a peer may take nothing of an answer that waits for it.
    #[arg(long, env = "MESH_STALL_TIMEOUT", default_value = "30s", value_parser = config::duration)]
    pub stall_timeout: Duration,

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

/// Requests at once on a connection of a stranger.
const MAX_STREAMS: u32 = 100;
/// Requests at once on a connection between a front and a service, which carries those of many.
const MAX_SHARED_STREAMS: u32 = 1024;
const MAX_HEADERS: u32 = 32 * 1024;
/// Also how much of a body is read ahead.
const MAX_HTTP1_HEAD: usize = 32 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a stranger's connection may be without a request.
const IDLE: Duration = Duration::from_secs(300);
/// Time that a connection without a place has to take its leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves connections until `stop`, each on the lane that has the fewest, then lets those that are there finish. The requests
/// that services get carry the peer's `SocketAddr` in their extensions. Answers whether all connections ended within the
/// drain timeout.
///
/// Strangers have a budget of connections for each source; `proxies`, and whoever calls a service, have none.
pub async fn serve<S, B>(
    listener: TcpListener,
    lanes: Vec<Lane<S>>,
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
    let places = Places::new(protocols, proxies, config);
    let (ending, tracker) = (CancellationToken::new(), TaskTracker::new());
    while let Some(Accepted { stream, peer, life, seat }) = accept(&listener, &places, &stop).await {
        let Some(lane) = least_busy(&lanes) else { break };
        let (service, open) = (lane.service.clone(), Arc::clone(&lane.connections));
        let (http, config, ending) = (Arc::clone(&http), config.clone(), ending.clone());
        let discard = Discard { tracker: tracker.clone(), runtime: lane.runtime.clone() };
        let connection = async move {
            let _lasts = open;
            // A socket that can't change its runtime is as good as one that broke off.
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let service = attended(service, peer, protocols, Arc::clone(&life), discard);
            let io = TokioIo::new(Impatient::new(stream, config.stall_timeout, Arc::clone(&life)));
            let connection = http.serve_connection(io, TowerToHyperService::new(service));
            attend(connection, &life, protocols, &config, &ending, seat.replaced()).await;
        };
        tracker.spawn_on(connection, &lane.runtime);
    }
    // New connections are refused from here on, so that a front goes elsewhere at once.
    drop(listener);
    tracker.close();
    ending.cancel();
    tokio::time::timeout(config.drain_timeout, tracker.wait()).await.is_ok()
}

/// An answer, with a body that notes whether the peer takes it where that matters.
type Attended<B> = http::Response<Either<Owed<Pin<Box<B>>>, Lasting<B>>>;

/// The service of one connection: what it is asked and what it answers tells whether the connection lives.
fn attended<S, B>(
    service: S,
    peer: SocketAddr,
    protocols: Protocols,
    lives: Arc<Life>,
    discard: Discard,
) -> impl Service<http::Request<Incoming>, Response = Attended<B>, Error = Infallible, Future: Send> + Clone + Send
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    tower::service_fn(move |mut request: http::Request<Incoming>| {
        let begun = lives.begin();
        request.extensions_mut().insert::<SocketAddr>(peer);
        // Mesh connections carry the calls of many, and none of these may end for another one's reader.
        let is_one_readers = protocols == Protocols::Http1And2 && request.version() == Version::HTTP_2;
        if is_one_readers {
            lives.note_streams();
        }
        let request = RequestBody::wrap(request, discard.clone());
        let answer = service.clone().oneshot(request);
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(if is_one_readers {
                answer.map(|body| Either::Left(Owed::new(Box::pin(body), begun)))
            } else {
                answer.map(|body| Either::Right(Lasting::new(body, begun)))
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

/// Runs a connection. Drops it if no request came on it in time, whether it said nothing or half a preface, or if nothing
/// of its answers is taken; sends a stranger away who asks nothing for long, and whoever is `replaced`.
async fn attend<C: GracefulConnection>(
    connection: C,
    life: &Arc<Life>,
    protocols: Protocols,
    config: &Config,
    ending: &CancellationToken,
    replaced: &CancellationToken,
) {
    tokio::pin!(connection);
    let (mut leaving, mut has_no_place) = (false, false);
    let mut patience = config.first_request_timeout;
    loop {
        tokio::select! {
            // A broken connection is the peer's affair: its requests have been counted and logged by themselves.
            _ = &mut connection => return,
            () = ending.cancelled(), if !leaving => leaving = true,
            () = replaced.cancelled(), if !has_no_place => (leaving, has_no_place, patience) = (true, true, FAREWELL),
            () = tokio::time::sleep(patience) => {
                let rests = life.rests();
                let Some(silence) = life.silence().filter(|_| !has_no_place || !rests) else { return };
                // HTTP/2 may still hold the last piece of an answer, which the peer makes no room for.
                let is_left_with_the_end = leaving && rests && life.has_streams();
                if silence >= config.stall_timeout && (life.is_owed() || is_left_with_the_end) {
                    return;
                }
                patience = config.stall_timeout / 2;
                let is_idle = rests && silence >= IDLE;
                if leaving || protocols == Protocols::Http2 || !is_idle {
                    continue;
                }
                leaving = true;
            }
        }
        if leaving {
            connection.as_mut().graceful_shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// Asks for `/` over HTTP/2 with an initial window of one byte (RFC 9113, section 6.5.2), then answers pings and takes
    /// nothing until the connection ends.
    async fn ask_and_leave_a_byte_of_room(mut peer: DuplexStream) {
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

    /// A connection of a peer that is answered without being read, until it ends; and the peer's side of it.
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
        let (life, ending) = (Life::new(), CancellationToken::new());
        let discard = Discard { tracker: TaskTracker::new(), runtime: tokio::runtime::Handle::current() };
        let service = attended(answers, ([127, 0, 0, 1], 9).into(), Protocols::Http1And2, Arc::clone(&life), discard);
        let http = protocol(Protocols::Http1And2, &config);
        let served = async move {
            let connection = http.serve_connection(TokioIo::new(front), TowerToHyperService::new(service));
            attend(connection, &life, Protocols::Http1And2, &config, &ending, &CancellationToken::new()).await;
        };
        (served, peer)
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_takes_the_end_of_an_answer_is_sent_away_in_the_end() {
        let (served, peer) = connection();
        let both = async { tokio::join!(served, ask_and_leave_a_byte_of_room(peer)) };
        tokio::time::timeout(2 * IDLE, both).await.expect("an end");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_for_ever_what_nobody_reads_is_sent_away_soon() {
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
