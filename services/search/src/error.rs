//! Errors of search.

use kernel::{Error, Kind};

/// Returns the error for a client who searches the names of clients.
pub(crate) fn only_for_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only therapists search CLIENTS: leave it out of in")
}

/// Returns the error for a therapist with too many related clients.
pub(crate) fn too_many_clients() -> Error {
    let message = "you have more than 1,000 related clients: name one by clientId";
    Error::new(Kind::FailedPrecondition, "TOO_MANY_CLIENTS", message)
}
