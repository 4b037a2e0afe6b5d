//! Where calls go: a service of the mesh on its own port, or in this process.

use std::fmt;

use chassis::client::is_out_of_time;
use chassis::identity::WorkloadTokens;
use chassis::telemetry::layer::RpcClientTelemetry;
use http::{Request, Response, Uri};
use kernel::{BoxError, Error};
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceExt as _};

use crate::refusal::Refusal;

/// A service of the mesh, as the front calls it.
#[derive(Clone)]
pub struct Upstream(Call);

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
        let channel = chassis::client::channel(address)?;
        let uri: Uri = address.parse()?;
        let telemetry = RpcClientTelemetry::new(uri.host().unwrap_or_default(), uri.port_u16());
        Ok(match tokens {
            Some(tokens) => Self::of(telemetry.layer(chassis::client::WithToken::new(channel, tokens))),
            None => Self::of(telemetry.layer(channel)),
        })
    }

    /// A service in this process.
    pub fn local<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self::of(RpcClientTelemetry::new("localhost", None).layer(service))
    }

    fn of<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(BoxCloneSyncService::new(
            service.map_response(|response| response.map(Body::new)).map_err(|error| NoAnswer::of(error.into())),
        ))
    }

    /// Makes one call.
    ///
    /// # Errors
    /// If the service can't be reached, or not in time.
    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, NoAnswer> {
        self.0.clone().oneshot(request).await
    }

    /// The service as generated clients take it.
    pub(crate) fn service(&self) -> Call {
        self.0.clone()
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}
