//! Cross-origin requests (CORS) and gRPC-Web.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use front_settings::headers;
use prost::Message as _;
use proto::auth::v1::{Jwk, Jwks};

use super::service::{Reply, Service, framed};
use crate::corpus::Request;
use crate::wire::send;

const APP: &str = "https://app.example.org";

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Request { method: method.to_owned(), target: target.into(), headers, body: body.to_vec() }
}

fn jwks() -> Vec<u8> {
    Jwks { keys: vec![Jwk { kid: "one".to_owned(), ..Jwk::default() }] }.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_allows_only_configured_origins() {
    let service = Service::start(|_| Reply::Message(jwks())).await;
    let envoy = service.envoy(|settings| settings.cors_origins = vec![APP.parse().unwrap()]).await;
    let asked = |origin| {
        let headers = [("origin", origin), ("access-control-request-method", "PUT")];
        request("OPTIONS", "/clients/1", &headers, b"")
    };

    let told = send(envoy.address(), &asked(APP)).await;
    assert_eq!((told.status, told.body.len()), (200, 0), "{told}");
    assert_eq!(told.headers["access-control-allow-origin"], [APP]);
    assert_eq!(told.headers["access-control-allow-methods"], ["GET, POST, PUT, DELETE"]);
    assert_eq!(told.headers["access-control-allow-headers"], [headers::allowed_to_pages()]);
    assert_eq!(told.headers["access-control-max-age"], ["600"]);
    assert_eq!(told.headers["vary"], ["origin"]);
    let told = send(envoy.address(), &asked("https://evil.example.org")).await;
    assert_eq!(told.status, 403, "{told}");
    assert!(String::from_utf8_lossy(&told.body).contains(r#""reason":"ORIGIN_NOT_ALLOWED""#), "{told}");
    assert!(!told.headers.keys().any(|name| name.starts_with("access-control")), "{told}");

    // The page may read every answer, including Envoy's own errors; other pages may read none.
    for (target, status) in [("/.well-known/jwks.json", 200), ("/clients/1", 401), ("/nothing", 404)] {
        let shown = send(envoy.address(), &request("GET", target, &[("origin", APP)], b"")).await;
        assert_eq!((shown.status, &shown.headers["access-control-allow-origin"][0]), (status, &APP.to_owned()));
        assert_eq!(shown.headers["access-control-expose-headers"], [headers::exposed_to_pages()]);
        assert_eq!(shown.headers["vary"], ["origin"], "{target}");
        for headers in [&[("origin", "https://evil.example.org")][..], &[]] {
            let hidden = send(envoy.address(), &request("GET", target, headers, b"")).await;
            assert!(!hidden.headers.contains_key("access-control-allow-origin"), "{hidden}");
            // A cache must not show the page what it kept for somebody else.
            assert_eq!(hidden.headers["vary"], ["origin"], "{target}");
        }
    }
    let no_origins = service.envoy(|_| {}).await;
    let plain = send(no_origins.address(), &request("GET", "/clients/1", &[("origin", APP)], b"")).await;
    assert!(!plain.headers.contains_key("vary"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_web_errors_keep_grpc_web_form() {
    let service = Service::start(|_| Reply::Message(jwks())).await;
    let envoy = service.envoy(|settings| settings.cors_origins = vec!["*".parse().unwrap()]).await;
    let path = "/therapy.auth.v1.AuthService/GetJwks";
    let web = [("content-type", "application/grpc-web+proto"), ("origin", APP), ("x-grpc-web", "1")];
    let answer = send(envoy.address(), &request("POST", path, &web, &framed(b""))).await;
    assert_eq!((answer.status, &answer.headers["content-type"][0]), (200, &web[0].1.to_owned()), "{answer}");
    assert_eq!(answer.headers["access-control-allow-origin"], [APP]);
    assert_eq!(answer.headers["vary"], ["origin"]);
    let message = framed(&jwks());
    assert_eq!(answer.body[..message.len()], message);
    // The frame of the trailers has the highest bit set (PROTOCOL-WEB).
    assert_eq!(answer.body[message.len()], 0x80);
    assert!(String::from_utf8_lossy(&answer.body[message.len()..]).contains("grpc-status:0"), "{answer}");

    let text = "application/grpc-web-text+proto";
    let headers = [("content-type", text), ("accept", text)];
    let answer = send(envoy.address(), &request("POST", path, &headers, STANDARD.encode(framed(b"")).as_bytes())).await;
    assert_eq!((answer.status, &answer.headers["content-type"][0]), (200, &text.to_owned()), "{answer}");
    assert!(STANDARD.decode(&answer.body[..message.len().div_ceil(3) * 4]).unwrap().starts_with(&message), "{answer}");
    assert!(service.calls().iter().all(|call| !call.headers.contains_key("accept")));

    let path = "/therapy.clients.v1.ClientService/GetClient";
    let refused = send(envoy.address(), &request("POST", path, &web, &framed(b""))).await;
    let shown = format!("{:?} {}", refused.headers, String::from_utf8_lossy(&refused.body));
    assert_eq!(refused.status, 200, "{refused}");
    assert!(shown.contains("16") && shown.contains("send `Bearer` and an access token"), "{shown}");
}
