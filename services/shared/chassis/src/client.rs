//! Calls other services, with the service's own token, the caller's token and the rest of the caller's time. This is the
//! one place that retries, within a budget.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::{Context as Cx, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use kernel::{BoxError, Entropy, Error, STORAGE_FULL};
use proto::Rpc;
use proto::calls::{RETRY_RATIO, Retries, TIMEOUT};
use retry::Policy;
use telemetry::layer::{RpcClient, RpcClientTelemetry};
use tokio::time::Instant;
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
        // Ten retries a second in any case, so that a quiet service may retry at all.
        let budget = TpsBudget::new(Duration::from_secs(10), 10, RETRY_RATIO);
        Ok(Self { transport, budget: Arc::new(budget), entropy })
    }

    /// Calls an RPC within a context, by the timeout and the retry policy that `proto::calls` has for it: it is called
    /// more than once only if its proto states that it is idempotent (`idempotency_level`), as that of every RPC between
    /// services does.
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
        let deadline = context.deadline.min(Instant::now() + TIMEOUT);
        let called = CalledRpc::default();
        let mut attempts = None;
        loop {
            let mut request = context.outgoing(deadline, message.clone());
            request.extensions_mut().insert(called.clone());
            let answer = rpc(self.transport.clone(), request);
            let Ok(answer) = tokio::time::timeout_at(deadline, answer).await else {
                return Err(exceeded());
            };
            let status = match answer {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            let Some(retries) =
                called.retries().filter(|retries| retries.codes.contains(&status.code()) && !is_storage_full(&status))
            else {
                return Err(upstream_error(status));
            };
            let attempts = attempts.get_or_insert_with(|| policy(retries).start_after_first(&*self.entropy));
            let may_retry = attempts.remain() && self.budget.withdraw();
            let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            if !may_retry || !attempts.next_within(deadline, delay).await {
                return Err(upstream_error(status));
            }
        }
    }
}

const fn policy(retries: &Retries) -> Policy {
    Policy::new(retries.attempts, retries.base, retries.longest)
}

/// RPC that a call has turned out to be: its path is known when the request leaves.
#[derive(Debug, Clone, Default)]
struct CalledRpc(Arc<OnceLock<&'static Rpc>>);

impl CalledRpc {
    fn retries(&self) -> Option<&'static Retries> {
        self.0.get().and_then(|rpc| rpc.retries())
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}

/// Returns whether a callee answers that the storage is full, which no retry mends.
pub(crate) fn is_storage_full(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == STORAGE_FULL)
}

fn upstream_error(status: Status) -> Error {
    match status.code() {
        Code::Unavailable if is_storage_full(&status) => Error::storage_full(status),
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

/// Puts the service's own token on every call, and notes which RPC is called.
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
        if let Some(called) = request.extensions().get::<CalledRpc>()
            && let Some(rpc) = Rpc::find(request.uri().path())
        {
            called.0.get_or_init(|| rpc);
        }
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Kind;

    use super::*;
    use crate::status::to_status;

    #[tokio::test]
    async fn only_idempotent_rpc_has_retry_policy() {
        let clock = Arc::new(kernel::SystemClock);
        let tokens = Arc::new(identity::Issuer::generate(clock).unwrap()).workload("clients").tokens;
        let inner = tower::service_fn(async |_: http::Request<()>| Ok::<_, std::convert::Infallible>(()));
        let mut service = WithToken::new(inner, tokens);
        for (path, codes) in [
            ("/therapy.events.v1.SubscriberService/Deliver", Some(2)),
            ("/therapy.auth.v1.AuthService/GetJwks", Some(1)),
            ("/therapy.auth.v1.AuthService/Login", None),
            ("/therapy.auth.v1.AuthService/Nothing", None),
        ] {
            let called = CalledRpc::default();
            let request = http::Request::builder().uri(path).extension(called.clone()).body(()).unwrap();
            service.call(request).await.unwrap();
            assert_eq!(called.retries().map(|retries| retries.codes.len()), codes, "{path}");
        }
    }

    #[test]
    fn full_storage_reaches_caller_without_retry_delay() {
        let error = upstream_error(to_status(Error::storage_full("no space")));
        assert_eq!((error.kind(), error.reason(), error.retry_delay()), (Kind::Unavailable, STORAGE_FULL, None));
        let error = upstream_error(to_status(Error::unavailable("no table")));
        assert_eq!((error.reason(), error.retry_delay()), ("UNAVAILABLE", Some(Duration::from_secs(1))));
    }

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
