//! Envoy's verification of access tokens with auth's keys: before a service is called, with the services' error
//! answers.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::Platform;
use chassis::identity::{ACCESS_TOKEN_TYPE, AccessClaims};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kit::engine::Engine;
use kit::mesh::TestMesh;
use prost::Message as _;
use proto::auth::v1::{Jwk, Jwks};
use serde_json::{Value, json};

use super::service::{Reply, Service};
use crate::corpus::Request;
use crate::wire::{Answer, call, send};

const KEYS: &str = "/therapy.auth.v1.AuthService/GetJwks";

/// An issuer of access tokens that uses the system clock.
struct Issuer {
    key: EncodingKey,
    jwks: Vec<u8>,
}

impl Issuer {
    fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let text = str::to_owned;
        let key = Jwk {
            kty: text("OKP"),
            crv: text("Ed25519"),
            x: URL_SAFE_NO_PAD.encode(pair.public_key()),
            kid: text("one"),
            r#use: text("sig"),
            alg: text("EdDSA"),
        };
        Self {
            key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()),
            jwks: Jwks { keys: vec![key] }.encode_to_vec(),
        }
    }

    /// Issues a token that is valid for five minutes, with changed claims.
    fn token(&self, change: impl FnOnce(&mut AccessClaims)) -> String {
        let now = Platform::system().clock.now().as_second();
        let mut claims = AccessClaims {
            iss: "therapy-mesh".to_owned(),
            aud: "therapy-mesh-api".to_owned(),
            sub: "somebody".to_owned(),
            role: "CLIENT".to_owned(),
            sid: "a-login".to_owned(),
            iat: now,
            exp: now + 300,
            jti: "1".to_owned(),
            auth_time: None,
        };
        change(&mut claims);
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(ACCESS_TOKEN_TYPE.to_owned());
        header.kid = Some("one".to_owned());
        encode(&header, &claims, &self.key).unwrap()
    }
}

/// Starts a service that publishes these keys and answers everything else with an empty message.
async fn service(jwks: Vec<u8>) -> Service {
    Service::start(move |path| Reply::Message(if path == KEYS { jwks.clone() } else { Vec::new() })).await
}

fn request(method: &str, target: &str, authorization: Option<&str>) -> Request {
    let headers = [("x-request-id", Some("tokens-1")), ("authorization", authorization)];
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Request { method: method.to_owned(), target: target.into(), headers: headers.collect(), body: Vec::new() }
}

fn reason(answer: &Answer) -> String {
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    status["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Replaces the payload or the header of a token and keeps the signature.
fn with_part(token: &str, part: usize, json: &Value) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts[part] = URL_SAFE_NO_PAD.encode(json.to_string());
    parts.join(".")
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_token_reaches_no_service() {
    let issuer = Issuer::new();
    let service = service(issuer.jwks.clone()).await;
    let envoy = service.envoy(|_| ()).await;
    let good = issuer.token(|_| ());

    let refused = [
        ("TOKEN_EXPIRED", issuer.token(|claims| (claims.iat, claims.exp) = (1_000_000_000, 1_000_000_900))),
        ("TOKEN_INVALID", issuer.token(|claims| claims.aud = "therapy-mesh-internal".to_owned())),
        ("TOKEN_INVALID", issuer.token(|claims| claims.iss = "somebody".to_owned())),
        ("TOKEN_INVALID", Issuer::new().token(|_| ())),
        ("TOKEN_INVALID", with_part(&good, 1, &json!({"iss": "therapy-mesh", "aud": "therapy-mesh-api", "sub": "x"}))),
        ("TOKEN_INVALID", with_part(&good, 0, &json!({"alg": "none", "typ": "at+jwt", "kid": "one"}))),
        ("TOKEN_INVALID", with_part(&good, 0, &json!({"alg": "HS256", "typ": "at+jwt", "kid": "one"}))),
        ("TOKEN_INVALID", good.rsplit_once('.').unwrap().0.to_owned() + "."),
        ("TOKEN_INVALID", "garbage".to_owned()),
    ];
    for (expected, token) in &refused {
        let answer = send(envoy.address(), &request("GET", "/clients/1", Some(&format!("Bearer {token}")))).await;
        assert_eq!((answer.status, reason(&answer).as_str()), (401, *expected), "{token}: {answer}");
        assert_eq!(answer.headers["www-authenticate"], ["Bearer"]);
    }
    for authorization in [None, Some("Basic Og=="), Some("Bearer"), Some(good.as_str())] {
        let answer = send(envoy.address(), &request("GET", "/clients/1", authorization)).await;
        assert_eq!((answer.status, reason(&answer).as_str()), (401, "TOKEN_MISSING"), "{authorization:?}: {answer}");
    }
    let target = format!("/clients/1?access_token={good}");
    let answer = send(envoy.address(), &request("GET", &target, None)).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (400, "INVALID_FIELDS"), "{answer}");
    assert!(service.calls().iter().all(|call| call.path == KEYS), "{:?}", service.calls());

    for scheme in ["Bearer", "bearer", "BEARER "] {
        let authorization = format!("{scheme} {good}");
        let answer = send(envoy.address(), &request("GET", "/clients/1", Some(&authorization))).await;
        assert_eq!(answer.status, 200, "{answer}");
        let path = "/therapy.clients.v1.ClientService/GetClient";
        let answer = call(envoy.address(), &request("GRPC", path, Some(&authorization)), b"").await;
        assert_eq!(answer.headers["grpc-status"], ["0"], "{answer}");
    }
    let passed: Vec<_> = service.calls().into_iter().filter(|call| call.path != KEYS).collect();
    assert_eq!(passed.len(), 6);
    // Services verify the token too.
    assert!(passed.iter().all(|call| call.headers["authorization"] == format!("Bearer {good}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn public_rpc_ignores_token() {
    let service = service(Issuer::new().jwks).await;
    let envoy = service.envoy(|_| ()).await;
    let paths = proto::RPCS.iter().filter(|rpc| rpc.allows_anonymous()).map(|rpc| rpc.path);
    for path in paths {
        let answer = call(envoy.address(), &request("GRPC", path, Some("Bearer an.old.one")), b"").await;
        assert_eq!(answer.headers["grpc-status"], ["0"], "{path}: {answer}");
    }
    let answer = send(envoy.address(), &request("GET", "/.well-known/jwks.json", Some("Bearer an.old.one"))).await;
    assert_eq!(answer.status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_keys_answer_unavailable() {
    let service = Service::start(|_| Reply::Refusal(14)).await;
    let envoy = service.envoy(|_| ()).await;
    let token = format!("Bearer {}", Issuer::new().token(|_| ()));
    let answer = send(envoy.address(), &request("GET", "/clients/1", Some(&token))).await;
    assert_eq!((answer.status, reason(&answer).as_str()), (503, "UNAVAILABLE"), "{answer}");
    assert_eq!(answer.headers["retry-after"], ["1"]);
    assert!(!answer.headers.contains_key("www-authenticate"));
    let native = request("GRPC", "/therapy.clients.v1.ClientService/GetClient", Some(&token));
    assert_eq!(call(envoy.address(), &native, b"").await.headers["grpc-status"], ["14"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_fetched() {
    let (first, second) = (Issuer::new(), Issuer::new());
    let jwks = std::sync::Arc::new(std::sync::Mutex::new(first.jwks.clone()));
    let published = std::sync::Arc::clone(&jwks);
    let service = Service::start(move |path| {
        Reply::Message(if path == KEYS { published.lock().unwrap().clone() } else { Vec::new() })
    })
    .await;
    let envoy = service.envoy(|_| ()).await;
    let ask = async |issuer: &Issuer| {
        let token = format!("Bearer {}", issuer.token(|_| ()));
        send(envoy.address(), &request("GET", "/clients/1", Some(&token))).await.status
    };
    assert_eq!((ask(&first).await, ask(&second).await), (200, 401));
    jwks.lock().unwrap().clone_from(&second.jwks);
    let fetched = async { while ask(&second).await != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), fetched).await.expect("the new key is fetched");
    assert_eq!(ask(&first).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_prefetched_and_kept_while_auth_is_down() {
    let issuer = Issuer::new();
    let (jwks, is_up) = (issuer.jwks.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true)));
    let (fetched, mut was_fetched) = tokio::sync::mpsc::unbounded_channel();
    let up = std::sync::Arc::clone(&is_up);
    let service = Service::start(move |path| match path {
        KEYS if !up.load(std::sync::atomic::Ordering::SeqCst) => Reply::Refusal(14),
        KEYS => {
            _ = fetched.send(());
            Reply::Message(jwks.clone())
        }
        _ => Reply::Message(Vec::new()),
    })
    .await;
    let hour = Duration::from_secs(3600);
    let envoy = service.envoy(|settings| settings.tokens.as_mut().unwrap().keys_cache = hour).await;
    tokio::time::timeout(Duration::from_secs(20), was_fetched.recv()).await.expect("the keys are fetched");
    is_up.store(false, std::sync::atomic::Ordering::SeqCst);
    let token = format!("Bearer {}", issuer.token(|_| ()));
    let known =
        async { while send(envoy.address(), &request("GET", "/clients/1", Some(&token))).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), known).await.expect("the keys are known");
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_refusals_match_service_refusals() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let envoy = mesh.envoy().await;
    let ours = mesh.url.trim_start_matches("http://").parse().unwrap();
    let asha = mesh.join("CLIENT").await;
    let none = with_part(&asha.token, 0, &json!({"alg": "none", "typ": "at+jwt"}));
    let tampered = with_part(&asha.token, 1, &json!({"sub": "x"}));
    let bearer = |token: &str| format!("Bearer {token}");
    let sent =
        [None, Some("Basic Og==".to_owned()), Some(bearer("garbage")), Some(bearer(&none)), Some(bearer(&tampered))];
    for authorization in &sent {
        let rest = request("GET", "/auth/me", authorization.as_deref());
        assert_eq!(send(envoy.address(), &rest).await, send(ours, &rest).await, "{authorization:?}");
        let native = request("GRPC", "/therapy.auth.v1.AuthService/GetMe", authorization.as_deref());
        assert_eq!(call(envoy.address(), &native, b"").await, call(ours, &native, b"").await, "{authorization:?}");
    }
    let good = request("GET", "/auth/me", Some(&bearer(&asha.token)));
    assert_eq!(send(envoy.address(), &good).await.status, 200);
    drop(envoy);
    mesh.stop().await;
}
