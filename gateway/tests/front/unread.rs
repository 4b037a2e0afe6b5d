//! An answer that comes before the request was read to its end reaches whoever goes on sending (RFC 9112, section 9.6).

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::stand::Stand;

const PATIENCE: Duration = Duration::from_secs(8);
/// More than a body may be, and more than the buffers of two sockets hold.
const TOO_LARGE: usize = 16 * 1024 * 1024;

async fn ask(stand: &Stand, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The head of the next answer, whose body is read too.
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
    timeout(PATIENCE, read).await.expect("an answer")
}

#[tokio::test]
async fn who_is_answered_at_the_head_may_send_the_rest_and_ask_again() {
    let stand = Stand::start(&[]).await;
    for (line, status) in [
        ("POST /front/kinds HTTP/1.1", "413"),
        ("POST /nothing HTTP/1.1", "404"),
        // A body that means nothing is not read.
        ("GET /front/items/a HTTP/1.1", "200"),
    ] {
        let head =
            format!("{line}\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {TOO_LARGE}\r\n\r\n");
        let mut stream = ask(&stand, &head).await;
        assert!(answer(&mut stream).await.starts_with(&format!("HTTP/1.1 {status} ")), "{line}");
        let rest = [&vec![b' '; TOO_LARGE], b"GET /front/items/b HTTP/1.1\r\nhost: a\r\n\r\n".as_slice()].concat();
        timeout(PATIENCE, stream.write_all(&rest)).await.expect("somebody reads").unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "), "{line}");
    }
}

#[tokio::test]
async fn who_would_send_only_what_is_wanted_is_not_asked_for_what_is_not() {
    let stand = Stand::start(&[]).await;
    let head =
        format!("POST /front/kinds HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {TOO_LARGE}\r\n\r\n");
    let mut stream = ask(&stand, &head).await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 413 "));
    let ended = timeout(PATIENCE, stream.read(&mut [0])).await.expect("an end").unwrap();
    assert_eq!(ended, 0);
}
