//! A fake service for any RPC: it gives scripted answers and records its calls.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::envoy::{Envoy, EnvoySetup};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// A scripted answer.
pub(super) enum Reply {
    /// One message.
    Message(Vec<u8>),
    /// An error with this code and no details.
    Refusal(u8),
    /// Messages as they arrive.
    Stream(UnboundedReceiver<Vec<u8>>),
}

/// A recorded call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
}

pub(super) struct Service {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Service {
    /// Starts the service on its own port. It reports itself healthy, and stops when dropped.
    #[allow(clippy::disallowed_methods, reason = "the tasks end with the value, or with their connections")]
    pub(super) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, reply) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(reply));
        let kept = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (kept, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let path = request.uri().path().to_owned();
                    let answer = if path == "/grpc.health.v1.Health/Check" {
                        // HealthCheckResponse { status: SERVING }
                        Reply::Message(vec![8, 1])
                    } else {
                        kept.lock().unwrap().push(Call { path: path.clone(), headers: request.headers().clone() });
                        reply(&path)
                    };
                    async move { Ok::<_, Infallible>(response(answer)) }
                });
                tokio::spawn(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, calls, task }
    }

    /// Returns the recorded calls, except health checks.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Starts Envoy in front of this service, which stands in for every service of the mesh.
    pub(super) async fn envoy(&self, change: impl FnOnce(&mut envoy_config::Settings)) -> Envoy {
        Envoy::start_with(self.setup(), change).await
    }

    /// Starts Envoy in front of this service and another replica, without token verification.
    pub(super) async fn envoy_before_two(&self, other: &Self) -> Envoy {
        let endpoint = |replica: &Self| {
            let (host, port) = (replica.address.ip(), replica.address.port());
            format!(r#"{{endpoint: {{address: {{socket_address: {{address: "{host}", port_value: {port}}}}}}}}}"#)
        };
        let (one, both) = (endpoint(self), format!("{}, {}", endpoint(self), endpoint(other)));
        let edit = |yaml: String| {
            assert!(yaml.contains(&one), "a replica is written in another way");
            yaml.replace(&one, &both)
        };
        Envoy::start_edited(self.setup(), |settings| settings.tokens = None, edit).await
    }

    fn setup(&self) -> EnvoySetup {
        let people = proto::RPCS.iter().filter(|rpc| !rpc.is_internal());
        let upstreams = people.map(|rpc| (rpc.service().to_owned(), self.address)).collect();
        EnvoySetup { descriptor_set: proto::ENVOY_DESCRIPTOR_SET.to_vec(), upstreams }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn response(reply: Reply) -> Response<Body> {
    let body = match reply {
        Reply::Message(message) => Full::new(framed(&message)).with_trailers(async { ended(0) }).boxed_unsync(),
        Reply::Stream(mut messages) => StreamBody::new(futures_util::stream::poll_fn(move |cx| {
            messages.poll_recv(cx).map(|message| Some(Ok(Frame::data(framed(&message?)))))
        }))
        .with_trailers(async { ended(0) })
        .boxed_unsync(),
        Reply::Refusal(code) => {
            let mut response = Response::new(Full::default().boxed_unsync());
            *response.headers_mut() = ended(code).unwrap().unwrap();
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
            return response;
        }
    };
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

fn ended(code: u8) -> Option<Result<HeaderMap, Infallible>> {
    Some(Ok(HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(u16::from(code)))])))
}

/// Frames a message.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat().into()
}
