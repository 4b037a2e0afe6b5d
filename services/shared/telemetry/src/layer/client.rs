//! The client's side: a span for each call that goes out, its duration, and the trace context on its way.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::StringValue;
use tower::{Layer, Service};

use super::body::RpcBody;
use super::call::{Call, Peer};
use super::method::Method;
use super::server::ResponseFuture;
use crate::{grpc_timeout, propagation, request_id};

/// Measures each call that goes out: a client span under the caller's current one, `rpc.client.call.duration`, and a
/// `traceparent` header that makes the server's span a child of it. The call has the request's id in `x-request-id`.
///
/// A call that is dropped was cancelled, or, where the time in its `grpc-timeout` is over, is DEADLINE_EXCEEDED. Within
/// retries each attempt is a span.
#[derive(Debug, Clone)]
pub struct RpcClientTelemetry {
    peer: Peer,
}

impl RpcClientTelemetry {
    /// For calls to the server that the configuration names so (`server.address`, `server.port`).
    #[must_use]
    pub fn new(address: impl Into<Arc<str>>, port: Option<u16>) -> Self {
        Self { peer: Peer { address: StringValue::from(address.into()), port } }
    }
}

impl<S> Layer<S> for RpcClientTelemetry {
    type Service = RpcClient<S>;

    fn layer(&self, inner: S) -> RpcClient<S> {
        RpcClient { inner, peer: self.peer.clone() }
    }
}

/// See [`RpcClientTelemetry`].
#[derive(Debug, Clone)]
pub struct RpcClient<S> {
    inner: S,
    peer: Peer,
}

impl<S, B, R> Service<Request<B>> for RpcClient<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Response = Response<RpcBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let method = Method::of(request.uri().path());
        let parent = opentelemetry::Context::current();
        let timeout = grpc_timeout(request.headers());
        let call = Call::outgoing(&parent, method, timeout, self.peer.clone());
        propagation::inject(call.context(), request.headers_mut());
        request_id::inject(call.context(), request.headers_mut());
        let _entered = call.context().clone().attach();
        ResponseFuture { inner: self.inner.call(request), call: Some(call) }
    }
}
