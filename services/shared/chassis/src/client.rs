//! Calls other services, with the service's own token, the caller's token and the rest of the caller's time. This is the
//! one place that retries, within a budget.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context as Cx, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use kernel::{BoxError, Entropy, Error};
use retry::Policy;
use telemetry::layer::{RpcClient, RpcClientTelemetry};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::{Layer as _, Service};
use transport::{Channel, channel, is_out_of_time};

use crate::context::{Context, WORKLOAD_TOKEN};
use crate::deadline::exceeded;
use crate::identity::{self, WorkloadTokens};
use crate::limit::overloaded;

/// The transport of generated clients.
pub type Transport = RpcClient<WithToken<Channel>>;

/// Another service.
#[derive(Clone)]
pub struct Upstream {
    transport: Transport,
    budget: Arc<TpsBudget>,
    entropy: Arc<dyn Entropy>,
}

impl Upstream {
    /// The service at `address` (`http://host:port`). Connects with the first call.
    ///
    /// # Errors
    /// If the address is not one.
    pub fn new(address: &str, tokens: WorkloadTokens, entropy: Arc<dyn Entropy>) -> Result<Self, BoxError> {
        let channel = channel(address)?;
        let uri: Uri = address.parse()?;
        let telemetry = RpcClientTelemetry::new(uri.host().unwrap_or_default(), uri.port_u16());
        let transport = telemetry.layer(WithToken { inner: channel, tokens });
        // At most a fifth more calls than were made, plus ten a second so that a quiet service may retry at all.
        Ok(Self { transport, budget: Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2)), entropy })
    }

    /// Calls an RPC within a context. It may be called more than once: every RPC between services states in its proto
    /// that it is idempotent (`idempotency_level`), or the protos would not build; any other that is called here must
    /// only read.
    ///
    /// # Errors
    /// UNAVAILABLE when the service can't be reached or answers that it can't serve; RESOURCE_EXHAUSTED when it is
    /// overloaded; DEADLINE_EXCEEDED when the context's time is over; UNAUTHENTICATED when the person's token ended on
    /// the way; INTERNAL for anything else that the callee answers.
    pub async fn call<T, R, F, Fut>(&self, context: &Context, message: T, rpc: F) -> Result<R, Error>
    where
        T: Clone,
        F: Fn(Transport, tonic::Request<T>) -> Fut,
        Fut: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        self.budget.deposit();
        let mut attempts = Policy::CALL.start(&*self.entropy);
        attempts.next().await;
        loop {
            let answer = rpc(self.transport.clone(), context.outgoing(message.clone()));
            let Ok(answer) = tokio::time::timeout_at(context.deadline, answer).await else {
                return Err(exceeded());
            };
            let status = match answer {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            // Shed load was refused before anything was done for it; another replica may have room.
            let is_transient = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
            let may_retry = is_transient && attempts.remain() && self.budget.withdraw();
            let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            if !may_retry || !attempts.next_within(context.deadline, delay).await {
                return Err(upstream_error(status));
            }
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}

fn upstream_error(status: Status) -> Error {
    match status.code() {
        // The channel obeys `grpc-timeout` too, and may be the first to say so.
        Code::Cancelled if is_out_of_time(&status) => exceeded(),
        // Load that the callee sheds is shed here too: it is no outage of this service.
        Code::ResourceExhausted => overloaded().caused_by(status),
        Code::Unavailable | Code::Cancelled => Error::unavailable(status),
        Code::DeadlineExceeded => exceeded(),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Error::internal(status),
        Code::Unauthenticated => unauthenticated_error(status),
    }
}

/// Maps UNAUTHENTICATED of a callee. An access token that has expired on the way is for the person to know; a rejected
/// workload token is a fault of ours.
fn unauthenticated_error(status: Status) -> Error {
    match status.get_error_details().error_info().map(|info| info.reason.as_str()) {
        Some("TOKEN_EXPIRED") => identity::expired(),
        Some("TOKEN_INVALID") => identity::invalid(),
        _ => Error::internal(status),
    }
}

/// Puts the service's own token on every call.
#[derive(Debug, Clone)]
pub struct WithToken<S> {
    inner: S,
    tokens: WorkloadTokens,
}

impl<S> WithToken<S> {
    /// A service whose calls carry a token.
    pub const fn new(inner: S, tokens: WorkloadTokens) -> Self {
        Self { inner, tokens }
    }
}

impl<S, B> Service<http::Request<B>> for WithToken<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Cx<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        // A token that is no header value was never a token: the callee will say that one is missing.
        if let Ok(mut value) = HeaderValue::from_str(&self.tokens.current()) {
            value.set_sensitive(true);
            request.headers_mut().insert(WORKLOAD_TOKEN, value);
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Kind;

    use super::*;
    use crate::status::to_status;

    #[test]
    fn only_access_token_errors_reach_caller() {
        assert_eq!(upstream_error(to_status(identity::expired())).reason(), "TOKEN_EXPIRED");
        let nobody = Error::new(Kind::Unauthenticated, "WORKLOAD_REQUIRED", "who are you?");
        assert_eq!(upstream_error(to_status(nobody)).kind(), Kind::Internal);
    }

    #[test]
    fn load_shed_by_callee_is_resource_exhausted() {
        let error = upstream_error(to_status(overloaded()));
        assert_eq!((error.kind(), error.reason()), (Kind::ResourceExhausted, "OVERLOADED"));
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(1)));
    }
}
