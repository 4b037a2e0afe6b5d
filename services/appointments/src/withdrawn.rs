//! Handles the end of a relation by its client.

use kernel::{Expected, Result};

use crate::ops::Ops;
use crate::policy::Withdrawal;
use crate::transition::Action;

impl Ops {
    /// Withdraws the requests that the client made before ending the relation, and prevents further ones of earlier
    /// versions; `version` is that of the relation after the ending. Idempotent, also when it is late: requests made
    /// after the ending stay.
    ///
    /// Between a withdrawal and a concurrent acceptance, the first write decides: an ACCEPTED appointment stays; after
    /// a withdrawal the acceptance finds no request, and releases the slot.
    pub(crate) async fn end_relation(&self, permit: Withdrawal, version: u32) -> Result<()> {
        self.store.close(permit, version).await?;
        for id in self.store.asked_before(permit, version, self.now()).await? {
            self.step(permit.permit(), id, Action::RelationEnded, &Expected::Anything).await?;
        }
        Ok(())
    }
}
