//! Use cases of sessions: creating, reading, changing and deleting them. Lists are in `list`, slots in `slots`, notes
//! for search in `notes`.

use std::time::Duration;

use chassis::{Context, Platform};
use dynamo::{Claim, Idempotency, PageTokens};
use kernel::{AppointmentId, Error, Result, SessionId, Timestamp, UserId, Version};
use keyring::Keyring;
use outbox::{Mark, Outbox};
use peers::{Channel, Contacts};
use retry::{Attempts, Policy};
use tokio::time::Instant;

use crate::calendar::{self, Busy};
use crate::change::{self, Plan};
use crate::error;
use crate::key::session_key;
use crate::model::{Booking, Change, ClientSession, Draft, OwnSession, Session, State};
use crate::policy::{ClientPermit, Own};
use crate::store::{Store, Written};
use crate::stored::{Keys, Note, NoteSealContext, SealedNotes, Stored, reader};
use crate::transition::{self, PendingEvent, Step};

/// Maximum time a caller waits for the delivery of a stored event. Recovery delivers it otherwise.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Use cases and their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) keyring: Keyring,
    pub(crate) contacts: Contacts,
    pub(crate) outbox: Outbox,
    pub(crate) platform: Platform,
}

impl Ops {
    pub(crate) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// Returns the session that the same request created before, in its current state.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`IDEMPOTENCY_KEY_REUSED`); UNAUTHENTICATED when the therapist's account has ended; NOT_FOUND
    /// when the session was removed since.
    pub(crate) async fn replayed(
        &self,
        context: &Context,
        permit: Own,
        claim: Option<&Claim>,
    ) -> Result<Option<OwnSession>> {
        let Some(id) = Idempotency::replayed(claim).await? else { return Ok(None) };
        self.own_keys(context, permit, None).await?;
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
            let contact = self.contacts.record(context, client.into(), Channel::Appointment).await?;
            contact.ok_or_else(error::no_client)?;
            people.0.extend(self.keys(context, [client.into()]).await?.0);
        }
        let new = self.seal_draft(permit, &draft, &people)?;
        let busy = Busy::of(new.session());
        let mut attempts = self.attempts();
        while attempts.next().await {
            let days = self.store.calendar(permit, calendar::days(busy)).await?;
            let days = match days.with(new.session().id, busy) {
                Ok(days) => days,
                // The session at that time may be the one that this request has created.
                Err(overlaps) => {
                    return self.replayed(context, permit, claim).await?.ok_or(overlaps);
                }
            };
            match self.store.add(permit, &new, &days, claim).await? {
                Written::Done => {
                    self.announce(context, &new).await;
                    return self.shown(permit, &new, &people);
                }
                Written::Replayed(id) => return self.own(context, permit, id).await,
                Written::Conflict => {}
            }
        }
        Err(error::conflict())
    }

    /// Creates a session from a draft, with its notes sealed.
    fn seal_draft(&self, permit: Own, draft: &Draft, keys: &Keys) -> Result<Stored> {
        let Draft { slot, client, shared_notes, private_notes } = draft;
        let Platform { clock, entropy, .. } = &self.platform;
        let id = SessionId::generate(&**clock, &**entropy);
        let booking =
            client.map(|client| Booking { client, appointment: AppointmentId::generate(&**clock, &**entropy) });
        let step = booking.map(|booking| transition::book(booking, true));
        let state = step.map_or(State::Available, |step| step.state);
        let session = Session { id, therapist: permit.therapist(), slot: *slot, state, version: Version::FIRST };
        let own = keys.of(permit.therapist()).ok_or_else(Error::account_ended)?;
        let readers = keys.of(reader(&session)).ok_or_else(error::no_client)?;
        let sealed_notes = SealedNotes {
            private: self.seal_context(id, Note::Private).seal(own, private_notes, &**entropy)?,
            shared: self.seal_context(id, Note::Shared).seal(readers, shared_notes, &**entropy)?,
        };
        Ok(Stored::new(session, sealed_notes, self.pending_event(step)))
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
            let old = self.store.own(permit, id).await?.ok_or_else(error::no_session)?;
            // Notes written for one reader must not reach another one who arrived meanwhile.
            if change.notes.shared.is_some() && *meant.get_or_insert(reader(old.session())) != reader(old.session()) {
                return Err(error::conflict());
            }
            let Plan { session, step } = change::plan(old.session(), change, self.now())?;
            if step.is_some() && old.pending().is_some() {
                self.deliver_pending(context, &old).await?;
                continue;
            }
            let keys = self.own_keys(context, permit, Some(&old)).await?;
            let sealed_notes = self.changed_notes(&old, &session, change, &keys)?;
            let pending = if step.is_some() { self.pending_event(step) } else { old.pending() };
            let new = Stored::new(session, sealed_notes, pending);
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
        Err(error::conflict())
    }

    /// Replaces a session, and the days in which its time changes.
    async fn replace(&self, permit: Own, old: &Stored, new: &Stored) -> Result<Written> {
        let (before, after) = (Busy::of(old.session()), Busy::of(new.session()));
        if before == after {
            return self.store.replace(permit, old, new, None).await;
        }
        let days = self.store.calendar(permit, calendar::days(before.into_iter().chain(after))).await?;
        let days = days.with(new.session().id, after)?;
        self.store.replace(permit, old, new, Some(&days)).await
    }

    /// Returns the notes of a changed session. A session that becomes available again loses the notes that its client
    /// could read, even if the change sends them back: they must not reach the next client. New notes in the change are
    /// kept.
    fn changed_notes(&self, old: &Stored, new: &Session, change: &Change, keys: &Keys) -> Result<SealedNotes> {
        let entropy = &*self.platform.entropy;
        let SealedNotes { private, shared } = old.sealed_notes().clone();
        let private = match &change.notes.private {
            None => private,
            Some(notes) => {
                let key = keys.of(new.therapist).ok_or_else(Error::account_ended)?;
                self.seal_context(new.id, Note::Private).seal(key, notes, entropy)?
            }
        };
        let is_handed_back = reader(new) != reader(old.session());
        let shared = match &change.notes.shared {
            None if is_handed_back => None,
            None => shared,
            Some(notes) if is_handed_back && *notes == old.shared_notes(self.store.table(), keys)? => None,
            Some(notes) => {
                let ending = || Error::unavailable("the client's account is just ending");
                self.seal_context(new.id, Note::Shared).seal(
                    keys.of(reader(new)).ok_or_else(ending)?,
                    notes,
                    entropy,
                )?
            }
        };
        Ok(SealedNotes { private, shared })
    }

    /// Removes a session, if it is the expected one, after subscribers have taken the event of its cancellation. A
    /// deletion that failed in between may be repeated with the same expectation. A change in between is not lost: the
    /// session is then cancelled, and stays.
    pub(crate) async fn delete(&self, context: &Context, permit: Own, id: SessionId) -> Result<()> {
        let (mut attempts, mut is_known) = (self.attempts(), false);
        while attempts.next().await {
            let Some(old) = self.store.own(permit, id).await? else {
                return if is_known { Ok(()) } else { Err(error::no_session()) };
            };
            is_known = true;
            old.check_deletion(&context.expected)?;
            if old.pending().is_some() {
                self.deliver_pending(context, &old).await?;
            } else if old.session().state.takes_time() {
                let step = transition::cancel(old.session().state);
                let session = Session { state: step.state, version: old.session().version.next(), ..*old.session() };
                let new = Stored::new(session, old.sealed_notes().clone(), self.pending_event(Some(step)))
                    .with_deleted_version(Some(old.session().version));
                // The next attempt reads the outcome.
                let _ = self.replace(permit, &old, &new).await?;
            } else if self.store.remove(permit, &old).await? {
                return Ok(());
            }
        }
        Err(error::conflict())
    }

    /// Returns a session of the calling therapist.
    pub(crate) async fn own(&self, context: &Context, permit: Own, id: SessionId) -> Result<OwnSession> {
        let stored = self.store.own(permit, id).await?.ok_or_else(error::no_session)?;
        let keys = self.keys(context, stored.readers()).await?;
        self.shown(permit, &stored, &keys)
    }

    /// Returns a session as the client sees it.
    pub(crate) async fn seen(&self, context: &Context, permit: ClientPermit, id: SessionId) -> Result<ClientSession> {
        let seen = self.store.seen(permit, id).await?.ok_or_else(error::no_session)?;
        let client = permit.client();
        let keys = self.keys(context, seen.is_sealed().then_some(client.into())).await?;
        seen.open(self.store.table(), keys.of(client))
    }

    /// Returns the context in which notes of a session are sealed.
    pub(crate) const fn seal_context(&self, id: SessionId, note: Note) -> NoteSealContext<'_> {
        NoteSealContext { table: self.store.table(), id, note }
    }

    fn shown(&self, permit: Own, stored: &Stored, keys: &Keys) -> Result<OwnSession> {
        stored.own(permit, self.store.table(), keys)?.ok_or_else(error::no_session)
    }

    /// Returns the keys of these people; a destroyed key is missing.
    pub(crate) async fn keys(&self, context: &Context, people: impl IntoIterator<Item = UserId>) -> Result<Keys> {
        self.keyring.keys(context, people).await.map(Keys)
    }

    /// Returns the therapist's key, which every write requires, and that of the client of a session.
    async fn own_keys(&self, context: &Context, permit: Own, session: Option<&Stored>) -> Result<Keys> {
        let therapist = permit.therapist().into();
        let reader = session.map(|stored| reader(stored.session()));
        let keys = self.keys(context, reader.into_iter().chain([therapist])).await?;
        if keys.of(therapist).is_some() { Ok(keys) } else { Err(Error::account_ended()) }
    }

    /// Returns the event that a step makes pending.
    pub(crate) fn pending_event(&self, step: Option<Step>) -> Option<(Mark, PendingEvent)> {
        let event = step.and_then(|step| step.event)?;
        Some((Mark::new(&*self.platform.clock, &*self.platform.entropy), event))
    }

    /// Delivers the pending event. A failure is left to recovery, as the event is stored.
    pub(crate) async fn announce(&self, context: &Context, stored: &Stored) {
        // A failed delivery is logged already.
        let _later = self.deliver_pending(context, stored).await;
    }

    /// Delivers the pending event to subscribers.
    ///
    /// # Errors
    /// UNAVAILABLE when a delivery failed.
    pub(crate) async fn deliver_pending(&self, context: &Context, stored: &Stored) -> Result<()> {
        let Some(event) = stored.event()? else { return Ok(()) };
        let rest = context.deadline.saturating_duration_since(Instant::now());
        let context = context.renewed(DELIVERY_TIMEOUT.min(rest / 2));
        self.outbox.deliver(&context, &session_key(stored.session().id), event).await.map_err(Error::of_dependency)
    }

    /// Returns the attempts of a change that races others of the same session or day.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Policy::OPTIMISTIC.start(&*self.platform.entropy)
    }
}
