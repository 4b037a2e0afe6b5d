//! What the end of an account does to appointments.

use chassis::Context;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{AppointmentId, Result, Timestamp};

use crate::model::Appointment;
use crate::ops::Ops;
use crate::policy::AccountDeletionPermit;
use crate::store::Written;
use crate::transition::{Action, Standing, Status};

/// How many appointments are ended at a time: few, so that it takes nothing from people who wait.
const AT_ONCE: usize = 4;

impl Ops {
    /// Ends every appointment of somebody whose account is ended, and lets none begin: a client's are removed, those of a
    /// therapist REJECTED or REVOKED, but for what has taken place. It can be repeated, and goes on where it was interrupted.
    ///
    /// What had begun when the account ended is the same whenever it is told, here and to sessions. An index lags, so it is read
    /// until a reading finds nothing left to end.
    pub(crate) async fn handle_account_deleted(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        at: Timestamp,
    ) -> Result<()> {
        self.store.mark_ended(permit, self.now()).await?;
        while self.end_all(context, permit, at).await? {}
        Ok(())
    }

    /// Ends what is found. Answers whether there was anything to end.
    async fn end_all(&self, context: &Context, permit: AccountDeletionPermit, at: Timestamp) -> Result<bool> {
        let (mut any, mut after) = (false, None);
        loop {
            let (theirs, next) = self.store.of_ended(permit, after).await?;
            let ended = stream::iter(theirs).map(|id| self.end_one(context, permit, at, id)).buffer_unordered(AT_ONCE);
            any |= ended.try_fold(false, |any, one| std::future::ready(Ok(any || one))).await?;
            after = next;
            if after.is_none() {
                return Ok(any);
            }
        }
    }

    async fn end_one(
        &self,
        context: &Context,
        permit: AccountDeletionPermit,
        at: Timestamp,
        id: AppointmentId,
    ) -> Result<bool> {
        let Some(old) = self.store.read(permit.permit(), id).await? else { return Ok(false) };
        match permit {
            AccountDeletionPermit::Client(_) => self.remove(context, &old, at).await.map(|()| true),
            AccountDeletionPermit::Therapist(_) => self.close(permit, &old, at).await,
        }
    }

    /// Gives back the slot, if it has one that others can still have, and removes it. What changes meanwhile is found again.
    async fn remove(&self, context: &Context, old: &Appointment, at: Timestamp) -> Result<()> {
        let holds = old.standing == Standing::Accepted && !old.has_begun(at);
        if holds || old.mark.is_some() {
            self.give_back(context, old.session, old.id).await?;
        }
        match self.store.remove(old).await? {
            Written::Done | Written::Conflict => Ok(()),
        }
    }

    /// Sessions hears of the end too: it cancels what is booked, and removes what is not.
    async fn close(&self, permit: AccountDeletionPermit, old: &Appointment, at: Timestamp) -> Result<bool> {
        let is_open = matches!(old.status_at(self.now()), Status::Pending | Status::Accepted);
        if !is_open || old.has_begun(at) {
            return Ok(false);
        }
        self.step(permit.permit(), old.id, Action::AccountEnded, None).await.map(|_| true)
    }
}
