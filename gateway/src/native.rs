//! Calls that come as gRPC pass through, their answers as they come: to the service that serves them, or to the front's own
//! health and reflection. What people may not call is answered as if it did not exist.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use chassis::server::MAX_RECEIVE;
use chassis::{Held, Holders};
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use kernel::Error;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::admission::Kind;
use crate::end::End;
use crate::frames::PREFIX;
use crate::front::{Shared, peer};
use crate::metadata::{self, GRPC_TIMEOUT, timeout_value};
use crate::refusal::Refusal;
use crate::route::Rpc;

/// Paths of the front's own health, which answers to every host.
pub(crate) const HEALTH: &str = "/grpc.health.";
/// Paths of the front's own reflection.
pub(crate) const REFLECTION: &str = "/grpc.reflection.";

/// Answers a call of an RPC that people may call.
pub(crate) async fn answer(front: &Arc<Shared>, rpc: &Rpc, parts: &Parts, body: Body) -> Response<Body> {
    let most = if rpc.streams { front.limits.stream_timeout } else { front.limits.request_timeout };
    let patience = metadata::patience(&parts.headers, most);
    let mut headers = match metadata::of_grpc(&parts.headers, peer(&parts.extensions), &front.proxies) {
        Ok(headers) => headers,
        Err(refusal) => return refusal.into_status().into_http(),
    };
    let Some(upstream) = front.upstream(&rpc.service) else {
        return Refusal::from(Error::internal("a service has no upstream")).into_status().into_http();
    };
    let source = front.source(parts);
    let deadline = Instant::now() + patience;
    let (body, kind) = match whole(front, rpc, body, source, deadline).await {
        Ok(read) => read,
        Err(refusal) => return refusal.into_status().into_http(),
    };
    let held = match front.admission.admit(kind, source) {
        Ok(held) => held,
        Err(error) => return Refusal::from(error).into_status().into_http(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = parts.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    headers.insert(GRPC_TIMEOUT, timeout_value(deadline.saturating_duration_since(Instant::now())));
    *request.headers_mut() = headers;
    let failed = match tokio::time::timeout_at(deadline, upstream.call(kind, request)).await {
        Ok(Ok(response)) if rpc.streams => return filtered(response, End::of_stream(deadline, &front.stop), held),
        Ok(Ok(response)) => return filtered(response, End::at(deadline), held),
        Ok(Err(reason)) => Refusal::from(reason),
        Err(_) => Refusal::out_of_time(),
    };
    failed.into_status().into_http()
}

/// Answers a call of the front's own: of its health once it is read, of reflection as a stream that counts and ends.
pub(crate) async fn answer_own(front: &Arc<Shared>, parts: Parts, body: Body) -> Response<Body> {
    let streams = parts.uri.path().starts_with(REFLECTION);
    let most = if streams { front.limits.stream_timeout } else { front.limits.request_timeout };
    let deadline = Instant::now() + metadata::patience(&parts.headers, most);
    let source = front.source(&parts);
    let (body, kind) = if streams {
        (body, Kind::Stream)
    } else {
        match read(front, body, source, deadline).await {
            Ok(bytes) => (Body::new(Full::new(bytes)), Kind::Unary),
            Err(refusal) => return refusal.into_status().into_http(),
        }
    };
    let held = match front.admission.admit(kind, source) {
        Ok(held) => held,
        Err(error) => return Refusal::from(error).into_status().into_http(),
    };
    let own = front.own.clone().oneshot(Request::from_parts(parts, body));
    match tokio::time::timeout_at(deadline, own).await {
        Ok(Ok(response)) => filtered(response, End::of_stream(deadline, &front.stop), held),
        Ok(Err(never)) => match never {},
        Err(_) => Refusal::out_of_time().into_status().into_http(),
    }
}

/// The request as it is passed on, once all of it is there, and what it is counted as. What the caller streams is passed on as
/// it comes.
async fn whole(
    front: &Shared,
    rpc: &Rpc,
    body: Body,
    source: Holders,
    deadline: Instant,
) -> Result<(Body, Kind), Refusal> {
    if rpc.takes_stream {
        return Ok((body, Kind::Stream));
    }
    let bytes = read(front, body, source, deadline).await?;
    let kind = Kind::of(&rpc.path, rpc.streams, bytes.get(PREFIX..).unwrap_or_default());
    Ok((Body::new(Full::new(bytes)), kind))
}

async fn read(front: &Shared, body: Body, source: Holders, deadline: Instant) -> Result<Bytes, Refusal> {
    let read = front.admission.read(body, source, PREFIX + MAX_RECEIVE);
    let read = tokio::time::timeout_at(deadline, read).await.map_err(|_| Refusal::out_of_time())?;
    read.map_err(|unread| unread.error().map_or_else(Refusal::broken_body, Refusal::from))
}

/// What every path gets that is no RPC for people.
pub(crate) fn unknown() -> Response<Body> {
    Status::new(Code::Unimplemented, "").into_http()
}

fn filtered(response: Response<Body>, end: End, held: Held) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut filtered = Response::new(Body::new(Filtered { body: Some(body), end, _held: held }));
    *filtered.status_mut() = parts.status;
    *filtered.headers_mut() = metadata::outwards(&parts.headers);
    filtered
}

/// A body whose trailers show only what may be seen, and which ends at its deadline.
#[derive(Debug)]
struct Filtered {
    /// None once it has ended.
    body: Option<Body>,
    end: End,
    _held: Held,
}

impl HttpBody for Filtered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            let why = ready!(self.end.poll(cx));
            self.body = None;
            let last = why.into_status().into_http::<Body>();
            return Poll::Ready(Some(Ok(Frame::trailers(metadata::outwards(last.headers())))));
        };
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(trailers) => Frame::trailers(metadata::outwards(&trailers)),
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
