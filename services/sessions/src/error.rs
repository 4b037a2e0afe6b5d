//! Errors of sessions, as people and other services read them.
//!
//! Nobody can tell an invalid id, an unknown session and one of other people apart: all are [`no_session`]. The same
//! holds for clients and [`no_client`].

use std::time::Duration;

use kernel::{Error, Kind};

/// NOT_FOUND for a session that does not exist, or that the caller may not see.
pub(crate) fn no_session() -> Error {
    Error::not_found("session")
}

/// NOT_FOUND for a client who does not exist, or whom the therapist may not book.
pub(crate) fn no_client() -> Error {
    Error::not_found("client")
}

pub(crate) fn only_clients() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only clients ask for sessions")
}

pub(crate) fn only_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only therapists do this, with their own sessions")
}

pub(crate) fn session_overlaps() -> Error {
    Error::new(Kind::AlreadyExists, "SESSION_OVERLAPS", "another session of yours is at that time; choose another time")
}

/// FAILED_PRECONDITION for a new start of a booked session.
pub(crate) fn session_booked(field: &'static str) -> Error {
    let message =
        format!("{field}: the start of a session that is BOOKED can't be changed; cancel it, and add another one");
    Error::new(Kind::FailedPrecondition, "SESSION_BOOKED", message)
}

pub(crate) fn booked_by_accepting() -> Error {
    let message = "status: a session becomes BOOKED by accepting an appointment, or by being added for a client";
    Error::new(Kind::FailedPrecondition, "BOOKED_BY_ACCEPTING", message)
}

pub(crate) fn session_over() -> Error {
    let message = "status: a session that has begun can't be made AVAILABLE; give it a later start, or add another one";
    Error::new(Kind::FailedPrecondition, "SESSION_OVER", message)
}

/// ABORTED for a person's change of a session under contention.
pub(crate) fn conflict() -> Error {
    let message = "others keep changing the same session, or others of the same day; try again";
    Error::new(Kind::Aborted, "CONFLICT", message).retry_after(Duration::from_secs(1))
}

/// UNAVAILABLE for a calling service when a session is under contention.
pub(crate) fn contended() -> Error {
    Error::unavailable("a session keeps changing")
}
