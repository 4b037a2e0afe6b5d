//! Behaviour of the front itself: limits, origins, claimed identities, unreachable services.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use front_settings::headers;
use gateway::Upstream;
use serde_json::{Value, json};

use crate::test_env::{TestEnv, json, reason};

async fn metadata(request: reqwest::RequestBuilder) -> HashMap<String, String> {
    let answer = json(request, 200).await;
    let entries = answer["entries"].as_array().unwrap().iter();
    entries.map(|entry| (entry["name"].as_str().unwrap().into(), entry["value"].as_str().unwrap().into())).collect()
}

#[tokio::test]
async fn service_gets_only_listed_headers() {
    let env = TestEnv::start(&[]).await;
    let request = env
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
async fn trusted_proxy_origin_is_last_untrusted_address() {
    let env = TestEnv::behind_proxy().await;
    let request = env.get("/front/metadata").header("x-forwarded-for", "203.0.113.9, 198.51.100.7, 127.0.0.2");
    assert_eq!(metadata(request).await["x-forwarded-for"], "198.51.100.7");
}

#[tokio::test]
async fn duplicate_credentials_are_rejected() {
    let env = TestEnv::start(&[]).await;
    let request = env.get("/front/metadata").header("authorization", "Bearer a").header("authorization", "Bearer b");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(response.status(), 401);
    assert_eq!(reason(&response.json::<Value>().await.unwrap()), "CREDENTIALS_AMBIGUOUS");
}

#[tokio::test]
async fn body_beyond_limit_is_rejected() {
    let env = TestEnv::start(&["--max-body", "1000"]).await;
    let post = || env.request("POST", "/front/kinds").header("content-type", "application/json");
    let body = |length: usize| json!({"aString": "x".repeat(length - 14)}).to_string();
    assert_eq!(body(1000).len(), 1000);
    json(post().body(body(1000)), 200).await;
    assert_eq!(reason(&json(post().body(body(1001)), 413).await), "BODY_TOO_LARGE");
}

#[tokio::test]
async fn unreachable_service_is_unavailable_with_retry_after() {
    // Port 9 of the loopback is that of discard, which is no longer served.
    let env = TestEnv::with_upstream(Upstream::remote("http://127.0.0.1:9", None).unwrap(), None, &[], &[]).await;
    let response = env.get("/front/items/a").header("x-request-id", "ticket-7").send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "ticket-7");
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.status(), 503);
    let text = response.text().await.unwrap();
    assert!(!text.contains("127.0.0.1") && !text.contains("connect"), "{text}");
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(reason(&status), "UNAVAILABLE");
    assert_eq!(status["details"][2]["requestId"], "ticket-7");
    for method in ["GET", "HEAD"] {
        let unready = env.request(method, "/healthz").send().await.unwrap();
        assert_eq!((unready.status().as_u16(), unready.headers()["content-length"].as_bytes()), (503, &b"24"[..]));
    }
}

#[tokio::test]
async fn request_ends_at_its_timeout() {
    let env = TestEnv::start(&["--request-timeout", "200ms"]).await;
    let started = Instant::now();
    let status = json(env.get("/front/hang"), 504).await;
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn cors_allows_only_listed_origins() {
    let env = TestEnv::start(&["--cors-origins", "https://app.example.org,https://other.example.org"]).await;
    let ask = |origin: &'static str| {
        let request = env.request("OPTIONS", "/front/items").header("origin", origin);
        request.header("access-control-request-method", "POST").send()
    };
    let allowed = ask("https://app.example.org").await.unwrap();
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example.org");
    assert_eq!(allowed.headers()["access-control-allow-headers"], headers::allowed_to_pages());
    let refused = ask("https://evil.example.org").await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers().get("access-control-allow-origin"), None);
    let body: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(body["details"][0]["reason"], "ORIGIN_NOT_ALLOWED", "{body}");
    assert!(body["message"].as_str().is_some_and(|told| told.contains("MESH_CORS_ORIGINS")), "{body}");
    // Without an origin, or a method to ask for, it is no preflight request.
    for (name, value) in [("origin", "https://evil.example.org"), ("access-control-request-method", "POST")] {
        let other = env.request("OPTIONS", "/front/items").header(name, value).send().await.unwrap();
        assert_eq!(other.status(), 404, "{name}");
    }

    let read = env.get("/front/items").header("origin", "https://app.example.org").send().await.unwrap();
    assert_eq!(read.headers()["access-control-expose-headers"], headers::exposed_to_pages());
    assert_eq!(read.headers()["x-next-page-token"], "next");
}

/// A cache that keeps the answer to a request without an origin shows it to no page else.
#[tokio::test]
async fn answers_vary_by_origin_once_origins_are_listed() {
    let varies = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        let values = answer.headers().get_all("vary").iter().map(|value| value.to_str().unwrap().to_owned());
        values.collect::<Vec<_>>()
    };
    let bare = TestEnv::start(&[]).await;
    let listed = TestEnv::start(&["--cors-origins", "https://app.example.org"]).await;
    let any = TestEnv::start(&["--cors-origins", "*"]).await;
    for path in ["/front/items", "/front/fail/16", "/nothing", "/healthz"] {
        for origin in [None, Some("https://app.example.org"), Some("https://evil.example.org")] {
            let ask = |env: &TestEnv| match origin {
                Some(origin) => env.get(path).header("origin", origin),
                None => env.get(path),
            };
            assert_eq!(varies(ask(&bare)).await, [""; 0], "{path}");
            for env in [&listed, &any] {
                assert_eq!(varies(ask(env)).await, ["origin"], "{path} for {origin:?}");
            }
        }
    }
    assert_eq!(varies(listed.get("/docs")).await, ["accept-encoding", "origin"]);
}

#[tokio::test]
async fn internal_response_headers_are_dropped() {
    let env = TestEnv::start(&[]).await;
    for target in ["/front/items", "/front/items/a", "/front/fail/16"] {
        let response = env.get(target).send().await.unwrap();
        for name in ["x-http-code", "x-http-body-field", "grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert_eq!(response.headers().get(name), None, "{name} of {target}");
        }
    }
}

#[tokio::test]
async fn grpc_codes_map_to_http_statuses() {
    let env = TestEnv::start(&[]).await;
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
        let error = json(env.get(&format!("/front/fail/{code}?details=true&text=why&retryAfter=7")), status).await;
        assert_eq!((&error["code"], &error["message"]), (&json!(code), &json!("why")));
        assert_eq!(reason(&error), "FAILED_ON_PURPOSE");
    }
    let throttled = env.get("/front/fail/8?details=true&retryAfter=7").send().await.unwrap();
    assert_eq!(throttled.headers()["retry-after"], "7");
}

#[tokio::test]
async fn error_without_details_is_replaced() {
    let service = tower::service_fn(|_: http::Request<tonic::body::Body>| async {
        Ok::<_, Infallible>(
            tonic::Status::new(tonic::Code::Unknown, "table Users is gone").into_http::<tonic::body::Body>(),
        )
    });
    let env = TestEnv::with_upstream(Upstream::local(service), None, &[], &[]).await;
    let error = json(env.get("/front/items/a"), 500).await;
    assert_eq!(reason(&error), "INTERNAL");
    assert!(!error.to_string().contains("Users"));
}
