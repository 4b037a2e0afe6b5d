//! Answers that are streams of bytes in parts: `google.api.HttpBody` messages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame};
use tonic::Status;

use crate::frames::Frames;
use crate::wire::{Cursor, DecodeError};

/// The content type of server-sent events (WHATWG HTML, section 9.2).
const EVENTS: &str = "text/event-stream";

/// The data of `google.api.HttpBody` messages, one after the other.
///
/// If the call fails in between, the connection is aborted: half a document must not look like a whole one. A stream of events
/// ends as if it were complete, as behind Envoy: its reader resumes after the last event.
#[derive(Debug)]
pub(crate) struct RawStream {
    first: Option<Bytes>,
    frames: Frames,
    has_events: bool,
}

impl RawStream {
    /// A body of this type that begins with `first`.
    pub(crate) fn new(content_type: &HeaderValue, first: Bytes, frames: Frames) -> Self {
        Self { first: Some(first), frames, has_events: content_type == EVENTS }
    }
}

impl Body for RawStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        Poll::Ready(match ready!(this.frames.poll_next(cx)) {
            Ok(Some(message)) => {
                let part = raw(&message).map_err(|_| Status::data_loss("a part is no google.api.HttpBody"));
                Some(part.map(|(_, data)| Frame::data(data)))
            }
            Ok(None) => None,
            Err(status) if this.has_events => {
                tracing::debug!(code = ?status.code(), "a stream of events broke off");
                None
            }
            Err(status) => Some(Err(status)),
        })
    }
}

/// Content type and data of a `google.api.HttpBody`: fields 1 and 2.
pub(crate) fn raw(message: &Bytes) -> Result<(HeaderValue, Bytes), DecodeError> {
    let mut content_type = HeaderValue::from_static("application/octet-stream");
    let mut data = Bytes::new();
    let mut cursor = Cursor::new(message);
    while !cursor.is_done() {
        let (number, wire_type) = cursor.tag()?;
        let value = cursor.value(wire_type)?;
        match number {
            1 => content_type = HeaderValue::from_bytes(value.bytes()?).map_err(|_| DecodeError)?,
            2 => data = message.slice_ref(value.bytes()?),
            _ => {}
        }
    }
    Ok((content_type, data))
}
