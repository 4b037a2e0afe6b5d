//! Logs the cause of an error once, where it becomes the status that its caller gets.

use std::error::Error as _;

use kernel::{Error, Kind};
use telemetry::request_id;
use tonic::Status;
use transport::public_status;

/// Returns the status that a caller gets for an error, with the id of the request that the calling task works for. Logs
/// the cause, so call it once per error: at the border.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "the error ends here")]
pub fn to_status(error: Error) -> Status {
    log(&error);
    public_status(&error, request_id::current().as_ref())
}

fn log(error: &Error) {
    let mut cause = String::new();
    let mut source = error.source();
    while let Some(inner) = source {
        cause.push_str(if cause.is_empty() { "" } else { ": " });
        cause.push_str(&inner.to_string());
        source = inner.source();
    }
    match error.kind() {
        Kind::Internal => tracing::error!(reason = error.reason(), cause, "a request failed by a fault of ours"),
        Kind::Unavailable => tracing::warn!(reason = error.reason(), cause, "a request could not be answered"),
        Kind::InvalidArgument
        | Kind::FailedPrecondition
        | Kind::Unauthenticated
        | Kind::PermissionDenied
        | Kind::NotFound
        | Kind::AlreadyExists
        | Kind::Aborted
        | Kind::ResourceExhausted
        | Kind::DeadlineExceeded
        | Kind::Unimplemented => tracing::debug!(reason = error.reason(), cause, "a request was refused"),
    }
}
