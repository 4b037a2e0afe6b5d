//! Use cases of people. The modules `saga`, `account_deletion` and `withdrawn` handle the events of sessions, deleted
//! accounts and ended relations.

use chassis::{Context, KeyedMutex, Platform};
use dynamo::{Claim, Idempotency, PageTokens};
use kernel::{AppointmentId, Error, Expected, Kind, Page, Result, SessionId, TherapistId, Timestamp, UserId, Version};
use outbox::{Mark, Outbox};
use peers::{Channel, Contacts};
use retry::Policy;

use crate::model::{Appointment, Pair, Request, Reserved, SlotLookup, SlotQuery, Start, Wanted};
use crate::policy::{self, Own, Permit, RequestPermit};
use crate::slots::Sessions;
use crate::store::{Added, Store, Written};
use crate::transition::{self, Action, Refusal, Step, StoredStatus};
use crate::{error, list};

/// Maximum pending requests of a client to one therapist.
const MAX_WAITING: u16 = 5;

/// The use cases and their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) sessions: Sessions,
    pub(crate) contacts: Contacts,
    pub(crate) outbox: Outbox,
    /// Locks of the pairs: within this process one request of a pair runs at a time, from counting the pending ones
    /// until it is stored. Requests that the index does not show by then aren't counted.
    pub(crate) request_locks: KeyedMutex<Pair>,
    pub(crate) platform: Platform,
}

/// Outcome of a step.
#[derive(Debug)]
pub(crate) enum StepOutcome {
    /// Current appointment, changed by this step or by the same step before.
    Done(Appointment),
    /// The request was cancelled or withdrawn, and the appointment removed.
    Removed,
    Refused(Refusal),
    /// There is no such appointment.
    Absent,
}

impl Ops {
    pub(crate) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// Returns one appointment.
    pub(crate) async fn get(&self, permit: Permit, id: AppointmentId) -> Result<Appointment> {
        self.store.read(permit, id).await?.ok_or_else(error::no_appointment)
    }

    /// Returns a page of the own appointments.
    pub(crate) async fn list(&self, own: Own, wanted: &Wanted) -> Result<Page<Appointment>> {
        list::page(&self.tokens, own, self.store.own(own), wanted, self.now()).await
    }

    /// Requests a session for a client.
    pub(crate) async fn create(
        &self,
        context: &Context,
        asking: RequestPermit,
        request: Request,
        claim: Option<&Claim>,
    ) -> Result<Appointment> {
        if let Some(there) = self.replayed(asking, claim).await? {
            return Ok(there);
        }
        match self.ask(context, asking, request, claim).await {
            Ok(Some(asked)) => self.recheck_slot(context, asked).await,
            Ok(None) => self.replayed(asking, claim).await?.ok_or_else(error::no_appointment),
            // The cause may be this very request, sent twice concurrently.
            Err(refused) => match self.replayed(asking, claim).await {
                Ok(Some(there)) => Ok(there),
                Ok(None) | Err(_) => Err(refused),
            },
        }
    }

    /// Stores the request, if it is allowed; `None` when the same idempotent request was faster.
    async fn ask(
        &self,
        context: &Context,
        asking: RequestPermit,
        request: Request,
        claim: Option<&Claim>,
    ) -> Result<Option<Appointment>> {
        let Request { therapist, date, session } = request;
        let pair = asking.pair_with(therapist);
        let _lock = self.request_locks.lock(pair).await;
        let query = SlotQuery { therapist, session, time: Some(date.instant()) };
        let (session, starts) = available(self.sessions.find(context, query).await?)?;
        self.check_pending_requests(asking, therapist, session).await?;
        let contact = self.contacts.record(context, therapist.into(), Channel::Appointment).await?;
        let relation = contact.ok_or_else(error::no_session)?;
        let asked = Appointment {
            id: AppointmentId::generate(&*self.platform.clock, &*self.platform.entropy),
            pair,
            session,
            date,
            starts,
            stored_status: StoredStatus::Pending,
            created_at: self.now(),
            relation,
            version: Version::FIRST,
            mark: None,
        };
        match self.store.add(asking.permit(), &asked, claim).await? {
            Added::Done => Ok(Some(asked)),
            Added::Replayed => Ok(None),
            // The client ended the relation concurrently.
            Added::Withdrawn => Err(error::contended()),
            Added::Exists => Err(Error::internal("a new appointment has an id that was given before")),
            Added::Ended(user) if user == UserId::from(pair.client) => Err(Error::account_ended()),
            Added::Ended(_) => Err(error::no_session()),
        }
    }

    /// Refuses a second request for the session, and one above the limit of pending requests.
    async fn check_pending_requests(
        &self,
        asking: RequestPermit,
        therapist: TherapistId,
        session: SessionId,
    ) -> Result<()> {
        let waiting = self.store.waiting(asking, therapist, self.now(), MAX_WAITING).await?;
        if waiting.contains(&session) {
            return Err(error::request_pending());
        }
        if waiting.len() >= usize::from(MAX_WAITING) {
            return Err(error::too_many_requests_pending());
        }
        Ok(())
    }

    /// Rejects a new request whose slot was booked or withdrawn while it was stored: rejecting the other requests may
    /// have missed it. If sessions doesn't answer, the request stays, and is rejected when it is answered.
    async fn recheck_slot(&self, context: &Context, asked: Appointment) -> Result<Appointment> {
        let query = SlotQuery { therapist: asked.pair.therapist, session: Some(asked.session), time: None };
        match self.sessions.find(context, query).await {
            Ok(SlotLookup::None | SlotLookup::Taken) => {
                match self
                    .step(policy::session(asked.session).permit(), asked.id, Action::Lost, &Expected::Anything)
                    .await?
                {
                    StepOutcome::Done(now) => Ok(now),
                    StepOutcome::Removed | StepOutcome::Refused(_) | StepOutcome::Absent => {
                        Err(error::no_appointment())
                    }
                }
            }
            Ok(SlotLookup::Available(..) | SlotLookup::Past | SlotLookup::OtherTime | SlotLookup::Ambiguous) => {
                Ok(asked)
            }
            Err(error) => {
                tracing::warn!(%error, "a slot that was asked for is not looked at again");
                Ok(asked)
            }
        }
    }

    /// Accepts, rejects or revokes an appointment.
    pub(crate) async fn act(
        &self,
        context: &Context,
        permit: Permit,
        id: AppointmentId,
        action: Action,
        expected: &Expected,
    ) -> Result<Appointment> {
        if action == Action::Accept {
            return self.accept(context, permit, id, expected).await;
        }
        let done = self.step(permit, id, action, expected).await?.into_result()?;
        self.publish(context, &done).await;
        Ok(done)
    }

    /// Accepts a request by booking its session.
    async fn accept(
        &self,
        context: &Context,
        permit: Permit,
        id: AppointmentId,
        expected: &Expected,
    ) -> Result<Appointment> {
        let asked = self.get(permit, id).await?;
        expected.check(asked.etag_at(self.now()))?;
        match transition::step(permit.actor(), Action::Accept, asked.status_at(self.now())) {
            Step::Refused(refusal) => return Err(refusal.into_error()),
            Step::Unchanged | Step::Removed => return Ok(asked),
            Step::To(_) => {}
        }
        match self.sessions.reserve(context, &asked).await? {
            Reserved::Booked => self.accepted(context, permit, &asked).await,
            Reserved::Moved => Err(error::session_moved()),
            Reserved::Taken => {
                self.step(policy::session(asked.session).permit(), id, Action::Lost, &Expected::Anything)
                    .await?
                    .into_result()?;
                Err(error::slot_taken())
            }
            Reserved::Gone => {
                self.step(policy::session(asked.session).permit(), id, Action::Lost, &Expected::Anything)
                    .await?
                    .into_result()?;
                Err(error::session_gone())
            }
            // The deletion of the account removes the client's requests, but its event may not be handled here yet.
            Reserved::ClientEnded => {
                let _gone = self.store.remove(permit, &asked).await?;
                Err(error::no_appointment())
            }
        }
    }

    /// Returns the appointment after its session was booked. Applies the booking if its event is not handled yet.
    async fn accepted(&self, context: &Context, permit: Permit, asked: &Appointment) -> Result<Appointment> {
        let current = self.get(permit, asked.id).await?;
        if current.stored_status == StoredStatus::Pending {
            self.apply_booking(context, &asked.booked()).await?;
        }
        let now = self.get(permit, asked.id).await?;
        match transition::step(permit.actor(), Action::Accept, now.status_at(self.now())) {
            Step::Refused(refusal) => Err(refusal.into_error()),
            Step::Unchanged | Step::Removed => Ok(now),
            Step::To(_) => Err(error::contended()),
        }
    }

    /// Cancels a request of the client. A concurrent acceptance that has booked the session finds no appointment, and
    /// releases the slot.
    pub(crate) async fn cancel(&self, permit: Permit, id: AppointmentId, expected: &Expected) -> Result<()> {
        let outcome = self.step(permit, id, Action::Cancel, expected).await?;
        if matches!(outcome, StepOutcome::Removed) { Ok(()) } else { outcome.into_result().map(drop) }
    }

    /// Applies an action to an appointment in its current status, and repeats that under contention.
    ///
    /// # Errors
    /// ABORTED when the etag is not an expected one, or under persistent contention; UNAVAILABLE or INTERNAL.
    pub(crate) async fn step(
        &self,
        permit: Permit,
        id: AppointmentId,
        action: Action,
        expected: &Expected,
    ) -> Result<StepOutcome> {
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            let Some(old) = self.store.read(permit, id).await? else { return Ok(StepOutcome::Absent) };
            expected.check(old.etag_at(self.now()))?;
            let (written, outcome) = match old.step(permit.actor(), action, self.now()) {
                Step::Unchanged => return Ok(StepOutcome::Done(old)),
                Step::Refused(refusal) => return Ok(StepOutcome::Refused(refusal)),
                Step::Removed => (self.store.remove(permit, &old).await, StepOutcome::Removed),
                Step::To(status) => {
                    let new = old.after(status, self.mark(status, action));
                    (self.store.replace(permit, &old, &new).await, StepOutcome::Done(new))
                }
            };
            match written {
                Ok(Written::Done) => return Ok(outcome),
                Ok(Written::Conflict) => {}
                // The concurrent change may have decided the step: the next attempt reads it.
                Err(error) if error.kind() == Kind::Aborted => {}
                Err(error) => return Err(error),
            }
        }
        Err(error::contended())
    }

    /// Returns the outbox mark of a revocation that sessions does not know of. Sessions handles the deletion of an
    /// account itself, and cancels the session; an event from here would make the slot available instead.
    fn mark(&self, status: StoredStatus, action: Action) -> Option<Mark> {
        let is_pending = status == StoredStatus::Revoked && !matches!(action, Action::Withdrawn | Action::AccountEnded);
        is_pending.then(|| Mark::new(&*self.platform.clock, &*self.platform.entropy))
    }

    /// Returns the appointment that an earlier request with the same idempotency key created, in its current state.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`IDEMPOTENCY_KEY_REUSED`); UNAUTHENTICATED when the client's account has ended; NOT_FOUND when
    /// the appointment was removed since.
    async fn replayed(&self, asking: RequestPermit, claim: Option<&Claim>) -> Result<Option<Appointment>> {
        let Some(id) = Idempotency::replayed(claim).await? else { return Ok(None) };
        if self.store.is_ended(asking).await? {
            return Err(Error::account_ended());
        }
        self.get(asking.permit(), id).await.map(Some)
    }
}

impl StepOutcome {
    /// Returns the current appointment.
    fn into_result(self) -> Result<Appointment> {
        match self {
            Self::Done(now) => Ok(now),
            Self::Refused(refusal) => Err(refusal.into_error()),
            Self::Removed | Self::Absent => Err(error::no_appointment()),
        }
    }
}

/// Returns the slot, if it can be requested.
fn available(lookup: SlotLookup) -> Result<(SessionId, Start)> {
    match lookup {
        SlotLookup::Available(session, start) => Ok((session, start)),
        SlotLookup::None => Err(error::no_session()),
        SlotLookup::Taken => Err(error::session_booked()),
        SlotLookup::Past => Err(error::session_over()),
        SlotLookup::OtherTime => Err(error::not_a_time_of_session()),
        SlotLookup::Ambiguous => Err(error::ambiguous_session()),
    }
}
