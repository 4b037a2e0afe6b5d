//! What a client's ending of a relation does to appointments.

use kernel::Result;

use crate::ops::Ops;
use crate::policy::Withdrawal;
use crate::transition::Action;

/// End of a relation, by its client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) permit: Withdrawal,
    /// Version of the relation that the ending made.
    pub(crate) version: u32,
}

impl Ops {
    /// Withdraws what the client had asked for before ending the relation, and lets nothing of before begin any more. It can
    /// be repeated, late too: what was asked for after that stays.
    ///
    /// A request that is being accepted is decided by the write that comes first: once it is ACCEPTED it stays, and once it is
    /// withdrawn the acceptance finds none, and gives the slot back.
    pub(crate) async fn end_relation(&self, ended: Ended) -> Result<()> {
        let Ended { permit, version } = ended;
        self.store.close(permit, version).await?;
        for id in self.store.asked_before(permit, version, self.now()).await? {
            self.step(permit.permit(), id, Action::RelationEnded, None).await?;
        }
        Ok(())
    }
}
