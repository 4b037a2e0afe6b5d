//! Handles the events of other services.

use chassis::Context;
use kernel::Result;
use subscriber::{AccountDeletionPermit, EventHandler};

use crate::ops::Ops;
use crate::service::Journals;

impl EventHandler for Journals {
    async fn account_deleted(&self, _: &Context, permit: AccountDeletionPermit) -> Result<()> {
        self.0.handle_account_deleted(permit).await
    }
}

impl Ops {
    /// Drops the cached key of an ended account, which vault has destroyed by now, and removes the entries. Another
    /// replica may cache the key until it expires; an entry that it adds meanwhile stays, but can't be read after that.
    async fn handle_account_deleted(&self, permit: AccountDeletionPermit) -> Result<()> {
        self.keyring.forget(permit.id());
        self.pages.store.erase(permit).await
    }
}
