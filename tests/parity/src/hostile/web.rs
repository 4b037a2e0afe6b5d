//! Malformed gRPC-Web: each request is answered with a status, and a service reads the same through either front.
//!
//! The outcome of an attempt is the HTTP status and the gRPC status, from the headers or the body.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Pair, Row, check_rows};
use crate::corpus::Request;
use crate::wire::{Answer, send};

/// Framed `item_id: "a"`.
const MESSAGE: &[u8] = b"\0\0\0\0\x03\x0a\x01a";

const PLAIN: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";

const BASE64: &str = "Envoy lets the service find that nothing came, ours says what is wrong with the text";

/// Content type and body.
type Call = (&'static str, Vec<u8>);

fn outcome(answer: &Answer, kind: &str) -> String {
    let raw: Vec<u8> = if kind == TEXT {
        answer.body.chunks(4).flat_map(|four| STANDARD.decode(four).unwrap_or_default()).collect()
    } else {
        answer.body.clone()
    };
    let body = String::from_utf8_lossy(&raw).into_owned();
    let in_body = body.rsplit_once("grpc-status:").and_then(|(_, rest)| rest.lines().next().map(str::to_owned));
    let in_headers = answer.headers.get("grpc-status").map(|values| values.concat());
    format!("{} {}", answer.status, in_headers.or(in_body).as_deref().unwrap_or("-"))
}

async fn statuses(front: SocketAddr, (kind, body): Call) -> String {
    let headers = [("content-type", kind), ("accept", kind), ("x-grpc-web", "1")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into();
    let target = "/therapy.testing.v1.FrontService/GetItem".into();
    outcome(&send(front, &Request { method: "POST".to_owned(), target, headers, body }).await, kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_grpc_web_is_answered_with_a_status() {
    let plain = |body: &[u8]| -> Call { (PLAIN, body.to_vec()) };
    let text = |body: &str| -> Call { (TEXT, body.as_bytes().to_vec()) };
    let encoded = STANDARD.encode(MESSAGE);
    let rows = [
        Row::alike("a message", plain(MESSAGE), "200 0"),
        Row::alike("a message as text", text(&encoded), "200 0"),
        Row::alike("no message", plain(b""), "200 13"),
        Row::alike("no message as text", text(""), "200 13"),
        Row::alike("a prefix cut short", plain(&MESSAGE[..3]), "200 13"),
        Row::alike("a message cut short", plain(&MESSAGE[..6]), "200 13"),
        Row::alike("a length of 4 GiB", plain(b"\0\xff\xff\xff\xff\x0a\x01a"), "200 11"),
        Row::alike("a compressed message without a coding", plain(b"\x01\0\0\0\x03\x0a\x01a"), "200 13"),
        Row::alike("a flag that means nothing", plain(b"\x07\0\0\0\x03\x0a\x01a"), "200 13"),
        Row::alike("trailers of a caller", plain(b"\x80\0\0\0\x0fgrpc-status: 0\n"), "200 13"),
        Row::alike(
            "trailers behind a message",
            plain(&[MESSAGE, b"\x80\0\0\0\x0fgrpc-status: 0\n"].concat()),
            "200 13",
        ),
        Row::alike("text as bytes", plain(encoded.as_bytes()), "200 13"),
        Row::differ("bytes as text", (TEXT, MESSAGE.to_vec()), "200 13", "200 3", BASE64),
        Row::differ("text that is no base64", text("!!!!"), "200 13", "200 3", BASE64),
        Row::differ("text of another alphabet", text("__--"), "200 13", "200 3", BASE64),
        Row::differ("text that is cut", text(&encoded[..7]), "200 13", "200 3", BASE64),
        Row::differ(
            "text in lines",
            text(&format!("{}\r\n{}", &encoded[..4], &encoded[4..])),
            "200 13",
            "200 3",
            BASE64,
        ),
        Row::differ("text with padding inside", text("AA==AAAAAwoBYQ=="), "200 13", "200 3", BASE64),
    ];
    check_rows(&Pair::start().await, 6, &rows, |front, call: &Call| statuses(front, call.clone())).await;
}
