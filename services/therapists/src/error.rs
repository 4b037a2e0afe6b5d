//! Errors of therapists' profiles.

use kernel::{Error, Kind};

/// Returns the error for a therapist that doesn't exist.
pub(crate) fn no_such_therapist() -> Error {
    Error::not_found("therapist")
}

/// Returns the error for a second profile of one account.
pub(crate) fn profile_exists() -> Error {
    Error::new(Kind::AlreadyExists, "PROFILE_EXISTS", "you have a profile already: change it with PUT")
}

/// Returns the error for a client who asks for what only therapists have.
pub(crate) fn only_for_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only therapists have such a profile")
}
