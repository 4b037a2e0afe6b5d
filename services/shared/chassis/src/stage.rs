//! Defines a layer of ours: a stage that takes the request and the inner service, and returns the answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower::{Layer, Service};

/// A request on its way inwards.
pub(crate) type Request = http::Request<tonic::body::Body>;
/// An answer on its way outwards.
pub(crate) type Response = http::Response<tonic::body::Body>;

/// Service inside of a stage.
pub(crate) trait Inner:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Inner for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

/// One step between the listener and the RPC.
pub(crate) trait Stage: Clone + Send + Sync + 'static {
    /// The name by which the declared order knows it.
    const NAME: &'static str;

    /// Handles a request, by asking the inner service or by answering itself.
    fn handle<S: Inner>(self, request: Request, inner: S) -> impl Future<Output = Response> + Send;
}

/// Asks the inner service.
pub(crate) async fn forward<S: Inner>(mut inner: S, request: Request) -> Response {
    // The services inside are always ready: tonic's routes and other stages.
    match inner.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A stage as a tower layer.
#[derive(Debug, Clone)]
pub(crate) struct StageLayer<T>(pub(crate) T);

impl<T: Stage, S> Layer<S> for StageLayer<T> {
    type Service = Staged<T, S>;

    fn layer(&self, inner: S) -> Staged<T, S> {
        Staged { stage: self.0.clone(), inner }
    }
}

/// A stage around an inner service.
#[derive(Debug, Clone)]
pub(crate) struct Staged<T, S> {
    stage: T,
    inner: S,
}

impl<T: Stage, S: Inner> Service<Request> for Staged<T, S> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (stage, inner) = (self.stage.clone(), self.inner.clone());
        Box::pin(async move { Ok(stage.handle(request, inner).await) })
    }
}

/// The names of the stages, from the outermost inwards.
pub(crate) trait Order {
    /// Appends the names.
    fn names(&self, order: &mut Vec<&'static str>);
}

impl<T: Stage, S: Order> Order for Staged<T, S> {
    fn names(&self, order: &mut Vec<&'static str>) {
        order.push(T::NAME);
        self.inner.names(order);
    }
}

impl Order for tonic::service::Routes {
    fn names(&self, _: &mut Vec<&'static str>) {}
}
