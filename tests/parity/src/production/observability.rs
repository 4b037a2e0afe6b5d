//! Access log and traces: their fields, and the absence of personal data.

use std::fs;
use std::path::Path;
use std::time::Duration;

use kit::otlp::OtlpReceiver;
use serde_json::Value;

use super::service::{Reply, Service};
use crate::corpus::Request;
use crate::wire::send;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const SECRETS: [&str; 3] = ["canary-in-the-path", "canary-in-the-query", "canary-of-the-token"];

fn request(target: &str) -> Request {
    let headers =
        [("traceparent", format!("00-{TRACE}-{CALLER}-01")), ("authorization", format!("Bearer {}", SECRETS[2]))];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).into();
    Request { method: "GET".to_owned(), target: target.into(), headers, body: Vec::new() }
}

/// Waits until an access log has this many lines and returns them.
async fn lines(log: &Path, count: usize) -> Vec<Value> {
    let written = async {
        loop {
            let text = fs::read_to_string(log).unwrap_or_default();
            if text.lines().count() >= count {
                break text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), written).await.expect("the log is written")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn request_logs_one_line_and_span_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let collector = OtlpReceiver::start().await.unwrap();
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    let envoy = service
        .envoy(|settings| {
            settings.tokens = None;
            settings.access_log_file = Some(log.display().to_string());
            settings.otlp = Some(collector.endpoint().trim_start_matches("http://").parse().unwrap());
        })
        .await;

    let target = format!("/clients/{}?x={}", SECRETS[0], SECRETS[1]);
    let unrouted = format!("/nothing/{}?x={}", SECRETS[0], SECRETS[1]);
    for _ in 0..2 {
        assert_eq!(send(envoy.address(), &request(&format!("/clients/{}", SECRETS[0]))).await.status, 200);
        assert_eq!(send(envoy.address(), &request(&target)).await.status, 400);
        assert_eq!(send(envoy.address(), &request(&unrouted)).await.status, 404);
    }

    let lines = lines(&log, 6).await;
    assert_eq!(lines.len(), 6);
    let line = &lines[0];
    assert_eq!((&line["method"], &line["route"]), (&"GET".into(), &"GET /clients/{client_id}".into()), "{line}");
    assert_eq!(
        (&line["status"], &line["upstream"], &line["trace_id"]),
        (&200.into(), &"clients".into(), &TRACE.into())
    );
    assert_eq!(line["request_id"], service.calls()[0].headers["x-request-id"].to_str().unwrap(), "{line}");
    assert!(line["milliseconds"].is_u64() && line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    assert_eq!(lines[2]["route"], Value::Null, "{:?}", lines[2]);

    let received = collector.wait_for(|received| received.spans.len() >= 5, Duration::from_secs(20)).await.unwrap();
    let span = received.spans.iter().find(|span| hexadecimal(&span.parent_span_id) == CALLER).expect("a span joins");
    assert_eq!(hexadecimal(&span.trace_id), TRACE);
    assert!(received.services.contains("gateway"), "{:?}", received.services);
    // The service's span is a child of one of Envoy's.
    let parents: Vec<_> = service
        .calls()
        .iter()
        .map(|call| call.headers["traceparent"].to_str().unwrap().split('-').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(parents.iter().all(|parent| parent[1] == TRACE && parent[2] != CALLER), "{parents:?}");
    assert!(received.spans.iter().any(|span| hexadecimal(&span.span_id) == parents[0][2]), "{parents:?}");

    let seen = format!("{lines:?} {received:?}");
    for secret in SECRETS {
        assert!(!seen.contains(secret), "{secret}: {seen}");
    }
}
