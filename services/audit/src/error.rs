//! Errors of the access log.

use kernel::{Error, Kind};

/// Returns the error for another account's log, the same whether the account exists or not.
pub(crate) fn not_your_account() -> Error {
    Error::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", "clientId: you may do this with your own account only")
}

/// Returns the error for the record of a client's access.
pub(crate) fn only_for_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only what therapists read is recorded")
}
