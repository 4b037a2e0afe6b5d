//! Errors of the access log.

use kernel::{Error, Kind};

/// Returns the error for the record of a client's access.
pub(crate) fn only_for_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only what therapists read is recorded")
}
