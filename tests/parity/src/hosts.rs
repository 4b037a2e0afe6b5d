//! Host checks of the fronts: both accept the names of loopback, where they listen, and the configured hosts. DNS
//! rebinding, by which a foreign page reaches a front under its own name, gets the same refusal from both.

use std::net::SocketAddr;

use kit::front_service::{Front, SERVICE};

use crate::corpus::Request;
use crate::wire::{Answer, call, send};

const MESSAGE: &[u8] = b"\x0a\x01a";

fn request(method: &str, target: &str, host: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    let headers = [&[("host", host), ("x-request-id", "hosts-1")], headers].concat();
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Request { method: method.to_owned(), target: target.into(), headers, body: body.to_vec() }
}

/// Sends one request by REST, by gRPC and by gRPC-Web, and returns the answers.
async fn answers(front: SocketAddr, host: &str) -> [Answer; 3] {
    let item = format!("/{SERVICE}/GetItem");
    let framed = [&[0, 0, 0, 0, 3], MESSAGE].concat();
    let web = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    let (rest, native, web) = (
        request("GET", "/front/items/a", host, &[], b""),
        request("GRPC", &item, host, &[], b""),
        request("POST", &item, host, &web, &framed),
    );
    [send(front, &rest).await, call(front, &native, MESSAGE).await, send(front, &web).await]
}

fn statuses(answers: &[Answer; 3]) -> [String; 3] {
    let [rest, native, web] = answers;
    let grpc = |answer: &Answer| answer.headers.get("grpc-status").map(|values| values.concat());
    // gRPC-Web may have its trailers at the end of the body.
    let body = String::from_utf8_lossy(&web.body);
    let trailer = body.split_once("grpc-status:").map(|(_, rest)| rest.trim_start().chars().take(1).collect());
    [rest.status.to_string(), grpc(native).unwrap_or_default(), grpc(web).or(trailer).unwrap_or_default()]
}

#[tokio::test(flavor = "multi_thread")]
async fn request_for_own_host_is_served_by_both_fronts() {
    let service = Front::start().await;
    let envoy = crate::envoy(&service).await;
    let (embedded, _stop) = crate::embedded(&service).await;
    let port = envoy.address().port();
    for host in [
        "localhost",
        &format!("localhost:{port}"),
        "LOCALHOST.:1",
        "mesh.localhost",
        "127.0.0.1",
        "127.9.8.7:65535",
        "[::1]",
        "[::1]:8080",
        "a",
        "B.:443",
        "api.example.org:8443",
        "x.clinic.example",
        "X.y.Clinic.Example.:9",
    ] {
        for front in [envoy.address(), embedded] {
            assert_eq!(statuses(&answers(front, host).await), ["200", "0", "0"], "{host} at {front}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_for_foreign_host_is_refused_alike_by_both_fronts() {
    let service = Front::start().await;
    let envoy = crate::envoy(&service).await;
    let (embedded, _stop) = crate::embedded(&service).await;
    let port = envoy.address().port();
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.1",
        "127.0.0.256",
        "127.0.0.01",
        "128.0.0.1",
        "[::2]",
        "localhost:99999",
        "api.example.org",
        "api.example.org:443",
        "clinic.example",
        "xclinic.example",
    ] {
        let (by_envoy, by_us) = (answers(envoy.address(), host).await, answers(embedded, host).await);
        assert_eq!(statuses(&by_envoy), ["403", "7", "7"], "{host}: {}", by_envoy[2]);
        assert_eq!(by_envoy[0], by_us[0], "{host} by REST");
        assert_eq!(by_envoy[1], by_us[1], "{host} by gRPC");
        assert_eq!(statuses(&by_us), ["403", "7", "7"], "{host}");
        let body = String::from_utf8_lossy(&by_us[0].body);
        assert!(body.contains(r#""code":7"#) && body.contains(r#""reason":"HOST_NOT_ALLOWED""#), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_host_is_refused_before_other_errors() {
    let service = Front::start().await;
    let envoy = crate::envoy(&service).await;
    let (embedded, _stop) = crate::embedded(&service).await;
    let page = [("origin", "http://evil.example"), ("access-control-request-method", "GET")];
    for (method, target, headers, body) in [
        ("GET", "/nothing", &[][..], ""),
        ("GET", "/front/items/a?unknown=1", &[], ""),
        ("GET", "/docs", &[], ""),
        ("GET", "/openapi.yaml", &[], ""),
        ("GET", "/healthz/", &[], ""),
        ("OPTIONS", "/front/items/a", &page, ""),
        ("POST", "/front/kinds", &[("content-type", "text/plain")], "x"),
        ("GET", "/front/items/a", &[("authorization", "Bearer a, Bearer b")], ""),
    ] {
        let foreign = request(method, target, "evil.example", headers, body.as_bytes());
        let (by_envoy, by_us) = (send(envoy.address(), &foreign).await, send(embedded, &foreign).await);
        assert_eq!((by_envoy.status, &by_envoy), (403, &by_us), "{method} {target}");
    }
    let reflection =
        request("GRPC", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "evil.example", &[], b"");
    for front in [envoy.address(), embedded] {
        assert_eq!(call(front, &reflection, b"").await.headers["grpc-status"], ["7"]);
    }
}

/// Probes of the cluster use the address of a pod.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_served_for_any_host() {
    let service = Front::start().await;
    let envoy = crate::envoy(&service).await;
    let (embedded, _stop) = crate::embedded(&service).await;
    for target in ["/healthz", "/healthz?verbose"] {
        for front in [envoy.address(), embedded] {
            let answer = send(front, &request("GET", target, "10.1.2.3:8080", &[], b"")).await;
            assert_eq!((answer.status, answer.body.as_slice()), (200, &br#"{"status":"SERVING"}"#[..]), "{answer}");
        }
    }
    let check = request("GRPC", "/grpc.health.v1.Health/Check", "10.1.2.3:8080", &[], b"");
    assert_eq!(call(embedded, &check, b"").await.headers["grpc-status"], ["0"]);
    // Only the embedded front has it.
    assert_eq!(call(envoy.address(), &check, b"").await.headers["grpc-status"], ["12"]);
}
