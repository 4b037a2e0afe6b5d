//! Ambiguous request targets (RFC 9112, section 3.2; RFC 3986): each is read in one way or rejected. The outcome of an
//! attempt is the status and, as JSON, the id that the service read.

use std::net::SocketAddr;

use serde_json::Value;

use super::{Pair, Row, check_rows};
use crate::corpus::Request;
use crate::wire::send;

const LETTERS: &str =
    "Envoy decodes what needs no encoding; ours looks for the route as it is written, and services never see it";
const BACKSLASH: &str =
    "Envoy takes a backslash for a slash, as browsers do; ours refuses what RFC 3986 knows no use for";
const DOTS: &str = "Envoy takes dots with a parameter for dots, ours for a segment";
const QUOTES: &str = "Hyper refuses what RFC 3986 wants encoded";
const SCHEME: &str = "Envoy knows that it speaks no TLS here; to ours the scheme says nothing";
const USER: &str = "Envoy drops the user";
const PAGE: &str = "ours has a page there";
const NO_ROUTE: &str = "ours finds no route for what is no path";
const FRAGMENT: &str = "Hyper drops a fragment: the path before it is what everybody reads";

async fn read(front: SocketAddr, target: &[u8]) -> String {
    let request = Request { method: "GET".to_owned(), target: target.to_vec(), headers: Vec::new(), body: Vec::new() };
    let answer = send(front, &request).await;
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(item) if answer.status == 200 => format!("200 {}", item["itemId"]),
        _ => answer.status.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_target_is_read_in_one_way() {
    let long = ["/front/items/".as_bytes(), &b"a".repeat(8000)].concat();
    let rows: Vec<Row<&[u8]>> = vec![
        Row::alike("plain", b"/front/items/a", r#"200 "a""#),
        // One decoding, no more.
        Row::alike("an encoded slash", b"/front/items/a%2Fb", r#"200 "a/b""#),
        Row::alike("an encoded slash twice encoded", b"/front/items/a%252Fb", r#"200 "a%2Fb""#),
        Row::alike("twice encoded NUL", b"/front/items/a%2500", r#"200 "a%00""#),
        Row::alike("an encoded percent sign at the end", b"/front/items/a%25", r#"200 "a%""#),
        Row::alike("an encoded question mark", b"/front/items/a%3FitemId=b", r#"200 "a?itemId=b""#),
        Row::alike("an encoded fragment", b"/front/items/a%23b", r##"200 "a#b""##),
        Row::alike("encoded line feeds", b"/front/items/a%0d%0ab", r#"200 "a\r\nb""#),
        Row::alike("an encoded backslash", b"/front/items/a%5Cb", r#"200 "a\\b""#),
        Row::alike("an encoded slash before dots", b"/front/items/..%2Fa", r#"200 "../a""#),
        Row::alike("slashes of the route encoded", b"/front%2Fitems%2Fa", "404"),
        Row::differ("letters of the route encoded", b"/fr%6Fnt/items/a", r#"200 "a""#, "404", LETTERS),
        // Segments.
        Row::differ("a backslash", b"/front/items\\a", r#"200 "a""#, "400", BACKSLASH),
        Row::differ("dots behind a backslash", b"/front/items/x\\..\\a", r#"200 "a""#, "400", BACKSLASH),
        Row::alike("dots", b"/front/items/x/../a", r#"200 "a""#),
        Row::alike("encoded dots", b"/front/items/x/%2e%2e/a", r#"200 "a""#),
        Row::alike("half-encoded dots", b"/front/items/x/.%2E/a", r#"200 "a""#),
        Row::alike("dots beyond the root", b"/../../../front/items/a", r#"200 "a""#),
        Row::alike("dots at the end", b"/front/items/x/..", r#"200 null"#),
        Row::alike("a dot at the end", b"/front/items/a/.", r#"200 "a""#),
        Row::alike("three dots", b"/front/items/...", r#"200 "...""#),
        Row::alike("slashes", b"///front//items///a", r#"200 "a""#),
        Row::alike("a slash at the end", b"/front/items/a/", r#"200 "a""#),
        Row::alike("a parameter of a segment", b"/front/items/a;b=c", r#"200 "a;b=c""#),
        Row::differ("another front's dots", b"/front/items/x/..;/a", r#"200 "a""#, "404", DOTS),
        // Encodings.
        Row::alike("raw UTF-8", "/front/items/é".as_bytes(), "400"),
        Row::alike("a raw byte that is no UTF-8", b"/front/items/\xff", "400"),
        Row::alike("a raw control character", b"/front/items/a\x01", "400"),
        Row::alike("a raw DEL", b"/front/items/a\x7f", "400"),
        Row::alike("a tab", b"/front/items/a\tb", "400"),
        Row::alike("an encoding of one vendor's own", b"/front/items/%u0061", "400"),
        Row::alike("overlong dots", b"/front/items/%c0%ae%c0%ae", "400"),
        Row::alike("brackets", b"/front/items/[a]{b}", r#"200 "[a]{b}""#),
        Row::differ("quotes", b"/front/items/\"<a>\"", r#"200 "\"<a>\"""#, "400", QUOTES),
        // Forms.
        Row::alike("absolute", b"http://b/front/items/a", r#"200 "a""#),
        Row::differ("absolute with https", b"https://b/front/items/a", "403", r#"200 "a""#, SCHEME),
        Row::differ("absolute with a user", b"http://user@b/front/items/a", r#"200 "a""#, "400", USER),
        Row::differ("absolute without a path", b"http://b", "404", "307", PAGE),
        Row::alike("absolute without a host", b"http:///front/items/a", "400"),
        Row::alike("absolute with an unknown scheme", b"gopher://b/front/items/a", "400"),
        Row::differ("a host alone", b"b:80", "400", "404", NO_ROUTE),
        Row::alike("no slash", b"front/items/a", "400"),
        Row::differ("a fragment", b"/front/items/a#b", "400", r#"200 "a""#, FRAGMENT),
        Row::differ("a question mark and a fragment", b"/front/items/a?#b", "400", r#"200 "a""#, FRAGMENT),
        // Queries.
        Row::alike("an empty query", b"/front/items/a?", r#"200 "a""#),
        Row::alike("a second question mark", b"/front/items/a??itemId=b", "400"),
        Row::alike("a parameter of this name with an index", b"/front/items/a?itemId[]=b", "400"),
        Row::alike("a parameter behind a semicolon", b"/front/items?pageSize=0;state=AJAR", "400"),
        Row::alike("a query that is not UTF-8, raw", b"/front/items?pageToken=\xff", "400"),
        Row::alike("8,000 letters", &long, "200 long"),
    ];
    check_rows(&Pair::start().await, 11, &rows, |front, target: &&[u8]| {
        let target = *target;
        async move {
            let end = read(front, target).await;
            if end.len() > 1000 { "200 long".to_owned() } else { end }
        }
    })
    .await;
}
