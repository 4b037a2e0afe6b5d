//! Answers that are streams: events, and bytes in parts.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tonic::Status;

use crate::frames::Frames;
use crate::route::Table;
use crate::schema::MessageId;
use crate::transcode::Printer;
use crate::wire::{Cursor, DecodeError};

/// A comment (WHATWG HTML, section 9.2.6), which readers of events skip.
const KEEP_ALIVE: &[u8] = b":\n\n";

/// Messages as server-sent events, each with its JSON as data. A silent stream gets a comment at each interval: middleboxes
/// drop idle connections, and only writing detects that the reader is gone.
///
/// If the call fails after its first headers, the stream ends as if it were complete: as Envoy does it, and enough for a
/// reader of events, who resumes from the last one.
#[derive(Debug)]
pub(crate) struct EventStream {
    table: Arc<Table>,
    message: MessageId,
    frames: Frames,
    silence: Interval,
}

impl EventStream {
    /// Events with a comment after each `silence`, which is not zero.
    pub(crate) fn new(table: Arc<Table>, message: MessageId, frames: Frames, silence: Duration) -> Self {
        let mut silence = interval_at(Instant::now() + silence, silence);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { table, message, frames, silence }
    }

    fn event(&self, message: &[u8]) -> Result<Bytes, DecodeError> {
        let mut event = Vec::with_capacity(message.len() * 2 + 64);
        event.extend_from_slice(b"data: ");
        Printer::new(&self.table.schema).message(self.message, message, &mut event)?;
        event.extend_from_slice(b"\n\n");
        Ok(Bytes::from(event))
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let event = match this.frames.poll_next(cx) {
            Poll::Pending => {
                ready!(this.silence.poll_tick(cx));
                Some(Bytes::from_static(KEEP_ALIVE))
            }
            Poll::Ready(Ok(Some(message))) => {
                this.silence.reset();
                this.event(&message).ok()
            }
            Poll::Ready(Ok(None)) => None,
            Poll::Ready(Err(status)) => {
                tracing::debug!(code = ?status.code(), "a stream of events broke off");
                None
            }
        };
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}

/// The data of `google.api.HttpBody` messages, one after the other.
///
/// If the call fails in between, the connection is aborted: half a document must not look like a whole one.
#[derive(Debug)]
pub(crate) struct RawStream {
    first: Option<Bytes>,
    frames: Frames,
}

impl RawStream {
    /// A body that begins with `first`.
    pub(crate) const fn new(first: Bytes, frames: Frames) -> Self {
        Self { first: Some(first), frames }
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
