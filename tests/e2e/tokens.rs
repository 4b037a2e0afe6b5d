//! A corpus of forged access tokens: identity comes from a verified token only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kit::mesh::{Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    fronts:
    forged_token_is_rejected,
    token_expires_after_15_minutes_in_every_service,
    only_single_bearer_token_identifies_caller,
);

/// Ed25519 key (PKCS#8) that is no signing key of auth.
const STRANGER: &str = "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&B64.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn forge(header: &Value, claims: &Value, signature: &str) -> String {
    format!("{}.{}.{signature}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

async fn forged_token_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let who = mesh.client("Asha").await;
    let (header, claims) = (part(&who.token, 0), part(&who.token, 1));
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("EdDSA"), Some("at+jwt")));
    let signature = who.token.split('.').nth(2).unwrap().to_owned();
    let jwks = answer(mesh.request(Method::GET, "/.well-known/jwks.json")).await.expect(200);
    let public = B64.decode(jwks["keys"][0]["x"].as_str().unwrap()).unwrap();
    let stranger = base64::engine::general_purpose::STANDARD.decode(STRANGER).unwrap();
    let stranger = EncodingKey::from_ed_der(&stranger);
    let kid = header["kid"].as_str().unwrap();
    let by_stranger = |change: &dyn Fn(&mut Header, &mut Value)| {
        let mut header = Header { typ: Some("at+jwt".into()), kid: Some(kid.into()), ..Header::new(Algorithm::EdDSA) };
        let mut claims = claims.clone();
        change(&mut header, &mut claims);
        encode(&header, &claims, &stranger).unwrap()
    };
    let with = |field: &str, value: Value| {
        let mut changed = claims.clone();
        changed[field] = value;
        forge(&header, &changed, &signature)
    };
    let hmac = {
        let header = Header { typ: Some("at+jwt".into()), kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &EncodingKey::from_secret(&public)).unwrap()
    };
    let corpus = [
        ("alg none", forge(&json!({"alg": "none", "typ": "at+jwt", "kid": kid}), &claims, "")),
        (
            "alg None with the signature",
            forge(&json!({"alg": "None", "typ": "at+jwt", "kid": kid}), &claims, &signature),
        ),
        ("HS256 with the public key", hmac),
        ("another person", with("sub", "01933b5e-7a4c-7def-8abc-0123456789ab".into())),
        ("another role", with("role", "THERAPIST".into())),
        ("a later end", with("exp", 9_999_999_999_u64.into())),
        ("signed by a stranger", by_stranger(&|_, _| ())),
        (
            "a stranger's key in the header",
            by_stranger(&|header, _| header.jku = Some("http://127.0.0.1:1/jwks".into())),
        ),
        ("a stranger's key id", by_stranger(&|header, _| header.kid = Some("stranger".into()))),
        ("no signature", who.token.rsplit_once('.').unwrap().0.to_owned()),
        ("an empty signature", format!("{}.", who.token.rsplit_once('.').unwrap().0)),
        ("a refresh token", who.refresh.clone()),
        ("not a token", "x".to_owned()),
        ("three empty parts", "..".to_owned()),
        ("a huge one", "A".repeat(8000)),
    ];
    for (what, token) in corpus {
        let forged = Someone { token, ..who.clone() };
        mesh.get("/clients", &forged).await.refused(401, "TOKEN_INVALID");
        mesh.get("/auth/me", &forged).await.refused(401, "TOKEN_INVALID");
        println!("refused: {what}");
    }
    mesh.get("/clients", &who).await.expect(200);
    mesh.stop().await;
}

async fn token_expires_after_15_minutes_in_every_service(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let who = mesh.client("Asha").await;
    mesh.pass(std::time::Duration::from_secs(899));
    mesh.get("/clients", &who).await.expect(200);
    mesh.pass(std::time::Duration::from_secs(1));
    for path in ["/clients", "/auth/me", "/therapists"] {
        mesh.get(path, &who).await.refused(401, "TOKEN_EXPIRED");
    }
    mesh.stop().await;
}

async fn only_single_bearer_token_identifies_caller(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let clients = || mesh.request(Method::GET, "/clients");
    answer(clients().header("x-user-id", &asha.id)).await.refused(401, "TOKEN_MISSING");
    answer(clients().header("authorization", format!("Basic {}", asha.token))).await.refused(401, "TOKEN_MISSING");
    answer(clients().header("authorization", &asha.token)).await.refused(401, "TOKEN_MISSING");
    let two = clients().bearer_auth(&asha.token).header("authorization", format!("Bearer {}", ben.token));
    assert_eq!(answer(two).await.status, 401);
    let smuggled = clients().bearer_auth(&asha.token).header("x-user-id", &ben.id).header("x-user-id-bin", "AAAA");
    assert_eq!(answer(smuggled).await.expect(200)[0]["clientId"], asha.id.as_str());
    // An expired token doesn't prevent a login.
    let login = json!({"email": asha.email, "password": kit::mesh::PASSWORD});
    let login = mesh.request(Method::POST, "/auth/login").bearer_auth("expired").json(&login);
    answer(login).await.expect(200);
    mesh.stop().await;
}
