//! Where calls go: a service of the mesh on its own port, or in this process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::client::{channel, channel_of_streams, is_out_of_time};
use chassis::identity::WorkloadTokens;
use chassis::telemetry::layer::RpcClientTelemetry;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use kernel::{BoxError, Error};
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceExt as _};

use crate::admission::Kind;
use crate::refusal::Refusal;

/// A service of the mesh, as the front calls it.
#[derive(Clone)]
pub struct Upstream {
    calls: Call,
    /// Calls that end something: on a connection of their own, which is not full when the other is.
    endings: Call,
    /// None where streams need no connection.
    streams: Option<Arc<Lines>>,
}

/// How many streams share a connection: services take some more (`SETTINGS_MAX_CONCURRENT_STREAMS`), and what comes on
/// top would wait for as long as the others last.
const STREAMS_PER_LINE: u32 = 200;

/// The connections of calls that last: beside those of the others, which must never wait for them.
struct Lines {
    connect: Box<dyn Fn() -> Result<Call, BoxError> + Send + Sync>,
    open: Mutex<Vec<Line>>,
}

struct Line {
    call: Call,
    /// One more reference for each stream that lasts.
    streams: Arc<()>,
}

type Call = BoxCloneSyncService<Request<Body>, Response<Body>, NoAnswer>;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("the service can't be reached")]
    Unreachable(#[source] BoxError),
    /// The channel obeys `grpc-timeout` too, and may be the first to say so.
    #[error("the time given to the call is over")]
    OutOfTime,
}

impl NoAnswer {
    fn of(error: BoxError) -> Self {
        if is_out_of_time(&*error) { Self::OutOfTime } else { Self::Unreachable(error) }
    }
}

impl From<NoAnswer> for Refusal {
    fn from(reason: NoAnswer) -> Self {
        match reason {
            NoAnswer::OutOfTime => Self::out_of_time(),
            NoAnswer::Unreachable(_) => Error::unavailable(reason).into(),
        }
    }
}

impl Upstream {
    /// The service at `address` (`http://host:port`). Connects with the first call. With `tokens` the front shows who it
    /// is, so that the service believes it where a caller came from.
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
        let connect = Box::new(move || Ok(over(channel_of_streams(&address, STREAMS_PER_LINE)?)));
        let streams = Lines { connect, open: Mutex::default() };
        Ok(Self { calls, endings, streams: Some(Arc::new(streams)) })
    }

    /// A service in this process.
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
    pub(crate) async fn call(&self, kind: Kind, request: Request<Body>) -> Result<Response<Body>, NoAnswer> {
        match kind {
            Kind::Unary => self.calls.clone().oneshot(request).await,
            Kind::Ending => self.endings.clone().oneshot(request).await,
            Kind::Stream => self.stream(request).await,
        }
    }

    async fn stream(&self, request: Request<Body>) -> Result<Response<Body>, NoAnswer> {
        let Some(lines) = &self.streams else { return self.calls.clone().oneshot(request).await };
        let Line { call, streams } = lines.free().map_err(NoAnswer::Unreachable)?;
        let response = call.oneshot(request).await?;
        let until_its_end = move |frame| {
            let _lasts = &streams;
            frame
        };
        Ok(response.map(|body| Body::new(body.map_frame(until_its_end))))
    }

    /// The service as generated clients take it.
    pub(crate) fn service(&self) -> Call {
        self.calls.clone()
    }
}

impl Lines {
    /// A line with room for one more stream: the first that has some, so that the last ones run empty and are let go.
    fn free(&self) -> Result<Line, BoxError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = |line: &Line| Arc::strong_count(&line.streams) - 1;
        while open.len() > 1 && open.last().is_some_and(|last| lasting(last) == 0) {
            open.pop();
        }
        if let Some(free) = open.iter().find(|line| lasting(line) < STREAMS_PER_LINE as usize) {
            return Ok(Line { call: free.call.clone(), streams: Arc::clone(&free.streams) });
        }
        let new = Line { call: (self.connect)()?, streams: Arc::default() };
        let taken = Line { call: new.call.clone(), streams: Arc::clone(&new.streams) };
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
        service.map_response(|response| response.map(Body::new)).map_err(|error| NoAnswer::of(error.into())),
    )
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}
