//! The messages of a gRPC body: each behind a byte for compression and four for its length.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

#[cfg(test)]
mod fuzz;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::deadline::Deadline;

/// The bytes before a message.
pub(crate) const PREFIX: usize = 5;
/// The largest message that is taken from a service.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Writes the prefix into the room that was left for it at the front.
pub(crate) fn close_frame(frame: &mut [u8]) {
    let length = u32::try_from(frame.len().saturating_sub(PREFIX)).unwrap_or(u32::MAX);
    if let Some(room) = frame.get_mut(1..PREFIX) {
        room.copy_from_slice(&length.to_be_bytes());
    }
}

/// Reads the messages of an answer, and the status in its trailers.
#[derive(Debug)]
pub(crate) struct Frames {
    body: Body,
    /// The only piece received so far: most messages lie in one piece, and are not copied.
    piece: Bytes,
    /// Bytes received in several pieces.
    pieces: BytesMut,
    trailers: Option<HeaderMap>,
    /// Deadline of the answer.
    deadline: Option<Deadline>,
}

impl Frames {
    /// Creates a reader of the answer with these headers, which are its trailers too if it has no messages.
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Self {
        let trailers = headers.contains_key("grpc-status").then(|| headers.clone());
        Self { body, piece: Bytes::new(), pieces: BytesMut::new(), trailers, deadline: None }
    }

    /// Sets a deadline, at which the answer fails if it has not ended.
    pub(crate) fn until(self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The next message; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next message; none at the end of a call that succeeded.
    ///
    /// # Errors
    /// The status of a call that failed.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(message) = self.take()? {
                return Poll::Ready(Ok(Some(message)));
            }
            if let Some(deadline) = &mut self.deadline
                && let Poll::Ready(error) = deadline.poll(cx)
            {
                return Poll::Ready(Err(error.into_status()));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.push(data),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(status)) => return Poll::Ready(Err(status)),
                None => return Poll::Ready(self.end()),
            }
        }
    }

    fn end(&self) -> Result<Option<Bytes>, Status> {
        let status = self.trailers.as_ref().and_then(Status::from_header_map);
        match status {
            Some(status) if status.code() != Code::Ok => Err(status),
            Some(_) if self.piece.is_empty() && self.pieces.is_empty() => Ok(None),
            _ => Err(Status::unavailable("the answer ended too early")),
        }
    }

    fn push(&mut self, data: Bytes) {
        if self.piece.is_empty() && self.pieces.is_empty() {
            self.piece = data;
        } else {
            self.pieces.extend_from_slice(&std::mem::take(&mut self.piece));
            self.pieces.extend_from_slice(&data);
        }
    }

    /// Takes the next message, if all of it has been received.
    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        let buffered: &[u8] = if self.pieces.is_empty() { &self.piece } else { &self.pieces };
        let Some((prefix, rest)) = buffered.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [compressed, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 || length > MAX_MESSAGE {
            return Err(Status::unknown("a message is compressed or too large"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let mut message = if self.pieces.is_empty() {
            self.piece.split_to(PREFIX + length)
        } else {
            self.pieces.split_to(PREFIX + length).freeze()
        };
        message.advance(PREFIX);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http::HeaderValue;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    fn body(data: &[u8], piece: usize, status: Option<&'static str>) -> Body {
        let mut frames: Vec<_> =
            data.chunks(piece).map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        if let Some(status) = status {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(status));
            frames.push(Ok(Frame::trailers(trailers)));
        }
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    fn framed(messages: &[&[u8]]) -> Vec<u8> {
        let mut framed = Vec::new();
        for message in messages {
            let mut frame = vec![0; PREFIX];
            frame.extend_from_slice(message);
            close_frame(&mut frame);
            framed.extend(frame);
        }
        framed
    }

    #[tokio::test]
    async fn split_messages_are_reassembled() {
        let data = framed(&[b"one", b"", b"three and more"]);
        for piece in 1..=data.len() {
            let mut frames = Frames::new(&HeaderMap::new(), body(&data, piece, Some("0")));
            for expected in [&b"one"[..], b"", b"three and more"] {
                assert_eq!(frames.next().await.unwrap().unwrap(), expected, "in pieces of {piece}");
            }
            assert_eq!(frames.next().await.unwrap(), None, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn truncated_answer_is_unavailable() {
        let data = framed(&[b"one"]);
        let mut cut = Frames::new(&HeaderMap::new(), body(&data[..6], 2, Some("0")));
        assert_eq!(cut.next().await.unwrap_err().code(), Code::Unavailable);
        let mut silent = Frames::new(&HeaderMap::new(), body(&data, 64, None));
        assert!(silent.next().await.unwrap().is_some());
        assert_eq!(silent.next().await.unwrap_err().code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn error_in_trailers_is_returned() {
        let mut frames = Frames::new(&HeaderMap::new(), body(&[], 1, Some("5")));
        assert_eq!(frames.next().await.unwrap_err().code(), Code::NotFound);
    }

    #[tokio::test]
    async fn compressed_or_oversized_message_is_rejected() {
        for data in [[1, 0, 0, 0, 0], [0, 255, 255, 255, 255]] {
            let mut frames = Frames::new(&HeaderMap::new(), body(&data, 64, Some("0")));
            assert_eq!(frames.next().await.unwrap_err().code(), Code::Unknown);
        }
    }
}
