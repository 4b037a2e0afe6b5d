//! Native calls with malformed frames or deadlines (gRPC over HTTP/2): the service answers with a gRPC status, the same
//! through either front. The test service is bare tonic and answers INTERNAL to messages that it can't read.
//!
//! The outcome of an attempt is the HTTP status and the gRPC status.

use std::net::SocketAddr;

use super::{Pair, Row, check_rows};
use crate::corpus::Request;
use crate::wire::call_with;

const GET_ITEM: &str = "/therapy.testing.v1.FrontService/GetItem";
/// RPC that never answers by itself, so that nothing races with a deadline.
const HANG: &str = "/therapy.testing.v1.FrontService/Hang";
/// Encoded `item_id: "a"`.
const MESSAGE: &[u8] = b"\x0a\x01a";

const TIMEOUT: &str = "Envoy takes a timeout of nothing for none, and bare tonic cancels";
const PARAMETER: &str = "Envoy knows the type without a parameter, and finds no route by REST";
const CAPITALS: &str = "both take it for REST: Envoy looks at the type first, ours at the route";
const IN_WORDS: &str = "Envoy resets the stream, ours says what is wrong";

#[derive(Clone)]
struct Call {
    target: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

fn body(compressed: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[compressed], &length.to_be_bytes()[..], message].concat()
}

const fn sent(body: Vec<u8>) -> Call {
    Call { target: GET_ITEM, headers: Vec::new(), body }
}

fn with(name: &'static str, value: &'static str) -> Call {
    Call { target: GET_ITEM, headers: vec![(name, value)], body: body(0, 3, MESSAGE) }
}

async fn statuses(front: SocketAddr, call: Call) -> String {
    let headers = call.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let request = Request { method: "GRPC".to_owned(), target: call.target.into(), headers, body: Vec::new() };
    let Some(answer) = call_with(front, &request, call.body).await else { return "refused".to_owned() };
    let status = answer.headers.get("grpc-status").map_or_else(|| "-".to_owned(), |values| values.concat());
    format!("{} {status}", answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_native_calls_get_the_same_grpc_status() {
    let hang = |timeout| Call { target: HANG, ..with("grpc-timeout", timeout) };
    let gzip = |body| Call { target: GET_ITEM, headers: vec![("grpc-encoding", "gzip")], body };
    let rows = [
        Row::alike("a message", sent(body(0, 3, MESSAGE)), "200 0"),
        Row::alike("no message", sent(Vec::new()), "200 13"),
        Row::alike("a prefix cut short", sent(vec![0, 0, 0]), "200 13"),
        Row::alike("a length beyond the body", sent(body(0, 100, MESSAGE)), "200 13"),
        Row::alike("a length short of the body", sent(body(0, 1, MESSAGE)), "200 13"),
        Row::alike("a length of 4 GiB", sent(body(0, u32::MAX, MESSAGE)), "200 11"),
        Row::alike("two messages where one is expected", sent(body(0, 3, MESSAGE).repeat(2)), "200 0"),
        Row::alike("a compressed message without a coding", sent(body(1, 3, MESSAGE)), "200 13"),
        Row::alike("a compressed message that is not", gzip(body(1, 3, MESSAGE)), "200 12"),
        Row::alike("a flag that means nothing", sent(body(7, 3, MESSAGE)), "200 13"),
        Row::alike("a message that is no protobuf", sent(body(0, 3, b"\x0a\x7fa")), "200 13"),
        Row::alike("a group that never ends", sent(body(0, 3, b"\x0b\x0b\x0b")), "200 13"),
        Row::alike("a text that is not UTF-8", sent(body(0, 3, b"\x0a\x01\xff")), "200 13"),
        Row::alike("an unknown coding", with("grpc-encoding", "rot13"), "200 12"),
        Row::differ("a deadline that is over", hang("0n"), "200 1", "200 4", TIMEOUT),
        Row::alike("a deadline without a unit", with("grpc-timeout", "5"), "200 0"),
        Row::alike("a negative deadline", with("grpc-timeout", "-1S"), "200 0"),
        Row::alike("a deadline of nine digits", with("grpc-timeout", "999999999S"), "200 0"),
        Row::alike("a deadline of nothing", with("grpc-timeout", ""), "200 0"),
        Row::alike("a deadline with a space", with("grpc-timeout", "1 S"), "200 0"),
        Row::alike("two deadlines in one", with("grpc-timeout", "1S, 2S"), "200 0"),
        Row::alike("JSON by gRPC", with("content-type", "application/grpc+json"), "200 0"),
        Row::differ(
            "a type with a parameter",
            with("content-type", "application/grpc;a=b"),
            "404 -",
            "200 0",
            PARAMETER,
        ),
        Row::differ("a type in capitals", with("content-type", "Application/GRPC"), "400 -", "404 -", CAPITALS),
        Row::alike("two tokens in one line", with("authorization", "Bearer a, Bearer b"), "200 16"),
        Row::differ("a header with an underscore", with("x_user_id", "1"), "refused", "200 3", IN_WORDS),
    ];
    check_rows(&Pair::start().await, 4, &rows, |front, call| statuses(front, call.clone())).await;
}
