//! What a therapist can do with the own sessions, and what people can read. Lists are in `list`, slots in `slots`.

use std::time::Duration;

use chassis::{Context, Platform};
use dynamo::{Claim, Idempotency, PageTokens};
use kernel::{AppointmentId, Error, Kind, Result, SessionId, Timestamp, UserId, Version};
use keyring::Keyring;
use outbox::{Mark, Outbox};
use retry::{Attempts, Policy};
use tokio::time::Instant;

use crate::calendar::{self, Busy};
use crate::change::{self, Plan};
use crate::contact::{Contact, account_ended, no_client};
use crate::model::{Booking, Change, ClientSession, Draft, OwnSession, Session, State};
use crate::policy::{Own, Visit};
use crate::store::{Store, Written, place};
use crate::stored::{Keys, Note, Sealings, Stored, Vessel, reader};
use crate::transition::{self, Happened, Step};

/// The most that somebody who calls waits for others to hear of what is durable already. Recovery tells them else.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The use cases and what they need.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) keyring: Keyring,
    pub(crate) contact: Contact,
    pub(crate) outbox: Outbox,
    pub(crate) platform: Platform,
}

impl Ops {
    pub(crate) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// What the same request has made before, as it is now.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`IDEMPOTENCY_KEY_REUSED`), or NOT_FOUND when it was removed since.
    pub(crate) async fn replayed(
        &self,
        context: &Context,
        permit: Own,
        claim: Option<&Claim>,
    ) -> Result<Option<OwnSession>> {
        let Some(claim) = claim else { return Ok(None) };
        let Some(id) = claim.replayed().await? else { return Ok(None) };
        let id = id.parse().map_err(|_| Error::internal("a record names no session"))?;
        self.own(context, permit, id).await.map(Some)
    }

    /// Adds a session.
    pub(crate) async fn create(
        &self,
        context: &Context,
        permit: Own,
        draft: Draft,
        claim: Option<&Claim>,
    ) -> Result<OwnSession> {
        let mut people = self.own_keys(context, permit, None).await?;
        if let Some(client) = draft.client {
            self.contact.record(context, client).await?;
            people.0.extend(self.keys(context, [client.into()]).await?.0);
        }
        let new = self.drafted(permit, &draft, &people)?;
        let busy = Busy::of(new.session());
        let mut attempts = self.attempts();
        while attempts.next().await {
            let days = self.store.calendar(permit, calendar::days(busy)).await?;
            let days = match days.with(new.session().id, busy) {
                Ok(days) => days,
                // What is at that time may be what this very request has made.
                Err(overlaps) => {
                    return self.replayed(context, permit, claim).await?.ok_or(overlaps);
                }
            };
            match self.store.add(&new, &days, claim).await? {
                Written::Done => {
                    self.announce(context, &new).await;
                    return self.shown(permit, &new, &people);
                }
                Written::Replayed(id) => return self.own(context, permit, id).await,
                Written::Conflict => {}
            }
        }
        Err(conflict())
    }

    /// A session as a draft says, sealed.
    fn drafted(&self, permit: Own, draft: &Draft, keys: &Keys) -> Result<Stored> {
        let Draft { slot, client, shared_notes, private_notes } = draft;
        let Platform { clock, entropy, .. } = &self.platform;
        let id = SessionId::generate(&**clock, &**entropy);
        let booking =
            client.map(|client| Booking { client, appointment: AppointmentId::generate(&**clock, &**entropy) });
        let step = booking.map(|booking| transition::book(booking, true));
        let state = step.map_or(State::Available, |step| step.state);
        let session = Session { id, therapist: permit.therapist(), slot: *slot, state, version: Version::FIRST };
        let own = keys.of(permit.therapist()).ok_or_else(account_ended)?;
        let readers = keys.of(reader(&session)).ok_or_else(no_client)?;
        let sealings = Sealings {
            private: self.vessel(id, Note::Private).seal(own, private_notes, &**entropy)?,
            shared: self.vessel(id, Note::Shared).seal(readers, shared_notes, &**entropy)?,
        };
        Ok(Stored::new(session, sealings, self.marked(step)))
    }

    /// Changes a session, or its notes.
    pub(crate) async fn update(
        &self,
        context: &Context,
        permit: Own,
        id: SessionId,
        change: &Change,
    ) -> Result<OwnSession> {
        let mut meant = None;
        let mut attempts = self.attempts();
        while attempts.next().await {
            let old = self.store.own(permit, id).await?.ok_or_else(no_session)?;
            // What was written for one reader must not reach another who came while it was being stored.
            if change.notes.shared.is_some() && *meant.get_or_insert(reader(old.session())) != reader(old.session()) {
                return Err(conflict());
            }
            let Plan { session, step } = change::plan(old.session(), change, self.now())?;
            if step.is_some() && old.pending().is_some() {
                self.settle(context, &old).await?;
                continue;
            }
            let keys = self.own_keys(context, permit, Some(&old)).await?;
            let sealings = self.changed_notes(&old, &session, change, &keys)?;
            let pending = if step.is_some() { self.marked(step) } else { old.pending() };
            let new = Stored::new(session, sealings, pending);
            match self.replace(permit, &old, &new).await? {
                Written::Done => {
                    if step.is_some() {
                        self.announce(context, &new).await;
                    }
                    return self.shown(permit, &new, &keys);
                }
                Written::Conflict | Written::Replayed(_) => {}
            }
        }
        Err(conflict())
    }

    /// Replaces a session, and with it the days in which it takes other time than before.
    async fn replace(&self, permit: Own, old: &Stored, new: &Stored) -> Result<Written> {
        let (before, after) = (Busy::of(old.session()), Busy::of(new.session()));
        if before == after {
            return self.store.replace(old, new, None).await;
        }
        let days = self.store.calendar(permit, calendar::days(before.into_iter().chain(after))).await?;
        let days = days.with(new.session().id, after)?;
        self.store.replace(old, new, Some(&days)).await
    }

    /// The notes of a changed session. What becomes available again loses those that its client could read, also if they are
    /// sent back with the change: they must not reach the next one. Others that come with it are for that one.
    fn changed_notes(&self, old: &Stored, new: &Session, change: &Change, keys: &Keys) -> Result<Sealings> {
        let entropy = &*self.platform.entropy;
        let Sealings { private, shared } = old.sealings().clone();
        let private = match &change.notes.private {
            None => private,
            Some(notes) => {
                let key = keys.of(new.therapist).ok_or_else(account_ended)?;
                self.vessel(new.id, Note::Private).seal(key, notes, entropy)?
            }
        };
        let is_handed_back = reader(new) != reader(old.session());
        let shared = match &change.notes.shared {
            None if is_handed_back => None,
            None => shared,
            Some(notes) if is_handed_back && *notes == old.shared_notes(self.store.table(), keys)? => None,
            Some(notes) => {
                let ending = || Error::unavailable("the client's account is just ending");
                self.vessel(new.id, Note::Shared).seal(keys.of(reader(new)).ok_or_else(ending)?, notes, entropy)?
            }
        };
        Ok(Sealings { private, shared })
    }

    /// Removes a session, once those who have a part in it have heard that it does not take place.
    pub(crate) async fn delete(&self, context: &Context, permit: Own, id: SessionId) -> Result<()> {
        let (mut attempts, mut is_known) = (self.attempts(), false);
        while attempts.next().await {
            let Some(old) = self.store.own(permit, id).await? else {
                return if is_known { Ok(()) } else { Err(no_session()) };
            };
            is_known = true;
            if old.pending().is_some() {
                self.settle(context, &old).await?;
            } else if old.session().state.takes_time() {
                let step = transition::cancel(old.session().state);
                let session = Session { state: step.state, version: old.session().version.next(), ..*old.session() };
                let new = Stored::new(session, old.sealings().clone(), self.marked(Some(step)));
                match self.replace(permit, &old, &new).await? {
                    Written::Done => {}
                    Written::Conflict | Written::Replayed(_) => {}
                }
            } else if self.store.remove(&old).await? {
                return Ok(());
            }
        }
        Err(conflict())
    }

    /// An own session.
    pub(crate) async fn own(&self, context: &Context, permit: Own, id: SessionId) -> Result<OwnSession> {
        let stored = self.store.own(permit, id).await?.ok_or_else(no_session)?;
        let keys = self.keys(context, stored.readers()).await?;
        self.shown(permit, &stored, &keys)
    }

    /// A session as a client sees it.
    pub(crate) async fn seen(&self, context: &Context, permit: Visit, id: SessionId) -> Result<ClientSession> {
        let seen = self.store.seen(permit, id).await?.ok_or_else(no_session)?;
        let client = permit.client();
        let keys = self.keys(context, seen.is_sealed().then_some(client.into())).await?;
        seen.open(self.store.table(), keys.of(client))
    }

    /// Where notes of a session are sealed for.
    pub(crate) const fn vessel(&self, id: SessionId, note: Note) -> Vessel<'_> {
        Vessel { table: self.store.table(), id, note }
    }

    fn shown(&self, permit: Own, stored: &Stored, keys: &Keys) -> Result<OwnSession> {
        stored.own(permit, self.store.table(), keys)?.ok_or_else(no_session)
    }

    /// The keys of people, as far as they have one.
    pub(crate) async fn keys(&self, context: &Context, people: impl IntoIterator<Item = UserId>) -> Result<Keys> {
        self.keyring.keys(context, people).await.map(Keys)
    }

    /// The therapist's key, without which nothing is written, and that of the client of a session.
    async fn own_keys(&self, context: &Context, permit: Own, session: Option<&Stored>) -> Result<Keys> {
        let therapist = permit.therapist().into();
        let reader = session.map(|stored| reader(stored.session()));
        let keys = self.keys(context, reader.into_iter().chain([therapist])).await?;
        if keys.of(therapist).is_some() { Ok(keys) } else { Err(account_ended()) }
    }

    /// What becomes pending by a step.
    pub(crate) fn marked(&self, step: Option<Step>) -> Option<(Mark, Happened)> {
        let happened = step.and_then(|step| step.happened)?;
        Some((Mark::new(&*self.platform.clock, &*self.platform.entropy), happened))
    }

    /// Tells others what is pending. It is durable: what fails here is done by recovery.
    pub(crate) async fn announce(&self, context: &Context, stored: &Stored) {
        // Who was not told is in the log by now.
        let _later = self.settle(context, stored).await;
    }

    /// Tells others what is pending.
    ///
    /// # Errors
    /// UNAVAILABLE when somebody could not be told.
    pub(crate) async fn settle(&self, context: &Context, stored: &Stored) -> Result<()> {
        let Some(event) = stored.event()? else { return Ok(()) };
        let rest = context.deadline.saturating_duration_since(Instant::now());
        let context = context.renewed(TIMEOUT.min(rest / 2));
        self.outbox.deliver(&context, &place(stored.session().id), event).await.map_err(Error::unavailable)
    }

    /// Returns the attempts of a change that races others of the same session, or of the same day.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Policy::OPTIMISTIC.start(&*self.platform.entropy)
    }
}

pub(crate) fn no_session() -> Error {
    Error::not_found("session")
}

fn conflict() -> Error {
    let message = "others keep changing the same session, or others of the same day; try again";
    Error::new(Kind::Aborted, "CONFLICT", message).retry_after(Duration::from_secs(1))
}

/// The answer to a service: others keep changing the same session.
pub(crate) fn contended() -> Error {
    Error::unavailable("a session keeps changing")
}
