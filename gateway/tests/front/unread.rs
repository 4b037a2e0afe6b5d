//! An answer before the end of the request's body reaches a client that is still sending (RFC 9112, section 9.6).

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::test_env::TestEnv;

const TIMEOUT: Duration = Duration::from_secs(8);
/// More than a body may be, and more than the buffers of two sockets hold.
const TOO_LARGE: usize = 16 * 1024 * 1024;

async fn ask(env: &TestEnv, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(env.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads the next answer, and returns its head.
async fn answer(stream: &mut TcpStream) -> String {
    let read = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        head
    };
    timeout(TIMEOUT, read).await.expect("an answer")
}

#[tokio::test]
async fn early_answer_keeps_connection_usable() {
    let env = TestEnv::start(&[]).await;
    for (line, status) in [
        ("POST /front/kinds HTTP/1.1", "413"),
        ("POST /nothing HTTP/1.1", "404"),
        // The body of a GET is ignored and not read.
        ("GET /front/items/a HTTP/1.1", "200"),
    ] {
        let head =
            format!("{line}\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {TOO_LARGE}\r\n\r\n");
        let mut stream = ask(&env, &head).await;
        assert!(answer(&mut stream).await.starts_with(&format!("HTTP/1.1 {status} ")), "{line}");
        let rest = [&vec![b' '; TOO_LARGE], b"GET /front/items/b HTTP/1.1\r\nhost: a\r\n\r\n".as_slice()].concat();
        timeout(TIMEOUT, stream.write_all(&rest)).await.expect("somebody reads").unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "), "{line}");
    }
}

#[tokio::test]
async fn rejected_expect_continue_closes_connection() {
    let env = TestEnv::start(&[]).await;
    let head =
        format!("POST /front/kinds HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {TOO_LARGE}\r\n\r\n");
    let mut stream = ask(&env, &head).await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 413 "));
    let ended = timeout(TIMEOUT, stream.read(&mut [0])).await.expect("an end").unwrap();
    assert_eq!(ended, 0);
}
