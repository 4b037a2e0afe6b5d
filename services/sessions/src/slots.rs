//! The slots of sessions, as the service of appointments finds, takes and gives them back.

use std::collections::BTreeSet;

use chassis::Context;
use kernel::{AppointmentId, Result, SessionId, TherapistId, Timestamp};

use crate::calendar::Busy;
use crate::model::{Booking, Session, State};
use crate::ops::{Ops, attempts, contended};
use crate::policy::Slots;
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
    /// The slot that is meant.
    pub(crate) async fn find(&self, permit: Slots, therapist: TherapistId, which: Which) -> Result<Found> {
        match which {
            Which::Session(id, time) => {
                let stored = self.store.slot(permit, id).await?;
                Ok(found(stored.as_ref().map(Stored::session), therapist, time, self.now()))
            }
            Which::At(time) => self.find_at(permit, therapist, time).await,
        }
    }

    /// The slot at a time: the one in which it lies; or else the one whose therapist named it as its date, if no other that is
    /// available is meant by it too. Both are looked for in the calendar, where a session is as soon as it is acknowledged.
    async fn find_at(&self, permit: Slots, therapist: TherapistId, time: Timestamp) -> Result<Found> {
        // A date lies on the day of its session in the same offset: less than 24 hours away.
        let today = day(time);
        let around = [today.yesterday(), Ok(today), today.tomorrow()].into_iter().flatten().collect();
        let near = self.store.offered(permit, therapist, around).await?.sessions();
        let meant: Vec<Busy> = match near.iter().find(|busy| busy.contains(time)) {
            Some(busy) => vec![*busy],
            None => near.into_iter().filter(|busy| busy.date == time).collect(),
        };
        let mut best = Found::None;
        for busy in meant {
            let stored = self.store.slot(permit, busy.session_id).await?;
            best = match (best, found(stored.as_ref().map(Stored::session), therapist, Some(time), self.now())) {
                (Found::Available(..), Found::Available(..)) => return Ok(Found::Ambiguous),
                // Who asks by the time alone learns of what is offered, and not when the therapist is with others.
                (Found::Available(..), _) | (_, Found::None | Found::OtherTime | Found::Taken) => best,
                (_, other) => other,
            };
        }
        Ok(best)
    }

    /// Books a slot. The first who comes gets it, and gets it again.
    pub(crate) async fn reserve(&self, context: &Context, permit: Slots, wanted: Reservation) -> Result<Reserved> {
        let Reservation { session: id, therapist, booking, start } = wanted;
        for attempt in attempts() {
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
            self.pause(attempt).await;
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
        for attempt in attempts() {
            let Some(old) = self.store.slot(permit, id).await? else { return Ok(()) };
            if old.session().state.appointment() != Some(appointment) {
                return Ok(());
            }
            if let Written::Done = self.store.replace(&old, &freed(&old, State::Available), None).await? {
                return Ok(());
            }
            self.pause(attempt).await;
        }
        Err(contended())
    }
}

/// A session that has lost its client, and what that one could read; nobody is told.
pub(crate) fn freed(old: &Stored, state: State) -> Stored {
    let session = Session { state, version: old.session().version.next(), ..*old.session() };
    Stored::new(session, Sealings { shared: None, ..old.sealings().clone() }, None)
}

/// What can be said of a session to a client who asks for it.
fn found(session: Option<&Session>, therapist: TherapistId, time: Option<Timestamp>, now: Timestamp) -> Found {
    let Some(session) = session.filter(|it| it.therapist == therapist && it.state.takes_time()) else {
        return Found::None;
    };
    let is_meant = |time| session.slot.date() == time || Busy::of(session).is_some_and(|busy| busy.contains(time));
    if !time.is_none_or(is_meant) {
        return Found::OtherTime;
    }
    match session.state {
        _ if session.has_begun(now) => Found::Past,
        State::Available => Found::Available(session.id, session.slot.start()),
        State::Booked(_) | State::Cancelled(_) => Found::Taken,
    }
}
