//! Idle and half-open connections, and connections above the limits in total and per source.

use std::net::SocketAddr;
use std::time::Duration;

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::{PASSWORD, TestMesh};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::world::{NEVER, World, serving};

/// Timeout of a new connection for its first request.
const TIMEOUT: Duration = Duration::from_millis(300);
/// Tolerated delay of the close on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

async fn mesh(flags: &[&str]) -> TestMesh {
    let flags = [&["--health-interval", "1h"], flags].concat();
    TestMesh::start_with(Engine::Embedded, |config| config.server = serving(&flags)).await
}

async fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address.trim_start_matches("http://")).await.unwrap()
}

/// Waits until the other side closes, and ignores what it sends before.
async fn closed(mut stream: TcpStream) {
    let mut said = Vec::new();
    let end = stream.read_to_end(&mut said);
    // A reset closes as well as an end.
    let _ = tokio::time::timeout(TIMEOUT + SLACK, end).await.expect("the connection is closed in time");
}

/// Sends a request by HTTP/1.1. Returns the status line.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let answer = async {
        while !said.ends_with(b"}") {
            let length = stream.read_buf(&mut said).await.unwrap();
            assert!(length > 0, "the connection was closed");
        }
    };
    tokio::time::timeout(kit::wait::TIMEOUT, answer).await.expect("an answer in time");
    String::from_utf8(said).unwrap().lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn connection_without_request_is_closed() {
    let mesh = mesh(&["--first-request-timeout", "300ms"]).await;
    let mut connections = JoinSet::new();
    for address in [mesh.url.clone(), mesh.service("auth"), mesh.service("clients"), mesh.service("therapists")] {
        for said in [
            &b""[..],
            b"PRI * HTTP/2.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            // The whole preface and the settings, and then nothing.
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            b"GET /healthz HT",
            b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n",
            b"\x16\x03\x01\x02\0\x01",
            b"\r\n\r\n\r\n",
        ] {
            let mut stream = connect(&address).await;
            stream.write_all(said).await.unwrap();
            connections.spawn(closed(stream));
        }
    }
    connections.join_all().await;
    mesh.stop().await;
}

#[tokio::test]
async fn connection_after_request_may_be_idle() {
    let mesh = mesh(&["--first-request-timeout", "300ms"]).await;
    let http2 = crate::world::untimed_transport();
    let healthz = async || http2.get(format!("{}/healthz", mesh.url).parse().unwrap()).await.unwrap();
    let first = healthz().await;
    assert_eq!(first.status(), 200);
    // A later connection that is closed without a request shows that the timeout is over.
    closed(connect(&mesh.url).await).await;
    assert_eq!(healthz().await.status(), 200);
    mesh.stop().await;
}

/// Connects to the front from this loopback address.
async fn connect_from(source: u8, mesh: &TestMesh) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, source], 0))).unwrap();
    socket.connect(mesh.url.trim_start_matches("http://").parse().unwrap()).await.unwrap()
}

/// Opens connections that have made one request and are kept alive.
async fn kept_alive(source: u8, number: usize, mesh: &TestMesh) -> Vec<TcpStream> {
    let mut kept = Vec::new();
    for _ in 0..number {
        let mut stream = connect_from(source, mesh).await;
        assert_eq!(ask(&mut stream).await, "HTTP/1.1 200 OK");
        kept.push(stream);
    }
    kept
}

#[tokio::test]
async fn new_connection_replaces_longest_idle_one() {
    // The limits hold for services too: each is called by the front and by others, and auth by all of them.
    let mesh = mesh(&["--max-connections", "24", "--max-connections-per-source", "10"]).await;
    let mut kept = Vec::new();
    for (source, number) in [(2, 10), (3, 10), (4, 4)] {
        kept.extend(kept_alive(source, number, &mesh).await);
    }
    // The first makes another request, so the second is idle longest.
    assert_eq!(ask(&mut kept[0]).await, "HTTP/1.1 200 OK");
    let mut newcomer = connect_from(5, &mesh).await;
    assert_eq!(ask(&mut newcomer).await, "HTTP/1.1 200 OK");
    closed(kept.remove(1)).await;
    for stream in &mut kept {
        assert_eq!(ask(stream).await, "HTTP/1.1 200 OK");
    }
    drop((kept, newcomer));
    mesh.stop().await;
}

#[tokio::test]
async fn source_over_limit_loses_its_idle_connection() {
    let mesh = mesh(&["--max-connections", "24", "--max-connections-per-source", "3"]).await;
    let mut neighbour = kept_alive(2, 1, &mesh).await;
    let mut greedy = kept_alive(3, 3, &mesh).await;
    greedy.extend(kept_alive(3, 1, &mesh).await);
    closed(greedy.remove(0)).await;
    for stream in greedy.iter_mut().chain(&mut neighbour) {
        assert_eq!(ask(stream).await, "HTTP/1.1 200 OK");
    }
    drop((greedy, neighbour));
    mesh.stop().await;
}

#[tokio::test]
async fn source_over_limit_with_busy_connections_is_refused() {
    let world = World::start_with(Engine::Embedded, |config| {
        let flags = ["--max-connections-per-source", "2", "--max-deadline", "1h", "--health-interval", "1h"];
        config.server = serving(&flags);
        config.front.request_timeout = NEVER;
        config.dynamodb.attempt_timeout = NEVER;
        config.dynamodb.operation_timeout = NEVER;
    })
    .await;
    world.proxy.set(Mode::Hang).await;
    let mut busy = Vec::new();
    for name in ["a", "b"] {
        let login = format!(r#"{{"email":"{name}@example.org","password":"{PASSWORD}"}}"#);
        let head = "POST /auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ";
        let mut stream = connect_from(3, &world.mesh).await;
        stream.write_all(format!("{head}{}\r\n\r\n{login}", login.len()).as_bytes()).await.unwrap();
        world.proxy.called("GetItem").await;
        busy.push(stream);
    }
    closed(connect_from(3, &world.mesh).await).await;
    assert_eq!(ask(&mut connect_from(4, &world.mesh).await).await, "HTTP/1.1 200 OK");
    drop(busy);
    world.proxy.set(Mode::Pass).await;
    world.mesh.stop().await;
}

#[tokio::test]
async fn thousand_connections_of_source_block_nobody() {
    let mesh = mesh(&[]).await;
    let kept = kept_alive(3, 1030, &mesh).await;
    for source in [3, 4] {
        assert_eq!(ask(&mut connect_from(source, &mesh).await).await, "HTTP/1.1 200 OK");
    }
    drop(kept);
    mesh.stop().await;
}
