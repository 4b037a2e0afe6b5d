//! Erases the conversations of an ended account.

use dynamo::{Item, Key};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{Error, Party, Result};
use subscriber::AccountDeletionPermit;

use super::{Head, Store, head_key, heads, thread};

/// Maximum items of one read, and of messages removed concurrently.
const AT_ONCE: (u16, usize) = (200, 8);

impl Store {
    /// Removes every conversation of a client; a therapist's stay. Idempotent: a repetition resumes after an
    /// interruption, because a head is removed after its messages.
    pub(crate) async fn erase(&self, permit: AccountDeletionPermit) -> Result<()> {
        let Party::Client(client) = permit.party() else { return Ok(()) };
        loop {
            let query = self.table.query(heads(client)).consistent().limit(AT_ONCE.0);
            let rows = query.page().await?;
            let is_last = rows.next.is_none();
            for head in rows.parse::<Head>()? {
                self.erase_messages(&thread(head.pair())).await?;
                self.table.delete(&head_key(head.pair())).run().await.map(drop)?;
                // Nothing is appended to a conversation whose head is gone, but something may have been just before.
                self.erase_messages(&thread(head.pair())).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn erase_messages(&self, partition: &str) -> Result<()> {
        loop {
            let rows = self.table.query(partition).consistent().limit(AT_ONCE.0).page().await?;
            let remove = async |item: Item| {
                let sort = item.text("sk").ok_or_else(|| Error::internal("a stored message has no key"))?;
                self.table.delete(&Key::new(partition, sort)).run().await.map(drop)
            };
            let removed = stream::iter(rows.items).map(remove).buffer_unordered(AT_ONCE.1);
            removed.try_collect::<()>().await?;
            if rows.next.is_none() {
                return Ok(());
            }
        }
    }
}
