//! The life of an engine: start, stop, the lock of its directory, what it keeps.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use engine::{Engine, StartError, Storage};
use tempfile::TempDir;

fn in_directory(directory: &TempDir) -> Storage {
    Storage::Directory(directory.path().join("made/by/the/engine"))
}

/// One request of DynamoDB's protocol; the answer's body.
fn call(engine: &Engine, operation: &str, body: &str) -> String {
    let address = engine.endpoint();
    let address: SocketAddr = address.strip_prefix("http://").unwrap().parse().unwrap();
    assert!(address.ip().is_loopback());
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amz-target: DynamoDB_20120810.{operation}\r\nx-amz-date: 20260101T000000Z\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

const TABLE: &str = r#"{"TableName":"Kept","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}"#;

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn what_a_directory_holds_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let engine = Engine::start(in_directory(&directory), 0).await.unwrap();
        let engine = blocking(move || {
            let tables = call(&engine, "ListTables", "{}");
            assert_eq!(tables.contains("Kept"), round > 0, "{tables}");
            if round == 0 {
                call(&engine, "CreateTable", TABLE);
            }
            engine
        })
        .await;
        engine.stop().await.unwrap();
    }
}

#[tokio::test]
async fn memory_is_forgotten() {
    for _ in 0..2 {
        let engine = Engine::start(Storage::Memory, 0).await.unwrap();
        let engine = blocking(move || {
            assert!(!call(&engine, "ListTables", "{}").contains("Kept"));
            call(&engine, "CreateTable", TABLE);
            engine
        })
        .await;
        engine.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_directory_belongs_to_one_engine_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = Engine::start(in_directory(&directory), 0).await.unwrap();
    let error = Engine::start(in_directory(&directory), 0).await.unwrap_err();
    assert!(matches!(error, StartError::InUse(_)), "{error}");
    assert!(error.to_string().contains("is in use by another process; stop that one, or choose another"), "{error}");
    first.stop().await.unwrap();
    Engine::start(in_directory(&directory), 0).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_is_closed_to_other_people() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let Storage::Directory(path) = in_directory(&directory) else { unreachable!() };
    let engine = Engine::start(Storage::Directory(path.clone()), 0).await.unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn what_can_t_be_had_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let error = Engine::start(Storage::Directory(file), 0).await.unwrap_err();
    assert!(matches!(error, StartError::Directory(..)), "{error}");

    let damaged = directory.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("dynamodb.sqlite"), "x".repeat(8192)).unwrap();
    let error = Engine::start(Storage::Directory(damaged), 0).await.unwrap_err();
    assert!(matches!(error, StartError::Open(..)), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Engine::start(Storage::Memory, port).await.unwrap_err();
    assert!(matches!(error, StartError::Port(p, _) if p == port), "{error}");
}

#[tokio::test]
async fn stopping_does_not_wait_for_connections_that_are_idle() {
    let engine = Engine::start(Storage::Memory, 0).await.unwrap();
    let address: SocketAddr = engine.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    let idle = TcpStream::connect(address).unwrap();
    engine.stop().await.unwrap();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    drop(idle);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever_for_a_request_that_never_ends() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(in_directory(&directory), 0).await.unwrap();
    let address: SocketAddr = engine.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"POST / HTTP/1.1\r\nhost: local\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
    // Another request comes and goes: by then the engine has the half one.
    let engine = blocking(move || {
        call(&engine, "ListTables", "{}");
        engine
    })
    .await;
    let error = engine.stop().await.unwrap_err();
    assert!(error.to_string().contains("a request did not end"), "{error}");
    Engine::start(in_directory(&directory), 0).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn an_engine_that_is_dropped_frees_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    drop(Engine::start(in_directory(&directory), 0).await.unwrap());
    loop {
        match Engine::start(in_directory(&directory), 0).await {
            Ok(engine) => break engine.stop().await.unwrap(),
            Err(StartError::InUse(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}
