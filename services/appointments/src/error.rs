//! Errors of appointments, as people read them.
//!
//! Nobody can tell an invalid id, an unknown appointment and one of other people apart: all are [`no_appointment`].

use kernel::{Error, FieldError, FieldReason, Kind};

use crate::transition::Refusal;

/// NOT_FOUND for an appointment that does not exist, or that the caller may not see.
pub(crate) fn no_appointment() -> Error {
    Error::not_found("appointment")
}

/// NOT_FOUND for a session that does not exist, or that the client may not see.
pub(crate) fn no_session() -> Error {
    Error::not_found("session")
}

pub(crate) fn only_clients() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only clients ask for appointments")
}

pub(crate) fn request_pending() -> Error {
    let message = "you have asked for this session already: wait for the therapist's answer";
    Error::new(Kind::AlreadyExists, "REQUEST_PENDING", message)
}

pub(crate) fn too_many_requests_pending() -> Error {
    let message = "five of your requests wait for this therapist's answer: wait, or take one back";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_REQUESTS_PENDING", message)
}

/// ALREADY_EXISTS for a client who requests a booked session.
pub(crate) fn session_booked() -> Error {
    Error::new(Kind::AlreadyExists, "SLOT_TAKEN", "the session is booked: choose another one")
}

/// FAILED_PRECONDITION for a client who requests a session that has begun.
pub(crate) fn session_over() -> Error {
    Error::new(Kind::FailedPrecondition, "SESSION_OVER", "the session has begun: choose another one")
}

pub(crate) fn not_a_time_of_session() -> Error {
    Error::invalid("appointmentDate", FieldError::new(FieldReason::Mismatch, "must be a time of the session"))
}

pub(crate) fn ambiguous_session() -> Error {
    Error::invalid(
        "sessionId",
        FieldError::new(FieldReason::Required, "is required: more than one session is meant by the time"),
    )
}

pub(crate) fn session_moved() -> Error {
    let message = "the session starts at another time now: the client has to ask for it again";
    Error::new(Kind::FailedPrecondition, "SESSION_MOVED", message)
}

/// ALREADY_EXISTS for a therapist who accepts a request for a session that another client has.
pub(crate) fn slot_taken() -> Error {
    let message = "another client has the session: this request is REJECTED";
    Error::new(Kind::AlreadyExists, "SLOT_TAKEN", message)
}

pub(crate) fn session_gone() -> Error {
    let message = "the session does not take place: this request is REJECTED";
    Error::new(Kind::FailedPrecondition, "SESSION_GONE", message)
}

pub(crate) fn contended() -> Error {
    let message = "somebody else is changing the same appointment right now; repeat the request";
    Error::new(Kind::Aborted, "CONFLICT", message)
}

impl Refusal {
    pub(crate) fn into_error(self) -> Error {
        let precondition = Kind::FailedPrecondition;
        let (kind, reason, message) = match self {
            Self::NotTheirs => (Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "the other side alone may do this"),
            Self::NotPending => (
                precondition,
                "NOT_PENDING",
                "the request does not wait for an answer any more: read the appointment to see where it stands",
            ),
            Self::NotAccepted => (precondition, "NOT_ACCEPTED", "only an appointment that is ACCEPTED can be revoked"),
            Self::Begun => {
                (precondition, "SESSION_OVER", "the session has begun: only its therapist can still cancel it")
            }
            Self::Expired => (
                precondition,
                "APPOINTMENT_EXPIRED",
                "the session began before the request was answered: agree on another one",
            ),
        };
        Error::new(kind, reason, message)
    }
}
