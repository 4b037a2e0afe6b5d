//! The slots of sessions, as the service of appointments finds, takes and gives them back.

use std::collections::BTreeSet;

use chassis::Context;
use kernel::{AppointmentId, Result, SessionId, TherapistId, Timestamp};

use crate::calendar::Busy;
use crate::model::{Booking, Session, State};
use crate::ops::{Ops, contended};
use crate::policy::{Slots, Visit};
use crate::slot::day;
use crate::store::Written;
use crate::stored::{Note, Sealings, Stored};
use crate::transition;

/// Which slot a client asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// The one of this session, if the time is a time of it.
    Session(SessionId, Option<Timestamp>),
    /// The therapist's at this time.
    At(Timestamp),
}

/// What can be said of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Available(SessionId, Timestamp),
    None,
    Taken,
    Past,
    OtherTime,
    Ambiguous,
}

/// Which slot to book, for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reservation {
    pub(crate) session: SessionId,
    pub(crate) therapist: TherapistId,
    pub(crate) booking: Booking,
    /// When it starts, as the client knew it.
    pub(crate) start: Timestamp,
}

/// Whether a slot was booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserved {
    Booked,
    Taken,
    Gone,
    Moved,
    ClientEnded,
}

impl Ops {
    /// Returns the slot that a client means, as far as this client may know of it.
    pub(crate) async fn find(
        &self,
        permit: Slots,
        client: Visit,
        therapist: TherapistId,
        which: Which,
    ) -> Result<Found> {
        match which {
            Which::Session(id, time) => {
                let stored = self.store.slot(permit, id).await?;
                let session = stored.as_ref().map(Stored::session).filter(|it| it.therapist == therapist);
                Ok(session.map_or(Found::None, |session| named(client, session, time, self.now())))
            }
            Which::At(time) => self.find_at(permit, client, therapist, time).await,
        }
    }

    /// Returns the slot at a time: the one in which it lies; or else the one whose therapist named it as its date, if no other
    /// that is available is meant by it too. Both are looked for in the calendar, where a session is as soon as it is
    /// acknowledged; one that the client doesn't see is passed over as if it did not exist.
    async fn find_at(&self, permit: Slots, client: Visit, therapist: TherapistId, time: Timestamp) -> Result<Found> {
        // A date lies on the day of its session in the same offset: less than 24 hours away.
        let today = day(time);
        let around = [today.yesterday(), Ok(today), today.tomorrow()].into_iter().flatten().collect();
        let near = self.store.offered(permit, therapist, around).await?.sessions();
        let (within, elsewhere): (Vec<Busy>, Vec<Busy>) = near.into_iter().partition(|busy| busy.contains(time));
        let dated = elsewhere.into_iter().filter(|busy| busy.date == time).collect();
        let found = self.seen_among(permit, client, within, time).await?;
        if found == Found::None { self.seen_among(permit, client, dated, time).await } else { Ok(found) }
    }

    /// Returns the one of these slots that the client may ask for, or else why none of those that the client sees can be had.
    async fn seen_among(&self, permit: Slots, client: Visit, meant: Vec<Busy>, time: Timestamp) -> Result<Found> {
        let mut best = Found::None;
        for busy in meant {
            let stored = self.store.slot(permit, busy.session_id).await?;
            let seen = stored.as_ref().map(Stored::session).filter(|it| client.sees(it).is_some());
            let found = seen.map_or(Found::None, |session| found(session, Some(time), self.now()));
            best = match (best, found) {
                (Found::Available(..), Found::Available(..)) => return Ok(Found::Ambiguous),
                (Found::Available(..), _) | (_, Found::None | Found::OtherTime) => best,
                (_, other) => other,
            };
        }
        Ok(best)
    }

    /// Books a slot. The first who comes gets it, and gets it again.
    pub(crate) async fn reserve(&self, context: &Context, permit: Slots, wanted: Reservation) -> Result<Reserved> {
        let Reservation { session: id, therapist, booking, start } = wanted;
        let mut attempts = self.attempts();
        while attempts.next().await {
            let Some(old) = self.store.slot(permit, id).await?.filter(|old| old.session().therapist == therapist)
            else {
                return Ok(Reserved::Gone);
            };
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
                self.settle(context, &old).await?;
                continue;
            }
            let sealings = match self.handed_over(context, &old, booking).await? {
                Ok(sealings) => sealings,
                Err(refused) => return Ok(refused),
            };
            let step = transition::book(booking, false);
            let session = Session { state: step.state, version: old.session().version.next(), ..*old.session() };
            let new = Stored::new(session, sealings, self.marked(Some(step)));
            if let Written::Done = self.store.replace(&old, &new, None).await? {
                self.announce(context, &new).await;
                return Ok(Reserved::Booked);
            }
        }
        Err(contended())
    }

    /// The notes of a session that is booked: what is shared is the client's to read from now on.
    async fn handed_over(
        &self,
        context: &Context,
        old: &Stored,
        booking: Booking,
    ) -> Result<std::result::Result<Sealings, Reserved>> {
        let (client, therapist) = (booking.client.into(), old.session().therapist.into());
        let sealings = old.sealings().clone();
        let owner = sealings.shared.is_some().then_some(therapist);
        let keys = self.keys(context, owner.into_iter().chain([client])).await?;
        let Some(to) = keys.of(client) else { return Ok(Err(Reserved::ClientEnded)) };
        let shared = match (&sealings.shared, keys.of(therapist)) {
            (None, _) => None,
            (Some(_), None) => return Ok(Err(Reserved::Gone)),
            (Some(sealed), Some(from)) => {
                self.vessel(old.session().id, Note::Shared).reseal(sealed, from, to, &*self.platform.entropy)?
            }
        };
        Ok(Ok(Sealings { shared, ..sealings }))
    }

    /// The ends of those of these sessions that are booked.
    pub(crate) async fn ends(&self, permit: Slots, ids: BTreeSet<SessionId>) -> Result<Vec<(SessionId, Timestamp)>> {
        let stored = self.store.slots(permit, ids).await?;
        let booked = stored.iter().map(Stored::session).filter(|session| matches!(session.state, State::Booked(_)));
        Ok(booked.map(|session| (session.id, session.slot.end())).collect())
    }

    /// Gives a slot back, if this appointment has it. Its own booking may still be pending: that others hear of it would be
    /// pointless now, as the appointment is ended.
    pub(crate) async fn release(&self, permit: Slots, id: SessionId, appointment: AppointmentId) -> Result<()> {
        let mut attempts = self.attempts();
        while attempts.next().await {
            let Some(old) = self.store.slot(permit, id).await? else { return Ok(()) };
            if old.session().state.appointment() != Some(appointment) {
                return Ok(());
            }
            if let Written::Done = self.store.replace(&old, &freed(&old, State::Available), None).await? {
                return Ok(());
            }
        }
        Err(contended())
    }
}

/// A session that has lost its client, and what that one could read; nobody is told.
pub(crate) fn freed(old: &Stored, state: State) -> Stored {
    let session = Session { state, version: old.session().version.next(), ..*old.session() };
    Stored::new(session, Sealings { shared: None, ..old.sealings().clone() }, None)
}

/// Returns what a client learns who names a session by its id. Of one that the client doesn't see, nothing but that it is
/// taken, and that only until it begins: whoever has its id saw it while it was available.
fn named(client: Visit, session: &Session, time: Option<Timestamp>, now: Timestamp) -> Found {
    match (client.sees(session), session.state) {
        (Some(_), _) => found(session, time, now),
        (None, State::Booked(_)) if !session.has_begun(now) => Found::Taken,
        (None, _) => Found::None,
    }
}

/// Returns what can be said of a session to a client who sees it.
fn found(session: &Session, time: Option<Timestamp>, now: Timestamp) -> Found {
    let Some(busy) = Busy::of(session) else { return Found::None };
    if !time.is_none_or(|time| busy.date == time || busy.contains(time)) {
        return Found::OtherTime;
    }
    match session.state {
        _ if session.has_begun(now) => Found::Past,
        State::Available => Found::Available(session.id, session.slot.start()),
        State::Booked(_) | State::Cancelled(_) => Found::Taken,
    }
}
