//! Write timeout of both versions of HTTP: a peer that reads nothing is disconnected; a slow or waiting peer is not.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::test_env::TestEnv;

/// Write timeout of the front: the longest that a peer may read nothing.
const LIMIT: Duration = Duration::from_secs(1);
/// Minimum duration of slow transfers, which is longer than the limit.
const SLOW: Duration = Duration::from_millis(1500);
/// Timeout of each wait in these tests.
const TIMEOUT: Duration = Duration::from_secs(8);
/// Interval between the pieces of a slow transfer.
const PACE: Duration = Duration::from_millis(125);
/// Flags of the front of each test: the limit, and a short interval to check it.
const FLAGS: [&str; 4] = ["--stall-timeout", "1s", "--first-request-timeout", "1s"];

/// More than the buffers of two sockets hold.
const LARGE: &str = "/front/items?pageSize=60000";
const EVENTS: &str = "/front/watch?count=200000";
/// More than the first window of HTTP/2 (RFC 9113, section 6.9.2).
const BEYOND_A_WINDOW: &str = "/front/items?pageSize=1000";
const SILENCE: &str = "/front/watch?count=-1";
const COMMENT: &[u8] = b":\n\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame (RFC 9113, section 4.1) of less than 256 bytes.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream], payload].concat()
}

/// The preface, these settings, and the head of a request in literal fields (RFC 7541, section 6.2.2).
fn over_http_2(settings: &[u8], method: &str, target: &str, flags: u8) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", target)];
    let fields = own.into_iter().chain([("content-type", "application/json")]);
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block: Vec<u8> = fields.flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    [preface.as_slice(), &frame(SETTINGS, 0, 0, settings), &frame(HEADERS, END_HEADERS | flags, 1, &block)].concat()
}

fn get_over_http_2(target: &str) -> Vec<u8> {
    over_http_2(&[], "GET", target, END_STREAM)
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()
}

/// Opens a connection with a small window, and sends these bytes.
async fn connect(front: SocketAddr, said: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(front).await.unwrap();
    stream.write_all(said).await.unwrap();
    stream
}

/// Reads until these bytes have arrived; false if the front closes before.
async fn receives(stream: &mut TcpStream, what: &[u8]) -> bool {
    let read = async {
        let mut received = Vec::new();
        while !received.windows(what.len()).any(|window| window == what) {
            if stream.read_buf(&mut received).await.unwrap_or_default() == 0 {
                return false;
            }
        }
        true
    };
    timeout(TIMEOUT, read).await.expect("something comes, or an end")
}

/// Asserts that a peer which sends this request and reads only the beginning is disconnected after the limit: the front has
/// room for one connection, and the next peer gets it.
async fn assert_disconnected(asked: Vec<u8>) {
    let env = TestEnv::start(&[&FLAGS[..], &["--max-connections", "1"]].concat()).await;
    let began = Instant::now();
    let mut stalled = connect(env.address, &asked).await;
    timeout(TIMEOUT, stalled.read_exact(&mut [0; 9])).await.unwrap().unwrap();
    let mut next = connect(env.address, &get("/front/items/a")).await;
    assert!(receives(&mut next, b"HTTP/1.1 200 OK\r\n").await);
    assert!(began.elapsed() >= LIMIT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn stalled_http1_reader_is_disconnected() {
    tokio::join!(assert_disconnected(get(EVENTS)), assert_disconnected(get(LARGE)));
}

#[tokio::test]
async fn stalled_http2_reader_is_disconnected() {
    // SETTINGS_INITIAL_WINDOW_SIZE of nothing.
    let closed = over_http_2(&[0, 4, 0, 0, 0, 0], "GET", "/front/items/a", END_STREAM);
    tokio::join!(
        assert_disconnected(closed),
        assert_disconnected(get_over_http_2(BEYOND_A_WINDOW)),
        assert_disconnected(get_over_http_2(EVENTS))
    );
}

#[tokio::test]
async fn waiting_event_reader_keeps_connection() {
    let env = TestEnv::start(&FLAGS).await;
    let waits = async |asked: Vec<u8>| {
        let began = Instant::now();
        let mut stream = connect(env.address, &asked).await;
        for _ in 0..2 {
            assert!(receives(&mut stream, COMMENT).await, "ended after {:?}", began.elapsed());
        }
        assert!(began.elapsed() > SLOW);
    };
    tokio::join!(waits(get(SILENCE)), waits(get_over_http_2(SILENCE)));
}

#[tokio::test]
async fn slow_sender_keeps_connection() {
    const BODY: &[u8] = br#"{"aBool":true}"#;
    let env = TestEnv::start(&FLAGS).await;
    let sends = async |head: Vec<u8>, drop: &dyn Fn(&[u8], u8) -> Vec<u8>| {
        let began = Instant::now();
        let mut stream = connect(env.address, &head).await;
        for (at, byte) in BODY.chunks(1).enumerate() {
            sleep(PACE).await;
            let flags = if at + 1 == BODY.len() { END_STREAM } else { 0 };
            stream.write_all(&drop(byte, flags)).await.unwrap();
        }
        assert!(receives(&mut stream, b"\"aBool\":true").await, "ended after {:?}", began.elapsed());
        assert!(began.elapsed() > SLOW);
    };
    let head = "POST /front/kinds HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n";
    tokio::join!(
        sends(head.into(), &|byte, _| byte.to_vec()),
        sends(over_http_2(&[], "POST", "/front/kinds", 0), &|byte, flags| frame(DATA, flags, 1, byte)),
    );
}

#[tokio::test]
async fn slow_http1_reader_gets_whole_answer() {
    let env = TestEnv::start(&FLAGS).await;
    let began = Instant::now();
    let asked = format!("GET {LARGE} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let mut stream = connect(env.address, asked.as_bytes()).await;
    let mut received = Vec::new();
    // One read of a slow connection.
    while timeout(TIMEOUT, (&mut stream).take(32 * 1024).read_buf(&mut received)).await.unwrap().unwrap() > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(received.ends_with(b"}]"), "ended after {} bytes and {:?}", received.len(), began.elapsed());
    assert!(began.elapsed() > SLOW, "{:?}", began.elapsed());
}

#[tokio::test]
async fn slow_http2_reader_gets_whole_answer() {
    let env = TestEnv::start(&FLAGS).await;
    let began = Instant::now();
    let mut stream = connect(env.address, &get_over_http_2(BEYOND_A_WINDOW)).await;
    let mut is_whole = false;
    while !is_whole {
        let mut head = [0; 9];
        let read = timeout(TIMEOUT, stream.read_exact(&mut head)).await.unwrap();
        assert!(read.is_ok(), "ended after {:?}", began.elapsed());
        let [a, b, c, kind, flags, ..] = head;
        let length = [0, a, b, c];
        stream.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize]).await.unwrap();
        is_whole = kind == DATA && flags & END_STREAM > 0;
        if kind == DATA && length != [0; 4] {
            sleep(PACE).await;
            let room = [0, 1].map(|stream| frame(WINDOW_UPDATE, 0, stream, &length));
            stream.write_all(&room.concat()).await.unwrap();
        }
    }
    assert!(began.elapsed() > SLOW, "{:?}", began.elapsed());
}
