//! What happens at the edge itself: bounds, origins, identities that somebody claims, services that are not there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use gateway::Upstream;
use serde_json::{Value, json};

use crate::stand::{Stand, json, reason};

async fn metadata(request: reqwest::RequestBuilder) -> HashMap<String, String> {
    let answer = json(request, 200).await;
    let entries = answer["entries"].as_array().unwrap().iter();
    entries.map(|entry| (entry["name"].as_str().unwrap().into(), entry["value"].as_str().unwrap().into())).collect()
}

#[tokio::test]
async fn a_service_sees_the_listed_headers_and_no_claims_of_strangers() {
    let stand = Stand::start(&[]).await;
    let request = stand
        .get("/front/metadata")
        .header("authorization", "Bearer abc")
        .header("idempotency-key", "key")
        .header("x-user-id", "somebody")
        .header("workload-identity-token", "stolen")
        .header("x-evil-bin", "AAAA")
        .header("x-forwarded-for", "198.51.100.7")
        .header("grpc-timeout", "1n")
        .header("cookie", "c=1");
    let seen = metadata(request).await;
    assert_eq!(seen["authorization"], "Bearer abc");
    assert_eq!(seen["idempotency-key"], "key");
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    assert!(seen.contains_key("grpc-timeout"));
    for name in ["x-user-id", "workload-identity-token", "x-evil-bin", "cookie"] {
        assert_eq!(seen.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_origin_is_the_last_stranger() {
    let stand = Stand::behind_a_proxy().await;
    let request = stand.get("/front/metadata").header("x-forwarded-for", "203.0.113.9, 198.51.100.7, 127.0.0.2");
    assert_eq!(metadata(request).await["x-forwarded-for"], "198.51.100.7");
}

#[tokio::test]
async fn two_credentials_are_refused() {
    let stand = Stand::start(&[]).await;
    let request = stand.get("/front/metadata").header("authorization", "Bearer a").header("authorization", "Bearer b");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(response.status(), 401);
    assert_eq!(reason(&response.json::<Value>().await.unwrap()), "CREDENTIALS_AMBIGUOUS");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let stand = Stand::start(&["--max-body", "1000"]).await;
    let post = || stand.request("POST", "/front/kinds").header("content-type", "application/json");
    let body = |length: usize| json!({"aString": "x".repeat(length - 14)}).to_string();
    assert_eq!(body(1000).len(), 1000);
    json(post().body(body(1000)), 200).await;
    assert_eq!(reason(&json(post().body(body(1001)), 413).await), "BODY_TOO_LARGE");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_says_when_to_come_again() {
    // Port 9 of the loopback is discard's, which nobody serves any more.
    let stand = Stand::before(Upstream::remote("http://127.0.0.1:9", None).unwrap(), None, &[], &[]).await;
    let response = stand.get("/front/items/a").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.status(), 503);
    let text = response.text().await.unwrap();
    assert!(!text.contains("127.0.0.1") && !text.contains("connect"), "{text}");
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(reason(&status), "UNAVAILABLE");
    assert_eq!(stand.get("/healthz").send().await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_request_ends_when_its_time_is_over() {
    let stand = Stand::start(&["--request-timeout", "200ms"]).await;
    let started = Instant::now();
    let status = json(stand.get("/front/hang"), 504).await;
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_call_and_another_may_not() {
    let stand = Stand::start(&["--cors-origins", "https://app.example.org,https://other.example.org"]).await;
    let ask = |origin: &'static str| {
        let request = stand.request("OPTIONS", "/front/items").header("origin", origin);
        request.header("access-control-request-method", "POST").send()
    };
    let allowed = ask("https://app.example.org").await.unwrap();
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example.org");
    assert_eq!(
        allowed.headers()["access-control-allow-headers"],
        "authorization, content-type, idempotency-key, grpc-timeout, x-grpc-web, x-user-agent"
    );
    let refused = ask("https://evil.example.org").await.unwrap();
    assert_eq!(refused.status(), 404);
    assert_eq!(refused.headers().get("access-control-allow-origin"), None);

    let read = stand.get("/front/items").header("origin", "https://app.example.org").send().await.unwrap();
    assert_eq!(
        read.headers()["access-control-expose-headers"],
        "x-next-page-token, retry-after, grpc-status, grpc-message, grpc-status-details-bin"
    );
    assert_eq!(read.headers()["x-next-page-token"], "next");
}

#[tokio::test]
async fn what_services_tell_the_front_does_not_leave_it() {
    let stand = Stand::start(&[]).await;
    for target in ["/front/items", "/front/items/a", "/front/fail/16"] {
        let response = stand.get(target).send().await.unwrap();
        for name in ["x-http-code", "x-http-body-field", "grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert_eq!(response.headers().get(name), None, "{name} of {target}");
        }
    }
}

#[tokio::test]
async fn codes_become_the_statuses_of_the_contract() {
    let stand = Stand::start(&[]).await;
    let statuses = [
        (1, 499),
        (2, 500),
        (3, 400),
        (4, 504),
        (5, 404),
        (6, 409),
        (7, 403),
        (8, 429),
        (9, 400),
        (10, 409),
        (11, 400),
        (12, 501),
        (13, 500),
        (14, 503),
        (15, 500),
        (16, 401),
    ];
    for (code, status) in statuses {
        let error = json(stand.get(&format!("/front/fail/{code}?details=true&text=why&retryAfter=7")), status).await;
        assert_eq!((&error["code"], &error["message"]), (&json!(code), &json!("why")));
        assert_eq!(reason(&error), "FAILED_ON_PURPOSE");
    }
    let throttled = stand.get("/front/fail/8?details=true&retryAfter=7").send().await.unwrap();
    assert_eq!(throttled.headers()["retry-after"], "7");
}

#[tokio::test]
async fn an_error_without_details_gets_them_and_loses_its_words() {
    let service = tower::service_fn(|_: http::Request<tonic::body::Body>| async {
        Ok::<_, Infallible>(
            tonic::Status::new(tonic::Code::Unknown, "table Users is gone").into_http::<tonic::body::Body>(),
        )
    });
    let stand = Stand::before(Upstream::local(service), None, &[], &[]).await;
    let error = json(stand.get("/front/items/a"), 500).await;
    assert_eq!(reason(&error), "INTERNAL");
    assert!(!error.to_string().contains("Users"));
}
