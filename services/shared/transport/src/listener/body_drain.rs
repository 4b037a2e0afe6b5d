//! Drains request bodies that a handler did not read: of requests refused at their head, or for their length.
//!
//! If the socket were closed instead, the rest of the body would be answered by a reset, and that can destroy the
//! answer before the peer has read it (RFC 9112, section 9.6). So the rest is read and thrown away, and the connection
//! lives on.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Maximum time for draining a body.
const LINGER: Duration = Duration::from_secs(10);

/// Drains request bodies that a handler did not read.
#[derive(Debug, Clone)]
pub(super) struct BodyDrain {
    pub(super) tracker: TaskTracker,
    pub(super) runtime: Handle,
}

/// Body of a request. The part that its reader leaves is drained; over HTTP/2, the peer is told to send no more (RFC
/// 9113, section 8.1).
#[derive(Debug)]
pub struct RequestBody {
    /// None once it has ended.
    body: Option<Incoming>,
    /// None where the peer sends nothing before it is asked to, and over HTTP/2.
    drain: Option<BodyDrain>,
    /// For a peer that waits for `100 Continue`: reading is what asks for the body (RFC 9110, section 10.1.1).
    on_reading: Option<BodyDrain>,
}

impl RequestBody {
    pub(super) fn wrap(request: Request<Incoming>, drain: BodyDrain) -> Request<Self> {
        let (drain, on_reading) = match request.version() {
            Version::HTTP_2 => (None, None),
            _ if request.headers().contains_key(EXPECT) => (None, Some(drain)),
            _ => (Some(drain), None),
        };
        request.map(|body| Self { body: Some(body), drain, on_reading })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(asked) = self.on_reading.take() {
            self.drain = Some(asked);
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let (Some(mut body), Some(BodyDrain { tracker, runtime })) = (self.body.take(), self.drain.take()) else {
            return;
        };
        if body.is_end_stream() {
            return;
        }
        let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
        tracker.spawn_on(tokio::time::timeout(LINGER, rest), &runtime);
    }
}
