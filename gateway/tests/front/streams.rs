//! Answers that come in parts.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use gateway::Upstream;
use tokio_stream::StreamExt as _;

use crate::stand::Stand;

#[tokio::test]
async fn events_are_what_a_browser_reads() {
    let stand = Stand::start(&[]).await;
    let response = stand.get("/front/watch?after=4&count=2").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(
        response.text().await.unwrap(),
        "data: {\"number\":5,\"text\":\"event 1\\nof two lines\"}\n\n\
         data: {\"number\":6,\"text\":\"event 2\\nof two lines\"}\n\n"
    );
}

#[tokio::test]
async fn events_that_break_off_end_and_those_that_never_began_are_an_error() {
    let stand = Stand::start(&[]).await;
    let broken = stand.get("/front/watch?count=3&failAt=2").send().await.unwrap();
    assert_eq!(broken.status(), 200);
    assert_eq!(broken.text().await.unwrap().matches("data: ").count(), 1);
    assert_eq!(stand.get("/front/watch?count=3&failAt=1").send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn bytes_keep_their_type_whole_or_in_parts() {
    let stand = Stand::start(&[]).await;
    let calendar = stand.get("/front/calendar/secret").send().await.unwrap();
    assert_eq!(calendar.headers()["content-type"], "text/calendar; charset=utf-8");
    assert!(calendar.text().await.unwrap().contains("X-TOKEN:secret\r\n"));

    let export = stand.get("/front/export?parts=3").send().await.unwrap();
    assert_eq!(export.headers()["content-type"], "application/json");
    assert_eq!(export.text().await.unwrap(), "part 0\npart 1\npart 2\n");
    assert_eq!(stand.get("/front/export").send().await.unwrap().status(), 200);
}

/// A service that begins a stream and says nothing; what the stream holds is dropped with it.
fn silent<T: Send + 'static>(hold: impl Fn() -> T + Clone + Send + Sync + 'static) -> Upstream {
    Upstream::local(tower::service_fn(move |_: http::Request<tonic::body::Body>| {
        let held = hold();
        async move {
            let silence = tokio_stream::pending::<Result<http_body::Frame<bytes::Bytes>, Infallible>>();
            let silence = silence.map(move |frame| {
                let _until_the_end = &held;
                frame
            });
            Ok::<_, Infallible>(http::Response::new(tonic::body::Body::new(http_body_util::StreamBody::new(silence))))
        }
    }))
}

#[tokio::test]
async fn a_stream_ends_when_it_has_lasted_long_enough() {
    let stand = Stand::before(silent(|| ()), None, &["--stream-timeout", "200ms"], &[]).await;
    let events = stand.get("/front/watch").send().await.unwrap();
    assert_eq!(events.status(), 200);
    assert_eq!(events.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_silent_stream_begins_at_once_and_shows_that_it_is_alive() {
    let stand = Stand::before(silent(|| ()), None, &["--stream-silence", "50ms"], &[]).await;
    let mut events = stand.get("/front/watch").send().await.unwrap();
    assert_eq!(events.headers()["cache-control"], "no-store");
    assert_eq!(events.headers().get("content-length"), None);
    for _ in 0..3 {
        assert_eq!(events.chunk().await.unwrap().unwrap(), ":\n\n");
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_front_and_nothing_waits_for_it() {
    let stand = Stand::before(silent(|| ()), None, &[], &[]).await;
    let events = stand.get("/front/watch").send().await.unwrap();
    drop(stand);
    assert_eq!(events.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_reader_that_leaves_a_silent_stream_ends_the_call_behind_the_front() {
    let (held, mut ended) = tokio::sync::mpsc::channel::<Infallible>(1);
    let held = Arc::new(Mutex::new(Some(held)));
    let stand = Stand::before(silent(move || held.lock().unwrap().take()), None, &[], &[]).await;
    let events = stand.get("/front/watch").send().await.unwrap();
    assert_eq!(events.status(), 200);
    drop(events);
    assert!(ended.recv().await.is_none());
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_call_behind_the_front() {
    let stand = Stand::start(&[]).await;
    let mut response = stand.get("/front/watch?count=100000").send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    // The front is free again for others.
    assert_eq!(stand.get("/front/items/a").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn readers_who_stay_keep_nobody_from_calling_however_many_they_are() {
    let stand = Stand::start(&[]).await;
    let mut staying = Vec::new();
    // More than a connection to the service takes, and none of them reads on.
    for _ in 0..250 {
        let mut response = stand.get("/front/watch?count=4000").send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        staying.push(response);
    }
    assert_eq!(stand.get("/front/items/a").send().await.unwrap().status(), 200);
}
