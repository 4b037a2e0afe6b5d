//! Errors of mapping, as people read them.
//!
//! Nobody can tell an invalid id, an unknown person or relation, and one that the client has closed apart: all are
//! [`no_client`], [`no_therapist`] or [`no_relation`].

use std::time::Duration;

use kernel::{Error, Kind};

use crate::transition::{Asked, Refusal};

/// NOT_FOUND for a relation that does not exist, or that the therapist may not ask about.
pub(crate) fn no_relation() -> Error {
    Error::not_found("relation")
}

/// NOT_FOUND for a client who does not exist, or whom the therapist may not ask.
pub(crate) fn no_client() -> Error {
    Error::not_found("client")
}

pub(crate) fn no_therapist() -> Error {
    Error::not_found("therapist")
}

pub(crate) fn only_clients() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only clients may do this")
}

pub(crate) fn only_therapists() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only therapists may do this")
}

pub(crate) fn contended() -> Error {
    let message = "somebody else is changing the same relation right now; repeat the request";
    Error::new(Kind::Aborted, "CONFLICT", message)
}

/// ABORTED for invitations of one therapist under contention.
pub(crate) fn invitations_contended() -> Error {
    Error::new(Kind::Aborted, "CONFLICT", "you are sending many invitations at once; repeat the request")
}

/// RESOURCE_EXHAUSTED with the time until another invitation is free.
pub(crate) fn too_many_invitations(wait: Duration) -> Error {
    let message = "you have sent 30 invitations in an hour: try again later";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_INVITATIONS", message).retry_after(wait)
}

impl Refusal {
    pub(crate) fn into_error(self) -> Error {
        let (kind, reason, message) = match self {
            Self::NotTheirs => (Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "the other side alone may do this"),
            Self::MappingExists => (Kind::AlreadyExists, "MAPPING_EXISTS", "the two are mapped already"),
            Self::RequestPending => {
                (Kind::AlreadyExists, "REQUEST_PENDING", "you have asked already: wait for the client's answer")
            }
            Self::JournalAccessExists => {
                (Kind::AlreadyExists, "JOURNAL_ACCESS_EXISTS", "you have access to this journal already")
            }
            Self::NoPendingRequest => (
                Kind::FailedPrecondition,
                "NO_PENDING_REQUEST",
                "there is no request to answer: it was answered, was taken back or has expired",
            ),
            Self::NotMapped => {
                (Kind::FailedPrecondition, "NOT_MAPPED", "the two are not mapped: the mapping comes first")
            }
            Self::NotAgreed => (Kind::FailedPrecondition, "NOT_AGREED", "the client has not agreed to be related"),
            Self::NoJournalAccess => {
                (Kind::FailedPrecondition, "NO_JOURNAL_ACCESS", "this therapist has no access to the journal")
            }
            Self::Closed(Asked::Mapping) => return no_client(),
            Self::Closed(Asked::JournalAccess) => return no_relation(),
            Self::RejectedLately { from, wait } => {
                let message = format!("the client has rejected this: ask again from {from} on");
                return Error::new(Kind::FailedPrecondition, "ASK_AGAIN_LATER", message).retry_after(wait);
            }
            Self::RejectedTooOften => (
                Kind::FailedPrecondition,
                "REJECTED_TOO_OFTEN",
                "the client has rejected this three times: it is for the client to map you, to write or to ask for a session",
            ),
        };
        Error::new(kind, reason, message)
    }
}
