//! Domain types of sessions. They can't hold a value that the contract forbids, and don't print notes.

use kernel::{AppointmentId, ClientId, Expected, FreeText, PageSize, SessionId, TherapistId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::slot::{HourMinute, Slot};

/// Status of a session, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// Open to requests of any client, until it begins.
    Available,
    /// Booked for one client.
    Booked,
    /// It doesn't take place.
    Cancelled,
}

/// Client and appointment that a session is booked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Booking {
    pub(crate) client: ClientId,
    pub(crate) appointment: AppointmentId,
}

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Available,
    /// Without a booking if the client's account ended after the session began.
    Booked(Option<Booking>),
    /// With the client whom it was booked for, if any.
    Cancelled(Option<ClientId>),
}

/// Session without its notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) therapist: TherapistId,
    pub(crate) slot: Slot,
    pub(crate) state: State,
    pub(crate) version: Version,
}

/// A session as its therapist sees it. The store returns it only for an [`Own`](crate::policy::Own).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnSession {
    pub(crate) session: Session,
    pub(crate) shared_notes: FreeText,
    pub(crate) private_notes: FreeText,
}

/// A session as a client sees it. It can't hold private notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientSession {
    pub(crate) session: Session,
    /// Empty, unless the session is the client's.
    pub(crate) shared_notes: FreeText,
}

/// Notes of a session, as they are indexed and searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotesText {
    /// The session.
    pub session: SessionId,
    /// The therapist.
    pub therapist: TherapistId,
    /// The client who may read the shared notes.
    pub client: Option<ClientId>,
    /// The start of the session.
    pub start: Timestamp,
    /// The version of the session: each change makes a higher one.
    pub version: Version,
    /// The private notes; empty where a client asks.
    pub private_notes: FreeText,
    /// The shared notes.
    pub shared_notes: FreeText,
}

/// A new session.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) slot: Slot,
    /// Client to book it for.
    pub(crate) client: Option<ClientId>,
    pub(crate) shared_notes: FreeText,
    pub(crate) private_notes: FreeText,
}

/// Change of a session; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) date: Option<kernel::OffsetDateTime>,
    pub(crate) start: Option<HourMinute>,
    pub(crate) end: Option<HourMinute>,
    pub(crate) status: Option<Status>,
    /// Expected client, which can't be changed.
    pub(crate) client: Option<String>,
    pub(crate) notes: NotesChange,
    /// Expected etags of the session.
    pub(crate) expected: Expected,
}

/// Change of the notes; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub(crate) struct NotesChange {
    pub(crate) shared: Option<FreeText>,
    pub(crate) private: Option<FreeText>,
}

/// Filter and page of a list, without the people whose sessions are listed.
#[derive(Debug)]
pub(crate) struct SessionQuery {
    pub(crate) status: Option<Status>,
    pub(crate) range: Range,
    pub(crate) size: PageSize,
    /// Token of the previous page; empty for the first.
    pub(crate) token: String,
}

/// Range of starts, with the upper bound excluded. Both bounds are whole seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// Parsed list request: the people whose sessions are listed, and the page.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) therapist: Option<TherapistId>,
    pub(crate) client: Option<ClientId>,
    pub(crate) query: SessionQuery,
}

/// Slot that a client asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SlotSelector {
    /// The slot of this session, if the time is in it or is its date.
    Session(SessionId, Option<Timestamp>),
    /// The therapist's slot at this time.
    At(Timestamp),
}

/// Outcome of a lookup of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotLookup {
    Available(SessionId, Timestamp),
    None,
    Taken,
    Past,
    OtherTime,
    Ambiguous,
}

/// Booking of a slot, which the permit names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reservation {
    pub(crate) therapist: TherapistId,
    pub(crate) booking: Booking,
    /// Start of the slot when the client asked for it.
    pub(crate) start: Timestamp,
}

/// Outcome of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserved {
    Booked,
    Taken,
    Gone,
    Moved,
    ClientEnded,
}

impl State {
    pub(crate) const fn status(self) -> Status {
        match self {
            Self::Available => Status::Available,
            Self::Booked(_) => Status::Booked,
            Self::Cancelled(_) => Status::Cancelled,
        }
    }

    /// Returns the client whose session it is or was.
    pub(crate) const fn client(self) -> Option<ClientId> {
        match self {
            Self::Available | Self::Booked(None) | Self::Cancelled(None) => None,
            Self::Booked(Some(Booking { client, .. })) | Self::Cancelled(Some(client)) => Some(client),
        }
    }

    /// Returns the appointment that it is booked for.
    pub(crate) const fn appointment(self) -> Option<AppointmentId> {
        match self {
            Self::Booked(Some(Booking { appointment, .. })) => Some(appointment),
            Self::Available | Self::Booked(None) | Self::Cancelled(_) => None,
        }
    }

    /// Returns whether it takes time of its therapist.
    pub(crate) const fn takes_time(self) -> bool {
        !matches!(self, Self::Cancelled(_))
    }
}

impl NotesText {
    pub(crate) const fn new(session: &Session, private_notes: FreeText, shared_notes: FreeText) -> Self {
        let Session { id, therapist, slot, state, version } = *session;
        let (client, start) = (state.client(), slot.start());
        Self { session: id, therapist, client, start, version, private_notes, shared_notes }
    }
}

impl From<ClientSession> for NotesText {
    fn from(ClientSession { session, shared_notes }: ClientSession) -> Self {
        Self::new(&session, FreeText::default(), shared_notes)
    }
}

impl Session {
    pub(crate) fn has_begun(&self, now: Timestamp) -> bool {
        self.slot.has_begun(now)
    }
}
