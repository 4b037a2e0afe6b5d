//! Errors of search.

use kernel::{Error, Kind};

/// Returns the error for a client who searches the names of clients.
pub(crate) fn only_for_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only therapists search CLIENTS: leave it out of in")
}

/// Returns the error for a search among too many clients.
pub(crate) fn too_many_clients() -> Error {
    let message = "this covers more clients than one search can: name one by clientId";
    Error::new(Kind::FailedPrecondition, "TOO_MANY_CLIENTS", message)
}
