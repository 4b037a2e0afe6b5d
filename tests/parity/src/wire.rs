//! Sends requests byte by byte as written, unlike a well-behaved client, and reads the answers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::corpus::Request;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer, in the form in which fronts are compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Headers and trailers.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: Vec<u8>,
}

/// Headers that belong to one connection or one moment, not to the answer.
const INCIDENTAL: [&str; 5] = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];

impl Answer {
    fn new<'a>(status: u16, headers: impl Iterator<Item = (&'a str, &'a [u8])>, body: Vec<u8>) -> Self {
        let mut kept: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in headers.filter(|(name, _)| !INCIDENTAL.contains(name)) {
            kept.entry(name.to_owned()).or_default().push(String::from_utf8_lossy(value).into_owned());
        }
        Self { status, headers: kept, body }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} {:?} {}", self.status, self.headers, body.chars().take(1000).collect::<String>())
    }
}

/// Sends a request over HTTP/1.1 on a new connection.
pub(crate) async fn send(front: SocketAddr, request: &Request) -> Answer {
    let exchange = async {
        let (mut reader, mut writer) = TcpStream::connect(front).await.expect("the front accepts").into_split();
        let bytes = encode(front, request);
        let write = async {
            // A front that refuses early may close before it has read everything.
            drop(writer.write_all(&bytes).await);
            std::future::pending().await
        };
        let mut received = Vec::new();
        let read = async {
            loop {
                let closed = reader.read_buf(&mut received).await.unwrap_or_default() == 0;
                if let Some(answer) = decode(&request.method, &received, closed) {
                    break answer;
                }
                assert!(!closed, "the answer breaks off: {:?}", String::from_utf8_lossy(&received));
            }
        };
        tokio::select! { answer = read => answer, () = write => unreachable!("writing waits for the answer") }
    };
    tokio::time::timeout(TIMEOUT, exchange).await.expect("the front answers in time")
}

pub(crate) fn encode(front: SocketAddr, request: &Request) -> Vec<u8> {
    let mut out = format!("{} ", request.method).into_bytes();
    out.extend(&request.target);
    out.extend(b" HTTP/1.1\r\n");
    let mut header = |name: &str, value: &[u8]| out.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    if !request.has_header("host") {
        header("host", front.to_string().as_bytes());
    }
    header("connection", b"close");
    for (name, value) in &request.headers {
        header(name, value);
    }
    let framed = request.has_header("content-length") || request.has_header("transfer-encoding");
    if !framed && (!request.body.is_empty() || request.method == "POST") {
        header("content-length", request.body.len().to_string().as_bytes());
    }
    out.extend(b"\r\n");
    out.extend(&request.body);
    out
}

/// Decodes the answer once all of it has been received.
pub(crate) fn decode(method: &str, received: &[u8], closed: bool) -> Option<Answer> {
    let end = find(received, b"\r\n\r\n")?;
    let (head, rest) = (String::from_utf8_lossy(&received[..end]), &received[end + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    if status == 100 {
        return decode(method, rest, closed);
    }
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').expect("a header"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let body = if method == "HEAD" || matches!(status, 204 | 304) {
        rest.to_vec()
    } else if header("transfer-encoding") == Some("chunked") {
        dechunk(rest)?
    } else if let Some(length) = header("content-length") {
        rest.get(..length.parse().expect("a length"))?.to_vec()
    } else {
        closed.then(|| rest.to_vec())?
    };
    Some(Answer::new(status, headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())), body))
}

/// Returns the content of the chunks, if the last one has been received.
fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let length = std::str::from_utf8(&rest[..end]).ok().and_then(|l| usize::from_str_radix(l, 16).ok());
        let length = length.expect("a length in hexadecimal");
        if length == 0 {
            return Some(body);
        }
        body.extend(rest.get(end + 2..end + 2 + length)?);
        rest = rest.get(end + 2 + length + 2..)?;
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Makes a native call over HTTP/2 with prior knowledge. A `host` among the headers becomes the authority; `message` is
/// the content of the only frame.
pub(crate) async fn call(front: SocketAddr, request: &Request, message: &[u8]) -> Answer {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("a message of less than 4 GiB").to_be_bytes());
    frame.extend(message);
    call_with(front, request, frame).await.expect("the front answers")
}

/// Makes a native call with this raw body. Returns nothing if the front resets the call.
pub(crate) async fn call_with(front: SocketAddr, request: &Request, body: Vec<u8>) -> Option<Answer> {
    let path = std::str::from_utf8(&request.target).expect("a path in ASCII");
    let host = request.headers.iter().find(|(name, _)| name == "host").map(|(_, host)| host.as_slice());
    let authority = host.map_or_else(|| front.to_string(), |host| String::from_utf8_lossy(host).into_owned());
    let mut call = http::Request::post(format!("http://{authority}{path}")).header("te", "trailers");
    if !request.has_header("content-type") {
        call = call.header("content-type", "application/grpc");
    }
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "host") {
        call = call.header(name, value.as_slice());
    }
    let call = call.body(Full::new(Bytes::from(body))).expect("a request");
    let stream = TcpStream::connect(front).await.expect("the front accepts");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
    let exchange = async {
        let exchange = async {
            let (head, body) = sender.send_request(call).await.ok()?.into_parts();
            Some((head, body.collect().await.ok()?))
        };
        tokio::select! {
            biased;
            end = exchange => end,
            _ = connection => None,
        }
    };
    let (head, body) = tokio::time::timeout(TIMEOUT, exchange).await.expect("the front answers")?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let headers = head.headers.iter().chain(&trailers).map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut answer = Answer::new(head.status.as_u16(), headers, body.to_bytes().to_vec());
    // Printable characters may be encoded or not.
    if let Some(message) = answer.headers.get_mut("grpc-message") {
        message.iter_mut().for_each(|text| *text = text.replace("%20", " ").replace("%60", "`"));
    }
    Some(answer)
}

/// Sends a GET, returns the answer up to the end of its headers, and closes the connection.
pub(crate) async fn head(front: SocketAddr, target: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(front).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: {front}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    };
    tokio::time::timeout(TIMEOUT, asked).await.expect("the headers come at once")
}

/// Returns the statuses of consecutive answers, without `100 Continue`.
pub(crate) fn statuses(mut received: &[u8]) -> String {
    let mut statuses = Vec::new();
    while let Some(end) = find(received, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap_or("no HTTP").to_owned();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        received = &received[end + 4..];
        if status == "100" {
            continue;
        }
        let length = match header("content-length:") {
            Some(length) => length.parse().expect("a length"),
            None if header("transfer-encoding:").is_some() => {
                find(received, b"0\r\n\r\n").map_or(received.len(), |at| at + 5)
            }
            None => 0,
        };
        received = received.get(length..).unwrap_or_default();
        statuses.push(status);
    }
    statuses.join(" ")
}
