//! Errors of accounts and logins.

use std::time::Duration;

use kernel::{Error, Kind};

/// Returns the error for a wrong password, and alike for an address without an account.
pub(crate) fn bad_credentials() -> Error {
    Error::new(Kind::Unauthenticated, "BAD_CREDENTIALS", "the e-mail address or the password is wrong")
}

/// Returns the error for the registration of an address that has an account.
pub(crate) fn email_taken() -> Error {
    let message = "email: this address has an account; log in, or use another one";
    Error::new(Kind::AlreadyExists, "EMAIL_TAKEN", message)
}

/// Returns the error for a caller whose access token has outlived the login.
pub(crate) fn login_ended() -> Error {
    Error::new(Kind::Unauthenticated, "LOGIN_ENDED", "this login is over; log in again")
}

/// Returns the error for a refresh token that is forged or used, and alike for one whose login is over.
pub(crate) fn refresh_token_invalid() -> Error {
    Error::new(Kind::Unauthenticated, "REFRESH_TOKEN_INVALID", "refreshToken: is not good any more; log in again")
}

/// Returns the error for a password change without the current password.
pub(crate) fn wrong_password() -> Error {
    let message = "currentPassword: is not the password of the account";
    Error::new(Kind::PermissionDenied, "WRONG_PASSWORD", message)
}

/// Returns the error for a password change that met another change of the account.
pub(crate) fn account_conflict() -> Error {
    Error::new(Kind::Aborted, "CONFLICT", "the account was changed at the same time; log in and try again")
}

/// Returns the error for a password that is not verified because of too many failures.
pub(crate) fn too_many_failures(wait: Duration) -> Error {
    let message = "too many failed logins; wait before the next try";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_FAILURES", message).retry_after(wait)
}

/// Returns the error for a source that has exhausted a budget.
pub(crate) fn too_many_registrations(wait: Duration) -> Error {
    let message = "too many registrations from your network; wait before the next one";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_REGISTRATIONS", message).retry_after(wait)
}

/// Returns the error for a full queue of hashing jobs.
pub(crate) fn logins_busy() -> Error {
    Error::new(Kind::ResourceExhausted, "LOGINS_BUSY", "too many logins at once; try again")
        .retry_after(Duration::from_secs(1))
}
