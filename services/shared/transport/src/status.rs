//! Maps our errors to gRPC: kinds become codes, and the public half of an error its details (google.rpc.ErrorInfo,
//! BadRequest, RetryInfo, RequestInfo).

use std::collections::HashMap;

use kernel::{Error, FieldError, Kind, RequestId, Violation};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// The `domain` of every google.rpc.ErrorInfo of ours.
const ERROR_DOMAIN: &str = "therapy";

/// The gRPC code of a kind.
const fn code(kind: Kind) -> Code {
    match kind {
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::FailedPrecondition => Code::FailedPrecondition,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::PermissionDenied => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::Aborted => Code::Aborted,
        Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::Unavailable => Code::Unavailable,
        Kind::DeadlineExceeded => Code::DeadlineExceeded,
        Kind::Unimplemented => Code::Unimplemented,
        Kind::Internal => Code::Internal,
    }
}

/// Returns the public half of an error as a status, with the id of the request that failed. Its cause is neither in it nor
/// logged.
#[must_use]
pub fn public_status(error: &Error, request: Option<&RequestId>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason(), ERROR_DOMAIN, HashMap::new());
    if !error.violations().is_empty() {
        details.set_bad_request(error.violations().iter().map(violation).collect::<Vec<_>>());
    }
    if let Some(wait) = error.retry_delay() {
        details.set_retry_info(Some(wait));
    }
    if let Some(id) = request {
        details.set_request_info(id.as_str(), "");
    }
    Status::with_error_details(code(error.kind()), error.message(), details)
}

fn violation(violation: &Violation) -> FieldViolation {
    let Violation { field, error: FieldError { reason, description } } = violation;
    FieldViolation { reason: reason.name().to_owned(), ..FieldViolation::new(field.as_ref(), description.as_ref()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn status_has_public_half_without_cause() {
        let error = Error::invalid("email", FieldError::REQUIRED)
            .retry_after(Duration::from_secs(7))
            .caused_by(std::io::Error::other("table Users is gone"));
        let status = public_status(&error, Some(&"ticket-7".parse().unwrap()));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_FIELDS", "therapy"));
        let bad = &details.bad_request().unwrap().field_violations[0];
        assert_eq!((&*bad.field, &*bad.description, &*bad.reason), ("email", "is required", "REQUIRED"));
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(7)));
        assert_eq!(details.request_info().unwrap().request_id, "ticket-7");
        assert!(!format!("{status:?}").contains("Users"));
    }
}
