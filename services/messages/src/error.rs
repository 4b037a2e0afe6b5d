//! Errors of conversations.

use std::time::Duration;

use kernel::{Error, FieldError, FieldReason, Kind};

/// Returns the error for a receiver that doesn't exist, and alike for one to whom the caller may not write.
pub(crate) fn no_receiver() -> Error {
    Error::not_found("receiver")
}

/// Returns the error for a message that is not in the caller's conversation, whether it exists or not.
pub(crate) fn no_message() -> Error {
    Error::not_found("message")
}

/// Returns the error for a conversation that ended with its client's account.
pub(crate) fn no_conversation() -> Error {
    Error::not_found("conversation")
}

/// Returns the error for a message to resume after that is not in the conversation.
pub(crate) fn no_such_after() -> Error {
    Error::invalid(
        "after",
        FieldError::new(
            FieldReason::UnknownValue,
            "is no message of this conversation; leave it out to get those from now on",
        ),
    )
}

/// Returns the error for a watcher whose login has ended.
pub(crate) fn login_ended() -> Error {
    unauthenticated("LOGIN_ENDED", "this login has ended: log in again")
}

/// Returns the error for a watcher whose access token has expired.
pub(crate) fn token_expired() -> Error {
    unauthenticated("TOKEN_EXPIRED", "the access token has expired: use the refresh token to get a new one")
}

fn unauthenticated(reason: &'static str, message: &'static str) -> Error {
    Error::new(Kind::Unauthenticated, reason, message)
}

/// Returns the error for a conversation of others, the same whether they exist or not.
pub(crate) fn not_a_member() -> Error {
    not_yours("senderId, receiverId: one of the two must be your own id")
}

/// Returns the error for a sender other than the caller.
pub(crate) fn not_the_sender() -> Error {
    not_yours("senderId: you may send from your own account only")
}

fn not_yours(message: &'static str) -> Error {
    Error::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", message)
}

/// Returns the error for a full queue of messages.
pub(crate) fn too_many_messages() -> Error {
    let message = "too many messages of this conversation wait to be stored; try again";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_MESSAGES", message).retry_after(Duration::from_secs(1))
}

/// Returns the error for an account or a process that watches too many conversations.
pub(crate) fn too_many_watchers() -> Error {
    let message = "too many conversations are watched at once: stop watching one, or try again later";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_WATCHERS", message).retry_after(Duration::from_secs(5))
}
