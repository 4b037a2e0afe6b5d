//! Deletes the data of an ended account from sessions.

use chassis::Context;
use futures_util::{TryStreamExt as _, stream};
use kernel::{Party, Result, SessionId, Timestamp};
use subscriber::AccountDeletionPermit;

use crate::error;
use crate::model::{Session, State};
use crate::ops::Ops;
use crate::row::id_of;
use crate::slots::freed;
use crate::store::Written;
use crate::stored::{SealedNotes, Stored};
use crate::transition;

/// Page size and maximum concurrent changes; low, so that account deletion doesn't slow down callers' requests.
const AT_ONCE: (u16, usize) = (200, 4);

impl Ops {
    /// Forgets the key of a deleted account, and removes the person from sessions. It can be repeated after an
    /// interruption: the sessions that had begun by the time of the deletion are the same for every delivery, here and
    /// in appointments.
    pub(crate) async fn handle_account_deleted(&self, context: &Context, permit: AccountDeletionPermit) -> Result<()> {
        self.keyring.forget(permit.id());
        let at = permit.time().unwrap_or_else(|| self.now());
        let all = self.store.of_ended(permit).limit(AT_ONCE.0);
        let mut next = Some(all.clone());
        while let Some(query) = next {
            let rows = query.page().await?;
            let left =
                stream::iter(rows.items.iter().map(id_of)).map_ok(|id| self.detach_account(context, permit, at, id));
            left.try_buffer_unordered(AT_ONCE.1).try_collect::<()>().await?;
            next = rows.next.map(|cursor| all.clone().after(cursor));
        }
        self.store.remove_calendar(permit).await
    }

    async fn detach_account(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        at: Timestamp,
        id: SessionId,
    ) -> Result<()> {
        let mut attempts = self.attempts();
        while attempts.next().await {
            let Some(old) = self.store.of_ended_account(permit, id).await? else { return Ok(()) };
            let done = match permit.party() {
                Party::Client(_) => self.without_client(permit, &old, at).await?,
                Party::Therapist(_) => self.without_therapist(context, permit, &old, at).await?,
            };
            if done {
                return Ok(());
            }
        }
        Err(error::contended())
    }

    /// Removes the client from a session, which is available again if it has not begun. Appointments gets the event of
    /// the end itself. Returns true when done.
    async fn without_client(&self, permit: AccountDeletionPermit, old: &Stored, at: Timestamp) -> Result<bool> {
        let session = old.session();
        let new = match session.state {
            State::Booked(_) if session.has_begun(at) => freed(old, State::Booked(None)),
            State::Booked(_) | State::Available => freed(old, State::Available),
            State::Cancelled(_) => {
                let new = freed(old, State::Cancelled(None));
                Stored::new(*new.session(), new.sealed_notes().clone(), old.pending())
            }
        };
        Ok(matches!(self.store.replace(permit, old, &new, None).await?, Written::Done))
    }

    /// Removes the therapist's notes from a session, which is deleted if it was available, and cancelled if it was
    /// booked and has not begun. The calendar is removed as a whole. Returns true when done.
    async fn without_therapist(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        old: &Stored,
        at: Timestamp,
    ) -> Result<bool> {
        let session = old.session();
        let step = match session.state {
            State::Available => {
                // The withdrawal must be delivered before the item with its event is removed.
                self.deliver_pending(context, old).await?;
                return match old.pending() {
                    Some(_) => Ok(false),
                    None => self.store.remove(permit, old).await,
                };
            }
            State::Booked(_) if !session.has_begun(at) => Some(transition::cancel(session.state)),
            State::Booked(_) | State::Cancelled(_) => None,
        };
        let SealedNotes { private, shared } = old.sealed_notes().clone();
        let shared = shared.filter(|_| session.state.client().is_some());
        if step.is_none() && private.is_none() && shared.is_some() == old.sealed_notes().shared.is_some() {
            return Ok(true);
        }
        let state = step.map_or(session.state, |step| step.state);
        let pending = if step.is_some() { self.pending_event(step) } else { old.pending() };
        let session = Session { state, version: session.version.next(), ..*session };
        let new = Stored::new(session, SealedNotes { private: None, shared }, pending);
        if !matches!(self.store.replace(permit, old, &new, None).await?, Written::Done) {
            return Ok(false);
        }
        if step.is_some() {
            self.announce(context, &new).await;
        }
        Ok(true)
    }
}
