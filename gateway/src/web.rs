//! gRPC-Web, for pages: gRPC over HTTP/1.1 or 2 with its trailers at the end of the body, and as base64 where a page can't read
//! bytes (PROTOCOL-WEB of gRPC). It is turned into gRPC before anything looks at it, so that both are answered alike.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use tonic::Status;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::cors::Cors;
use crate::native;
use crate::shared::Shared;

const TYPES: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// Returns whether a request is a gRPC-Web call.
pub(crate) fn is_call(parts: &Parts) -> bool {
    let kind = parts.headers.get(CONTENT_TYPE);
    parts.method == Method::POST && kind.is_some_and(|kind| TYPES.iter().any(|known| kind == known))
}

/// Answers a gRPC-Web call.
pub(crate) async fn answer(shared: &Arc<Shared>, parts: Parts, body: Body) -> Response<Body> {
    let origin = shared.cors.allowed(&parts.headers).cloned();
    let inner = service_fn(|request: Request<Body>| {
        let shared = Arc::clone(shared);
        async move {
            let (parts, body) = request.into_parts();
            let is_broken = Arc::new(AtomicBool::new(false));
            let broken = Arc::clone(&is_broken);
            let body = without_size_hint(body).map_err(move |error| {
                broken.store(true, Ordering::Relaxed);
                error
            });
            let answer = native::answer(&shared, parts, Body::new(body)).await;
            // The service sees a body that can't be decoded as a disconnected caller.
            Ok::<_, Infallible>(if is_broken.load(Ordering::Relaxed) { undecodable() } else { answer })
        }
    });
    let Ok(mut response) = GrpcWebLayer::new().layer(inner).oneshot(Request::from_parts(parts, body)).await;
    response = response.map(without_size_hint);
    if let Some(origin) = origin {
        Cors::show(&origin, response.headers_mut());
    }
    response
}

fn undecodable() -> Response<Body> {
    Status::invalid_argument("the body is not gRPC-Web of its content-type: it ended early, or is not base64")
        .into_http()
}

/// Removes the size hint of a body: tonic-web reports the size from before decoding or encoding.
fn without_size_hint(body: Body) -> Body {
    Body::new(StreamBody::new(BodyStream::new(body)))
}
