//! Defines the appointment and its rules in time, and the requests, queries and events that the use cases take.

use kernel::{AppointmentId, ClientId, OffsetDateTime, PageSize, Party, SessionId, TherapistId, Timestamp, Version};
use outbox::Mark;
use proto::events::v1::event::Kind;
use proto::events::v1::{self as events, AppointmentRevoked};

use crate::transition::{self, Action, Actor, Refusal, Status, Step, StoredStatus};

/// Start of a session in whole seconds, so that its text sorts as the instants do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Start(Timestamp);

impl Start {
    /// Truncates an instant to its second.
    pub(crate) fn of(instant: Timestamp) -> Self {
        Self(Timestamp::from_second(instant.as_second()).unwrap_or(instant))
    }

    pub(crate) const fn instant(self) -> Timestamp {
        self.0
    }
}

/// Client who asks, and therapist who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) client: ClientId,
    pub(crate) therapist: TherapistId,
}

impl Pair {
    /// Returns whether a person is one of the two.
    pub(crate) fn has(self, party: Party) -> bool {
        match party {
            Party::Client(id) => id == self.client,
            Party::Therapist(id) => id == self.therapist,
        }
    }
}

/// One appointment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Appointment {
    pub(crate) id: AppointmentId,
    pub(crate) pair: Pair,
    pub(crate) session: SessionId,
    /// Start of the session, with the offset in which the client wrote it.
    pub(crate) date: OffsetDateTime,
    pub(crate) starts: Start,
    pub(crate) stored_status: StoredStatus,
    pub(crate) created_at: Timestamp,
    /// Version of the relation in which the client asked; 0 where nobody asked.
    pub(crate) relation: u32,
    pub(crate) version: Version,
    /// Outbox mark while the event of the revocation is not delivered.
    pub(crate) mark: Option<Mark>,
}

impl Appointment {
    /// Returns the status: a request without an answer is EXPIRED once its session begins.
    pub(crate) fn status_at(&self, now: Timestamp) -> Status {
        let is_expired = self.stored_status == StoredStatus::Pending && self.has_begun(now);
        if is_expired { Status::Expired } else { self.stored_status.into() }
    }

    /// Returns the etag. It changes with the status, also when a request expires, which changes nothing that is stored.
    pub(crate) fn etag_at(&self, now: Timestamp) -> String {
        let expired = if self.status_at(now) == Status::Expired { "-EXPIRED" } else { "" };
        format!("{}{expired}", self.version)
    }

    pub(crate) fn has_begun(&self, now: Timestamp) -> bool {
        self.starts.instant() <= now
    }

    /// Returns the result of an action now. An appointment whose session has begun isn't revoked: the session keeps its
    /// client.
    pub(crate) fn step(&self, actor: Actor, action: Action, now: Timestamp) -> Step {
        let step = transition::step(actor, action, self.status_at(now));
        let is_late = action == Action::Revoke && self.has_begun(now);
        if is_late && matches!(step, Step::To(_)) { Step::Refused(Refusal::Begun) } else { step }
    }

    /// Returns whether it is PENDING or ACCEPTED. Any other appointment gives its therapist no permission.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.stored_status, StoredStatus::Pending | StoredStatus::Accepted)
    }

    /// Returns the appointment after a step; `mark` is for the event that sessions receives.
    pub(crate) fn after(&self, stored_status: StoredStatus, mark: Option<Mark>) -> Self {
        Self { stored_status, mark, version: self.version.next(), ..self.clone() }
    }

    /// Returns the booking of its session for it.
    pub(crate) const fn booked(&self) -> Booked {
        let Self { id, pair, session, date, starts, .. } = *self;
        Booked { session, appointment: id, pair, starts, date, unasked: false }
    }

    /// Returns the event to deliver, if one is pending.
    pub(crate) fn event(&self) -> Option<events::Event> {
        let revoked = AppointmentRevoked { appointment_id: self.id.to_string(), session_id: self.session.to_string() };
        self.mark.map(|mark| mark.event(Kind::AppointmentRevoked(revoked)))
    }
}

/// Request of a client for an appointment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) therapist: TherapistId,
    pub(crate) date: OffsetDateTime,
    pub(crate) session: Option<SessionId>,
}

/// Requested page and filters of a list.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Filter by the other member of the pair.
    pub(crate) peer: Option<Party>,
    pub(crate) status: Option<Status>,
    pub(crate) size: PageSize,
    /// Page token; empty for the first page.
    pub(crate) token: String,
}

impl Wanted {
    /// Returns whether the filters admit an appointment.
    pub(crate) fn admits(&self, appointment: &Appointment, now: Timestamp) -> bool {
        let is_peer = self.peer.is_none_or(|peer| appointment.pair.has(peer));
        is_peer && self.status.is_none_or(|status| status == appointment.status_at(now))
    }
}

/// Query for a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotQuery {
    pub(crate) therapist: TherapistId,
    /// If `None`, the therapist's session at the time.
    pub(crate) session: Option<SessionId>,
    /// If `None`, the session at any time.
    pub(crate) time: Option<Timestamp>,
}

/// Result of a query for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotLookup {
    Available(SessionId, Start),
    None,
    Taken,
    Past,
    OtherTime,
    Ambiguous,
}

/// Outcome of reserving a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserved {
    Booked,
    Taken,
    Gone,
    Moved,
    ClientEnded,
}

/// Booking of a session for an appointment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Booked {
    pub(crate) session: SessionId,
    pub(crate) appointment: AppointmentId,
    pub(crate) pair: Pair,
    pub(crate) starts: Start,
    pub(crate) date: OffsetDateTime,
    /// True if the client did not ask: then the appointment is created.
    pub(crate) unasked: bool,
}

/// Withdrawal of a session by its therapist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withdrawn {
    pub(crate) session: SessionId,
    /// Appointment that the session was booked for.
    pub(crate) appointment: Option<AppointmentId>,
    /// True if the session can still be requested.
    pub(crate) available: bool,
}

/// End of a relation, by its client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelationEnded {
    pub(crate) pair: Pair,
    /// Version of the relation after the ending.
    pub(crate) version: u32,
}
