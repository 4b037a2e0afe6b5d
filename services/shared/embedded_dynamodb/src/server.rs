//! Serves DynamoDB's protocol to callers with the access key.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dynoxide::DynoxideError;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::StopError;
use crate::admission::admits;
use crate::capacity::is_full;
use crate::key::AccessKey;
use crate::store::Store;

/// Maximum connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// DynamoDB's body limit.
const BODY_LIMIT: usize = 16 << 20;
/// Timeout for a connection's first request with the key.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for the requests under way when the engine stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const TARGET: &str = "DynamoDB_20120810.";
/// AWS' answer to an unknown access key ID.
const REFUSED: &str = concat!(
    r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","#,
    r#""message":"The security token included in the request is invalid."}"#,
);
const FULL_ANSWER: &str = concat!(
    r#"{"__type":"com.dynoxide#StorageFullException","#,
    r#""message":"The disk is full, or the database has the maximum size."}"#,
);
const UNKNOWN: &str = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;

/// A database and its access key.
pub(crate) struct Server {
    pub(crate) store: Arc<Store>,
    pub(crate) key: AccessKey,
}

/// Listens on a loopback port; 0 selects a free one.
pub(crate) fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it; without it each answer waits for the client's delayed acknowledgement.
    socket.set_nodelay(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Server {
    /// Serves until `stop`, then lets the requests under way end.
    pub(crate) async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), StopError> {
        let server = Arc::new(self);
        let connected = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(Arc::clone(&server).connection(stream, &connected));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection to DynamoDB can't be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        let drained = timeout(SHUTDOWN_TIMEOUT, connected.shutdown()).await;
        connections.shutdown().await;
        drained.map_err(|_| StopError("a request did not end".to_owned()))
    }

    /// Serves one connection, and closes it if no request has the key in time.
    fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        connected: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        let admitted = Arc::new(AtomicBool::new(false));
        let late = {
            let admitted = Arc::clone(&admitted);
            async move {
                sleep(ADMISSION_TIMEOUT).await;
                if admitted.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            }
        };
        let service = service_fn(move |request| {
            let (server, admitted) = (Arc::clone(&self), Arc::clone(&admitted));
            async move { Ok::<_, Infallible>(server.answer(request, &admitted).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = connected.watch(connection);
        async move {
            tokio::select! {
                // A caller that hangs up is no error.
                _ = connection => {}
                () = late => {}
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>, admitted: &AtomicBool) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        if !admits(&parts, &self.key) {
            let mut refusal = json(StatusCode::BAD_REQUEST, REFUSED.into());
            refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return refusal;
        }
        admitted.store(true, Ordering::Relaxed);
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.strip_prefix(TARGET)).filter(|_| parts.method == Method::POST);
        let Some(operation) = operation else { return json(StatusCode::BAD_REQUEST, UNKNOWN.into()) };
        let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
            let error =
                DynoxideError::ValidationException("the request's body can't be read or is too large".to_owned());
            return refusal(&error);
        };
        match self.store.run(operation, &body.to_bytes()) {
            Some(Ok(answer)) => json(StatusCode::OK, answer.into()),
            // No code of DynamoDB says so. Status 400, so that an SDK doesn't repeat the request.
            Some(Err(error)) if is_full(&error) => json(StatusCode::BAD_REQUEST, FULL_ANSWER.into()),
            Some(Err(error)) => {
                tracing::debug!(operation, error = error.error_type(), "DynamoDB refuses");
                refusal(&error)
            }
            None => json(StatusCode::BAD_REQUEST, UNKNOWN.into()),
        }
    }
}

fn refusal(error: &DynoxideError) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, error.to_json().into())
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
