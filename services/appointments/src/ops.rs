//! What people can do with appointments. What sessions, ended accounts and ended relations do to them is in `saga`, `ended`
//! and `withdrawn`.

use chassis::{Context, KeyedMutex, Platform};
use dynamo::{Claim, Idempotency, PageTokens};
use kernel::{AppointmentId, Error, Kind, Page, Result, SessionId, Timestamp, UserId, Version};
use outbox::{Mark, Outbox};
use retry::Policy;

use crate::list::{self, Wanted};
use crate::model::{Appointment, Pair, Start};
use crate::policy::{self, Asking, Own, Permit};
use crate::slots::{Found, Mapping, Reserved, Sessions, Which, account_ended, no_session};
use crate::store::{Added, Store, Written};
use crate::transition::{self, Action, Refusal, Standing, Step};
use crate::wire::Request;

/// How many requests of a client may wait for an answer of one therapist.
const MOST_WAITING: u16 = 5;

/// The use cases and what they need.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) sessions: Sessions,
    pub(crate) mapping: Mapping,
    pub(crate) outbox: Outbox,
    /// One request at a time of a client to a therapist within this process, from before those that wait are counted until it
    /// is stored: what the index has not heard of by then isn't counted.
    pub(crate) turns: KeyedMutex,
    pub(crate) platform: Platform,
}

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Stepped {
    /// The appointment as it is now, changed by this or by the same step before.
    Done(Appointment),
    /// There is none any more: this was taken back.
    Removed,
    Refused(Refusal),
    /// There is no such appointment.
    Absent,
}

impl Ops {
    pub(crate) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// One appointment.
    pub(crate) async fn get(&self, permit: Permit, id: AppointmentId) -> Result<Appointment> {
        self.store.read(permit, id).await?.ok_or_else(no_appointment)
    }

    /// A page of the own appointments.
    pub(crate) async fn list(&self, own: Own, wanted: &Wanted) -> Result<Page<Appointment>> {
        list::page(&self.tokens, own, self.store.own(own), wanted, self.now()).await
    }

    /// A client asks for a session.
    pub(crate) async fn create(
        &self,
        context: &Context,
        asking: Asking,
        request: Request,
        claim: Option<&Claim>,
    ) -> Result<Appointment> {
        if let Some(there) = self.replayed(asking, claim).await? {
            return Ok(there);
        }
        match self.ask(context, asking, request, claim).await {
            Ok(Some(asked)) => self.look_again(context, asked).await,
            Ok(None) => self.replayed(asking, claim).await?.ok_or_else(no_appointment),
            // What stands in the way may be the work of this very request, sent twice at once.
            Err(refused) => match self.replayed(asking, claim).await {
                Ok(Some(there)) => Ok(there),
                Ok(None) | Err(_) => Err(refused),
            },
        }
    }

    /// Stores the request, if it may be made; nothing when the same request was faster.
    async fn ask(
        &self,
        context: &Context,
        asking: Asking,
        request: Request,
        claim: Option<&Claim>,
    ) -> Result<Option<Appointment>> {
        let Request { therapist, date, session } = request;
        let pair = asking.towards(therapist);
        let _turn = self.turns.take(pair).await?;
        let which = Which { therapist, session, time: Some(date.instant()) };
        let (session, starts) = available(self.sessions.find(context, which).await?)?;
        self.must_not_wait(pair, session).await?;
        let relation = self.mapping.record(context, therapist).await?;
        let asked = Appointment {
            id: AppointmentId::generate(&*self.platform.clock, &*self.platform.entropy),
            pair,
            session,
            date,
            starts,
            standing: Standing::Pending,
            created_at: self.now(),
            relation,
            version: Version::FIRST,
            mark: None,
        };
        match self.store.add(&asked, claim).await? {
            Added::Done => Ok(Some(asked)),
            Added::Replayed => Ok(None),
            // The client ended the relation while asking.
            Added::Withdrawn => Err(contended()),
            Added::Exists => Err(Error::internal("a new appointment has an id that was given before")),
            Added::Ended(user) if user == UserId::from(pair.client) => Err(account_ended()),
            Added::Ended(_) => Err(no_session()),
        }
    }

    async fn must_not_wait(&self, pair: Pair, session: SessionId) -> Result<()> {
        let waiting = self.store.waiting(pair, self.now(), MOST_WAITING).await?;
        if waiting.contains(&session) {
            let message = "you have asked for this session already: wait for the therapist's answer";
            return Err(Error::new(Kind::AlreadyExists, "REQUEST_PENDING", message));
        }
        if waiting.len() >= usize::from(MOST_WAITING) {
            let message = "five of your requests wait for this therapist's answer: wait, or take one back";
            return Err(Error::new(Kind::ResourceExhausted, "TOO_MANY_REQUESTS_PENDING", message));
        }
        Ok(())
    }

    /// The session may have gone to another while the request was stored, and those that were found then be rejected: it is
    /// rejected here. Where that can't be told, the request waits, and is rejected when it is answered.
    async fn look_again(&self, context: &Context, asked: Appointment) -> Result<Appointment> {
        let which = Which { therapist: asked.pair.therapist, session: Some(asked.session), time: None };
        match self.sessions.find(context, which).await {
            Ok(Found::None | Found::Taken) => {
                match self.step(policy::session(asked.session), asked.id, Action::Lost, None).await? {
                    Stepped::Done(now) => Ok(now),
                    Stepped::Removed | Stepped::Refused(_) | Stepped::Absent => Err(no_appointment()),
                }
            }
            Ok(Found::Available(..) | Found::Past | Found::OtherTime | Found::Ambiguous) => Ok(asked),
            Err(error) => {
                tracing::warn!(%error, "a slot that was asked for is not looked at again");
                Ok(asked)
            }
        }
    }

    /// Accepts, rejects or revokes.
    pub(crate) async fn act(
        &self,
        context: &Context,
        permit: Permit,
        id: AppointmentId,
        action: Action,
        expected: Option<Version>,
    ) -> Result<Appointment> {
        if action == Action::Accept {
            return self.accept(context, permit, id, expected).await;
        }
        let done = self.step(permit, id, action, expected).await?.into_result()?;
        self.announce(context, &done).await;
        Ok(done)
    }

    /// Books the session, by which the appointment becomes ACCEPTED.
    async fn accept(
        &self,
        context: &Context,
        permit: Permit,
        id: AppointmentId,
        expected: Option<Version>,
    ) -> Result<Appointment> {
        let asked = self.get(permit, id).await?;
        if expected.is_some_and(|expected| expected != asked.version) {
            return Err(Version::stale());
        }
        match transition::step(permit.actor(), Action::Accept, asked.status_at(self.now())) {
            Step::Refused(refusal) => return Err(refusal.into_error()),
            Step::Unchanged | Step::Removed => return Ok(asked),
            Step::To(_) => {}
        }
        match self.sessions.reserve(context, &asked).await? {
            Reserved::Booked => self.accepted(context, permit, &asked).await,
            Reserved::Moved => {
                let message = "the session starts at another time now: the client has to ask for it again";
                Err(Error::new(Kind::FailedPrecondition, "SESSION_MOVED", message))
            }
            Reserved::Taken => {
                self.step(policy::session(asked.session), id, Action::Lost, None).await?.into_result()?;
                let message = "another client has the session: this request is REJECTED";
                Err(Error::new(Kind::AlreadyExists, "SLOT_TAKEN", message))
            }
            Reserved::Gone => {
                self.step(policy::session(asked.session), id, Action::Lost, None).await?.into_result()?;
                let message = "the session does not take place: this request is REJECTED";
                Err(Error::new(Kind::FailedPrecondition, "SESSION_GONE", message))
            }
            // The end of the account removes what the client has asked for; it may not have come here yet.
            Reserved::ClientEnded => {
                let _gone = self.store.remove(&asked).await?;
                Err(no_appointment())
            }
        }
    }

    /// The appointment whose session was just booked for it. Sessions has told of it by now, or else it is settled here.
    async fn accepted(&self, context: &Context, permit: Permit, asked: &Appointment) -> Result<Appointment> {
        let told = self.get(permit, asked.id).await?;
        if told.standing == Standing::Pending {
            self.settle(context, &asked.booked()).await?;
        }
        let now = self.get(permit, asked.id).await?;
        match transition::step(permit.actor(), Action::Accept, now.status_at(self.now())) {
            Step::Refused(refusal) => Err(refusal.into_error()),
            Step::Unchanged | Step::Removed => Ok(now),
            Step::To(_) => Err(contended()),
        }
    }

    /// The client takes a request back. An acceptance that has booked the session meanwhile finds no appointment, and gives
    /// it back.
    pub(crate) async fn cancel(&self, permit: Permit, id: AppointmentId) -> Result<()> {
        let stepped = self.step(permit, id, Action::Cancel, None).await?;
        if matches!(stepped, Stepped::Removed) { Ok(()) } else { stepped.into_result().map(drop) }
    }

    /// Takes a step with an appointment, in whatever state it is by the time that it is taken.
    ///
    /// # Errors
    /// ABORTED when it is not the version that was expected, or when others keep changing it; UNAVAILABLE or INTERNAL.
    pub(crate) async fn step(
        &self,
        permit: Permit,
        id: AppointmentId,
        action: Action,
        expected: Option<Version>,
    ) -> Result<Stepped> {
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            let Some(old) = self.store.read(permit, id).await? else { return Ok(Stepped::Absent) };
            if expected.is_some_and(|expected| expected != old.version) {
                return Err(Version::stale());
            }
            let (written, stepped) = match old.step(permit.actor(), action, self.now()) {
                Step::Unchanged => return Ok(Stepped::Done(old)),
                Step::Refused(refusal) => return Ok(Stepped::Refused(refusal)),
                Step::Removed => (self.store.remove(&old).await, Stepped::Removed),
                Step::To(standing) => {
                    let new = old.after(standing, self.mark(standing, action));
                    (self.store.replace(&old, &new).await, Stepped::Done(new))
                }
            };
            match written {
                Ok(Written::Done) => return Ok(stepped),
                Ok(Written::Conflict) => {}
                // Whoever is in the way may have decided the matter: that is for the next look to tell.
                Err(error) if error.kind() == Kind::Aborted => {}
                Err(error) => return Err(error),
            }
        }
        Err(contended())
    }

    /// What sessions does not know yet is marked: that an appointment is revoked on this side. Of the end of an account it hears
    /// itself, and cancels what a slot that is given back would have become available.
    fn mark(&self, standing: Standing, action: Action) -> Option<Mark> {
        let is_news = standing == Standing::Revoked && !matches!(action, Action::Withdrawn | Action::AccountEnded);
        is_news.then(|| Mark::new(&*self.platform.clock, &*self.platform.entropy))
    }

    async fn replayed(&self, asking: Asking, claim: Option<&Claim>) -> Result<Option<Appointment>> {
        let Some(claim) = claim else { return Ok(None) };
        let Some(id) = claim.replayed().await? else { return Ok(None) };
        let id = id.parse().map_err(|_| Error::internal("a record names no appointment"))?;
        self.get(asking.permit(), id).await.map(Some)
    }
}

impl Stepped {
    /// The appointment as it is now.
    fn into_result(self) -> Result<Appointment> {
        match self {
            Self::Done(now) => Ok(now),
            Self::Refused(refusal) => Err(refusal.into_error()),
            Self::Removed | Self::Absent => Err(no_appointment()),
        }
    }
}

/// The slot that was found, if it can be asked for.
fn available(found: Found) -> Result<(SessionId, Start)> {
    match found {
        Found::Available(session, start) => Ok((session, start)),
        Found::None => Err(no_session()),
        Found::Taken => Err(Error::new(Kind::AlreadyExists, "SLOT_TAKEN", "the session is booked: choose another one")),
        Found::Past => {
            Err(Error::new(Kind::FailedPrecondition, "SESSION_OVER", "the session has begun: choose another one"))
        }
        Found::OtherTime => Err(Error::invalid("appointmentDate", "must be a time of the session")),
        Found::Ambiguous => Err(Error::invalid("sessionId", "is required: more than one session is meant by the time")),
    }
}

fn no_appointment() -> Error {
    Error::not_found("appointment")
}

fn contended() -> Error {
    let message = "somebody else is changing the same appointment right now; repeat the request";
    Error::new(Kind::Aborted, "CONFLICT", message)
}
