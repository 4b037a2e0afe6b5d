//! Domain types that requests are parsed into.

use kernel::{Email, LoginId, Role, UserId};

use crate::password::Password;

/// An account to create.
pub(crate) struct Registration {
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) role: Role,
}

/// Logins of a `ListEndedLogins` request.
pub(crate) struct EndedLoginsQuery {
    pub(crate) logins: Vec<(UserId, LoginId)>,
    /// Ids of logins that can't exist: the login's id or the user's is invalid.
    pub(crate) invalid: Vec<String>,
}

/// Content of a refresh token: its login, and its generation within that login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(crate) user: UserId,
    pub(crate) login: LoginId,
    pub(crate) generation: u64,
}
