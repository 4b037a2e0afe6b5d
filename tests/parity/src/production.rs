//! Features of the production front alone, with the descriptors of the mesh.

mod calls;
mod limits;
mod observability;
mod pages;
mod replicas;
mod service;
mod tls;
mod tokens;

use std::net::{SocketAddr, TcpListener};

use kit::envoy::{Envoy, EnvoySetup};
use serde_json::Value;

use crate::corpus::Request;
use crate::wire::{call, send};

use self::service::{Reply, Service};

/// Starts Envoy in front of a mesh whose services are all down.
async fn envoy_without_services() -> Envoy {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let people = proto::RPCS.iter().filter(|rpc| !rpc.is_internal());
    let upstreams = people.map(|rpc| (rpc.service().to_owned(), closed)).collect();
    Envoy::start(EnvoySetup { descriptor_set: proto::ENVOY_DESCRIPTOR_SET.to_vec(), upstreams }).await
}

fn request(method: &str, target: &str) -> Request {
    Request { method: method.to_owned(), target: target.into(), headers: Vec::new(), body: Vec::new() }
}

async fn native(front: SocketAddr, path: &str) -> (u16, Option<String>) {
    let answer = call(front, &request("GRPC", path), b"").await;
    (answer.status, answer.headers.get("grpc-status").map(|values| values.concat()))
}

/// The answer reveals nothing about the internals.
#[tokio::test]
async fn service_down_answers_unavailable_with_retry_after() {
    let envoy = envoy_without_services().await;
    let answer = send(envoy.address(), &request("GET", "/.well-known/jwks.json")).await;
    assert_eq!(answer.status, 503);
    let id = answer.headers["x-request-id"].concat();
    assert_eq!(answer.headers["retry-after"], ["1"]);
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&status["code"], &status["message"]),
        (&14.into(), &"the service can't answer right now; try again".into())
    );
    assert_eq!(status["details"][0]["reason"], "UNAVAILABLE");
    assert_eq!(status["details"][1]["retryDelay"], "1s");
    assert_eq!((&status["details"][2]["requestId"], id.len()), (&id.as_str().into(), 36));

    let answer = call(envoy.address(), &request("GRPC", "/therapy.auth.v1.AuthService/GetJwks"), b"").await;
    assert_eq!(answer.headers["grpc-status"], ["14"]);
    assert_eq!(answer.headers["grpc-message"], ["the service can't answer right now; try again"]);
}

#[tokio::test]
async fn readiness_requires_every_service() {
    let healthy = Service::start(|_| Reply::Message(Vec::new())).await;
    let ready = healthy.envoy(|_| ()).await;
    let answer = send(ready.address(), &request("GET", "/healthz")).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &br#"{"status":"SERVING"}"#[..]), "{answer}");

    let down = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let missing = healthy.envoy(|settings| drop(settings.upstreams.insert("audit".to_owned(), down.into()))).await;
    let answer = send(missing.address(), &request("GET", "/healthz")).await;
    assert_eq!((answer.status, answer.body.as_slice()), (503, &br#"{"status":"NOT_SERVING"}"#[..]), "{answer}");
    let head = send(missing.address(), &request("HEAD", "/healthz")).await;
    assert_eq!((head.status, head.body.len()), (503, 0), "{head}");
    // The other services still answer.
    assert_eq!(send(missing.address(), &request("GET", "/.well-known/jwks.json")).await.status, 200);
}

#[tokio::test]
async fn only_public_rpcs_are_routed() {
    let envoy = envoy_without_services().await;
    for rpc in proto::RPCS {
        let routed = native(envoy.address(), rpc.path).await;
        // 14: routed to a service that is down. 16: routed, but the token is missing. 12: no route.
        let expected = match rpc {
            rpc if rpc.is_internal() => "12",
            rpc if rpc.allows_anonymous() => "14",
            _ => "16",
        };
        assert_eq!(routed, (200, Some(expected.to_owned())), "{}", rpc.path);
    }
}
