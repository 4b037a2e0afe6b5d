//! Calls services of the mesh, on their own port or in this process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::identity::WorkloadTokens;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use kernel::{BoxError, Error};
use telemetry::layer::RpcClientTelemetry;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceExt as _};
use transport::{channel, channel_of_streams, is_out_of_time};

use crate::admission::Kind;
use crate::rest_error::RestError;

/// A service of the mesh, as the front calls it.
#[derive(Clone)]
pub struct Upstream {
    calls: Call,
    /// Connection of calls that end something, which has room when the other one is full.
    endings: Call,
    /// Connections of streams; none for a service in this process.
    streams: Option<Arc<StreamPool>>,
}

/// Maximum streams on one connection: services allow some more (`SETTINGS_MAX_CONCURRENT_STREAMS`), and a stream beyond
/// their limit would wait until another one ends.
const STREAMS_PER_CONNECTION: u32 = 200;

/// Connection pool of streams, apart from the connections of other calls, which must never wait for streams.
struct StreamPool {
    connect: Box<dyn Fn() -> Result<Call, BoxError> + Send + Sync>,
    open: Mutex<Vec<PooledConnection>>,
}

struct PooledConnection {
    call: Call,
    /// Counter of the open streams: one more reference for each.
    streams: Arc<()>,
}

type Call = BoxCloneSyncService<Request<Body>, Response<Body>, UpstreamError>;

/// Failure to get an answer from a service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("the service can't be reached")]
    Unreachable(#[source] BoxError),
    /// The channel applies `grpc-timeout` too, and may report its end first.
    #[error("the time given to the call is over")]
    DeadlineExceeded,
}

impl UpstreamError {
    fn of(error: BoxError) -> Self {
        if is_out_of_time(&*error) { Self::DeadlineExceeded } else { Self::Unreachable(error) }
    }
}

impl From<UpstreamError> for RestError {
    fn from(reason: UpstreamError) -> Self {
        match reason {
            UpstreamError::DeadlineExceeded => Self::deadline_exceeded(),
            UpstreamError::Unreachable(_) => Error::unavailable(reason).into(),
        }
    }
}

impl Upstream {
    /// Creates an upstream at `address` (`http://host:port`), which connects with the first call. With `tokens` the front
    /// authenticates itself, so that the service trusts its `x-forwarded-for`.
    ///
    /// # Errors
    /// If the address is not one.
    pub fn remote(address: &str, tokens: Option<WorkloadTokens>) -> Result<Self, BoxError> {
        let uri: Uri = address.parse()?;
        let telemetry = RpcClientTelemetry::new(uri.host().unwrap_or_default(), uri.port_u16());
        let address = address.to_owned();
        let over = move |channel| match tokens.clone() {
            Some(tokens) => call(telemetry.layer(chassis::client::WithToken::new(channel, tokens))),
            None => call(telemetry.layer(channel)),
        };
        let (calls, endings) = (over(channel(&address)?), over(channel(&address)?));
        let connect = Box::new(move || Ok(over(channel_of_streams(&address, STREAMS_PER_CONNECTION)?)));
        let streams = StreamPool { connect, open: Mutex::default() };
        Ok(Self { calls, endings, streams: Some(Arc::new(streams)) })
    }

    /// Creates an upstream of a service in this process.
    pub fn local<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let calls = call(RpcClientTelemetry::new("localhost", None).layer(service));
        Self { endings: calls.clone(), calls, streams: None }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// If the service can't be reached, or not in time.
    pub(crate) async fn call(&self, kind: Kind, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        match kind {
            Kind::Unary => self.calls.clone().oneshot(request).await,
            Kind::Ending => self.endings.clone().oneshot(request).await,
            Kind::Stream => self.stream(request).await,
        }
    }

    async fn stream(&self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let Some(pool) = &self.streams else { return self.calls.clone().oneshot(request).await };
        let PooledConnection { call, streams } = pool.acquire().map_err(UpstreamError::Unreachable)?;
        let response = call.oneshot(request).await?;
        let until_its_end = move |frame| {
            let _lasts = &streams;
            frame
        };
        Ok(response.map(|body| Body::new(body.map_frame(until_its_end))))
    }

    /// Returns the service for generated clients.
    pub(crate) fn service(&self) -> Call {
        self.calls.clone()
    }
}

impl StreamPool {
    /// Returns a connection with room for one more stream: the first that has room, so that the last ones drain and are closed.
    fn acquire(&self) -> Result<PooledConnection, BoxError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open_streams = |connection: &PooledConnection| Arc::strong_count(&connection.streams) - 1;
        while open.len() > 1 && open.last().is_some_and(|last| open_streams(last) == 0) {
            open.pop();
        }
        if let Some(free) = open.iter().find(|connection| open_streams(connection) < STREAMS_PER_CONNECTION as usize) {
            return Ok(PooledConnection { call: free.call.clone(), streams: Arc::clone(&free.streams) });
        }
        let new = PooledConnection { call: (self.connect)()?, streams: Arc::default() };
        let taken = PooledConnection { call: new.call.clone(), streams: Arc::clone(&new.streams) };
        open.push(new);
        Ok(taken)
    }
}

fn call<S, B>(service: S) -> Call
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    BoxCloneSyncService::new(
        service.map_response(|response| response.map(Body::new)).map_err(|error| UpstreamError::of(error.into())),
    )
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}
