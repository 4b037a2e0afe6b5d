//! What sessions and appointments do to each other.
//!
//! Each side's truth is one item. A slot is booked there before an appointment is ACCEPTED here, and the event of that comes
//! at least once, in any order with others. An appointment only goes forward, so that whatever comes late finds it ended, and
//! gives the slot back.

use std::time::Duration;

use chassis::Context;
use dynamo::Item;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{AppointmentId, Kind, OffsetDateTime, Result, SessionId, Version};
use outbox::Events;
use proto::events::v1::Event;
use tokio::time::Instant;

use crate::model::{Appointment, Pair, Start};
use crate::ops::{Ops, Stepped};
use crate::policy;
use crate::store::{Added, key};
use crate::transition::{Action, Standing};

/// How many requests are rejected at a time.
const AT_ONCE: usize = 8;
/// The most that somebody who calls waits for sessions to hear of what is durable already. Recovery tells it else.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A session is booked for an appointment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Booked {
    pub(crate) session: SessionId,
    pub(crate) appointment: AppointmentId,
    pub(crate) pair: Pair,
    pub(crate) starts: Start,
    pub(crate) date: OffsetDateTime,
    /// Whether nobody has asked: then the appointment is made.
    pub(crate) unasked: bool,
}

/// A therapist took a session back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withdrawn {
    pub(crate) session: SessionId,
    /// The appointment that had it.
    pub(crate) appointment: Option<AppointmentId>,
    /// Whether it can still be asked for.
    pub(crate) available: bool,
}

/// The events that are pending in the table.
pub(crate) struct Revocations;

impl Events for Revocations {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Ok(Appointment::try_from(item)?.event())
    }
}

impl Appointment {
    /// What has happened once its session is booked for it.
    pub(crate) const fn booked(&self) -> Booked {
        let Self { id, pair, session, date, starts, .. } = *self;
        Booked { session, appointment: id, pair, starts, date, unasked: false }
    }
}

impl Ops {
    /// Accepts the appointment that a session is booked for and rejects the others, or gives the slot back. It can be repeated.
    pub(crate) async fn settle(&self, context: &Context, booked: &Booked) -> Result<()> {
        let Booked { session, appointment, unasked, .. } = *booked;
        let permit = policy::session(session);
        if unasked && !self.make(booked).await? {
            return self.give_back(context, session, appointment).await;
        }
        match self.step(permit, appointment, Action::Booked, None).await? {
            Stepped::Done(_) => self.reject_waiting(session).await,
            Stepped::Refused(_) | Stepped::Absent | Stepped::Removed => {
                self.give_back(context, session, appointment).await
            }
        }
    }

    /// Makes the appointment that nobody has asked for, unless it was made before. Answers whether there is one: with an
    /// account that is ended, nothing begins.
    async fn make(&self, booked: &Booked) -> Result<bool> {
        let made = Appointment {
            id: booked.appointment,
            pair: booked.pair,
            session: booked.session,
            date: booked.date,
            starts: booked.starts,
            standing: Standing::Accepted,
            created_at: self.now(),
            relation: 0,
            version: Version::FIRST,
            mark: None,
        };
        Ok(match self.store.add(&made, None).await? {
            Added::Done | Added::Exists | Added::Replayed => true,
            Added::Ended(_) | Added::Withdrawn => false,
        })
    }

    /// Ends the appointment that a session is taken back from, and rejects the requests for one that can't be asked for any
    /// more. It can be repeated.
    pub(crate) async fn withdraw(&self, withdrawn: Withdrawn) -> Result<()> {
        let Withdrawn { session, appointment, available } = withdrawn;
        if let Some(appointment) = appointment {
            self.step(policy::session(session), appointment, Action::Withdrawn, None).await?;
        }
        if available { Ok(()) } else { self.reject_waiting(session).await }
    }

    /// Rejects the requests for a session that wait. One that the index doesn't show yet is rejected by whoever stores it, who
    /// looks at the slot again; one that lags by more than that waits on, and who accepts it is told that the slot is taken.
    /// One that can't be read holds up none of the others.
    async fn reject_waiting(&self, session: SessionId) -> Result<()> {
        let mut after = None;
        loop {
            let (asking, next) = self.store.asking(session, after).await?;
            let rejected = asking.into_iter().map(|id| self.reject(session, id));
            stream::iter(rejected).buffer_unordered(AT_ONCE).try_for_each(|()| std::future::ready(Ok(()))).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn reject(&self, session: SessionId, id: AppointmentId) -> Result<()> {
        match self.step(policy::session(session), id, Action::Lost, None).await {
            Err(error) if error.kind() == Kind::Internal => {
                tracing::error!(%error, cause = std::error::Error::source(&error), "a request that waits can't be rejected");
                Ok(())
            }
            rejected => rejected.map(drop),
        }
    }

    pub(crate) async fn give_back(&self, context: &Context, session: SessionId, id: AppointmentId) -> Result<()> {
        self.sessions.release(context, session.to_string(), id.to_string()).await
    }

    /// Tells sessions what is pending, for as long as there is time. Who was not told hears of it by recovery.
    pub(crate) async fn announce(&self, context: &Context, appointment: &Appointment) {
        let Some(event) = appointment.event() else { return };
        let rest = context.deadline.saturating_duration_since(Instant::now());
        let context = context.renewed(TIMEOUT.min(rest / 2));
        // What could not be told is in the log by now.
        let _later = self.outbox.deliver(&context, &key(appointment.id), event).await;
    }
}
