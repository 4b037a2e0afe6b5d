use dynamo::{Action, Key, Transact};
use kernel::{Error, Result};

use crate::index::Index;
use crate::index::scope::Partition;

/// Items that one transaction deletes.
const PAGE: u16 = 100;

impl Index {
    /// Deletes everything of a scope. Idempotent: a repetition resumes after an interruption.
    ///
    /// It needs no key, so that it can run after the owner's key was destroyed. A writer that still holds the key may
    /// begin new documents meanwhile: purge again once no cached key can be left.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn purge(&self, partition: Partition) -> Result<()> {
        let partition = partition.to_string();
        loop {
            let rows = self.table.query(&*partition).consistent().limit(PAGE).page().await?;
            let delete = |item: &dynamo::Item| {
                let sort = item.text("sk").ok_or_else(|| Error::internal("an item of the index has no key"))?;
                Ok(self.table.delete(&Key::new(&*partition, sort)).into())
            };
            let deletions = rows.items.iter().map(delete).collect::<Result<Vec<Action>>>()?;
            if !deletions.is_empty() && matches!(self.table.transact(deletions).await?, Transact::Failed(_)) {
                return Err(Error::internal("DynamoDB reports a condition where there is none"));
            }
            if rows.next.is_none() {
                return Ok(());
            }
        }
    }
}
