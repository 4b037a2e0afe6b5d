//! Readiness of the front: it is ready if every service behind it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tonic::body::Body;
use tonic::{Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::upstream::Upstream;

/// Lifetime of a cached readiness, so that many probes make one call to each service.
const CACHE_TTL: Duration = Duration::from_secs(1);
/// Timeout of a service's health check.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Cached readiness of the services behind the front.
#[derive(Debug, Clone)]
pub(crate) struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstreams: HashMap<String, Upstream>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub(crate) fn new(upstreams: HashMap<String, Upstream>) -> Self {
        Self(Arc::new(Inner { upstreams, last: Mutex::new(None) }))
    }

    /// Returns whether every service is ready. Concurrent callers wait for the same answer.
    async fn is_ready(&self) -> bool {
        let mut last = self.0.last.lock().await;
        if let Some((asked, ready)) = *last
            && asked.elapsed() < CACHE_TTL
        {
            return ready;
        }
        let ready = join_all(self.0.upstreams.values().cloned().map(serves)).await.into_iter().all(|serves| serves);
        *last = Some((Instant::now(), ready));
        ready
    }

    /// Answers `/healthz`.
    pub(crate) async fn answer(&self) -> Response<Body> {
        let (status, json) = if self.is_ready().await {
            (StatusCode::OK, r#"{"status":"SERVING"}"#)
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"NOT_SERVING"}"#)
        };
        let mut response = Response::new(Body::new(Full::from(json)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

async fn serves(upstream: Upstream) -> bool {
    let mut client = HealthClient::new(upstream.service());
    let answer = timeout(TIMEOUT, client.check(HealthCheckRequest::default())).await;
    matches!(answer, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving)
}

/// `grpc.health.v1` of the front as a whole. It has no services of its own to be asked about by name.
#[tonic::async_trait]
impl Health for Readiness {
    type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        if !request.get_ref().service.is_empty() {
            return Err(Status::not_found("only the front as a whole has a health"));
        }
        let status = if self.is_ready().await { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(tonic::Response::new(HealthCheckResponse { status: status.into() }))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<tonic::Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask with Check"))
    }
}
