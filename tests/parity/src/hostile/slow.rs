//! Clients that begin a request and never finish it (slowloris): each is timed out, whether it idles or trickles.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frames::{Connection, DATA, END_HEADERS, END_STREAM, HEADERS, fields, frame};
use super::{Pair, Row, check_rows};
use crate::wire::{TIMEOUT, statuses};

/// Bytes sent at once, and bytes then sent repeatedly.
struct Slow {
    first: &'static str,
    repeated: &'static str,
}

const fn slow(first: &'static str, repeated: &'static str) -> Slow {
    Slow { first, repeated }
}

const WHY: &str = "Hyper closes without a word where it has no request yet";

/// Time between two repetitions.
const PACE: Duration = Duration::from_millis(500);

/// Returns the statuses received until the front closes, each with the reason of its error.
async fn ends(front: SocketAddr, first: &'static str, repeated: &'static str) -> String {
    let exchange = async {
        let (mut reader, mut writer) = TcpStream::connect(front).await.unwrap().into_split();
        writer.write_all(first.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let trickle = async {
            while writer.write_all(repeated.as_bytes()).await.is_ok() {
                tokio::time::sleep(PACE).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = reader.read_to_end(&mut received) => {}
            () = trickle => {}
        }
        with_reasons(&received)
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| "no end".to_owned())
}

/// Returns the statuses of the answers, and after them the reasons of those that are errors as JSON.
fn with_reasons(received: &[u8]) -> String {
    let text = String::from_utf8_lossy(received);
    let reasons = text.split("\"reason\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    [statuses(received)].into_iter().chain(reasons.map(str::to_owned)).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_http1_request_is_timed_out() {
    const POST: &str = "POST /front/kinds HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let body = |framing: &str, begun: &str| -> &'static str { format!("{POST}{framing}\r\n\r\n{begun}").leak() };
    let rows = [
        Row::differ("half a line", slow("GET /front/it", ""), "408 DEADLINE_EXCEEDED", "", WHY),
        Row::differ(
            "half a head",
            slow("GET /front/items/a HTTP/1.1\r\nhost: a\r\n", ""),
            "408 DEADLINE_EXCEEDED",
            "",
            WHY,
        ),
        Row::differ(
            "a head that goes on",
            slow("GET /front/items/a HTTP/1.1\r\nhost: a\r\n", "x-a: b\r\n"),
            "408 DEADLINE_EXCEEDED",
            "",
            WHY,
        ),
        Row::alike("half a body", slow(body("content-length: 1000", "{"), ""), "408 DEADLINE_EXCEEDED"),
        Row::alike("a body that goes on", slow(body("content-length: 1000", "{"), " "), "408 DEADLINE_EXCEEDED"),
        Row::alike(
            "a chunk that never ends",
            slow(body("transfer-encoding: chunked", "ff\r\n{"), ""),
            "408 DEADLINE_EXCEEDED",
        ),
        Row::alike(
            "chunks that go on",
            slow(body("transfer-encoding: chunked", "1\r\n{\r\n"), "1\r\n \r\n"),
            "408 DEADLINE_EXCEEDED",
        ),
        Row::alike(
            "a size that never ends",
            slow(body("transfer-encoding: chunked", "000"), "0"),
            "408 DEADLINE_EXCEEDED",
        ),
    ];
    check_rows(&Pair::start().await, 3, &rows, |front, attempt| ends(front, attempt.first, attempt.repeated)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_http2_request_is_timed_out() {
    let head = |path, kind| {
        let list = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", path),
            ("content-type", kind),
            ("te", "trailers"),
        ];
        fields(&list)
    };
    let post = head("/front/kinds", "application/json");
    let call = head("/therapy.testing.v1.FrontService/GetItem", "application/grpc");
    let begun = |block: &[u8], data: &[u8]| [frame(HEADERS, END_HEADERS, 1, block), frame(DATA, 0, 1, data)].concat();
    let rows = [
        Row::differ("headers that go on", frame(HEADERS, END_STREAM, 1, &post), "408", "refused", WHY),
        Row::differ("half a frame", frame(HEADERS, END_HEADERS, 1, &post)[..20].to_vec(), "408", "refused", WHY),
        Row::alike("half a body", begun(&post, b"{"), "408"),
        Row::alike("half a message", begun(&call, b"\0\0\0"), "200"),
    ];
    check_rows(&Pair::start().await, 2, &rows, |front, bytes: &Vec<u8>| {
        let bytes = bytes.clone();
        async move { Connection::open(front).await.ask(&bytes, 1).await }
    })
    .await;
}
