//! Envoy's calls to the services: retries, workload identity, headers and streams.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::time::Duration;

use prost::Message as _;
use proto::HttpBody;
use tokio::sync::mpsc::unbounded_channel;

use super::service::{Reply, Service};
use crate::corpus::Request;
use crate::wire::{call, send};

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Request { method: method.to_owned(), target: target.into(), headers, body: body.to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reads_are_retried() {
    let service = Service::start(|_| Reply::Refusal(14)).await;
    let envoy = service.envoy(|settings| settings.tokens = None).await;
    let tried = async |request: &Request| {
        let before = service.calls().len();
        let answer = send(envoy.address(), request).await;
        assert_eq!(answer.status, 503, "{answer}");
        service.calls().len() - before
    };
    assert_eq!(tried(&request("GET", "/clients/1", &[], b"")).await, 2);
    assert_eq!(tried(&request("GET", "/messages/conversations", &[], b"")).await, 2);
    for (method, target) in [
        ("POST", "/auth/refresh"),
        ("POST", "/auth/login"),
        ("POST", "/messages"),
        ("PUT", "/clients/1"),
        ("DELETE", "/clients/1"),
    ] {
        assert_eq!(tried(&request(method, target, &[], b"{}")).await, 1, "{method} {target}");
    }
    let before = service.calls().len();
    for path in ["/therapy.auth.v1.AuthService/Refresh", "/therapy.messages.v1.MessageService/WatchConversation"] {
        call(envoy.address(), &request("GRPC", path, &[], b""), b"").await;
    }
    assert_eq!(service.calls().len() - before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_events_are_not_buffered() {
    let (events, messages) = unbounded_channel();
    let messages = Mutex::new(Some(messages));
    let service = Service::start(move |_| Reply::Stream(messages.lock().unwrap().take().unwrap())).await;
    let envoy = service.envoy(|settings| settings.tokens = None).await;
    let part = |data: &'static str| {
        let content_type = "text/event-stream".to_owned();
        HttpBody { content_type, data: data.into() }.encode_to_vec()
    };
    events.send(part(":\n\n")).unwrap();
    let watch = reqwest::get(format!("{}/messages/watch?peerId=1", envoy.url()));
    let mut watch = tokio::time::timeout(Duration::from_secs(10), watch).await.unwrap().unwrap();
    assert_eq!(watch.headers()["content-type"], "text/event-stream");
    let mut read =
        async || tokio::time::timeout(Duration::from_secs(10), watch.chunk()).await.unwrap().unwrap().unwrap();
    assert_eq!(read().await, ":\n\n");
    for event in ["data: first\n\n", "data: second\n\n"] {
        events.send(part(event)).unwrap();
        assert_eq!(read().await, event);
    }
    drop(events);
    assert_eq!(watch.chunk().await.unwrap(), None);
}

/// Envoy shows its own workload token and the caller's address, and drops what the caller claims.
#[tokio::test(flavor = "multi_thread")]
async fn identity_headers_are_set_by_envoy_only() {
    // As Kubernetes mounts it: a link into a directory that is replaced as a whole before the token expires.
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mount = |version: &str, text: &str| {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("token"), text).unwrap();
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    mount("..1", "first.workload.token\n");
    let token = at("token");
    symlink("..data/token", &token).unwrap();
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    let envoy = service
        .envoy(|settings| {
            settings.tokens = None;
            settings.workload_token = Some(token.display().to_string());
        })
        .await;
    let claims = [
        ("workload-identity-token", "an.invented.token"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("x-user-id", "somebody"),
    ];
    let shown = async || {
        assert_eq!(send(envoy.address(), &request("GET", "/clients/1", &claims, b"")).await.status, 200);
        service.calls().pop().unwrap().headers
    };
    let headers = shown().await;
    let values = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(values("workload-identity-token"), ["first.workload.token"]);
    assert_eq!(values("x-forwarded-for"), ["127.0.0.1"]);
    for unknown in ["x-real-ip", "x-user-id", "x-new-request-id", "x-forwarded-proto", "x-envoy-original-path"] {
        assert!(!headers.contains_key(unknown), "{headers:?}");
    }

    mount("..2", "second.workload.token");
    let renewed = async { while shown().await["workload-identity-token"] != "second.workload.token" {} };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("the renewed token is shown");
}
