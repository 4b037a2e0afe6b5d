//! The front as one tower service: dispatches each request to the part that answers it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use http_body::Body as _;
use kernel::BoxError;
use opentelemetry::trace::FutureExt as _;
use telemetry::http::{HttpBody, HttpCall};
use telemetry::request_id;
use tonic::body::Body;
use tower::Service;

use crate::cors::Cors;
use crate::rest_error::RestError;
use crate::route::{Segments, UnusableDescriptors};
use crate::shared::{Setup, Shared};
use crate::{docs, native, request_validation, rest, web};

/// The REST front, with gRPC, health and reflection on the same port.
#[derive(Debug, Clone)]
pub struct Front(Arc<Shared>);

impl Front {
    /// Creates a front.
    ///
    /// # Errors
    /// If the descriptors can't be served, or a service in them has no upstream.
    pub fn new(setup: Setup) -> Result<Self, UnusableDescriptors> {
        Ok(Self(Arc::new(Shared::new(setup)?)))
    }
}

impl<B> Service<Request<B>> for Front
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<HttpBody<Body>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = Body::new(body);
            let mut call = HttpCall::start(&parts.method, &parts.headers);
            // Calls, logs and errors on the way have the request's id and its trace.
            let context = call.context().clone();
            let is_native = is_grpc(&parts.headers);
            let is_head = parts.method == Method::HEAD;
            let answer = async {
                if !request_validation::is_unambiguous(&parts) {
                    malformed(&shared, &parts)
                } else if is_native {
                    name_rpc(&shared, &mut call, &parts);
                    native::answer(&shared, parts, body).await
                } else if web::is_call(&parts) {
                    name_rpc(&shared, &mut call, &parts);
                    web::answer(&shared, parts, body).await
                } else {
                    http(&shared, &mut call, &parts, body).await
                }
            };
            let mut response = answer.with_context(context).await;
            if !is_native {
                shared.cors.vary(response.headers_mut());
            }
            if is_head {
                response = without_body(response);
            }
            request_id::insert(call.request_id(), response.headers_mut());
            Ok(call.wrap(response))
        })
    }
}

async fn http(shared: &Arc<Shared>, call: &mut HttpCall, parts: &Parts, body: Body) -> Response<Body> {
    // Probes call by the address of a pod.
    if let Some(error) = shared.foreign_host(parts).filter(|_| parts.uri.path() != "/healthz") {
        return with_no_store(error.into_response(&shared.table.schema));
    }
    if let Some(answer) = shared.cors.preflight(&parts.method, &parts.headers) {
        return answer;
    }
    if shared.cors.refuses(&parts.method, &parts.headers) {
        return with_no_store(RestError::foreign_origin().into_response(&shared.table.schema));
    }
    let path = parts.uri.path();
    let method = if parts.method == Method::HEAD && takes_head(path) { &Method::GET } else { &parts.method };
    let segments = Segments::of(path);
    let route = segments.as_ref().and_then(|segments| Some((shared.table.find(method, segments)?, segments)));
    let response = match route {
        Some((route, segments)) => {
            call.route(Arc::clone(&route.template));
            rest::answer(shared, route, segments, parts, body).await
        }
        None if method == Method::GET && path == "/healthz" => {
            call.route("/healthz");
            shared.readiness.answer().await
        }
        None => match docs::answer(parts) {
            Some((route, page)) => {
                call.route(route);
                page
            }
            None => RestError::no_route().into_response(&shared.table.schema),
        },
    };
    let mut response = with_no_store(response);
    if let Some(origin) = shared.cors.allowed(&parts.headers) {
        Cors::show(origin, response.headers_mut());
    }
    response
}

/// Returns whether a path with GET takes HEAD too. Those of [`docs`] do by themselves.
fn takes_head(path: &str) -> bool {
    matches!(path, "/healthz" | "/.well-known/jwks.json")
}

/// Drops the body of the answer to a HEAD request. Its length stays.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    if !response.body().is_end_stream() {
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        *response.body_mut() = Body::empty();
    }
    response
}

fn malformed(shared: &Shared, parts: &Parts) -> Response<Body> {
    if is_grpc(&parts.headers) {
        return RestError::malformed().into_status().into_http();
    }
    let mut response = RestError::malformed().into_response(&shared.table.schema);
    if parts.version <= Version::HTTP_11 {
        // The beginning of the next request is unknown.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    with_no_store(response)
}

/// Forbids caches to store a response, which may hold personal data or tokens (RFC 6749, section 5.1), unless the service
/// set `cache-control`.
fn with_no_store(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn name_rpc(shared: &Shared, call: &mut HttpCall, parts: &Parts) {
    if let Some(rpc) = shared.table.rpc(parts.uri.path()) {
        call.route(Arc::clone(&rpc.path));
    }
}

/// Returns whether a request is a native gRPC call. gRPC-Web is another protocol.
fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let rest = value.as_bytes().strip_prefix(b"application/grpc");
    matches!(rest, Some([] | [b'+' | b';', ..]))
}
