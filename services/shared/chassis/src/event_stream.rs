//! Server-sent events (WHATWG HTML, section 9.2) as a stream of `google.api.HttpBody`, which fronts pass on unchanged.

use std::fmt::Display;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, future, stream};
use kernel::Error;
use proto::HttpBody;
use serde::Serialize;
use tonic::Status;

/// The header in which a reader of events names the last one that it has received.
pub const LAST_EVENT_ID: &str = "last-event-id";

const CONTENT_TYPE: &str = "text/event-stream";
/// A comment, which readers skip.
const COMMENT: &[u8] = b":\n\n";
/// Interval of comments on a silent stream: middleboxes drop idle connections, and only writing detects that the reader is
/// gone.
const MAX_SILENCE: Duration = Duration::from_secs(15);
/// Time after which a reader reconnects.
const RETRY: Duration = Duration::from_secs(3);

/// Answer of an RPC that streams events.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<HttpBody, Status>> + Send>>;

/// An event, as it is written.
pub struct Event(Bytes);

impl Event {
    /// Writes an event with this id and with JSON as its data.
    ///
    /// # Errors
    /// INTERNAL if the data is nothing that JSON can show.
    pub fn new(id: impl Display, data: &impl Serialize) -> Result<Self, Error> {
        // serde_json writes one line.
        let data = serde_json::to_string(data).map_err(|_| Error::internal("an event is not JSON"))?;
        Ok(Self(format!("id: {id}\ndata: {data}\n\n").into()))
    }
}

/// Streams events, in which a reader resumes from the id of the last one received. The stream begins at once with a comment,
/// so that proxies pass the headers on, and with the id to resume after until there is an event.
#[must_use]
pub fn event_stream(
    resume_after: impl Display,
    events: impl Stream<Item = Result<Event, Status>> + Send + 'static,
) -> EventStream {
    let begin = format!(":\nretry: {}\nid: {resume_after}\n\n", RETRY.as_millis());
    let begin = HttpBody { content_type: CONTENT_TYPE.to_owned(), data: begin.into() };
    let parts = stream::unfold(Box::pin(events), |mut events| async move {
        let part = match tokio::time::timeout(MAX_SILENCE, events.next()).await {
            Ok(event) => event?.map(|Event(data)| data),
            Err(_) => Ok(Bytes::from_static(COMMENT)),
        };
        Some((part.map(|data| HttpBody { content_type: String::new(), data }), events))
    });
    Box::pin(stream::once(future::ready(Ok(begin))).chain(parts))
}

/// Returns the id of the last event that the reader has received, if it says so. A text that is no ASCII is the id of no event.
#[must_use]
pub fn last_event_id<T>(request: &tonic::Request<T>) -> Option<String> {
    let id = request.metadata().get(LAST_EVENT_ID)?;
    Some(String::from_utf8_lossy(id.as_bytes()).into_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silent_stream_begins_at_once_and_gets_comments() {
        let began = Instant::now();
        let (send, receive) = mpsc::unbounded_channel();
        let events = stream::unfold(receive, |mut receive: mpsc::UnboundedReceiver<_>| async {
            receive.recv().await.map(|event| (event, receive))
        });
        let mut stream = event_stream("7", events);
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!((&*first.content_type, &*first.data), ("text/event-stream", &b":\nretry: 3000\nid: 7\n\n"[..]));
        assert_eq!(began.elapsed(), Duration::ZERO);

        for silent in 1..=2 {
            assert_eq!(&*stream.next().await.unwrap().unwrap().data, b":\n\n");
            assert_eq!(began.elapsed(), MAX_SILENCE * silent);
        }
        send.send(Ok(Event::new(8, &["two\nlines"]).unwrap())).unwrap();
        assert_eq!(&*stream.next().await.unwrap().unwrap().data, b"id: 8\ndata: [\"two\\nlines\"]\n\n");
        send.send(Err(Status::unavailable("stopping"))).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
        drop(send);
        assert!(stream.next().await.is_none());
    }

    #[test]
    fn last_event_id_is_read_unless_empty() {
        let read = |value: &[u8]| {
            let mut request = tonic::Request::new(());
            let value = http::HeaderValue::from_bytes(value).unwrap();
            request.metadata_mut().as_mut().insert(LAST_EVENT_ID, value);
            last_event_id(&request)
        };
        assert_eq!(read(b"7").as_deref(), Some("7"));
        assert_eq!(read(b"\xff").as_deref(), Some("\u{fffd}"));
        assert_eq!(read(b""), None);
        assert_eq!(last_event_id(&tonic::Request::new(())), None);
    }
}
