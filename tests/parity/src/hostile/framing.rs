//! Request smuggling over HTTP/1.1: ambiguous message framing (RFC 9112, sections 6 and 7; RFC 9110, section 5). If a
//! front and its neighbours disagree about the end of a request, a hidden one can pass.
//!
//! An attempt is the bytes sent on one connection; its outcome is the statuses received until the front closes. Most
//! attempts hide a second request in a possible body of the first: an additional status would show that it was read.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Pair, Row, check_rows};
use crate::wire::{self, TIMEOUT};

/// A request hidden in the body of another.
const HIDDEN: &str = "GET /front/items/hidden HTTP/1.1\r\nhost: a\r\n\r\n";
/// A request after which the front closes.
const LAST: &str = "GET /front/items/last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

const CHUNKS_WIN: &str = "Hyper reads chunks and closes (RFC 9112, section 6.1)";
const SAME: &str = "lengths that agree are one (RFC 9112, section 6.3)";
const VERSION: &str = "Envoy asks for HTTP/1.1; Hyper speaks 1.0 and knows no other";
const EXTENSIONS: &str = "Hyper bounds what nobody reads";
const LINES: &str = "Hyper does not forgive what RFC 9112 allows to forgive; what Envoy reads of it is not passed on";
const WHAT: &str = "Envoy says that it is too large, Hyper that it takes no such chunks";
const NO_BODY: &str = "ours throws away a body where there is no use for one; Envoy reads it, and it is no JSON";
const UPGRADE: &str = "Hyper ignores an upgrade that nobody offers (RFC 9110, section 7.8)";

/// Builds a request with these header lines and this body, followed by [`LAST`].
fn post(lines: &str, body: &str) -> Vec<u8> {
    let head = "POST /front/kinds HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    [head, lines, "\r\n\r\n", body, LAST].concat().into_bytes()
}

/// Builds a request with these header lines and no body, followed by [`LAST`].
fn get(lines: &str) -> Vec<u8> {
    ["GET /front/items/a HTTP/1.1\r\nhost: a\r\n", lines, "\r\n", LAST].concat().into_bytes()
}

/// Sends the bytes and returns the statuses received until the front closes.
async fn statuses(front: SocketAddr, bytes: Vec<u8>) -> String {
    let exchange = async {
        let (mut reader, mut writer) = TcpStream::connect(front).await.unwrap().into_split();
        let mut received = Vec::new();
        let write = async {
            // A front that refuses early may close before it has read everything.
            drop(writer.write_all(&bytes).await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            // A reset counts as closing.
            _ = reader.read_to_end(&mut received) => {}
            () = write => {}
        }
        wire::statuses(&received)
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| "no end".to_owned())
}

/// Encodes a body as one chunk and the last one.
fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Builds a request with both a length and a coding.
fn both(length: usize, coding: &str, body: &str) -> Vec<u8> {
    post(&format!("content-length: {length}\r\ntransfer-encoding: {coding}"), body)
}

fn hidden_after(body: &str) -> String {
    format!("{body}{HIDDEN}")
}

/// Conflicting and malformed lengths.
fn lengths() -> Vec<Row<Vec<u8>>> {
    vec![
        Row::differ("a length and chunks", both(5, "chunked", "0\r\n\r\n"), "400", "200", CHUNKS_WIN),
        Row::differ(
            "a length that hides a request in the last chunk's wake",
            both(5 + HIDDEN.len(), "chunked", &hidden_after("0\r\n\r\n")),
            "400",
            "200",
            CHUNKS_WIN,
        ),
        Row::alike(
            "chunks before a length",
            post("transfer-encoding: chunked\r\ncontent-length: 4", &chunked(HIDDEN)),
            "400",
        ),
        Row::alike(
            "two different lengths",
            post("content-length: 2\r\ncontent-length: 47", &hidden_after("{}")),
            "400",
        ),
        Row::differ("two equal lengths", post("content-length: 2\r\ncontent-length: 2", "{}"), "400", "200 200", SAME),
        Row::alike("two lengths in one line", post("content-length: 2, 2", "{}"), "400"),
        Row::alike("two different lengths in one line", post("content-length: 2, 47", &hidden_after("{}")), "400"),
        Row::alike("a length with a sign", post("content-length: +2", "{}"), "400"),
        Row::alike("a negative length", post("content-length: -2", "{}"), "400"),
        Row::alike("a length in hexadecimal", post("content-length: 0x2", "{}"), "400"),
        Row::alike("a length with a space in it", post("content-length: 1 0", "{}"), "400"),
        Row::alike("a length beyond 64 bits", post("content-length: 18446744073709551618", "{}"), "400"),
        Row::alike("a length of nothing", post("content-length: ", "{}"), "400"),
        Row::alike("a length with zeros before it", post("content-length: 002", "{}"), "200 200"),
        Row::alike("a length that is text", post("content-length: two", "{}"), "400"),
    ]
}

/// Transfer codings that some parsers take for chunked and others don't.
fn codings() -> Vec<Row<Vec<u8>>> {
    vec![
        Row::alike("chunks and nothing else", post("transfer-encoding: chunked", &chunked("{}")), "200 200"),
        Row::alike("chunks in capitals", post("transfer-encoding: CHUNKED", &chunked("{}")), "200 200"),
        Row::alike("an unknown coding", post("transfer-encoding: xchunked", &chunked("{}")), "400"),
        Row::alike(
            "chunks and then another coding",
            post("transfer-encoding: chunked, identity", &chunked("{}")),
            "400",
        ),
        Row::alike(
            "another coding and then chunks",
            post("transfer-encoding: identity, chunked", &chunked("{}")),
            "400",
        ),
        Row::alike("compressed chunks", post("transfer-encoding: gzip, chunked", &chunked("{}")), "400"),
        Row::alike(
            "two codings in two lines",
            post("transfer-encoding: identity\r\ntransfer-encoding: chunked", &chunked("{}")),
            "400",
        ),
        Row::alike(
            "chunks twice",
            post("transfer-encoding: chunked\r\ntransfer-encoding: chunked", &chunked("{}")),
            "400",
        ),
        Row::alike("chunks twice in a line", post("transfer-encoding: chunked, chunked", &chunked("{}")), "400"),
        Row::alike("chunks in quotes", post("transfer-encoding: \"chunked\"", &chunked("{}")), "400"),
        Row::alike("chunks with a parameter", post("transfer-encoding: chunked;q=1", &chunked("{}")), "400"),
        Row::alike("chunks behind a tab", post("transfer-encoding:\tchunked", &chunked("{}")), "200 200"),
        Row::alike("chunks behind a vertical tab", post("transfer-encoding: \x0bchunked", &chunked("{}")), "400"),
        Row::alike(
            "a coding's name with a space before the colon",
            post("transfer-encoding : chunked\r\ncontent-length: 2", "{}"),
            "400",
        ),
        Row::alike(
            "a coding on a folded line",
            post("transfer-encoding:\r\n chunked\r\ncontent-length: 2", "{}"),
            "400",
        ),
        Row::alike(
            "a coding's name with an underscore",
            post("transfer_encoding: chunked\r\ncontent-length: 2", "{}"),
            "400",
        ),
        Row::differ(
            "chunks over HTTP/1.0",
            b"POST /front/kinds HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec(),
            "426",
            "400",
            VERSION,
        ),
    ]
}

/// Malformed chunks and trailers.
fn chunks() -> Vec<Row<Vec<u8>>> {
    vec![
        Row::alike(
            "an extension of a chunk",
            post("transfer-encoding: chunked", "2;a=b\r\n{}\r\n0\r\n\r\n"),
            "200 200",
        ),
        Row::alike(
            "an extension with a bare line feed",
            post("transfer-encoding: chunked", "2;a\n{}\r\n0\r\n\r\n"),
            "400",
        ),
        Row::differ(
            "an extension of 64 KiB",
            post("transfer-encoding: chunked", &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(65536))),
            "200 200",
            "400",
            EXTENSIONS,
        ),
        Row::alike("a chunk with a sign", post("transfer-encoding: chunked", "+2\r\n{}\r\n0\r\n\r\n"), "400"),
        Row::alike("a negative chunk", post("transfer-encoding: chunked", "-2\r\n{}\r\n0\r\n\r\n"), "400"),
        Row::alike("a chunk in C's hexadecimal", post("transfer-encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\n"), "400"),
        Row::alike(
            "a chunk beyond 64 bits",
            post("transfer-encoding: chunked", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
            "400",
        ),
        Row::alike("a chunk without a size", post("transfer-encoding: chunked", "\r\n{}\r\n0\r\n\r\n"), "400"),
        Row::alike("a chunk that goes on", post("transfer-encoding: chunked", "2\r\n{}xx0\r\n\r\n"), "400"),
        Row::differ(
            "a chunk that ends in a bare line feed",
            post("transfer-encoding: chunked", "2\r\n{}\n0\r\n\r\n"),
            "200 200",
            "400",
            LINES,
        ),
        Row::alike(
            "a chunk whose size ends in a bare line feed",
            post("transfer-encoding: chunked", "2\n{}\r\n0\r\n\r\n"),
            "400",
        ),
        Row::alike(
            "a space behind the size of a chunk",
            post("transfer-encoding: chunked", "2 \r\n{}\r\n0\r\n\r\n"),
            "200 200",
        ),
        Row::alike("a trailer", post("transfer-encoding: chunked", "2\r\n{}\r\n0\r\nx-a: b\r\n\r\n"), "200 200"),
        Row::alike(
            "a trailer that gives another length",
            post("transfer-encoding: chunked", "2\r\n{}\r\n0\r\ncontent-length: 47\r\n\r\n"),
            "200 200",
        ),
        Row::differ(
            "trailers of 64 KiB",
            post(
                "transfer-encoding: chunked",
                &format!("2\r\n{{}}\r\n0\r\n{}\r\n", format!("x-a: {}\r\n", "b".repeat(1000)).repeat(64)),
            ),
            "431",
            "400",
            WHAT,
        ),
    ]
}

/// Line endings, malformed headers, and unexpected bodies.
fn lines() -> Vec<Row<Vec<u8>>> {
    vec![
        Row::differ(
            "a GET with a length hides nothing",
            get(&format!("content-length: {}\r\n", LAST.len())),
            "400",
            "200",
            NO_BODY,
        ),
        Row::differ(
            "a GET with chunks hides nothing",
            [get("transfer-encoding: chunked\r\n").as_slice()].concat(),
            "400",
            "200",
            NO_BODY,
        ),
        Row::alike(
            "lines that end in bare line feeds",
            format!("GET /front/items/a HTTP/1.1\nhost: a\n\n{LAST}").into_bytes(),
            "200 200",
        ),
        Row::alike("a header that ends in a bare line feed", get("x-a: b\nx-b: c\r\n"), "200 200"),
        Row::differ("a header with a bare carriage return", get("x-a: b\rx-b: c\r\n"), "200 200", "400", LINES),
        Row::differ("a folded header", get("x-a: b\r\n c\r\n"), "200 200", "400", LINES),
        Row::alike(
            "a first header that is folded",
            "GET /front/items/a HTTP/1.1\r\n host: a\r\n\r\n".to_owned().into_bytes(),
            "400",
        ),
        Row::alike("a space before the colon", get("x-a : b\r\n"), "400"),
        Row::alike("a header without a name", get(": b\r\n"), "400"),
        Row::alike("a header without a colon", get("x-a\r\n"), "400"),
        Row::alike("a NUL in a header", get("x-a: b\0c\r\n"), "400"),
        Row::alike("a NUL in a header's name", get("x-\0a: b\r\n"), "400"),
        Row::alike("a header's name that is not ASCII", get("x-é: b\r\n"), "400"),
        Row::alike("an empty line before the request", format!("\r\n{LAST}").into_bytes(), "200"),
    ]
}

/// Oversized request heads.
fn sizes() -> Vec<Row<Vec<u8>>> {
    vec![
        Row::alike(
            "a method of 64 KiB",
            format!("{} / HTTP/1.1\r\nhost: a\r\n\r\n", "A".repeat(65536)).into_bytes(),
            "431",
        ),
        Row::alike(
            "a target of 64 KiB",
            format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(65536)).into_bytes(),
            "431",
        ),
        Row::alike("one header of 64 KiB", get(&format!("x-a: {}\r\n", "a".repeat(65536))), "431"),
        Row::alike("a header's name of 64 KiB", get(&format!("{}: a\r\n", "a".repeat(65536))), "431"),
        Row::alike("10,000 headers", get(&"a: b\r\n".repeat(10_000)), "431"),
    ]
}

/// Versions, hosts, upgrades and other demands of a request head.
fn heads() -> Vec<Row<Vec<u8>>> {
    vec![
        Row::differ(
            "an unknown version",
            b"GET /front/items/a HTTP/1.7\r\nhost: a\r\n\r\n".to_vec(),
            "426",
            "400",
            VERSION,
        ),
        Row::differ(
            "version 2 in words",
            b"GET /front/items/a HTTP/2.0\r\nhost: a\r\n\r\n".to_vec(),
            "426",
            "400",
            VERSION,
        ),
        Row::differ("no version", b"GET /front/items/a\r\n\r\n".to_vec(), "426", "400", VERSION),
        Row::differ("version 1.0", b"GET /front/items/a HTTP/1.0\r\nhost: a\r\n\r\n".to_vec(), "426", "200", VERSION),
        Row::alike("no host", b"GET /front/items/a HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(), "400"),
        Row::alike("two hosts", get("host: b\r\n"), "400"),
        Row::alike(
            "an upgrade to HTTP/2",
            get("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"),
            "200 200",
        ),
        Row::differ(
            "an upgrade to WebSocket",
            get(
                "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n",
            ),
            "400",
            "200 200",
            UPGRADE,
        ),
        Row::alike(
            "a header that hop-by-hop rules would take away",
            get("connection: authorization, close\r\n"),
            "200",
        ),
        Row::alike("CONNECT", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n".to_vec(), "404"),
        Row::alike("TLS where none is spoken", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), "400"),
        Row::alike("an expectation that nobody knows", post("expect: 200-ok\r\ncontent-length: 2", "{}"), "200 200"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn request_framing_is_read_in_one_way() {
    let parts = [lengths(), codings(), chunks(), lines(), sizes(), heads()];
    let rows: Vec<_> = parts.into_iter().flatten().collect();
    check_rows(&Pair::start().await, 16, &rows, |front, bytes| statuses(front, bytes.clone())).await;
}
