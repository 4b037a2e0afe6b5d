//! Handles the events of other services.

use chassis::Context;
use kernel::{Party, Result};
use subscriber::{AccountDeletionPermit, EventHandler};

use crate::ops::Ops;
use crate::service::Messages;

impl EventHandler for Messages {
    async fn account_deleted(&self, _: &Context, permit: AccountDeletionPermit) -> Result<()> {
        self.0.handle_account_deleted(permit).await
    }
}

impl Ops {
    /// Drops the cached key of an ended account, which vault has destroyed by now. A client's conversations are erased;
    /// a therapist's conversations stay, because they belong to the clients.
    ///
    /// Another replica may cache the key until it expires; a message that it adds meanwhile stays, but can't be read
    /// after that.
    pub(crate) async fn handle_account_deleted(&self, permit: AccountDeletionPermit) -> Result<()> {
        self.keyring.forget(permit.id());
        if let Party::Client(client) = permit.party() {
            self.hub.end_threads_of(client);
        }
        self.store.erase(permit).await
    }
}
