//! Rate limits per source, and the body limit.

use envoy_config::Rate;
use serde_json::Value;

use super::service::{Reply, Service};
use crate::corpus::Request;
use crate::wire::{call, send};

fn request(method: &str, target: &str, body: &[u8]) -> Request {
    Request { method: method.to_owned(), target: target.into(), headers: Vec::new(), body: body.to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limited_caller_gets_retry_after() {
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    // One token a second: the burst is used up before it refills.
    let envoy = service.envoy(|settings| settings.rate = Rate { per_second: 1, burst: 20 }).await;
    let keys = request("GET", "/.well-known/jwks.json", b"");
    let mut answer = send(envoy.address(), &keys).await;
    for _ in 0..100 {
        if answer.status != 200 {
            break;
        }
        answer = send(envoy.address(), &keys).await;
    }
    assert_eq!(answer.status, 429, "{answer}");
    assert_eq!(answer.headers["retry-after"], ["1"]);
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&status["code"], &status["details"][0]["reason"]), (&8.into(), &"RESOURCE_EXHAUSTED".into()));
    assert_eq!(status["details"][1]["retryDelay"], "1s");
    assert_eq!(status["details"][2]["requestId"], answer.headers["x-request-id"].concat());

    let native = request("GRPC", "/therapy.auth.v1.AuthService/GetJwks", b"");
    let mut answer = call(envoy.address(), &native, b"").await;
    for _ in 0..100 {
        if answer.headers["grpc-status"] != ["0"] {
            break;
        }
        answer = call(envoy.address(), &native, b"").await;
    }
    assert_eq!(answer.headers["grpc-status"], ["8"], "{answer}");
    assert_eq!(answer.headers["grpc-message"], ["too much was asked; wait and try again"]);
    assert!(answer.headers.contains_key("grpc-status-details-bin"), "{answer}");
    assert_eq!(answer.headers["x-request-id"].len(), 1, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn login_limit_is_stricter_for_every_path_spelling() {
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    let envoy = service
        .envoy(|settings| {
            settings.auth_rate = Rate { per_second: 1, burst: 4 };
            settings.tokens = None;
        })
        .await;
    let mut refused = 0;
    for target in ["/auth/login", "//auth/login", "/auth/%6Cogin", "/auth/x/../login"].into_iter().cycle().take(60) {
        let status = send(envoy.address(), &request("POST", target, b"{}")).await.status;
        assert!(matches!(status, 200 | 429), "{target}: {status}");
        refused += u32::from(status == 429);
    }
    assert!(refused >= 20, "{refused} of 60 are refused");
    let logins = service.calls().iter().filter(|call| call.path.ends_with("/Login")).count();
    assert_eq!(logins, 60 - refused as usize);
    for _ in 0..30 {
        assert_eq!(send(envoy.address(), &request("GET", "/clients/1", b"")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn body_over_limit_is_rejected_before_the_service() {
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    let envoy = service.envoy(|settings| settings.max_body = 2000).await;
    let body = |length: usize| format!(r#"{{"email":"{}"}}"#, "x".repeat(length)).into_bytes();
    let answer = send(envoy.address(), &request("POST", "/auth/login", &body(2000))).await;
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &status["details"][0]["reason"]), (413, &"BODY_TOO_LARGE".into()), "{answer}");
    assert_eq!(status["message"], "the body is larger than 2000 bytes");
    assert!(service.calls().iter().all(|call| !call.path.ends_with("/Login")));
    assert_eq!(send(envoy.address(), &request("POST", "/auth/login", &body(1900))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_network_limit_is_a_multiple_of_source_limit() {
    let service = Service::start(|_| Reply::Message(Vec::new())).await;
    let envoy = service
        .envoy(|settings| {
            settings.rate = Rate { per_second: 1, burst: 5 };
            settings.trusted_hops = 1;
        })
        .await;
    let refused = async |sources: Vec<String>| {
        let mut refused = 0;
        for source in sources {
            let headers = vec![("x-forwarded-for".to_owned(), source.into_bytes())];
            let status = send(envoy.address(), &Request { headers, ..request("GET", "/nothing", b"") }).await.status;
            assert!(matches!(status, 404 | 429), "{status}");
            refused += u32::from(status == 429);
        }
        refused
    };
    // Bursts of five for a /64, twenty for a /56 and eighty for a /48, and a few more for each second that passes.
    assert!(refused(vec!["2001:db8:1::7".to_owned(); 60]).await > 0);
    assert!(refused((0..120).map(|n| format!("2001:db8:2:{n:x}::7")).collect()).await > 0);
    assert!(refused((0..255).map(|n| format!("2001:db8:3:{:x}::7", n << 8)).collect()).await > 0);
    // Other networks have their own buckets, and IPv4 addresses are not grouped.
    assert_eq!(refused((4..64).map(|n| format!("2001:db8:{n:x}::7")).collect()).await, 0);
    assert_eq!(refused((0..120).map(|n| format!("192.0.2.{n}")).collect()).await, 0);
}
