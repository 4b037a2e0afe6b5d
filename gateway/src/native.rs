//! Proxies gRPC calls, to the service that serves them or to the front's own health and reflection, and streams the answers.
//! An RPC that is not routable is answered as if it did not exist.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use chassis::MAX_RECEIVE;
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use kernel::Error;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt as _;
use transport::{Held, Holders};

use crate::admission::Kind;
use crate::deadline::Deadline;
use crate::frames::PREFIX;
use crate::metadata::{self, GRPC_TIMEOUT, timeout_value};
use crate::rest_error::RestError;
use crate::route::Rpc;
use crate::shared::{Shared, peer};

/// Paths of the front's own health, which answers to every host.
const HEALTH: &str = "/grpc.health.";
/// Paths of the front's own reflection.
const REFLECTION: &str = "/grpc.reflection.";

/// Answers a gRPC call: of a routable RPC, or of the front's own health and reflection.
pub(crate) async fn answer(shared: &Arc<Shared>, parts: Parts, body: Body) -> Response<Body> {
    let path = parts.uri.path();
    if let Some(error) = shared.foreign_host(&parts).filter(|_| !path.starts_with(HEALTH)) {
        return error.into_status().into_http();
    }
    if let Some(rpc) = shared.table.rpc(path) {
        return answer_rpc(shared, rpc, &parts, body).await;
    }
    if path.starts_with(HEALTH) || path.starts_with(REFLECTION) {
        return answer_own(shared, parts, body).await;
    }
    unknown()
}

/// Answers a call of a routable RPC.
async fn answer_rpc(front: &Arc<Shared>, rpc: &Rpc, parts: &Parts, body: Body) -> Response<Body> {
    let most = if rpc.streams { front.limits.stream_timeout } else { front.limits.request_timeout };
    let timeout = metadata::timeout(&parts.headers, most);
    let mut headers = match metadata::of_grpc(&parts.headers, peer(&parts.extensions), &front.proxies) {
        Ok(headers) => headers,
        Err(error) => return error.into_status().into_http(),
    };
    let Some(upstream) = front.upstream(&rpc.service) else {
        return RestError::from(Error::internal("a service has no upstream")).into_status().into_http();
    };
    let source = front.source(parts);
    let deadline = Instant::now() + timeout;
    let (body, kind) = match buffer_request(front, rpc, body, source, deadline).await {
        Ok(read) => read,
        Err(error) => return error.into_status().into_http(),
    };
    let held = match front.admission.admit(kind, source) {
        Ok(held) => held,
        Err(error) => return RestError::from(error).into_status().into_http(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = parts.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    headers.insert(GRPC_TIMEOUT, timeout_value(deadline.saturating_duration_since(Instant::now())));
    *request.headers_mut() = headers;
    let failed = match tokio::time::timeout_at(deadline, upstream.call(kind, request)).await {
        Ok(Ok(response)) if rpc.streams => return filtered(response, Deadline::of_stream(deadline, &front.stop), held),
        Ok(Ok(response)) => return filtered(response, Deadline::at(deadline), held),
        Ok(Err(reason)) => RestError::from(reason),
        Err(_) => RestError::deadline_exceeded(),
    };
    failed.into_status().into_http()
}

/// Answers a call of the front's own services: of health once the request is read, of reflection as a stream that is counted
/// and ends at its deadline.
async fn answer_own(front: &Arc<Shared>, parts: Parts, body: Body) -> Response<Body> {
    let streams = parts.uri.path().starts_with(REFLECTION);
    let most = if streams { front.limits.stream_timeout } else { front.limits.request_timeout };
    let deadline = Instant::now() + metadata::timeout(&parts.headers, most);
    let source = front.source(&parts);
    let (body, kind) = if streams {
        (body, Kind::Stream)
    } else {
        match read(front, body, source, deadline).await {
            Ok(bytes) => (Body::new(Full::new(bytes)), Kind::Unary),
            Err(error) => return error.into_status().into_http(),
        }
    };
    let held = match front.admission.admit(kind, source) {
        Ok(held) => held,
        Err(error) => return RestError::from(error).into_status().into_http(),
    };
    let own = front.own.clone().oneshot(Request::from_parts(parts, body));
    match tokio::time::timeout_at(deadline, own).await {
        Ok(Ok(response)) => filtered(response, Deadline::of_stream(deadline, &front.stop), held),
        Ok(Err(never)) => match never {},
        Err(_) => RestError::deadline_exceeded().into_status().into_http(),
    }
}

/// Returns the body to pass on, and the kind that the call is counted as. A unary request is read to its end first, a
/// streamed one is passed on as it arrives.
async fn buffer_request(
    front: &Shared,
    rpc: &Rpc,
    body: Body,
    source: Holders,
    deadline: Instant,
) -> Result<(Body, Kind), RestError> {
    if rpc.takes_stream {
        return Ok((body, Kind::Stream));
    }
    let bytes = read(front, body, source, deadline).await?;
    let kind = Kind::of(&rpc.path, rpc.streams, bytes.get(PREFIX..).unwrap_or_default());
    Ok((Body::new(Full::new(bytes)), kind))
}

async fn read(front: &Shared, body: Body, source: Holders, deadline: Instant) -> Result<Bytes, RestError> {
    let read = front.admission.read(body, source, PREFIX + MAX_RECEIVE);
    let read = tokio::time::timeout_at(deadline, read).await.map_err(|_| RestError::deadline_exceeded())?;
    read.map_err(|unread| unread.error().map_or_else(RestError::broken_body, RestError::from))
}

/// Returns the answer for a path that is no routable RPC.
fn unknown() -> Response<Body> {
    Status::new(Code::Unimplemented, "").into_http()
}

fn filtered(response: Response<Body>, deadline: Deadline, held: Held) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut filtered = Response::new(Body::new(Filtered { body: Some(body), deadline, _held: held }));
    *filtered.status_mut() = parts.status;
    *filtered.headers_mut() = metadata::grpc_response(&parts.headers);
    filtered
}

/// Body that filters its trailers and ends at its deadline.
#[derive(Debug)]
struct Filtered {
    /// None once it has ended.
    body: Option<Body>,
    deadline: Deadline,
    _held: Held,
}

impl HttpBody for Filtered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            let error = ready!(self.deadline.poll(cx));
            self.body = None;
            let last = error.into_status().into_http::<Body>();
            return Poll::Ready(Some(Ok(Frame::trailers(metadata::grpc_response(last.headers())))));
        };
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(trailers) => Frame::trailers(metadata::grpc_response(&trailers)),
                Err(data) => data,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
