//! Streamed answers.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use gateway::Upstream;
use tokio_stream::StreamExt as _;

use crate::test_env::TestEnv;

#[tokio::test]
async fn events_pass_unchanged() {
    let env = TestEnv::start(&[]).await;
    let response = env.get("/front/watch?after=4&count=2").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(
        response.text().await.unwrap(),
        ":\n\n\
         id: 5\ndata: {\"number\":5,\"text\":\"event 1\\nof two lines\"}\n\n\
         id: 6\ndata: {\"number\":6,\"text\":\"event 2\\nof two lines\"}\n\n"
    );
}

#[tokio::test]
async fn failed_event_stream_ends_or_answers_error() {
    let env = TestEnv::start(&[]).await;
    let broken = env.get("/front/watch?count=3&failAt=2").send().await.unwrap();
    assert_eq!(broken.status(), 200);
    assert_eq!(broken.text().await.unwrap().matches("data: ").count(), 1);
    assert_eq!(env.get("/front/watch?count=3&failAt=1").send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn http_body_keeps_its_content_type() {
    let env = TestEnv::start(&[]).await;
    let calendar = env.get("/front/calendar/secret").send().await.unwrap();
    assert_eq!(calendar.headers()["content-type"], "text/calendar; charset=utf-8");
    assert!(calendar.text().await.unwrap().contains("X-TOKEN:secret\r\n"));

    let export = env.get("/front/export?parts=3").send().await.unwrap();
    assert_eq!(export.headers()["content-type"], "application/json");
    assert_eq!(export.text().await.unwrap(), "part 0\npart 1\npart 2\n");
    assert_eq!(env.get("/front/export").send().await.unwrap().status(), 200);
}

/// Returns a service that begins a stream of events with a comment and sends nothing more. The stream owns a value of `hold`,
/// which is dropped with it.
fn silent<T: Send + 'static>(hold: impl Fn() -> T + Clone + Send + Sync + 'static) -> Upstream {
    Upstream::local(tower::service_fn(move |_: http::Request<tonic::body::Body>| {
        let held = hold();
        async move {
            let comment = [b"\x0a\x11text/event-stream".as_slice(), b"\x12\x03:\n\n"].concat();
            let prefix = [0, 0, 0, 0, u8::try_from(comment.len()).unwrap()];
            let first = http_body::Frame::data(bytes::Bytes::from([&prefix[..], &comment].concat()));
            let frames = tokio_stream::once(Ok::<_, Infallible>(first)).chain(tokio_stream::pending());
            let frames = frames.map(move |frame| {
                let _until_the_end = &held;
                frame
            });
            Ok::<_, Infallible>(http::Response::new(tonic::body::Body::new(http_body_util::StreamBody::new(frames))))
        }
    }))
}

#[tokio::test]
async fn stream_ends_at_its_timeout() {
    let env = TestEnv::with_upstream(silent(|| ()), None, &["--stream-timeout", "200ms"], &[]).await;
    let events = env.get("/front/watch").send().await.unwrap();
    assert_eq!(events.status(), 200);
    assert_eq!(events.headers()["cache-control"], "no-store");
    assert_eq!(events.headers().get("content-length"), None);
    assert_eq!(events.text().await.unwrap(), ":\n\n");
}

#[tokio::test]
async fn stream_ends_at_shutdown() {
    let env = TestEnv::with_upstream(silent(|| ()), None, &[], &[]).await;
    let events = env.get("/front/watch").send().await.unwrap();
    drop(env);
    assert_eq!(events.text().await.unwrap(), ":\n\n");
}

#[tokio::test]
async fn disconnect_from_silent_stream_cancels_call() {
    let (held, mut ended) = tokio::sync::mpsc::channel::<Infallible>(1);
    let held = Arc::new(Mutex::new(Some(held)));
    let env = TestEnv::with_upstream(silent(move || held.lock().unwrap().take()), None, &[], &[]).await;
    let events = env.get("/front/watch").send().await.unwrap();
    assert_eq!(events.status(), 200);
    drop(events);
    let ended = tokio::time::timeout(kit::wait::TIMEOUT, ended.recv()).await;
    assert!(ended.expect("the call is cancelled in time").is_none());
}

#[tokio::test]
async fn disconnect_from_stream_frees_front() {
    let env = TestEnv::start(&[]).await;
    let mut response = env.get("/front/watch?count=100000").send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    // The front is free again for others.
    assert_eq!(env.get("/front/items/a").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn open_streams_do_not_block_unary_calls() {
    let env = TestEnv::start(&[]).await;
    let mut staying = Vec::new();
    // More streams than a connection to the service allows, and none of them is read on.
    for _ in 0..250 {
        let mut response = env.get("/front/watch?count=4000").send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        staying.push(response);
    }
    assert_eq!(env.get("/front/items/a").send().await.unwrap().status(), 200);
}
