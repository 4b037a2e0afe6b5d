//! Requests without the access key all get the same refusal.

use std::os::unix::fs::PermissionsExt as _;

use embedded_dynamodb::{Engine, Storage, access_key};

use crate::support::{address, blocking, call, create_table, in_directory, in_path, send, signed, start};

const REFUSAL: &str = concat!(
    r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","#,
    r#""message":"The security token included in the request is invalid."}"#,
);

/// Asserts that each kind of unauthorized request is refused.
fn assert_unauthorized_requests_are_refused(engine: &Engine) {
    let own = || ("host", address(engine).to_string());
    let target = || ("x-amz-target", "DynamoDB_20120810.ListTables".to_owned());
    let good = || signed(engine.access_key());
    let origin = || ("origin", "http://evil.example".to_owned());
    let rebound = || ("host", format!("evil.example:{}", address(engine).port()));
    let preflight = ("access-control-request-method", "POST".to_owned());
    let unauthorized = [
        ("POST", vec![own(), target()]),
        ("POST", vec![own(), target(), signed("local")]),
        ("POST", vec![own(), target(), signed(&"0".repeat(64))]),
        ("POST", vec![own(), target(), good(), origin()]),
        ("POST", vec![rebound(), target(), good()]),
        ("POST", vec![target(), good()]),
        ("GET", vec![own()]),
        ("OPTIONS", vec![own(), origin(), preflight.clone()]),
        ("OPTIONS", vec![own(), good(), origin(), preflight]),
    ];
    for (method, headers) in unauthorized {
        let answer = send(engine, method, &headers, "{}");
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with(REFUSAL), "{method} {headers:?}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
        assert!(!answer.to_lowercase().contains("dynoxide"), "{answer}");
    }
    assert!(call(engine, "ListTables", "{}").contains("Kept"), "who has the key is answered");
}

#[tokio::test]
async fn unauthorized_request_is_refused_by_memory_engine() {
    let engine = start(Storage::Memory, 0).await.unwrap();
    let engine = blocking(move || {
        create_table(&engine);
        assert_unauthorized_requests_are_refused(&engine);
        engine
    })
    .await;
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn unauthorized_request_is_refused_by_file_engine() {
    let directory = tempfile::tempdir().unwrap();
    let engine = start(in_directory(&directory), 0).await.unwrap();
    let engine = blocking(move || {
        create_table(&engine);
        assert_unauthorized_requests_are_refused(&engine);
        engine
    })
    .await;
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn key_file_is_owner_only_and_renewed_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let Storage::Directory { path, .. } = in_directory(&directory) else { unreachable!() };
    let file = path.join("dynamodb-access-key");
    let mut before = String::new();
    for _ in 0..2 {
        let engine = start(in_path(path.clone()), 0).await.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(access_key(&path).unwrap().unwrap(), engine.access_key());
        assert_ne!(engine.access_key(), before);
        engine.access_key().clone_into(&mut before);
        engine.stop().await.unwrap();
        assert_eq!(access_key(&path).unwrap(), None);
    }
    // A file that a crash left readable by others is replaced.
    std::fs::write(&file, "x").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    access_key(&path).unwrap_err();
    let engine = start(in_path(path), 0).await.unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    engine.stop().await.unwrap();
}
