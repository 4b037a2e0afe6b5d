//! Item format of a session in the table.

use dynamo::Item;
use dynamo::seal::Sealed;
use kernel::{AppointmentId, ClientId, Error, Result, SessionId, TherapistId, Version};
use outbox::Mark;
use serde::{Deserialize, Serialize};

use crate::key::{position, therapist_status};
use crate::model::{Booking, Session, State, Status};
use crate::policy::{ClientPermit, Own};
use crate::slot::{Slot, SlotSpec};
use crate::stored::{SealedNotes, Seen, Stored};
use crate::transition::PendingEvent;

/// Attribute of the pending event.
pub(crate) const PENDING_EVENT: &str = "happened";
/// Attribute that every change increments.
pub(crate) const VERSION: &str = "version";

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    session_id: SessionId,
    therapist_id: TherapistId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    appointment_id: Option<AppointmentId>,
    #[serde(flatten)]
    spec: SlotSpec,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_notes: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared_notes: Option<Sealed>,
    #[serde(rename = "happened", default, skip_serializing_if = "Option::is_none")]
    event: Option<PendingEvent>,
    version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_version: Option<Version>,
    /// Sort key of the indexes.
    starts: String,
    /// Partition of the index by status.
    therapist_status: String,
}

/// Row and the mark of its event.
#[derive(Serialize)]
pub(crate) struct Marked {
    #[serde(flatten)]
    row: Row,
    #[serde(flatten)]
    mark: Option<Mark>,
}

impl Row {
    /// Converts a session to its item.
    pub(crate) fn written(stored: &Stored) -> Marked {
        let Session { id, therapist, slot, state, version } = *stored.session();
        let SealedNotes { private, shared } = stored.sealed_notes().clone();
        let (mark, event) = stored.pending().unzip();
        let row = Self {
            session_id: id,
            therapist_id: therapist,
            client_id: state.client(),
            appointment_id: state.appointment(),
            spec: slot.spec(),
            status: state.status(),
            private_notes: private,
            shared_notes: shared,
            event,
            version,
            deleted_version: stored.deleted_version(),
            starts: position(slot.start(), id),
            therapist_status: therapist_status(therapist, state.status()),
        };
        Marked { row, mark }
    }

    /// Converts an item to the parts of a session.
    fn parts(self) -> Result<(Session, SealedNotes, Option<PendingEvent>)> {
        let Self {
            session_id,
            therapist_id,
            client_id,
            appointment_id,
            spec,
            status,
            private_notes,
            shared_notes,
            event,
            version,
            deleted_version: _,
            starts: _,
            therapist_status: _,
        } = self;
        let slot = Slot::new(spec).map_err(|_| Error::internal("a stored session has no time"))?;
        let state = match status {
            Status::Available => State::Available,
            Status::Booked => {
                let booking = client_id.zip(appointment_id);
                State::Booked(booking.map(|(client, appointment)| Booking { client, appointment }))
            }
            Status::Cancelled => State::Cancelled(client_id),
        };
        let session = Session { id: session_id, therapist: therapist_id, slot, state, version };
        Ok((session, SealedNotes { private: private_notes, shared: shared_notes }, event))
    }
}

/// Returns the id of a session that an index shows.
pub(crate) fn id_of(item: &Item) -> Result<SessionId> {
    let id = item.text("session_id").and_then(|id| id.parse().ok());
    id.ok_or_else(|| Error::internal("an index shows a session without its id"))
}

impl Stored {
    /// Parses an item of the table.
    pub(crate) fn of(item: Item) -> Result<Self> {
        let mark = Mark::of(&item)?;
        let row: Row = item.parse()?;
        let deleted_version = row.deleted_version;
        let (session, sealed_notes, event) = row.parts()?;
        Ok(Self::new(session, sealed_notes, mark.zip(event)).with_deleted_version(deleted_version))
    }

    /// Parses an item, if it is a session of the calling therapist.
    pub(crate) fn owned(permit: Own, item: Item) -> Result<Option<Self>> {
        Ok(Some(Self::of(item)?).filter(|stored| permit.owns(stored.session())))
    }
}

impl Seen {
    /// Parses an item, if it is a session that the client may see.
    pub(crate) fn of(permit: ClientPermit, item: Item) -> Result<Option<Self>> {
        Ok(Stored::of(item)?.seen(permit))
    }
}
