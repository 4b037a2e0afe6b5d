//! Engines, and requests by hand.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use embedded_dynamodb::{Engine, StartError, Storage};
use kernel::Entropy;
use tempfile::TempDir;

const TABLE: &str = r#"{"TableName":"Kept","BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"by","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
    "GlobalSecondaryIndexes":[{"IndexName":"by_group","KeySchema":[{"AttributeName":"by","KeyType":"HASH"}],
        "Projection":{"ProjectionType":"ALL"}}]}"#;

/// Other bytes at each start.
struct Counter(AtomicU8);

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

static ENTROPY: Counter = Counter(AtomicU8::new(1));

pub(crate) fn in_directory(directory: &TempDir) -> Storage {
    in_path(directory.path().join("made/by/the engine?#%"))
}

pub(crate) fn in_path(path: PathBuf) -> Storage {
    Storage::Directory { path, limit: None }
}

pub(crate) async fn start(storage: Storage, port: u16) -> Result<Engine, StartError> {
    Engine::start(storage, port, &ENTROPY).await
}

pub(crate) fn address(engine: &Engine) -> SocketAddr {
    let address: SocketAddr = engine.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    assert!(address.ip().is_loopback());
    address
}

/// A header as AWS' SDKs send it.
pub(crate) fn signed(key: &str) -> (&'static str, String) {
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"
    );
    ("authorization", value)
}

/// Sends a request with these headers and its length, and returns the whole answer.
pub(crate) fn send(engine: &Engine, method: &str, headers: &[(&str, String)], body: &str) -> String {
    let mut stream = TcpStream::connect(address(engine)).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "{method} / HTTP/1.1\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Calls an operation with the key, and returns the answer's body.
pub(crate) fn call(engine: &Engine, operation: &str, body: &str) -> String {
    let headers = [
        ("host", address(engine).to_string()),
        ("x-amz-target", format!("DynamoDB_20120810.{operation}")),
        signed(engine.access_key()),
    ];
    let answer = send(engine, "POST", &headers, body);
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Creates the table [`TABLE`].
pub(crate) fn create_table(engine: &Engine) {
    let made = call(engine, "CreateTable", TABLE);
    assert!(made.contains("TableDescription"), "{made}");
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
