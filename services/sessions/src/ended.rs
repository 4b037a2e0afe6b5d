//! What the end of an account does to sessions.

use chassis::Context;
use futures_util::{TryStreamExt as _, stream};
use kernel::{ClientId, Error, Result, SessionId, TherapistId, Timestamp, UserId};

use crate::model::{Session, State};
use crate::ops::{Ops, contended};
use crate::policy::AccountDeletionPermit;
use crate::slots::freed;
use crate::store::Written;
use crate::stored::{Sealings, Stored};
use crate::transition;

/// How many sessions are read, and how many of them are changed at a time: few, so that it takes nothing from people who wait.
const AT_ONCE: (u16, usize) = (200, 4);

impl Ops {
    /// Lets go of the key of an account that ended then, and of what the person had in sessions. It can be repeated, and goes on
    /// where it was interrupted: what had begun by that time is the same whenever it is told, here and to appointments.
    pub(crate) async fn handle_account_deleted(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        at: Timestamp,
    ) -> Result<()> {
        let account: UserId = match permit {
            AccountDeletionPermit::Client(client) => client.into(),
            AccountDeletionPermit::Therapist(therapist) => therapist.into(),
        };
        self.keyring.forget(account);
        let all = self.store.of_ended(permit).limit(AT_ONCE.0);
        let mut next = Some(all.clone());
        while let Some(query) = next {
            let rows = query.page().await?;
            let ids = rows.items.into_iter().map(|item| {
                let id = item.text("session_id").and_then(|id| id.parse().ok());
                id.ok_or_else(|| Error::internal("an index shows a session without its id"))
            });
            let left = stream::iter(ids).map_ok(|id| self.leave(context, permit, at, id));
            left.try_buffer_unordered(AT_ONCE.1).try_collect::<()>().await?;
            next = rows.next.map(|cursor| all.clone().after(cursor));
        }
        match permit {
            AccountDeletionPermit::Client(_) => Ok(()),
            AccountDeletionPermit::Therapist(therapist) => self.store.remove_calendar(therapist).await,
        }
    }

    async fn leave(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        at: Timestamp,
        id: SessionId,
    ) -> Result<()> {
        let mut attempts = self.attempts();
        while attempts.next().await {
            let Some(old) = self.store.left(permit, id).await? else { return Ok(()) };
            let done = match permit {
                AccountDeletionPermit::Client(client) => self.without_client(&old, client, at).await?,
                AccountDeletionPermit::Therapist(therapist) => {
                    self.without_therapist(context, &old, therapist, at).await?
                }
            };
            if done {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// The session without its client: available again, if it has not begun. Appointments hears of the end itself. Answers
    /// whether it is done.
    async fn without_client(&self, old: &Stored, client: ClientId, at: Timestamp) -> Result<bool> {
        let session = old.session();
        if session.state.client() != Some(client) {
            return Ok(true);
        }
        let new = match session.state {
            State::Booked(_) if session.has_begun(at) => freed(old, State::Booked(None)),
            State::Booked(_) | State::Available => freed(old, State::Available),
            State::Cancelled(_) => {
                let new = freed(old, State::Cancelled(None));
                Stored::new(*new.session(), new.sealings().clone(), old.pending())
            }
        };
        Ok(matches!(self.store.replace(old, &new, None).await?, Written::Done))
    }

    /// The session without its therapist's notes: removed, if it was available, and cancelled, if it was booked and has not
    /// begun. The calendar is removed as a whole. Answers whether it is done.
    async fn without_therapist(
        &self,
        context: &Context,
        old: &Stored,
        therapist: TherapistId,
        at: Timestamp,
    ) -> Result<bool> {
        let session = old.session();
        if session.therapist != therapist {
            return Ok(true);
        }
        let step = match session.state {
            State::Available => {
                // Who had it must hear that it was taken back, before nothing is left that says so.
                self.settle(context, old).await?;
                return match old.pending() {
                    Some(_) => Ok(false),
                    None => self.store.remove(old).await,
                };
            }
            State::Booked(_) if !session.has_begun(at) => Some(transition::cancel(session.state)),
            State::Booked(_) | State::Cancelled(_) => None,
        };
        let Sealings { private, shared } = old.sealings().clone();
        let shared = shared.filter(|_| session.state.client().is_some());
        if step.is_none() && private.is_none() && shared.is_some() == old.sealings().shared.is_some() {
            return Ok(true);
        }
        let state = step.map_or(session.state, |step| step.state);
        let pending = if step.is_some() { self.marked(step) } else { old.pending() };
        let session = Session { state, version: session.version.next(), ..*session };
        let new = Stored::new(session, Sealings { private: None, shared }, pending);
        if !matches!(self.store.replace(old, &new, None).await?, Written::Done) {
            return Ok(false);
        }
        if step.is_some() {
            self.announce(context, &new).await;
        }
        Ok(true)
    }
}
