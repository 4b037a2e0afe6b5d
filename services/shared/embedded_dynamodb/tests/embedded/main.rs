//! Lifecycle of an engine: start, stop, directory lock and stored content.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod erasure;
mod full;
mod support;
mod unauthorized;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use embedded_dynamodb::{StartError, Storage};

use crate::support::{address, blocking, call, create_table, in_directory, in_path, signed, start};

const RELEASE_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn directory_content_survives_restart() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let engine = start(in_directory(&directory), 0).await.unwrap();
        let engine = blocking(move || {
            let tables = call(&engine, "ListTables", "{}");
            assert_eq!(tables.contains("Kept"), round > 0, "{tables}");
            if round == 0 {
                create_table(&engine);
            }
            engine
        })
        .await;
        engine.stop().await.unwrap();
    }
}

#[tokio::test]
async fn memory_content_is_lost_at_stop() {
    for _ in 0..2 {
        let engine = start(Storage::Memory, 0).await.unwrap();
        let engine = blocking(move || {
            assert!(!call(&engine, "ListTables", "{}").contains("Kept"));
            create_table(&engine);
            engine
        })
        .await;
        engine.stop().await.unwrap();
    }
}

#[tokio::test]
async fn directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(in_directory(&directory), 0).await.unwrap();
    let error = start(in_directory(&directory), 0).await.unwrap_err();
    assert!(matches!(error, StartError::InUse(_)), "{error}");
    assert!(error.to_string().contains("is in use by another process; stop that one"), "{error}");
    first.stop().await.unwrap();
    start(in_directory(&directory), 0).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn directory_mode_is_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let Storage::Directory { path, .. } = in_directory(&directory) else { unreachable!() };
    let engine = start(in_path(path.clone()), 0).await.unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    engine.stop().await.unwrap();
}

#[tokio::test]
async fn start_errors_name_their_cause() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let error = start(in_path(file), 0).await.unwrap_err();
    assert!(matches!(error, StartError::Directory(..)), "{error}");

    let damaged = directory.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("dynamodb.sqlite"), "x".repeat(8192)).unwrap();
    let error = start(in_path(damaged), 0).await.unwrap_err();
    assert!(matches!(error, StartError::Open(..)), "{error}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = start(Storage::Memory, port).await.unwrap_err();
    assert!(matches!(error, StartError::Port(p, _) if p == port), "{error}");
}

#[tokio::test]
async fn stop_ignores_idle_connections() {
    let engine = start(Storage::Memory, 0).await.unwrap();
    let address = address(&engine);
    let idle = TcpStream::connect(address).unwrap();
    engine.stop().await.unwrap();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    drop(idle);
}

#[tokio::test]
async fn stop_times_out_on_unfinished_request() {
    let directory = tempfile::tempdir().unwrap();
    let engine = start(in_directory(&directory), 0).await.unwrap();
    let address = address(&engine);
    let mut half = TcpStream::connect(address).unwrap();
    let (name, key) = signed(engine.access_key());
    let head =
        format!("POST / HTTP/1.1\r\nhost: {address}\r\n{name}: {key}\r\nx-amz-target: DynamoDB_20120810.Scan\r\n");
    half.write_all(format!("{head}content-length: 9\r\n\r\nhalf").as_bytes()).unwrap();
    // Once another request is answered, the engine has read the unfinished one.
    let engine = blocking(move || {
        call(&engine, "ListTables", "{}");
        engine
    })
    .await;
    let error = engine.stop().await.unwrap_err();
    assert!(error.to_string().contains("a request did not end"), "{error}");
    start(in_directory(&directory), 0).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn dropped_engine_releases_directory() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(in_directory(&directory), 0).await.unwrap());
    let restart = async {
        loop {
            match start(in_directory(&directory), 0).await {
                Ok(engine) => break engine.stop().await.unwrap(),
                Err(StartError::InUse(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(RELEASE_TIMEOUT, restart).await.expect("the directory is released in time");
}
