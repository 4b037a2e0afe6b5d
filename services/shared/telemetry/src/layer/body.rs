//! The answer's body, which knows how the call ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Code;

use super::call::Call;

pin_project! {
    /// A body that ends its call with the status of its trailers, or, when it is dropped before them, as CANCELLED.
    #[derive(Debug)]
    pub struct RpcBody<B> {
        #[pin]
        inner: B,
        call: Option<Call>,
    }
}

impl<B> RpcBody<B> {
    /// Takes the call over from the answer's headers, and ends it at once where they already hold its status.
    pub(super) fn wrap(response: Response<B>, mut call: Option<Call>) -> Response<Self> {
        let early = status_of(response.headers()).or_else(|| status_of_http(response.status()));
        if let Some(code) = early
            && let Some(mut call) = call.take()
        {
            call.end(code);
        }
        response.map(|inner| Self { inner, call })
    }
}

impl<B: Body> Body for RpcBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = {
            let _entered = this.call.as_ref().map(|call| call.context().clone().attach());
            ready!(this.inner.poll_frame(cx))
        };
        let end = match &frame {
            Some(Ok(frame)) => frame.trailers_ref().map(|trailers| status_of(trailers).unwrap_or(Code::Unknown)),
            Some(Err(_)) => Some(Code::Unknown),
            // By the gRPC protocol an answer without a status is one that broke off.
            None => Some(Code::Unknown),
        };
        if let Some(code) = end
            && let Some(mut call) = this.call.take()
        {
            call.end(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The status in headers or trailers, if there is one.
fn status_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

/// The status that an HTTP answer without one of its own stands for (gRPC's http-grpc-status-mapping).
fn status_of_http(status: StatusCode) -> Option<Code> {
    match status {
        StatusCode::OK => None,
        StatusCode::BAD_REQUEST => Some(Code::Internal),
        StatusCode::UNAUTHORIZED => Some(Code::Unauthenticated),
        StatusCode::FORBIDDEN => Some(Code::PermissionDenied),
        StatusCode::NOT_FOUND => Some(Code::Unimplemented),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Some(Code::Unavailable),
        _ => Some(Code::Unknown),
    }
}
