//! The types of sessions: none can hold a value that the contract forbids, and none prints notes.

use kernel::{AppointmentId, ClientId, FreeText, SessionId, TherapistId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::slot::{HourMinute, Slot};

/// Where a session stands, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// Any client may ask for it, until it begins.
    Available,
    /// It is for one client.
    Booked,
    /// It does not take place.
    Cancelled,
}

/// For whom a session is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Booking {
    pub(crate) client: ClientId,
    pub(crate) appointment: AppointmentId,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Available,
    /// Booked for nobody is what had begun when its client's account ended.
    Booked(Option<Booking>),
    /// With the client whom it was booked for, if it was.
    Cancelled(Option<ClientId>),
}

/// A session, without its notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) therapist: TherapistId,
    pub(crate) slot: Slot,
    pub(crate) state: State,
    pub(crate) version: Version,
}

/// A session as its therapist sees it. The store makes it for an [`Own`](crate::policy::Own) alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnSession {
    pub(crate) session: Session,
    pub(crate) shared_notes: FreeText,
    pub(crate) private_notes: FreeText,
}

/// A session as a client sees it. What is private to the therapist has no place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientSession {
    pub(crate) session: Session,
    /// Empty, unless the session is the client's.
    pub(crate) shared_notes: FreeText,
}

/// A new session, as a therapist tells it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) slot: Slot,
    /// The client whom it is for at once.
    pub(crate) client: Option<ClientId>,
    pub(crate) shared_notes: FreeText,
    pub(crate) private_notes: FreeText,
}

/// What is to change of a session; what is not there stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) date: Option<kernel::OffsetDateTime>,
    pub(crate) start: Option<HourMinute>,
    pub(crate) end: Option<HourMinute>,
    pub(crate) status: Option<Status>,
    /// Whose the session is taken to be: nothing that can be changed.
    pub(crate) client: Option<String>,
    pub(crate) notes: NotesChange,
    /// The version that the change is meant for.
    pub(crate) expected: Option<Version>,
}

/// What is to change of the notes; what is not there stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct NotesChange {
    pub(crate) shared: Option<FreeText>,
    pub(crate) private: Option<FreeText>,
}

impl State {
    pub(crate) const fn status(self) -> Status {
        match self {
            Self::Available => Status::Available,
            Self::Booked(_) => Status::Booked,
            Self::Cancelled(_) => Status::Cancelled,
        }
    }

    /// The client whose session it is or was.
    pub(crate) const fn client(self) -> Option<ClientId> {
        match self {
            Self::Available | Self::Booked(None) | Self::Cancelled(None) => None,
            Self::Booked(Some(Booking { client, .. })) | Self::Cancelled(Some(client)) => Some(client),
        }
    }

    /// The appointment that it is booked for.
    pub(crate) const fn appointment(self) -> Option<AppointmentId> {
        match self {
            Self::Booked(Some(Booking { appointment, .. })) => Some(appointment),
            Self::Available | Self::Booked(None) | Self::Cancelled(_) => None,
        }
    }

    /// Whether it takes time of its therapist.
    pub(crate) const fn takes_time(self) -> bool {
        !matches!(self, Self::Cancelled(_))
    }
}

impl Session {
    pub(crate) fn has_begun(&self, now: Timestamp) -> bool {
        self.slot.has_begun(now)
    }
}
