//! Connections that say nothing, or half of something, and more connections than there are places.

use std::time::Duration;

use kit::engine::Engine;
use kit::mesh::TestMesh;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::serving;

/// How long a new connection may take to make its first request.
const PATIENCE: Duration = Duration::from_millis(300);
/// How much later than that it may be closed on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

async fn mesh(flags: &[&str]) -> TestMesh {
    let flags = [&["--health-interval", "1h"], flags].concat();
    TestMesh::start_with(Engine::Embedded, |config| config.server = serving(&flags)).await
}

async fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address.trim_start_matches("http://")).await.unwrap()
}

/// Waits until the other side closes; what it says before that doesn't count.
async fn closed(mut stream: TcpStream) {
    let mut said = Vec::new();
    let end = stream.read_to_end(&mut said);
    // A reset closes as well as an end.
    let _ = tokio::time::timeout(PATIENCE + SLACK, end).await.expect("the connection is closed in time");
}

/// A request by HTTP/1.1 and the first line of its answer.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: mesh\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"}") {
        let length = stream.read_buf(&mut said).await.unwrap();
        assert!(length > 0, "the connection was closed");
    }
    String::from_utf8(said).unwrap().lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_connection_that_makes_no_request_is_closed() {
    let mesh = mesh(&["--first-request-timeout", "300ms"]).await;
    for address in [mesh.url.clone(), mesh.service("auth"), mesh.service("clients"), mesh.service("therapists")] {
        for said in [
            &b""[..],
            b"PRI * HTTP/2.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            // The whole preface and the settings, and then nothing.
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            b"GET /healthz HT",
            b"GET /healthz HTTP/1.1\r\nhost: mesh\r\n",
            b"\x16\x03\x01\x02\0\x01",
            b"\r\n\r\n\r\n",
        ] {
            let mut stream = connect(&address).await;
            stream.write_all(said).await.unwrap();
            closed(stream).await;
        }
    }
    mesh.stop().await;
}

#[tokio::test]
async fn a_connection_that_has_made_a_request_may_rest() {
    let mesh = mesh(&["--first-request-timeout", "300ms"]).await;
    let http2 = crate::world::patient();
    let healthz = async || http2.get(format!("{}/healthz", mesh.url).parse().unwrap()).await.unwrap();
    let first = healthz().await;
    assert_eq!(first.status(), 200);
    // A connection that is opened later and closed for its silence shows that the time is over.
    closed(connect(&mesh.url).await).await;
    assert_eq!(healthz().await.status(), 200);
    mesh.stop().await;
}

#[tokio::test]
async fn more_connections_than_there_are_places_wait() {
    // The services count their own: each is called by the front and by others, and auth by all of them.
    let mesh = mesh(&["--max-connections", "24"]).await;
    let mut inside = Vec::new();
    for _ in 0..24 {
        let mut stream = connect(&mesh.url).await;
        assert_eq!(ask(&mut stream).await, "HTTP/1.1 200 OK");
        inside.push(stream);
    }
    let mut outside = connect(&mesh.url).await;
    let early = tokio::time::timeout(PATIENCE, ask(&mut outside)).await;
    assert!(early.is_err(), "the last has no place: {early:?}");
    for stream in &mut inside {
        assert_eq!(ask(stream).await, "HTTP/1.1 200 OK");
    }
    drop(inside.pop());
    let mut answered = Vec::new();
    let length = tokio::time::timeout(SLACK, outside.read_buf(&mut answered)).await.expect("there is a place").unwrap();
    assert!(length > 0 && answered.starts_with(b"HTTP/1.1 200 OK"));
    drop((inside, outside));
    mesh.stop().await;
}
