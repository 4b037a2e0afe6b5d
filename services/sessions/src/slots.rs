//! Finds, reserves and releases slots for the appointments service.

use chassis::Context;
use kernel::{AppointmentId, Result, SessionId, Timestamp};

use crate::calendar::Busy;
use crate::error;
use crate::model::{Booking, Reservation, Reserved, Session, SlotLookup, SlotSelector, State};
use crate::ops::Ops;
use crate::policy::{ClientPermit, FindSlotPermit, SlotEndsPermit, SlotPermit};
use crate::slot::day;
use crate::store::Written;
use crate::stored::{Note, SealedNotes, Stored};
use crate::transition;

impl Ops {
    /// Returns the slot that a client selects, as far as this client may see it.
    pub(crate) async fn find(&self, permit: FindSlotPermit, selector: SlotSelector) -> Result<SlotLookup> {
        match selector {
            SlotSelector::Session(id, time) => {
                let stored = self.store.slot_of(permit, id).await?;
                let session = stored.as_ref().map(Stored::session);
                Ok(session.map_or(SlotLookup::None, |session| named(permit.client(), session, time, self.now())))
            }
            SlotSelector::At(time) => self.find_at(permit, time).await,
        }
    }

    /// Returns the slot at a time: the one that contains the time, or else the one whose date is that time, if it is
    /// the only available one. Both are looked up in the calendar, which holds a session as soon as it is acknowledged.
    /// A session that the client can't see is skipped as if it did not exist.
    async fn find_at(&self, permit: FindSlotPermit, time: Timestamp) -> Result<SlotLookup> {
        // A date is on the day of its session in the same offset: less than 24 hours away.
        let today = day(time);
        let around = [today.yesterday(), Ok(today), today.tomorrow()].into_iter().flatten().collect();
        let near = self.store.offered(permit, around).await?.sessions();
        let (within, elsewhere): (Vec<Busy>, Vec<Busy>) = near.into_iter().partition(|busy| busy.contains(time));
        let dated = elsewhere.into_iter().filter(|busy| busy.date == time).collect();
        let found = self.seen_among(permit, within, time).await?;
        if found == SlotLookup::None { self.seen_among(permit, dated, time).await } else { Ok(found) }
    }

    /// Returns the slot among these that the client may ask for, or else the reason why no visible one is available.
    async fn seen_among(&self, permit: FindSlotPermit, meant: Vec<Busy>, time: Timestamp) -> Result<SlotLookup> {
        let mut best = SlotLookup::None;
        for busy in meant {
            let stored = self.store.slot_of(permit, busy.session_id).await?;
            let seen = stored.as_ref().map(Stored::session).filter(|it| permit.client().sees(it).is_some());
            let found = seen.map_or(SlotLookup::None, |session| found(session, Some(time), self.now()));
            best = match (best, found) {
                (SlotLookup::Available(..), SlotLookup::Available(..)) => return Ok(SlotLookup::Ambiguous),
                (SlotLookup::Available(..), _) | (_, SlotLookup::None | SlotLookup::OtherTime) => best,
                (_, other) => other,
            };
        }
        Ok(best)
    }

    /// Books a slot for the first appointment that asks. Idempotent for that appointment.
    pub(crate) async fn reserve(&self, context: &Context, permit: SlotPermit, wanted: Reservation) -> Result<Reserved> {
        let Reservation { therapist, booking, start } = wanted;
        let mut attempts = self.attempts();
        while attempts.next().await {
            let old = self.store.slot(permit).await?.filter(|old| old.session().therapist == therapist);
            let Some(old) = old else { return Ok(Reserved::Gone) };
            match old.session().state {
                State::Cancelled(_) => return Ok(Reserved::Gone),
                State::Booked(now) if now == Some(booking) => {
                    self.announce(context, &old).await;
                    return Ok(Reserved::Booked);
                }
                State::Booked(_) => return Ok(Reserved::Taken),
                State::Available if old.session().slot.start() != start => return Ok(Reserved::Moved),
                State::Available => {}
            }
            if old.pending().is_some() {
                self.deliver_pending(context, &old).await?;
                continue;
            }
            let sealed_notes = match self.reseal_for_client(context, &old, booking).await? {
                Ok(sealed_notes) => sealed_notes,
                Err(refused) => return Ok(refused),
            };
            let step = transition::book(booking, false);
            let session = Session { state: step.state, version: old.session().version.next(), ..*old.session() };
            let new = Stored::new(session, sealed_notes, self.pending_event(Some(step)));
            if let Written::Done = self.store.replace(permit, &old, &new, None).await? {
                self.announce(context, &new).await;
                return Ok(Reserved::Booked);
            }
        }
        Err(error::contended())
    }

    /// Returns the notes of a session that is being booked, with the shared ones resealed under the client's key.
    async fn reseal_for_client(
        &self,
        context: &Context,
        old: &Stored,
        booking: Booking,
    ) -> Result<std::result::Result<SealedNotes, Reserved>> {
        let (client, therapist) = (booking.client.into(), old.session().therapist.into());
        let sealed_notes = old.sealed_notes().clone();
        let owner = sealed_notes.shared.is_some().then_some(therapist);
        let keys = self.keys(context, owner.into_iter().chain([client])).await?;
        let Some(to) = keys.of(client) else { return Ok(Err(Reserved::ClientEnded)) };
        let shared = match (&sealed_notes.shared, keys.of(therapist)) {
            (None, _) => None,
            (Some(_), None) => return Ok(Err(Reserved::Gone)),
            (Some(sealed), Some(from)) => {
                self.seal_context(old.session().id, Note::Shared).reseal(sealed, from, to, &*self.platform.entropy)?
            }
        };
        Ok(Ok(SealedNotes { shared, ..sealed_notes }))
    }

    /// Returns the ends of those of these sessions that are booked.
    pub(crate) async fn ends(&self, permit: &SlotEndsPermit) -> Result<Vec<(SessionId, Timestamp)>> {
        let stored = self.store.slots(permit).await?;
        let booked = stored.iter().map(Stored::session).filter(|session| matches!(session.state, State::Booked(_)));
        Ok(booked.map(|session| (session.id, session.slot.end())).collect())
    }

    /// Releases a slot, if this appointment has it. A pending booking event is dropped, because the appointment has
    /// ended.
    pub(crate) async fn release(&self, permit: SlotPermit, appointment: AppointmentId) -> Result<()> {
        let mut attempts = self.attempts();
        while attempts.next().await {
            let Some(old) = self.store.slot(permit).await? else { return Ok(()) };
            if old.session().state.appointment() != Some(appointment) {
                return Ok(());
            }
            if let Written::Done = self.store.replace(permit, &old, &freed(&old, State::Available), None).await? {
                return Ok(());
            }
        }
        Err(error::contended())
    }
}

/// Returns the session without its client and the shared notes, and without a pending event.
pub(crate) fn freed(old: &Stored, state: State) -> Stored {
    let session = Session { state, version: old.session().version.next(), ..*old.session() };
    Stored::new(session, SealedNotes { shared: None, ..old.sealed_notes().clone() }, None)
}

/// Returns the outcome for a client who names a session by its id. Of a session that the client can't see, it reveals
/// only that it is taken, and only until it begins: somebody who has its id saw it while it was available.
fn named(client: ClientPermit, session: &Session, time: Option<Timestamp>, now: Timestamp) -> SlotLookup {
    match (client.sees(session), session.state) {
        (Some(_), _) => found(session, time, now),
        (None, State::Booked(_)) if !session.has_begun(now) => SlotLookup::Taken,
        (None, _) => SlotLookup::None,
    }
}

/// Returns the outcome for a client who can see the session.
fn found(session: &Session, time: Option<Timestamp>, now: Timestamp) -> SlotLookup {
    let Some(busy) = Busy::of(session) else { return SlotLookup::None };
    if !time.is_none_or(|time| busy.date == time || busy.contains(time)) {
        return SlotLookup::OtherTime;
    }
    match session.state {
        _ if session.has_begun(now) => SlotLookup::Past,
        State::Available => SlotLookup::Available(session.id, session.slot.start()),
        State::Booked(_) | State::Cancelled(_) => SlotLookup::Taken,
    }
}
