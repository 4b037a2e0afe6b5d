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

/// Returns the error for a caller whose access token has outlived the account.
pub(crate) fn account_ended() -> Error {
    Error::new(Kind::Unauthenticated, "ACCOUNT_ENDED", "this account has been ended")
}

/// Returns the error for another account, the same whether it exists or not.
pub(crate) fn not_your_account() -> Error {
    Error::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", "therapistId: you may do this with your own account only")
}

/// Returns the error for a client who asks for what only therapists have.
pub(crate) fn only_for_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only therapists have such a profile")
}
