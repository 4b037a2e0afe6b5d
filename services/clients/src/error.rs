//! Errors of clients' profiles.

use kernel::{Error, FieldError, FieldReason, Kind};

/// Error of a page token that no page of the list has issued.
pub(crate) const INVALID_PAGE_TOKEN: FieldError =
    FieldError::new(FieldReason::Malformed, "is not a token of this list; leave it out to start from the first page");

/// Returns the error for a client that doesn't exist, and alike for one that the caller may not see.
pub(crate) fn no_such_client() -> Error {
    Error::not_found("client")
}

/// Returns the error for a page token that mapping rejects.
pub(crate) fn invalid_page_token() -> Error {
    Error::invalid("pageToken", INVALID_PAGE_TOKEN)
}

/// Returns the error for a second profile of one account.
pub(crate) fn profile_exists() -> Error {
    Error::new(Kind::AlreadyExists, "PROFILE_EXISTS", "you have a profile already: change it with PUT")
}

/// Returns the error for a therapist who asks for what only clients have.
pub(crate) fn only_for_clients() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only clients have such a profile")
}

/// Returns the error for a client who looks up an address.
pub(crate) fn only_therapists_look_up() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "email: only therapists may look clients up")
}
