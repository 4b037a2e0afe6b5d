//! Ends streams when a service stops: a drain waits for answers, and those of health's Watch, of reflection, or of any
//! RPC that streams would never end by themselves.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use kernel::{Error, Kind};
use pin_project_lite::pin_project;
use proto::Rpc;
use telemetry::request_id;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use transport::public_status;

use crate::access::is_infrastructure;
use crate::stage::{Inner, Request, Response, Stage, forward};

/// Ends the streams once the service stops, with UNAVAILABLE, so that their readers go on elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct DrainStage {
    /// Cancelled once the streams have their last message (such as NOT_SERVING).
    pub(crate) stop: CancellationToken,
}

impl Stage for DrainStage {
    const NAME: &'static str = "drain";

    async fn handle<S: Inner>(self, request: Request, inner: S) -> Response {
        let path = request.uri().path();
        let streams = is_infrastructure(path) || Rpc::find(path).is_some_and(|rpc| rpc.streams);
        if !streams {
            return forward(inner, request).await;
        }
        // A handler that waits for the caller's next message holds its stream open as well.
        let request = request.map(|inner| self.ending(inner, || Err(stopping())));
        let response = forward(inner, request).await;
        response.map(|inner| self.ending(inner, trailers))
    }
}

impl DrainStage {
    fn ending(&self, inner: tonic::body::Body, last: Last) -> tonic::body::Body {
        tonic::body::Body::new(Ending { inner, stopped: self.stop.clone().cancelled_owned(), last: Some(last) })
    }
}

type Last = fn() -> Result<Frame<Bytes>, Status>;

pin_project! {
    /// A body that gives what it has, and ends when the service stops.
    struct Ending {
        #[pin]
        inner: tonic::body::Body,
        #[pin]
        stopped: WaitForCancellationFutureOwned,
        last: Option<Last>,
    }
}

impl Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        if this.last.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(this.stopped.poll(cx));
        Poll::Ready(this.last.take().map(|last| last()))
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn stopping() -> Status {
    let error = Error::new(Kind::Unavailable, "STOPPING", "the service is being stopped; ask again");
    public_status(&error, request_id::current().as_ref())
}

fn trailers() -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    stopping().add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}
