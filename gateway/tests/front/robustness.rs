//! Whatever is sent, the front answers, and never with a fault of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use crate::stand::{Stand, json, reason};

/// How long an answer may take. Bytes that begin no request, such as half a preface of HTTP/2, get none until the
/// front gives the connection up.
const PATIENCE: Duration = Duration::from_secs(5);

/// One front for all cases, on a runtime of its own.
fn front() -> &'static (tokio::runtime::Runtime, Stand) {
    static FRONT: OnceLock<(tokio::runtime::Runtime, Stand)> = OnceLock::new();
    FRONT.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stand = runtime.block_on(Stand::start(&["--first-request-timeout", "1s"]));
        (runtime, stand)
    })
}

/// Sends bytes as they are and answers the status, 0 if the connection closed without one.
fn send(bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(front().1.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The front may have refused and closed before all was sent.
    let _ = stream.write_all(bytes);
    let mut head = [0; 12];
    if stream.read_exact(&mut head).is_err() {
        return 0;
    }
    std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap()
}

fn post(target: &str, body: &[u8]) -> u16 {
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    send(&[head.as_bytes(), body].concat())
}

fn get(target: &[u8]) -> u16 {
    send(&[b"GET ", target, b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_body_makes_the_front_fail(body in any::<Vec<u8>>()) {
        let status = post("/front/kinds", &body);
        prop_assert!(status == 200 || status == 400, "{status}");
    }

    #[test]
    fn no_json_makes_the_front_fail(body in r#"\{("(aString|inner|strings|anInt64|timestamp|anEnum|chosenInt32|someBytes)":(1|-1e9|"x"|"5"|null|\[\]|\["a"\]|\{\}|true),){0,4}"aBool":true\}"#) {
        let status = post("/front/kinds", body.as_bytes());
        prop_assert!(status == 200 || status == 400, "{status}");
    }

    #[test]
    fn no_path_makes_the_front_fail(path in "/front/(items|calendar|shelves|owners)(/|%2[Ff]|%|%c3|%00|[!-~é]){0,12}") {
        let status = get(path.as_bytes());
        prop_assert!((200..500).contains(&status), "{path} {status}");
    }

    #[test]
    fn no_query_makes_the_front_fail(query in "((aString|inner\\.text|inner|labels|an_enum|int32s|%61Bool|timestamp|[!-~]{1,5})(=|==)?(1|%zz|%E2%82|true|OPEN|\\+|-|é|[!-~]{1,5})?&?){0,6}") {
        let status = get(format!("/front/kinds?{query}").as_bytes());
        prop_assert!((200..500).contains(&status), "{query} {status}");
    }

    #[test]
    fn no_bytes_at_all_make_the_front_fail(bytes in any::<Vec<u8>>()) {
        // Whatever they are, they end as the head of a request does.
        let status = send(&[&bytes, b"\r\n\r\n".as_slice()].concat());
        prop_assert!(status < 500, "{status}");
    }
}

#[test]
fn json_that_is_nested_without_end_is_refused_cheaply() {
    let (runtime, stand) = front();
    for (open, close) in [("[", "]"), ("{\"unknown\":", "}"), ("{\"inner\":", "}")] {
        let body = open.repeat(100_000) + "1" + &close.repeat(100_000);
        let request = stand.request("POST", "/front/kinds").header("content-type", "application/json").body(body);
        let error = runtime.block_on(json(request, if open.len() == 11 { 413 } else { 400 }));
        assert!(["MALFORMED_JSON", "INVALID_FIELDS", "BODY_TOO_LARGE"].contains(&reason(&error)), "{error}");
    }
}

#[test]
fn a_body_that_does_not_announce_its_length_has_the_same_limit() {
    let head =
        "POST /front/kinds HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    assert_eq!(send(format!("{head}{}0\r\n\r\n", chunk.repeat(17)).as_bytes()), 413);
    assert_eq!(send(format!("{head}{}2\r\n{{}}\r\n0\r\n\r\n", chunk.repeat(15)).as_bytes()), 200);
}

#[test]
fn malformed_json_is_told_by_place_and_never_echoed() {
    let (runtime, stand) = front();
    let request = stand.request("POST", "/front/kinds").header("content-type", "application/json");
    let error = runtime.block_on(json(request.body("{\n  \"aString\": \"secret\",\n  \"x\": secret\n}"), 400));
    assert_eq!(reason(&error), "MALFORMED_JSON");
    assert_eq!(error["message"], "the body is not JSON: at line 3, column 8, a value is expected");
}

#[test]
fn bad_fields_of_path_query_and_body_are_named_together() {
    let (runtime, stand) = front();
    let request = stand
        .request("PUT", "/front/items/%ff?validateOnly=maybe&nope=1&item.title=x&itemId=other&reason=a&reason=b")
        .header("content-type", "application/json")
        .body(r#"{"weight": "heavy", "labels": [1]}"#);
    let error = runtime.block_on(json(request, 400));
    let details = error["details"].as_array().unwrap();
    let fields: Vec<_> = details
        .iter()
        .flat_map(|detail| detail["fieldViolations"].as_array().into_iter().flatten())
        .map(|violation| violation["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["weight", "labels[0]", "itemId", "validateOnly", "nope", "item.title", "itemId", "reason"]);
    let types: Vec<&Value> = details.iter().map(|detail| &detail["@type"]).collect();
    assert_eq!(types.len(), 2, "{types:?}");
}
