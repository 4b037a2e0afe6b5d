//! The server's side: a span for each call that comes in, its duration, and a line in the log.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::body::RpcBody;
use super::call::Call;
use super::method::Method;
use crate::{grpc_timeout, propagation, request_id};

/// Measures each call that comes in: a server span whose parent is the caller's, `rpc.server.call.duration`, and one
/// line in the log under the target `access`.
///
/// The id of the request is the one in `x-request-id`, if that is well-formed, else a new one.
///
/// Belongs outermost, so that what other layers refuse is measured too.
#[derive(Debug, Clone, Copy, Default)]
pub struct RpcTelemetry;

impl<S> Layer<S> for RpcTelemetry {
    type Service = RpcServer<S>;

    fn layer(&self, inner: S) -> RpcServer<S> {
        RpcServer { inner }
    }
}

/// Slot in which the identity layer leaves the kind of caller for the log.
///
/// It is among the request's extensions. A kind is one of a few words that stand in the program (`client`, `service`):
/// never an id.
#[derive(Debug, Clone, Default)]
pub struct CallerSlot(Arc<OnceLock<&'static str>>);

impl CallerSlot {
    /// Names the kind of caller; the first one stays.
    pub fn set(&self, kind: &'static str) {
        let _ = self.0.set(kind);
    }

    pub(super) fn get(&self) -> &'static str {
        self.0.get().copied().unwrap_or("unknown")
    }
}

/// See [`RpcTelemetry`].
#[derive(Debug, Clone)]
pub struct RpcServer<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for RpcServer<S>
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
        let caller = CallerSlot::default();
        request.extensions_mut().insert(caller.clone());
        let parent = propagation::extract(request.headers()).with_value(request_id::extract(request.headers()));
        let timeout = grpc_timeout(request.headers());
        let call = Call::incoming(&parent, Method::of(request.uri().path()), timeout, caller);
        let _entered = call.context().clone().attach();
        ResponseFuture { inner: self.inner.call(request), call: Some(call) }
    }
}

pin_project! {
    /// The answer to come of a call that is measured.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        pub(super) inner: F,
        pub(super) call: Option<Call>,
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<RpcBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = {
            let _entered = this.call.as_ref().map(|call| call.context().clone().attach());
            ready!(this.inner.poll(cx))
        };
        let call = this.call.take();
        Poll::Ready(match answer {
            Ok(response) => Ok(RpcBody::wrap(response, call)),
            Err(error) => {
                call.into_iter().for_each(|mut call| call.fail());
                Err(error)
            }
        })
    }
}
