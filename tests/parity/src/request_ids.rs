//! Ids of requests at both fronts: a well-formed one is kept, any other is replaced, and every answer, every error and the
//! service have the one that counts.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use kit::front_service::{Front, SERVICE};
use serde_json::Value;

use crate::corpus::Request;
use crate::wire::{Answer, call, find, send};

/// Ids that are kept.
const KEPT: [&[u8]; 4] = [b"ticket.4711_a-B", b"7", b"01933b5e-7a4c-4def-8abc-0123456789ab", &[b'x'; 128]];

/// Ids that are replaced.
const REPLACED: [&[u8]; 8] =
    [b"", b"a b", b"a,b", b"a\"b", b"a/b", b"\xc3\xa4", b"{\"level\":\"ERROR\"}", &[b'x'; 129]];

/// No id, or more than one.
const AMBIGUOUS: [&[&[u8]]; 3] = [&[], &[b"a", b"b"], &[b"a", b"a"]];

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Request { method: method.to_owned(), target: target.into(), headers, body: body.to_vec() }
}

/// Requests that different parts of a front answer, and whether with an error of the front itself.
fn requests() -> Vec<(Request, bool)> {
    let large = vec![b' '; 1_100_000];
    let (json, web) = (("content-type", "application/json"), ("content-type", "application/grpc-web+proto"));
    let (foreign, two) = (("host", "evil.example"), ("authorization", "Bearer a, Bearer b"));
    let item = &format!("/{SERVICE}/GetItem");
    vec![
        (request("GET", "/front/items/a", &[], b""), false),
        (request("GET", "/front/fail/5?details=true", &[], b""), false),
        (request("GET", "/front/watch?count=1", &[], b""), false),
        (request("GET", "/healthz", &[], b""), false),
        (request("HEAD", "/healthz", &[], b""), false),
        (request("GET", "/nothing", &[], b""), true),
        (request("GET", "/front/items/a?unknown=1", &[], b""), true),
        (request("GET", "/front/items/%zz", &[], b""), true),
        (request("GET", "/%00", &[], b""), true),
        (request("GET", "/front/items/a", &[two], b""), true),
        (request("GET", "/front/items/a", &[foreign], b""), true),
        (request("POST", "/front/kinds", &[json], b"{"), true),
        (request("POST", "/front/kinds", &[("content-type", "text/plain")], b"x"), true),
        (request("POST", "/front/kinds", &[json], &large), true),
        (request("GRPC", item, &[], b""), false),
        (request("GRPC", item, &[two], b""), true),
        (request("GRPC", item, &[foreign], b""), true),
        (request("GRPC", "/testing.v1.Nothing/At", &[], b""), false),
        (request("POST", item, &[web], b"\0\0\0\0\x03\x0a\x01a"), false),
    ]
}

async fn answer(front: SocketAddr, request: &Request, ids: &[&[u8]]) -> Answer {
    let mut request = request.clone();
    // Envoy's own, which no caller chooses.
    request.headers.push(("x-new-request-id".to_owned(), b"chosen".to_vec()));
    request.headers.extend(ids.iter().map(|id| ("x-request-id".to_owned(), id.to_vec())));
    if request.method == "GRPC" { call(front, &request, b"\x0a\x01a").await } else { send(front, &request).await }
}

/// Returns the id that an answer has, the same in its header and, if the front itself failed, in its error.
fn id_of(answer: &Answer, is_own_error: bool) -> String {
    let [id] = &answer.headers["x-request-id"][..] else { panic!("{answer} has more than one id") };
    if is_own_error && let Some(details) = answer.headers.get("grpc-status-details-bin") {
        let any = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let details = GeneralPurpose::new(&STANDARD, any).decode(details.concat()).unwrap();
        let info = find(&details, b"type.googleapis.com/google.rpc.RequestInfo").expect("a RequestInfo");
        assert!(find(&details[info..], id.as_bytes()).is_some(), "{answer}");
    } else if is_own_error {
        let status: Value = serde_json::from_slice(&answer.body).unwrap();
        let info = status["details"].as_array().unwrap().last().unwrap();
        let expected = serde_json::json!({
            "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": id, "servingData": "",
        });
        assert_eq!(*info, expected, "{answer}");
    }
    id.clone()
}

fn is_made(id: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    };
    id.len() == 36 && id.bytes().enumerate().all(is_right)
}

#[tokio::test(flavor = "multi_thread")]
async fn well_formed_request_id_is_kept_in_every_answer_and_error() {
    let service = Front::start().await;
    let envoy = crate::envoy(&service).await;
    let (embedded, _stop) = crate::embedded(&service).await;
    for (request, is_own_error) in requests() {
        for front in [envoy.address(), embedded] {
            for id in KEPT {
                let answer = answer(front, &request, &[id]).await;
                assert_eq!(id_of(&answer, is_own_error).as_bytes(), id, "{request:?} at {front}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_malformed_or_repeated_request_id_is_replaced_by_a_new_one() {
    let service = Front::start().await;
    let envoy = crate::envoy(&service).await;
    let (embedded, _stop) = crate::embedded(&service).await;
    let mut made = BTreeSet::new();
    for (request, is_own_error) in requests() {
        for ids in REPLACED.iter().map(std::slice::from_ref).chain(AMBIGUOUS) {
            for front in [envoy.address(), embedded] {
                let id = id_of(&answer(front, &request, ids).await, is_own_error);
                assert!(is_made(&id), "{ids:?}: {id} of {request:?} at {front}");
                assert!(made.insert(id), "each request has an id of its own");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_gets_a_trace_and_the_request_id_that_the_caller_gets() {
    let service = Front::start().await;
    let envoy = crate::envoy(&service).await;
    let (embedded, _stop) = crate::embedded(&service).await;
    let metadata = request("GET", "/front/metadata", &[], b"");
    let mut traces = BTreeSet::new();
    for front in [envoy.address(), embedded] {
        for ids in KEPT.iter().chain(&REPLACED).map(std::slice::from_ref).chain(AMBIGUOUS) {
            let answer = answer(front, &metadata, ids).await;
            let seen: Value = serde_json::from_slice(&answer.body).unwrap();
            let values = |name: &str| -> Vec<_> {
                let entries = seen["entries"].as_array().unwrap().iter();
                entries.filter(|entry| entry["name"] == name).map(|entry| entry["value"].as_str().unwrap()).collect()
            };
            assert_eq!(values("x-request-id"), [id_of(&answer, false)], "{ids:?} at {front}");
            let [trace] = values("traceparent")[..] else { panic!("{answer} has no trace") };
            let lengths: Vec<_> = trace.split('-').map(str::len).collect();
            assert_eq!((lengths, trace), (vec![2, 32, 16, 2], trace.to_lowercase().as_str()), "{front}");
            assert!(traces.insert(trace.to_owned()), "each request has a trace of its own");
        }
    }
}
