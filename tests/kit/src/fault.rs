//! Fault injection: a proxy between the SDK and the engine that makes the engine slow, silent, absent or overloaded.
//!
//! The proxy invents no data: it only delays, drops or rejects the calls of a real engine.
#![allow(clippy::expect_used, reason = "a test whose proxy does not start has failed")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wait;

/// The proxy's treatment of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Forwards the call.
    Pass,
    /// Forwards the call after a delay.
    Delay(Duration),
    /// Accepts the call and never answers.
    Hang,
    /// Refuses new connections and closes existing ones.
    Refuse,
    /// Forwards the call, drops the answer and closes the connection.
    LoseAnswer,
    /// Answers that the table's throughput is exceeded.
    Throttle,
    /// Answers that another transaction is in progress on the item.
    Conflict,
    /// Answers a batch that nothing of it was processed.
    LeaveUnprocessed,
}

/// A proxy in front of an engine. It stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: watch::Receiver<bool>,
    _task: JoinSet<()>,
}

/// A call, as passed to filters.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Name of the operation, such as `PutItem`.
    pub operation: &'a str,
    /// JSON of the request.
    pub body: &'a [u8],
}

impl Call<'_> {
    /// Returns true if the call names this table, alone or among others.
    #[must_use]
    pub fn names(&self, table: &str) -> bool {
        let quoted = format!("\"{table}\"");
        self.body.windows(quoted.len()).any(|window| window == quoted.as_bytes())
    }
}

type Filter = Box<dyn Fn(Call<'_>) -> bool + Send + Sync>;

struct Shared {
    upstream: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    mode: watch::Sender<Mode>,
    next: Mutex<VecDeque<Mode>>,
    only: Mutex<Option<Filter>>,
    calls: Mutex<Vec<(String, Bytes)>>,
    /// Number of calls that were held up by [`Mode::Hang`].
    held: watch::Sender<usize>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Starts a proxy on a free loopback port in front of this address. It forwards everything.
    ///
    /// # Panics
    /// If the address is not a URL, no port is free, or outside a tokio runtime.
    #[must_use]
    pub fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.parse().expect("the address of the engine is a URL"),
            client: Client::builder(TokioExecutor::new()).build_http(),
            mode: watch::Sender::new(Mode::Pass),
            next: Mutex::default(),
            only: Mutex::default(),
            calls: Mutex::default(),
            held: watch::Sender::new(0),
        });
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
        let address = listener.local_addr().expect("the port is known");
        let (tell, listening) = watch::channel(true);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, address, Arc::clone(&shared), tell));
        Self { address, shared, listening, _task: task }
    }

    /// Returns the endpoint for the SDK.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the mode for later calls. Hanging calls continue when the mode changes.
    ///
    /// # Panics
    /// If the proxy has ended.
    pub async fn set(&self, mode: Mode) {
        let open = mode != Mode::Refuse;
        self.shared.mode.send_replace(mode);
        self.listening.clone().wait_for(|listening| *listening == open).await.expect("the proxy runs");
    }

    /// Queues modes for the next calls, one each. The mode of [`set`](Self::set) applies after them.
    pub fn next(&self, modes: impl IntoIterator<Item = Mode>) {
        locked(&self.shared.next).extend(modes);
    }

    /// Drops the modes that are queued.
    pub fn clear(&self) {
        locked(&self.shared.next).clear();
    }

    /// Restricts faults to matching calls and forwards all others. [`Mode::Refuse`] still applies to all connections.
    pub fn only(&self, these: impl Fn(Call<'_>) -> bool + Send + Sync + 'static) {
        *locked(&self.shared.only) = Some(Box::new(these));
    }

    /// Waits until this operation is called, and discards the calls recorded so far.
    ///
    /// # Panics
    /// If it isn't called within a minute.
    pub async fn called(&self, operation: &str) {
        wait::until(operation, async || self.take_calls().iter().any(|called| called == operation)).await;
    }

    /// Waits until a call has been held up by [`Mode::Hang`].
    ///
    /// # Panics
    /// If the proxy has ended.
    pub async fn held(&self) {
        self.shared.held.subscribe().wait_for(|held| *held > 0).await.expect("the proxy runs");
    }

    /// Takes the operations called since the last take, in order, such as `PutItem` and `Query`.
    #[must_use]
    pub fn take_calls(&self) -> Vec<String> {
        self.take_calls_that(|_| true)
    }

    /// Takes the operations of matching calls since the last take and discards the others: background tasks call too.
    #[must_use]
    pub fn take_calls_that(&self, are_meant: impl Fn(Call<'_>) -> bool) -> Vec<String> {
        let calls = std::mem::take(&mut *locked(&self.shared.calls)).into_iter();
        let meant = calls.filter(|(operation, body)| are_meant(Call { operation, body }));
        meant.map(|(operation, _)| operation).collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn accept(mut listener: TcpListener, address: SocketAddr, shared: Arc<Shared>, listening: watch::Sender<bool>) {
    let mut modes = shared.mode.subscribe();
    let mut connections = JoinSet::new();
    loop {
        if *modes.borrow_and_update() == Mode::Refuse {
            drop(listener);
            connections.shutdown().await;
            listening.send_replace(false);
            if modes.wait_for(|mode| *mode != Mode::Refuse).await.is_err() {
                return;
            }
            listener = listen(address).expect("the port is free again");
            listening.send_replace(true);
        }
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
            }
            changed = modes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    // Some modes break the connection on purpose.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Error that closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct Lost;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Lost> {
    let operation = operation(&request);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    locked(&shared.calls).push((operation.clone(), body.clone()));
    let mode = shared.mode_for(Call { operation: &operation, body: &body });
    let request = Request::from_parts(head, body);
    match mode {
        Mode::Pass => forward(request, &shared).await,
        Mode::Delay(wait) => {
            tokio::time::sleep(wait).await;
            forward(request, &shared).await
        }
        Mode::Hang => {
            shared.held.send_modify(|held| *held += 1);
            let mut modes = shared.mode.subscribe();
            modes.wait_for(|mode| *mode != Mode::Hang).await.map_err(|_| Lost)?;
            forward(request, &shared).await
        }
        Mode::Refuse => Err(Lost),
        Mode::LoseAnswer => {
            forward(request, &shared).await?;
            Err(Lost)
        }
        Mode::Throttle => Ok(error("ProvisionedThroughputExceededException", "")),
        Mode::Conflict if matches!(operation.as_str(), "TransactGetItems" | "TransactWriteItems") => {
            Ok(error("TransactionCanceledException", r#","CancellationReasons":[{"Code":"TransactionConflict"}]"#))
        }
        Mode::Conflict => Ok(error("TransactionConflictException", "")),
        Mode::LeaveUnprocessed => Ok(unprocessed(request.body())),
    }
}

impl Shared {
    fn mode_for(&self, call: Call<'_>) -> Mode {
        if locked(&self.only).as_ref().is_some_and(|only| !only(call)) {
            return Mode::Pass;
        }
        let once = locked(&self.next).pop_front();
        once.unwrap_or_else(|| self.mode.borrow().clone())
    }
}

/// Returns the last part of `x-amz-target: DynamoDB_20120810.PutItem`.
fn operation(request: &Request<Incoming>) -> String {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

async fn forward(request: Request<Bytes>, shared: &Shared) -> Result<Response<Full<Bytes>>, Lost> {
    let (mut head, body) = request.into_parts();
    let mut uri = shared.upstream.clone().into_parts();
    uri.path_and_query = head.uri.path_and_query().cloned();
    head.uri = Uri::from_parts(uri).map_err(|_| Lost)?;
    // Hop-by-hop headers belong to one connection.
    for hop in [hyper::header::CONNECTION, hyper::header::TRANSFER_ENCODING, hyper::header::CONTENT_LENGTH] {
        head.headers.remove(hop);
    }
    let answered = shared.client.request(Request::from_parts(head, Full::new(body))).await.map_err(|_| Lost)?;
    let (head, body) = answered.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    Ok(Response::from_parts(head, Full::new(body)))
}

fn error(code: &str, more: &str) -> Response<Full<Bytes>> {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"injected"{more}}}"#);
    answer_with(StatusCode::BAD_REQUEST, body)
}

fn unprocessed(request: &[u8]) -> Response<Full<Bytes>> {
    let request: serde_json::Value = serde_json::from_slice(request).expect("the SDK sends JSON");
    let items = &request["RequestItems"];
    let body = serde_json::json!({ "Responses": {}, "UnprocessedKeys": items, "UnprocessedItems": items });
    answer_with(StatusCode::OK, body.to_string())
}

fn answer_with(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(Full::new(Bytes::from(body))).expect("the response is well formed")
}
