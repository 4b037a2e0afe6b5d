//! Handles the deletion of an account.

use chassis::Context;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{AppointmentId, Expected, Party, Result, Timestamp};
use subscriber::AccountDeletionPermit;

use crate::model::Appointment;
use crate::ops::Ops;
use crate::policy;
use crate::store::Written;
use crate::transition::{Action, Status, StoredStatus};

/// Maximum appointments ended concurrently: few, so that the work does not slow down requests of people.
const MAX_CONCURRENT: usize = 4;

impl Ops {
    /// Ends every appointment of a deleted account, and prevents new ones: those of a client are removed, those of a
    /// therapist become REJECTED or REVOKED, except those that have begun. Idempotent; resumes after an interruption.
    ///
    /// The time of the deletion decides which appointments have begun, here and in sessions, however late the event is
    /// handled. The index lags, so it is read until a pass finds nothing left to end.
    pub(crate) async fn handle_account_deleted(&self, context: &Context, permit: AccountDeletionPermit) -> Result<()> {
        let at = permit.time().unwrap_or_else(|| self.now());
        self.store.mark_ended(permit, self.now()).await?;
        while self.end_all(context, permit, at).await? {}
        Ok(())
    }

    /// Ends the appointments that the index shows. Returns whether there was one to end.
    async fn end_all(&self, context: &Context, permit: AccountDeletionPermit, at: Timestamp) -> Result<bool> {
        let (mut any, mut after) = (false, None);
        loop {
            let (theirs, next) = self.store.of_ended(permit, after).await?;
            let ended =
                stream::iter(theirs).map(|id| self.end_one(context, permit, at, id)).buffer_unordered(MAX_CONCURRENT);
            any |= ended.try_fold(false, |any, one| std::future::ready(Ok(any || one))).await?;
            after = next;
            if after.is_none() {
                return Ok(any);
            }
        }
    }

    /// Ends one appointment. Returns whether there was something to end.
    async fn end_one(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        at: Timestamp,
        id: AppointmentId,
    ) -> Result<bool> {
        let Some(old) = self.store.read(policy::ended(permit), id).await? else { return Ok(false) };
        match permit.party() {
            Party::Client(_) => self.remove(context, permit, &old, at).await.map(|()| true),
            Party::Therapist(_) => self.close(permit, &old, at).await,
        }
    }

    /// Releases the slot, if it has one that can still be booked, and removes the appointment. After a concurrent
    /// change the next pass finds it again.
    async fn remove(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        old: &Appointment,
        at: Timestamp,
    ) -> Result<()> {
        let holds = old.stored_status == StoredStatus::Accepted && !old.has_begun(at);
        if holds || old.mark.is_some() {
            self.release_slot(context, old.session, old.id).await?;
        }
        match self.store.remove(policy::ended(permit), old).await? {
            Written::Done | Written::Conflict => Ok(()),
        }
    }

    /// Rejects or revokes an appointment that has not begun. No event goes to sessions, which handles the deletion
    /// itself: it cancels booked sessions, and removes the others.
    async fn close(&self, permit: AccountDeletionPermit, old: &Appointment, at: Timestamp) -> Result<bool> {
        let is_open = matches!(old.status_at(self.now()), Status::Pending | Status::Accepted);
        if !is_open || old.has_begun(at) {
            return Ok(false);
        }
        self.step(policy::ended(permit), old.id, Action::AccountEnded, &Expected::Anything).await.map(|_| true)
    }
}
