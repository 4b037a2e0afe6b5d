//! gRPC client for the load: HTTP/2 with prepared messages.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::work::{Target, Work};
use crate::Result;

/// A connection, which clones share. It ends with its last clone.
#[derive(Clone)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    calls: Vec<(Uri, Bytes)>,
    headers: HeaderMap,
    next: usize,
    least: usize,
}

impl Connection {
    /// Connects, and spawns the connection's driver on `tasks`.
    pub(super) async fn open(to: SocketAddr, work: Work, of: &Target, tasks: &mut JoinSet<()>) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tasks.spawn(async move {
            // Callers see the error.
            let _ = connection.await;
        });
        let uri = |path| Uri::builder().scheme("http").authority(to.to_string()).path_and_query(path).build();
        let calls: std::result::Result<_, http::Error> =
            work.calls(of).into_iter().map(|call| Ok((uri(call.path)?, call.message))).collect();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let mut bearer = HeaderValue::try_from(of.bearer())?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        Ok(Self { sender, calls: calls?, headers, next: 0, least: work.least() })
    }

    /// Makes the next call and waits until its answer is complete.
    ///
    /// # Errors
    /// If the call fails or the answer is too short.
    pub(super) async fn call(&mut self) -> Result<()> {
        let (uri, message) = self.calls.get(self.next).cloned().ok_or("no call")?;
        self.next = (self.next + 1) % self.calls.len();
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        request.headers_mut().clone_from(&self.headers);
        self.sender.ready().await?;
        let mut body = self.sender.send_request(request).await?.into_body();
        let (mut length, mut succeeded) = (0, false);
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => length += data.len(),
                Err(frame) => {
                    succeeded = frame.trailers_ref().and_then(|all| all.get("grpc-status")).is_some_and(|is| is == "0");
                }
            }
        }
        if succeeded && length >= self.least { Ok(()) } else { Err("a call failed".into()) }
    }
}
