//! Malformed HTTP/2 requests (RFC 9113, sections 8.2 and 8.3): never forwarded, and never read as another request.

use std::net::SocketAddr;

use super::frames::{
    CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, HEADERS, PUSH_PROMISE, fields, frame, get,
};
use super::{Pair, Row, check_rows};

type Fields = Vec<(&'static str, &'static str)>;

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "a");
const PATH: (&str, &str) = (":path", "/front/items/a");

fn plain(more: &[(&'static str, &'static str)]) -> Fields {
    [&[METHOD, SCHEME, AUTHORITY, PATH], more].concat()
}

const IN_WORDS: &str = "Envoy resets the stream, ours says what is wrong";
const FRAGMENT: &str = "Hyper drops a fragment: the path before it is what everybody reads";
const PRIORITIES: &str = "Envoy ignores priorities (RFC 9113, section 5.3)";
const TRAILERS: &str = "ours never looks at trailers";

async fn ask(front: SocketAddr, list: Fields) -> String {
    Connection::open(front).await.ask(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&list)), 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http2_request_reaches_no_service() {
    let rows = [
        Row::alike("nothing wrong", plain(&[]), "200"),
        Row::alike("two paths", plain(&[(":path", "/front/items/b")]), "refused"),
        Row::alike("two methods", plain(&[(":method", "DELETE")]), "refused"),
        Row::alike("two schemes", plain(&[(":scheme", "https")]), "refused"),
        Row::alike("two authorities", plain(&[(":authority", "b")]), "refused"),
        Row::alike("a pseudo-header behind others", vec![METHOD, SCHEME, AUTHORITY, ("x-a", "b"), PATH], "refused"),
        Row::alike("no path", vec![METHOD, SCHEME, AUTHORITY], "refused"),
        Row::alike("no method", vec![SCHEME, AUTHORITY, PATH], "refused"),
        Row::alike("no scheme", vec![METHOD, AUTHORITY, PATH], "refused"),
        Row::differ("no authority", vec![METHOD, SCHEME, PATH], "refused", "400", IN_WORDS),
        Row::alike("a host in place of the authority", vec![METHOD, SCHEME, PATH, ("host", "a")], "200"),
        Row::alike("a host that contradicts the authority", plain(&[("host", "b")]), "200"),
        Row::alike("an empty path", vec![METHOD, SCHEME, AUTHORITY, (":path", "")], "refused"),
        Row::alike("a path without a slash", vec![METHOD, SCHEME, AUTHORITY, (":path", "front/items/a")], "refused"),
        Row::alike("a path with a space", vec![METHOD, SCHEME, AUTHORITY, (":path", "/front/items/a b")], "refused"),
        Row::alike(
            "a path with a line feed",
            vec![METHOD, SCHEME, AUTHORITY, (":path", "/front/items/a\r\nx-a: b")],
            "refused",
        ),
        Row::alike("a path with a NUL", vec![METHOD, SCHEME, AUTHORITY, (":path", "/front/items/a\0")], "refused"),
        Row::differ(
            "a path with a fragment",
            vec![METHOD, SCHEME, AUTHORITY, (":path", "/front/items/a#b")],
            "400",
            "200",
            FRAGMENT,
        ),
        Row::alike(
            "an absolute target as a path",
            vec![METHOD, SCHEME, AUTHORITY, (":path", "http://b/front/items/a")],
            "refused",
        ),
        Row::alike(
            "a method with a space",
            vec![(":method", "GET /front/items/b"), SCHEME, AUTHORITY, PATH],
            "refused",
        ),
        Row::differ(
            "a scheme that nobody knows",
            vec![METHOD, (":scheme", "gopher"), AUTHORITY, PATH],
            "200",
            "400",
            IN_WORDS,
        ),
        Row::differ(
            "an authority with a user",
            vec![METHOD, SCHEME, (":authority", "user@a"), PATH],
            "refused",
            "400",
            IN_WORDS,
        ),
        Row::alike("an authority with a path", vec![METHOD, SCHEME, (":authority", "a/b"), PATH], "refused"),
        Row::alike("an unknown pseudo-header", plain(&[(":user", "1")]), "refused"),
        Row::alike("a pseudo-header of answers", plain(&[(":status", "200")]), "refused"),
        Row::alike("a protocol without CONNECT", plain(&[(":protocol", "websocket")]), "refused"),
        Row::alike(
            "CONNECT with a protocol",
            vec![(":method", "CONNECT"), (":protocol", "websocket"), SCHEME, AUTHORITY, PATH],
            "refused",
        ),
        Row::alike("CONNECT", vec![(":method", "CONNECT"), (":authority", "127.0.0.1:22")], "404"),
        Row::alike("a header in capitals", plain(&[("X-User-Id", "1")]), "refused"),
        Row::alike("a header without a name", plain(&[("", "1")]), "refused"),
        Row::alike("a header's name with a colon", plain(&[("x:a", "1")]), "refused"),
        Row::alike("a header's name with a line feed", plain(&[("x\r\nhost", "1")]), "refused"),
        Row::alike("a header with a line feed", plain(&[("x-a", "1\r\nhost: b")]), "refused"),
        Row::alike("a header with a NUL", plain(&[("x-a", "1\0")]), "refused"),
        Row::differ("a header with an underscore", plain(&[("x_user_id", "1")]), "refused", "400", IN_WORDS),
        Row::alike("connection", plain(&[("connection", "close")]), "refused"),
        Row::alike("keep-alive", plain(&[("keep-alive", "1")]), "refused"),
        Row::alike("proxy-connection", plain(&[("proxy-connection", "close")]), "refused"),
        Row::alike("transfer-encoding", plain(&[("transfer-encoding", "chunked")]), "refused"),
        Row::alike("upgrade", plain(&[("upgrade", "h2c")]), "refused"),
        Row::alike("te beyond trailers", plain(&[("te", "gzip")]), "refused"),
        Row::alike("two authorizations", plain(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]), "401"),
        Row::alike("a length without a body", plain(&[("content-length", "5")]), "refused"),
        Row::alike("two lengths", plain(&[("content-length", "0"), ("content-length", "5")]), "refused"),
        Row::alike("a length that is text", plain(&[("content-length", "many")]), "refused"),
    ];
    check_rows(&Pair::start().await, 5, &rows, |front, list| ask(front, list.clone())).await;
}

/// Frames that follow the settings.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_http2_frames_end_stream_or_connection() {
    let post = |length: &str| {
        let list = [
            (":method", "POST"),
            SCHEME,
            AUTHORITY,
            (":path", "/front/kinds"),
            ("content-type", "application/json"),
            ("content-length", length),
        ];
        frame(HEADERS, END_HEADERS, 1, &fields(&list))
    };
    let data = |flags, data: &str| frame(DATA, flags, 1, data.as_bytes());
    let block = fields(&plain(&[]));
    let rows = [
        Row::alike("a body of its length", [post("2"), data(END_STREAM, "{}")].concat(), "200"),
        Row::alike("a body beyond its length", [post("2"), data(END_STREAM, "{}{}")].concat(), "refused"),
        Row::alike("a body short of its length", [post("5"), data(END_STREAM, "{}")].concat(), "refused"),
        Row::alike(
            "padding that is longer than the frame",
            [post("2"), frame(DATA, END_STREAM | 8, 1, b"\xff{}")].concat(),
            "refused",
        ),
        Row::alike("data before headers", frame(DATA, END_STREAM, 1, b"{}"), "refused"),
        Row::alike("an even stream", get(2, "/front/items/a", &[]), "refused"),
        Row::alike("a stream that is the connection", get(0, "/front/items/a", &[]), "refused"),
        Row::alike("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &block), "refused"),
        Row::alike(
            "headers that another frame interrupts",
            [frame(HEADERS, END_STREAM, 1, &block), frame(DATA, 0, 1, b"x")].concat(),
            "refused",
        ),
        Row::alike("headers that are no HPACK", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 64]), "refused"),
        Row::alike(
            "a promise of a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], &block[..]].concat()),
            "refused",
        ),
        Row::alike("a frame that is too large", frame(DATA, 0, 1, &[0; 20_000]), "refused"),
        Row::alike("settings of a wrong length", frame(super::frames::SETTINGS, 0, 0, &[0; 5]), "refused"),
        Row::alike(
            "a window beyond 31 bits",
            frame(super::frames::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            "refused",
        ),
        Row::alike("a window of nothing", frame(super::frames::WINDOW_UPDATE, 0, 0, &[0; 4]), "refused"),
        Row::alike("a ping of a wrong length", frame(super::frames::PING, 0, 0, &[0; 7]), "refused"),
        Row::alike(
            "a table beyond the settings",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x3f, 0xe1, 0xff, 0x03]),
            "refused",
        ),
        Row::differ(
            "a stream that depends on itself",
            [frame(super::frames::PRIORITY, 0, 1, &[0, 0, 0, 1, 0]), get(1, "/front/items/a", &[])].concat(),
            "200",
            "refused",
            PRIORITIES,
        ),
        Row::alike(
            "a frame of an unknown kind",
            [frame(0xfa, 0xff, 1, b"x"), get(1, "/front/items/a", &[])].concat(),
            "200",
        ),
        Row::differ(
            "trailers with a pseudo-header",
            [post("2"), data(0, "{}"), frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[(":path", "/x")]))]
                .concat(),
            "refused",
            "200",
            TRAILERS,
        ),
        Row::alike(
            "trailers that do not end the stream",
            [post("2"), data(0, "{}"), frame(HEADERS, END_HEADERS, 1, &fields(&[("x-a", "b")]))].concat(),
            "refused",
        ),
        Row::alike("headers twice", [get(1, "/front/items/a", &[]), get(1, "/front/items/b", &[])].concat(), "refused"),
        Row::alike(
            "a GET with a body",
            [frame(HEADERS, END_HEADERS, 1, &block), data(END_STREAM, "{\"itemId\":\"b\"}")].concat(),
            "200",
        ),
    ];
    check_rows(&Pair::start().await, 2, &rows, |front, bytes| {
        let bytes = bytes.clone();
        async move { Connection::open(front).await.ask(&bytes, 1).await }
    })
    .await;
}
