//! Arbitrary requests get an answer, and never a server error.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use crate::test_env::{TestEnv, json, reason};

/// Timeout of an answer. Bytes that begin no request, such as half a preface of HTTP/2, get none until the front closes the
/// connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One front for all cases, on a runtime of its own.
fn front() -> &'static (tokio::runtime::Runtime, TestEnv) {
    static FRONT: OnceLock<(tokio::runtime::Runtime, TestEnv)> = OnceLock::new();
    FRONT.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let env = runtime.block_on(TestEnv::start(&["--first-request-timeout", "1s"]));
        (runtime, env)
    })
}

/// Sends raw bytes and returns the status, 0 if the connection closed without one.
fn send(bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(front().1.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
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
    fn arbitrary_body_causes_no_server_error(body in any::<Vec<u8>>()) {
        let status = post("/front/kinds", &body);
        prop_assert!(status == 200 || status == 400, "{status}");
    }

    #[test]
    fn arbitrary_json_causes_no_server_error(body in r#"\{("(aString|inner|strings|anInt64|timestamp|anEnum|chosenInt32|someBytes)":(1|-1e9|"x"|"5"|null|\[\]|\["a"\]|\{\}|true),){0,4}"aBool":true\}"#) {
        let status = post("/front/kinds", body.as_bytes());
        prop_assert!(status == 200 || status == 400, "{status}");
    }

    #[test]
    fn arbitrary_path_causes_no_server_error(path in "/front/(items|calendar|shelves|owners)(/|%2[Ff]|%|%c3|%00|[!-~é]){0,12}") {
        let status = get(path.as_bytes());
        prop_assert!((200..500).contains(&status), "{path} {status}");
    }

    #[test]
    fn arbitrary_query_causes_no_server_error(query in "((aString|inner\\.text|inner|labels|an_enum|int32s|%61Bool|timestamp|[!-~]{1,5})(=|==)?(1|%zz|%E2%82|true|OPEN|\\+|-|é|[!-~]{1,5})?&?){0,6}") {
        let status = get(format!("/front/kinds?{query}").as_bytes());
        prop_assert!((200..500).contains(&status), "{query} {status}");
    }

    #[test]
    fn arbitrary_bytes_cause_no_server_error(bytes in any::<Vec<u8>>()) {
        // Ended like the head of a request.
        let status = send(&[&bytes, b"\r\n\r\n".as_slice()].concat());
        prop_assert!(status < 500, "{status}");
    }
}

#[test]
fn deeply_nested_json_is_rejected() {
    let (runtime, env) = front();
    for (open, close) in [("[", "]"), ("{\"unknown\":", "}"), ("{\"inner\":", "}")] {
        let body = open.repeat(100_000) + "1" + &close.repeat(100_000);
        let request = env.request("POST", "/front/kinds").header("content-type", "application/json").body(body);
        let error = runtime.block_on(json(request, if open.len() == 11 { 413 } else { 400 }));
        assert!(["MALFORMED_JSON", "INVALID_FIELDS", "BODY_TOO_LARGE"].contains(&reason(&error)), "{error}");
    }
}

#[test]
fn chunked_body_has_same_limit() {
    let head =
        "POST /front/kinds HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    assert_eq!(send(format!("{head}{}0\r\n\r\n", chunk.repeat(17)).as_bytes()), 413);
    assert_eq!(send(format!("{head}{}2\r\n{{}}\r\n0\r\n\r\n", chunk.repeat(15)).as_bytes()), 200);
}

#[test]
fn malformed_json_error_has_position_without_content() {
    let (runtime, env) = front();
    let request = env.request("POST", "/front/kinds").header("content-type", "application/json");
    let error = runtime.block_on(json(request.body("{\n  \"aString\": \"secret\",\n  \"x\": secret\n}"), 400));
    assert_eq!(reason(&error), "MALFORMED_JSON");
    assert_eq!(error["message"], "the body is not JSON: at line 3, column 8, a value is expected");
}

#[test]
fn bad_fields_of_all_parts_are_reported_together() {
    let (runtime, env) = front();
    let request = env
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
    assert_eq!(types.len(), 3, "{types:?}");
}
