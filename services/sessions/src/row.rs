//! A session as it is written in the table.

use dynamo::seal::Sealed;
use kernel::{AppointmentId, ClientId, Error, Result, SessionId, TherapistId, Version};
use outbox::Mark;
use serde::{Deserialize, Serialize};

use crate::model::{Booking, Session, State, Status};
use crate::slot::{Slot, Told};
use crate::store::{position, therapist_status};
use crate::stored::{Sealings, Stored};
use crate::transition::Happened;

/// The attribute that says what happened, while that is pending.
pub(crate) const HAPPENED: &str = "happened";
/// The attribute that every change counts up.
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
    told: Told,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_notes: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared_notes: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    happened: Option<Happened>,
    version: Version,
    /// The order of the indexes.
    starts: String,
    /// The partition of the index by status.
    therapist_status: String,
}

/// A row and the mark of its event.
#[derive(Serialize)]
pub(crate) struct Marked {
    #[serde(flatten)]
    row: Row,
    #[serde(flatten)]
    mark: Option<Mark>,
}

impl Row {
    /// What is written of a session.
    pub(crate) fn written(stored: &Stored) -> Marked {
        let Session { id, therapist, slot, state, version } = *stored.session();
        let Sealings { private, shared } = stored.sealings().clone();
        let (mark, happened) = stored.pending().unzip();
        let row = Self {
            session_id: id,
            therapist_id: therapist,
            client_id: state.client(),
            appointment_id: state.appointment(),
            told: slot.told(),
            status: state.status(),
            private_notes: private,
            shared_notes: shared,
            happened,
            version,
            starts: position(slot.start(), id),
            therapist_status: therapist_status(therapist, state.status()),
        };
        Marked { row, mark }
    }

    /// The parts of a session.
    pub(crate) fn parts(self) -> Result<(Session, Sealings, Option<Happened>)> {
        let Self {
            session_id,
            therapist_id,
            client_id,
            appointment_id,
            told,
            status,
            private_notes,
            shared_notes,
            happened,
            version,
            starts: _,
            therapist_status: _,
        } = self;
        let slot = Slot::new(told).map_err(|_| Error::internal("a stored session has no time"))?;
        let state = match status {
            Status::Available => State::Available,
            Status::Booked => {
                let booking = client_id.zip(appointment_id);
                State::Booked(booking.map(|(client, appointment)| Booking { client, appointment }))
            }
            Status::Cancelled => State::Cancelled(client_id),
        };
        let session = Session { id: session_id, therapist: therapist_id, slot, state, version };
        Ok((session, Sealings { private: private_notes, shared: shared_notes }, happened))
    }
}
