//! gRPC-Web with arbitrary content, cut into arbitrary pieces: the service gets the decoded bytes, and the page an answer with a
//! status.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use gateway::Upstream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kit::front_service::SERVICE;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseResult;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tonic::body::Body;

use crate::test_env::TestEnv;

/// Body of the last call as the service got it; none if it broke off.
type Got = Arc<Mutex<Option<Bytes>>>;

static FRONT: LazyLock<(Runtime, TestEnv, Got)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let got = Got::default();
    let service = {
        let got = Arc::clone(&got);
        tower::service_fn(move |request: Request<Body>| echo(request, Arc::clone(&got)))
    };
    let env = runtime.block_on(TestEnv::with_upstream(Upstream::local(service), None, &[], &[]));
    (runtime, env, got)
});

/// Answers with the body that it gets.
async fn echo(request: Request<Body>, got: Got) -> Result<Response<Body>, Infallible> {
    let body = request.into_body().collect().await.ok().map(http_body_util::Collected::to_bytes);
    got.lock().unwrap().clone_from(&body);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Ok::<_, Infallible>(Frame::data(body.unwrap_or_default())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// Sends a call in these pieces; answers its status, its headers and its body.
async fn call(kind: &'static str, body: &[u8], cuts: &[Index]) -> (u16, HeaderMap, Bytes) {
    let connection = TcpStream::connect(FRONT.1.address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "the task ends with the connection")]
    let driver = tokio::spawn(connection);
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([0, body.len()]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let pieces = cuts.windows(2).map(|piece| Bytes::copy_from_slice(&body[piece[0]..piece[1]]));
    let pieces: Vec<_> = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))).collect();
    let request = Request::post(format!("/{SERVICE}/GetItem")).header("host", "127.0.0.1").header("content-type", kind);
    let request = request.header("accept", kind).body(StreamBody::new(stream::iter(pieces))).unwrap();
    let (parts, answer) = sender.send_request(request).await.unwrap().into_parts();
    let answer = answer.collect().await.unwrap().to_bytes();
    drop(sender);
    driver.await.unwrap().unwrap();
    (parts.status.as_u16(), parts.headers, answer)
}

fuzz::target!(grpc_web, (select(&KINDS[..]), any::<bool>(), fuzz::damaged(framed()), vec(any::<Index>(), 0..8)));

const KINDS: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

fn framed() -> impl Strategy<Value = Vec<u8>> {
    let frame = |message: Vec<u8>| [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat();
    vec(vec(any::<u8>(), 0..200).prop_map(frame), 0..4).prop_map(|frames| frames.concat())
}

fn grpc_web((kind, encoded, body, cuts): (&'static str, bool, Vec<u8>, Vec<Index>)) -> TestCaseResult {
    let is_text = kind.contains("text");
    let body = if is_text && encoded { STANDARD.encode(body).into_bytes() } else { body };
    let (status, headers, answer) = FRONT.0.block_on(call(kind, &body, &cuts));
    prop_assert_eq!(status, 200);
    let decoded = if is_text { STANDARD.decode(&body).ok() } else { Some(body) };
    let Some(decoded) = decoded else {
        // Parts of it may be base64, so that the answer may have content.
        prop_assert!(grpc_status(&headers, &raw(is_text, &answer)).is_some(), "{:?} {:?}", headers, answer);
        return Ok(());
    };
    let answer = raw(is_text, &answer);
    let (status, got) = (grpc_status(&headers, &answer), FRONT.2.lock().unwrap().take());
    prop_assert_eq!(status.as_deref(), Some("0"), "{:?}", answer);
    prop_assert_eq!(got.as_deref(), Some(decoded.as_slice()));
    prop_assert!(answer.starts_with(&decoded));
    Ok(())
}

/// The bytes of an answer; text is padded piece by piece.
fn raw(is_text: bool, answer: &[u8]) -> Vec<u8> {
    if is_text { answer.chunks(4).flat_map(|four| STANDARD.decode(four).unwrap()).collect() } else { answer.to_vec() }
}

/// The status of an answer: in its headers, or in the trailers at the end of its body.
fn grpc_status(headers: &HeaderMap, answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let in_body = text.rsplit_once("grpc-status:").map(|(_, rest)| rest.lines().next().unwrap_or_default().to_owned());
    headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned()).or(in_body)
}
