//! Fuzzes the verifiers with changed tokens, and with headers that a token of ours never has.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use kernel::{Clock, Kind, ManualClock, Timestamp};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};

use super::{AccessTokens, Config, Issuer, KeySet, Keys, WorkloadVerifier};

const NOW: i64 = 1_800_000_000;
const KID: &str = "key-1";
const USER: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";

/// A verifier, and the key that it trusts.
static PEOPLE: LazyLock<(AccessTokens, Ed25519KeyPair)> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let config = Config { token_issuer: "us".into(), token_audience: "api".into(), trusted_proxies: Vec::new() };
    (AccessTokens::new(&config, Keys::fixed(KeySet::ed25519([(KID, x.as_str())])), clock()), pair)
});

/// A verifier of workload tokens, and a token that it accepts.
static WORKLOADS: LazyLock<(WorkloadVerifier, String)> = LazyLock::new(|| {
    let issuer = Arc::new(Issuer::generate(clock()).unwrap());
    (issuer.workload("clients").verifier, issuer.mint("clients", Duration::from_secs(60)))
});

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(Timestamp::from_second(NOW).unwrap()))
}

fn signed(header: &str, claims: &Value) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = PEOPLE.1.sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims() -> Value {
    json!({
        "iss": "us", "aud": "api", "sub": USER, "role": "CLIENT", "sid": USER, "iat": NOW, "exp": NOW + 900, "jti": "1",
        "auth_time": NOW,
    })
}

fn good() -> String {
    signed(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": KID}).to_string(), &claims())
}

/// Returns whether a token is accepted; any other outcome than a plain refusal fails.
fn is_accepted(token: &str) -> Result<bool, TestCaseError> {
    match PEOPLE.0.verify(token).now_or_never() {
        Some(Ok(verified)) => {
            prop_assert_eq!(verified.person.user_id.to_string(), USER);
            prop_assert!(verified.expires > Timestamp::from_second(NOW).unwrap());
            Ok(true)
        }
        Some(Err(error)) => {
            prop_assert_eq!(error.kind(), Kind::Unauthenticated);
            Ok(false)
        }
        None => Err(TestCaseError::fail("a verdict needs nobody else")),
    }
}

fuzz::target!(changed_access_tokens, fuzz::damaged(Just(good().into_bytes())));

fn changed_access_tokens(token: Vec<u8>) -> TestCaseResult {
    let Ok(token) = String::from_utf8(token) else { return Ok(()) };
    // It is cached before the other comes.
    prop_assert!(is_accepted(&good())?);
    prop_assert_eq!(is_accepted(&token)?, token == good());
    Ok(())
}

fuzz::target!(parts_of_access_tokens, [&HEADER[..], &CLAIMS[..], &SIGNATURE[..]].map(fuzz::bytes));

const HEADER: [&str; 8] =
    ["{", "}", "\"alg\":\"none\"", "\"alg\":\"EdDSA\"", "\"typ\":\"at+jwt\"", "\"kid\":\"key-1\"", ",", "null"];
const CLAIMS: [&str; 7] = ["{", "}", "\"sub\":", "\"exp\":9e99", "\"iat\":-1", ",", "[]"];
const SIGNATURE: [&str; 3] = ["", "\0", "a"];

/// Made-up parts are never accepted as a token.
fn parts_of_access_tokens(parts: [Vec<u8>; 3]) -> TestCaseResult {
    prop_assert!(!is_accepted(&parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."))?);
    Ok(())
}

fuzz::target!(headers_of_access_tokens, subsequence(&MEMBERS[..], 0..8).prop_shuffle());

/// Members of a header; those of a token of ours come first.
const MEMBERS: [(&str, &str); 28] = [
    ("alg", "\"EdDSA\""),
    ("typ", "\"at+jwt\""),
    ("kid", "\"key-1\""),
    ("typ", "\"AT+JWT\""),
    ("alg", "\"none\""),
    ("alg", "\"HS256\""),
    ("alg", "\"ES256\""),
    ("alg", "\"eddsa\""),
    ("alg", "null"),
    ("typ", "\"JWT\""),
    ("typ", "\"application/at+jwt\""),
    ("typ", "null"),
    ("kid", "\"key-2\""),
    ("kid", "\"KEY-1\""),
    ("kid", "null"),
    ("kid", "[\"key-1\"]"),
    ("jku", "\"https://evil.example/jwks.json\""),
    ("x5u", "\"https://evil.example/x5u\""),
    ("x5c", "[]"),
    ("x5c", "[\"AAAA\"]"),
    ("jwk", r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#),
    ("crit", "[\"b64\"]"),
    ("crit", "[]"),
    ("b64", "false"),
    ("zip", "\"DEF\""),
    ("cty", "\"JWT\""),
    ("nonce", "\"1\""),
    ("extra", "{\"alg\":\"none\"}"),
];

/// A header is accepted only as we write it, also under our own signature.
fn headers_of_access_tokens(members: Vec<(&'static str, &'static str)>) -> TestCaseResult {
    let header: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    if !is_accepted(&signed(&format!("{{{}}}", header.join(",")), &claims()))? {
        return Ok(());
    }
    let values = |name| members.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value);
    prop_assert_eq!(values("alg").collect::<Vec<_>>(), ["\"EdDSA\""]);
    prop_assert_eq!(values("kid").collect::<Vec<_>>(), ["\"key-1\""]);
    let typ: Vec<_> = values("typ").map(str::to_ascii_lowercase).collect();
    prop_assert_eq!(typ, ["\"at+jwt\""]);
    for name in ["jku", "jwk", "x5u", "x5c", "crit"] {
        prop_assert_eq!(values(name).count(), 0, "{}", name);
    }
    Ok(())
}

fuzz::target!(claims_of_access_tokens, claim());

/// A claim, and another value for it.
fn claim() -> impl Strategy<Value = (&'static str, Value)> {
    let name = select(&["iss", "aud", "sub", "role", "sid", "iat", "exp", "jti"][..]);
    let value = prop_oneof![
        Just(Value::Null),
        select(&["us", "US", "api", "", USER, "CLIENT", "client", "THERAPIST", "ADMIN"][..]).prop_map(Value::from),
        select(&[0, -1, 1, NOW - 1, NOW, NOW + 60, NOW + 61, NOW + 900, i64::MIN, i64::MAX][..]).prop_map(Value::from),
        Just(json!(["api", "other"])),
        Just(json!(["us"])),
        Just(json!(1e300)),
        Just(json!({})),
    ];
    (name, value)
}

/// A token is accepted only with its issuer, audience, person and expiry, also under our own signature.
fn claims_of_access_tokens((name, value): (&'static str, Value)) -> TestCaseResult {
    let mut claims = claims();
    claims[name] = value.clone();
    if !is_accepted(&signed(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": KID}).to_string(), &claims))? {
        return Ok(());
    }
    let number = value.as_i64().unwrap_or_default();
    let is_good = match name {
        "iss" => value == "us",
        "aud" => value == "api",
        "sub" | "sid" => value == USER,
        "role" => value == "CLIENT" || value == "THERAPIST",
        "iat" => value.is_i64() && number <= NOW + 60,
        "exp" => value.is_i64() && number > NOW,
        _ => value.is_string(),
    };
    prop_assert!(is_good, "{}: {}", name, value);
    Ok(())
}

fuzz::target!(changed_workload_tokens, fuzz::damaged(Just(WORKLOADS.1.clone().into_bytes())));

fn changed_workload_tokens(token: Vec<u8>) -> TestCaseResult {
    let Ok(token) = String::from_utf8(token) else { return Ok(()) };
    let (verifier, good) = &*WORKLOADS;
    let name = verifier.verify(good);
    prop_assert_eq!(name.as_deref(), Some("clients"));
    prop_assert_eq!(verifier.verify(&token).is_some(), token == *good);
    Ok(())
}
