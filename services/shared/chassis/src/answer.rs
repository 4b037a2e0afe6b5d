use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::HeaderValue;
use kernel::{Error, Kind};
use proto::Rpc;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use transport::too_large;

use crate::access::{is_infrastructure, unknown_method};
use crate::client::is_storage_full;
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status::to_status;

/// The metadata that tells a front the HTTP status of a success other than 200.
pub const HTTP_CODE: &str = "x-http-code";
/// The metadata that tells a front which field of the answer is the whole body.
pub const HTTP_BODY_FIELD: &str = "x-http-body-field";

const DETAILS: &str = "grpc-status-details-bin";

/// Time after which another service may retry a call that was UNAVAILABLE. People are told a longer one: behind such a call
/// somebody waits, and its retries have a budget.
const PEER_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Puts every answer of our RPCs in the form of the contract: errors with their details, also those that the framework
/// makes by itself and those of a panic; successes with the metadata that a REST front needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerStage;

impl Stage for AnswerStage {
    const NAME: &'static str = "answer";

    async fn handle<S: Inner>(self, request: Request, inner: S) -> Response {
        let path = request.uri().path();
        if is_infrastructure(path) {
            // Standard services answer as their standards say: Check of an unknown service is NOT_FOUND.
            return forward(inner, request).await;
        }
        let rpc = Rpc::find(path);
        let Ok(mut response) = AssertUnwindSafe(forward(inner, request)).catch_unwind().await else {
            return to_status(Error::internal("a handler panicked")).into_http();
        };
        match Status::from_header_map(response.headers()) {
            Some(failed) if failed.code() != Code::Ok => {
                let failed = if response.headers().contains_key(DETAILS) {
                    failed
                } else {
                    to_status(framework_error(rpc, &failed))
                };
                if rpc.is_some_and(Rpc::is_internal) { for_peer(failed) } else { failed }.into_http()
            }
            _ => {
                if let Some(rpc) = rpc {
                    describe(rpc, &mut response);
                }
                response
            }
        }
    }
}

/// Returns the status of an internal RPC as another service gets it.
fn for_peer(status: Status) -> Status {
    if status.code() != Code::Unavailable || is_storage_full(&status) {
        return status;
    }
    let mut details = status.get_error_details();
    details.set_retry_info(Some(PEER_RETRY_DELAY));
    Status::with_error_details(status.code(), status.message(), details)
}

fn describe(rpc: &Rpc, response: &mut Response) {
    let headers = response.headers_mut();
    if rpc.http_status != 200 {
        headers.insert(HTTP_CODE, HeaderValue::from(rpc.http_status));
    }
    if !rpc.response_body.is_empty() {
        headers.insert(HTTP_BODY_FIELD, HeaderValue::from_static(rpc.response_body));
    }
}

/// Maps tonic's own rejections to our error model.
fn framework_error(rpc: Option<&Rpc>, status: &Status) -> Error {
    match status.code() {
        // The method exists: its message has a compression that is not supported.
        Code::Unimplemented if rpc.is_some() => {
            Error::new(Kind::Unimplemented, "UNKNOWN_ENCODING", "grpc-encoding: send the message without compression")
        }
        Code::Unimplemented => unknown_method(),
        Code::OutOfRange | Code::ResourceExhausted => too_large(),
        // A body that is no message of the method.
        Code::Internal | Code::DataLoss | Code::InvalidArgument => {
            Error::new(Kind::InvalidArgument, "MALFORMED_MESSAGE", "the body is not a message of this method")
        }
        Code::Cancelled | Code::DeadlineExceeded => crate::deadline::exceeded(),
        Code::Unavailable => Error::unavailable(status.message().to_owned()),
        Code::Ok
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unauthenticated => Error::internal(format!("an answer without details: {status:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::body::Body;
    use tonic_types::ErrorDetails;

    use super::*;
    use crate::limit::overloaded;

    const INTERNAL: &str = "/therapy.vault.v1.VaultService/GetDataKey";
    const ROUTABLE: &str = "/therapy.auth.v1.AuthService/Login";

    async fn answered(path: &str, error: fn() -> Error) -> Status {
        let inner =
            tower::service_fn(move |_: Request| async move { Ok::<_, Infallible>(to_status(error()).into_http()) });
        let request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
        Status::from_header_map(AnswerStage.handle(request, inner).await.headers()).unwrap()
    }

    #[tokio::test]
    async fn services_may_retry_unavailable_sooner_than_people() {
        let unavailable: fn() -> Error = || Error::unavailable("the store is down");
        for (path, error, delay) in [
            (INTERNAL, unavailable, Some(PEER_RETRY_DELAY)),
            (ROUTABLE, unavailable, Some(Duration::from_secs(1))),
            // Load that is shed needs its time, whoever made it.
            (INTERNAL, overloaded, Some(Duration::from_secs(1))),
            // No retry makes space.
            (INTERNAL, || Error::storage_full("no space"), None),
        ] {
            let (status, made) = (answered(path, error).await, to_status(error()));
            assert_eq!((status.code(), status.message()), (made.code(), made.message()));
            let (details, made) = (status.get_error_details(), made.get_error_details());
            let reason = |details: &ErrorDetails| details.error_info().unwrap().reason.clone();
            assert_eq!(reason(&details), reason(&made));
            assert_eq!(details.retry_info().and_then(|info| info.retry_delay), delay, "{path}: {status:?}");
        }
    }
}
