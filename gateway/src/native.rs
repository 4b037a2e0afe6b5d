//! Calls that come as gRPC pass through, their answers as they come: to the service that serves them, or to the front's own
//! health and reflection. What people may not call is answered as if it did not exist.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use kernel::Error;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::end::End;
use crate::frames::PREFIX;
use crate::front::{Shared, peer};
use crate::metadata::{self, GRPC_TIMEOUT, timeout_value};
use crate::refusal::Refusal;
use crate::route::Rpc;

/// Answers a call of an RPC that people may call.
pub(crate) async fn answer(front: &Arc<Shared>, rpc: &Rpc, parts: &Parts, body: Body) -> Response<Body> {
    let most = if rpc.streams { front.limits.stream_timeout } else { front.limits.request_timeout };
    let patience = metadata::patience(&parts.headers, most);
    let mut headers = match metadata::of_grpc(&parts.headers, peer(&parts.extensions), &front.proxies) {
        Ok(headers) => headers,
        Err(refusal) => return refusal.into_status().into_http(),
    };
    let deadline = Instant::now() + patience;
    let body = if rpc.takes_stream { Ok(body) } else { read(body, front, patience).await };
    let body = match body {
        Ok(body) => body,
        Err(refusal) => return refusal.into_status().into_http(),
    };
    headers.insert(GRPC_TIMEOUT, timeout_value(deadline.saturating_duration_since(Instant::now())));
    let Some(upstream) = front.upstream(&rpc.service) else {
        return Refusal::from(Error::internal("a service has no upstream")).into_status().into_http();
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = parts.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    *request.headers_mut() = headers;
    let call = async { if rpc.streams { upstream.stream(request).await } else { upstream.call(request).await } };
    let failed = match tokio::time::timeout_at(deadline, call).await {
        Ok(Ok(response)) if rpc.streams => return filtered(response, End::of_stream(deadline, &front.stop)),
        Ok(Ok(response)) => return filtered(response, End::at(deadline)),
        Ok(Err(reason)) => Refusal::from(reason),
        Err(_) => Refusal::out_of_time(),
    };
    failed.into_status().into_http()
}

/// Reads a request that is one message to its end. A service hears of it then, so that who sends headers and nothing more takes no
/// place of the service's.
async fn read(body: Body, front: &Shared, patience: Duration) -> Result<Body, Refusal> {
    let whole = Limited::new(body, front.limits.max_body.saturating_add(PREFIX)).collect();
    match tokio::time::timeout(patience.min(front.limits.request_timeout), whole).await {
        Ok(Ok(whole)) => Ok(Body::new(Full::new(whole.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::message_too_large()),
        Ok(Err(_)) => Err(Refusal::broken_body()),
        Err(_) => Err(Refusal::out_of_time()),
    }
}

/// What every path gets that is no RPC for people.
pub(crate) fn unknown() -> Response<Body> {
    Status::new(Code::Unimplemented, "").into_http()
}

fn filtered(response: Response<Body>, end: End) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut filtered = Response::new(Body::new(Filtered { body: Some(body), end }));
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
