//! The attacker's calls. They run until the process ends: whatever the front ends is started again, at most once a
//! second.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use h2::client::{Builder, Connection, SendRequest};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Counts;
use crate::Result;

/// Source address of the attacker.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// Time between attempts that the front ends at once.
const RENEWAL: Duration = Duration::from_secs(1);
/// Time between attempts that take long to be answered.
const PAUSE: Duration = Duration::from_millis(100);
/// Maximum time for which a stream is held open.
const HELD: Duration = Duration::from_secs(20);
/// Streams on one connection: fewer than any front's limit.
const STREAMS_PER_CONNECTION: usize = 90;
const CONNECTIONS: usize = 32;

type Sender = http1::SendRequest<Full<Bytes>>;

/// Target, credentials and counters of an attack.
pub(super) struct Source {
    target: SocketAddr,
    bearer: String,
    next: AtomicU64,
    pub(super) counts: Counts,
}

impl Source {
    pub(super) fn new(target: SocketAddr, token: &str) -> Self {
        Self { target, bearer: format!("Bearer {token}"), next: AtomicU64::new(0), counts: Counts::default() }
    }

    async fn connect(&self) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((ADDRESS, 0).into())?;
        let stream = socket.connect(self.target).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect_http2(&self) -> Result<(SendRequest<Bytes>, Connection<TcpStream>)> {
        Ok(Builder::new().initial_max_send_streams(250).handshake(self.connect().await?).await?)
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends the headers of a call and waits until it ends.
    async fn stream(&self, client: SendRequest<Bytes>, rpc: &str) -> Result<()> {
        let mut client = client.ready().await?;
        let request = Request::post(format!("http://{}{rpc}", self.target))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", &self.bearer)
            .body(())?;
        let (answer, mut message) = client.send_request(request, false)?;
        self.counts.attempt();
        let answer = answer.await;
        self.counts.end(answer.is_ok());
        message.send_reset(Reason::CANCEL);
        Ok(())
    }
}

/// Keeps this many streams open on a connection.
pub(super) async fn keep_streams(source: Arc<Source>, rpc: &'static str, streams: usize) {
    loop {
        if let Ok((client, connection)) = source.connect_http2().await {
            let all = join_all((0..streams).map(|_| async {
                loop {
                    let begun = Instant::now();
                    // The end of the connection is handled below.
                    let _ = source.stream(client.clone(), rpc).await;
                    tokio::time::sleep_until(begun + RENEWAL).await;
                }
            }));
            tokio::select! {
                _ = connection => {}
                _ = all => {}
            }
        }
        tokio::time::sleep(RENEWAL).await;
    }
}

/// Opens this many streams a second, on as many connections as needed.
pub(super) async fn pace_streams(source: Arc<Source>, rpc: &'static str, per_second: u32) {
    let mut ticks = tokio::time::interval(RENEWAL / per_second);
    let (mut tasks, mut lines) = (JoinSet::new(), Vec::<(SendRequest<Bytes>, Arc<()>)>::new());
    loop {
        ticks.tick().await;
        while tasks.try_join_next().is_some() {}
        let free = lines.iter().position(|(_, streams)| Arc::strong_count(streams) <= STREAMS_PER_CONNECTION);
        let line = match free {
            Some(line) => line,
            None if lines.len() < CONNECTIONS => {
                let Ok((client, connection)) = source.connect_http2().await else { continue };
                let until_its_end = Arc::new(());
                lines.push((client, Arc::clone(&until_its_end)));
                tasks.spawn(async move { drop(connection.await) });
                lines.len() - 1
            }
            None => continue,
        };
        let (client, streams) = lines[line].clone();
        let source = Arc::clone(&source);
        tasks.spawn(async move {
            let _streams = streams;
            let _ = tokio::time::timeout(HELD, source.stream(client, rpc)).await;
        });
    }
}

/// Registers new accounts without end on a connection.
pub(super) async fn register(source: Arc<Source>, connection: u32) {
    loop {
        let _ = register_until_cut_off(&source, connection).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn register_until_cut_off(source: &Source, connection: u32) -> Result<()> {
    let (sender, driver) = http1::handshake(TokioIo::new(source.connect().await?)).await?;
    tokio::select! {
        ended = driver => Ok(ended?),
        ended = register_on(sender, source, connection) => ended,
    }
}

async fn register_on(mut sender: Sender, source: &Source, connection: u32) -> Result<()> {
    loop {
        let email = format!("flood.{connection}.{}@example.org", source.number());
        let body = format!(r#"{{"email":"{email}","password":"seven quiet herons","role":"CLIENT"}}"#);
        let request = Request::post("/auth/register")
            .header("host", source.target.to_string())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        source.counts.attempt();
        let answer = sender.send_request(request).await;
        source.counts.end(answer.is_ok());
        answer?.into_body().collect().await?;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps a connection open after one answered request.
pub(super) async fn keep_connection(source: Arc<Source>) {
    loop {
        let _ = kept(&source).await;
        tokio::time::sleep(RENEWAL).await;
    }
}

async fn kept(source: &Source) -> Result<()> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(source.connect().await?)).await?;
    source.counts.attempt();
    let request = Request::get("/healthz").header("host", source.target.to_string()).body(Full::new(Bytes::new()))?;
    let call = async {
        let answer = sender.send_request(request).await;
        source.counts.end(answer.is_ok());
        if let Ok(answer) = answer {
            // The connection task sees the end.
            let _ = answer.into_body().collect().await;
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = driver => Ok(ended?),
        () = call => Ok(()),
    }
}
