//! What an appointment is.

use kernel::{AppointmentId, ClientId, OffsetDateTime, SessionId, TherapistId, Timestamp, Version};
use outbox::Mark;
use proto::events::v1::event::Kind;
use proto::events::v1::{AppointmentRevoked, Event};

use crate::transition::{self, Action, Actor, Refusal, Standing, Status, Step};

/// When a session starts, to the second: text of it sorts as the instants do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Start(Timestamp);

impl Start {
    /// The second in which an instant lies.
    pub(crate) fn of(instant: Timestamp) -> Self {
        Self(Timestamp::from_second(instant.as_second()).unwrap_or(instant))
    }

    pub(crate) const fn instant(self) -> Timestamp {
        self.0
    }
}

/// Who asks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) client: ClientId,
    pub(crate) therapist: TherapistId,
}

/// One appointment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Appointment {
    pub(crate) id: AppointmentId,
    pub(crate) pair: Pair,
    pub(crate) session: SessionId,
    /// When, as the client asked.
    pub(crate) date: OffsetDateTime,
    pub(crate) starts: Start,
    pub(crate) standing: Standing,
    pub(crate) created_at: Timestamp,
    /// Version of the relation in which the client asked; 0 where nobody asked.
    pub(crate) relation: u32,
    pub(crate) version: Version,
    /// While sessions is still to hear that it is revoked.
    pub(crate) mark: Option<Mark>,
}

impl Appointment {
    /// Where it stands: a request that nobody has answered when the session begins is EXPIRED.
    pub(crate) fn status_at(&self, now: Timestamp) -> Status {
        if self.standing == Standing::Pending && self.has_begun(now) { Status::Expired } else { self.standing.into() }
    }

    pub(crate) fn has_begun(&self, now: Timestamp) -> bool {
        self.starts.instant() <= now
    }

    /// What becomes of it when somebody does this now. What has taken place isn't revoked: its session keeps its client.
    pub(crate) fn step(&self, actor: Actor, action: Action, now: Timestamp) -> Step {
        let step = transition::step(actor, action, self.status_at(now));
        let is_late = action == Action::Revoke && self.has_begun(now);
        if is_late && matches!(step, Step::To(_)) { Step::Refused(Refusal::Begun) } else { step }
    }

    /// Whether it is a request or holds: what is neither gives its therapist no right.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Pending | Standing::Accepted)
    }

    /// The same appointment, after a step that `mark` tells sessions of.
    pub(crate) fn after(&self, standing: Standing, mark: Option<Mark>) -> Self {
        Self { standing, mark, version: self.version.next(), ..self.clone() }
    }

    /// The event that is pending.
    pub(crate) fn event(&self) -> Option<Event> {
        let revoked = AppointmentRevoked { appointment_id: self.id.to_string(), session_id: self.session.to_string() };
        self.mark.map(|mark| mark.event(Kind::AppointmentRevoked(revoked)))
    }
}
