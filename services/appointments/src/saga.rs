//! Keeps appointments and the slots of sessions consistent (saga).
//!
//! The source of truth on each side is one item. A slot is booked there before an appointment is ACCEPTED here, and the
//! event of that is delivered at least once, in any order with others. An appointment only goes forward: a late booking
//! finds it ended, and the slot is released.

use std::time::Duration;

use chassis::Context;
use dynamo::Item;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{AppointmentId, Expected, Kind, Result, SessionId, Version};
use outbox::Events;
use proto::events::v1::Event;
use tokio::time::Instant;

use crate::model::{Appointment, Booked, Withdrawn};
use crate::ops::{Ops, StepOutcome};
use crate::policy::{self, SessionPermit};
use crate::store::{Added, key};
use crate::transition::{Action, StoredStatus};

/// Maximum requests rejected concurrently.
const MAX_CONCURRENT: usize = 8;
/// Timeout of delivering a stored event to sessions while the caller waits. After it, recovery delivers the event.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Source of the pending events of the table.
pub(crate) struct Revocations;

impl Events for Revocations {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Ok(Appointment::try_from(item)?.event())
    }
}

impl Ops {
    /// Accepts the appointment that a session is booked for and rejects the other requests, or releases the slot.
    /// Idempotent.
    pub(crate) async fn apply_booking(&self, context: &Context, booked: &Booked) -> Result<()> {
        let Booked { session, appointment, unasked, .. } = *booked;
        let permit = policy::session(session);
        if unasked && !self.create_unasked(permit, booked).await? {
            return self.release_slot(context, session, appointment).await;
        }
        match self.step(permit.permit(), appointment, Action::Booked, &Expected::Anything).await? {
            StepOutcome::Done(_) => self.reject_waiting(permit).await,
            StepOutcome::Refused(_) | StepOutcome::Absent | StepOutcome::Removed => {
                self.release_slot(context, session, appointment).await
            }
        }
    }

    /// Creates the appointment of a booking that the client did not ask for, unless it was created before. Returns
    /// whether it exists: a deleted account gets no new appointment.
    async fn create_unasked(&self, permit: SessionPermit, booked: &Booked) -> Result<bool> {
        let new = Appointment {
            id: booked.appointment,
            pair: booked.pair,
            session: booked.session,
            date: booked.date,
            starts: booked.starts,
            stored_status: StoredStatus::Accepted,
            created_at: self.now(),
            relation: 0,
            version: Version::FIRST,
            mark: None,
        };
        Ok(match self.store.add(permit.permit(), &new, None).await? {
            Added::Done | Added::Exists | Added::Replayed => true,
            Added::Ended(_) | Added::Withdrawn => false,
        })
    }

    /// Ends the appointment of a withdrawn session, and rejects the pending requests if the session can't be requested
    /// any more. Idempotent.
    pub(crate) async fn withdraw(&self, withdrawn: Withdrawn) -> Result<()> {
        let Withdrawn { session, appointment, available } = withdrawn;
        let permit = policy::session(session);
        if let Some(appointment) = appointment {
            self.step(permit.permit(), appointment, Action::Withdrawn, &Expected::Anything).await?;
        }
        if available { Ok(()) } else { self.reject_waiting(permit).await }
    }

    /// Rejects the pending requests for a session. A request that the index doesn't show yet is rejected by its
    /// creation, which rechecks the slot; with a longer lag it stays pending, and accepting it fails with `SLOT_TAKEN`.
    /// An unreadable request doesn't stop the rejection of the others.
    async fn reject_waiting(&self, permit: SessionPermit) -> Result<()> {
        let mut after = None;
        loop {
            let (asking, next) = self.store.asking(permit, after).await?;
            let rejected = asking.into_iter().map(|id| self.reject(permit, id));
            let rejected = stream::iter(rejected).buffer_unordered(MAX_CONCURRENT);
            rejected.try_for_each(|()| std::future::ready(Ok(()))).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn reject(&self, permit: SessionPermit, id: AppointmentId) -> Result<()> {
        match self.step(permit.permit(), id, Action::Lost, &Expected::Anything).await {
            Err(error) if error.kind() == Kind::Internal => {
                tracing::error!(%error, cause = std::error::Error::source(&error), "a request that waits can't be rejected");
                Ok(())
            }
            rejected => rejected.map(drop),
        }
    }

    /// Releases the slot of a session, if this appointment has it.
    pub(crate) async fn release_slot(&self, context: &Context, session: SessionId, id: AppointmentId) -> Result<()> {
        self.sessions.release(context, session.to_string(), id.to_string()).await
    }

    /// Delivers the pending event to sessions within the rest of the deadline. If that fails, recovery delivers it.
    pub(crate) async fn publish(&self, context: &Context, appointment: &Appointment) {
        let Some(event) = appointment.event() else { return };
        let rest = context.deadline.saturating_duration_since(Instant::now());
        let context = context.renewed(TIMEOUT.min(rest / 2));
        // The outbox has logged a failure.
        let _later = self.outbox.deliver(&context, &key(appointment.id), event).await;
    }
}
