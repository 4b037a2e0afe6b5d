//! Adds entries to journals in bulk, for operators.

use chassis::Platform;
use dynamo::seal::SealingKey;
use kernel::{ClientId, Result};
use proto::journals::v1::{EntryText, JournalEntry};

use crate::model::{Draft, Entry, EntryId};
use crate::ops::now;
use crate::policy::Write;
use crate::store::{JOURNALS, Store};
use crate::wire;

/// Adds entries to journals, straight to the table. Services may run meanwhile.
pub struct JournalImport {
    store: Store,
    platform: Platform,
}

impl JournalImport {
    /// Opens the table [`JOURNALS`] for operators.
    #[must_use]
    pub fn new(dynamodb: &dynamo::Client, platform: &Platform) -> Self {
        Self { store: Store::new(dynamodb.table(&JOURNALS), platform.entropy.clone()), platform: platform.clone() }
    }

    /// Adds these entries to the journal of a client, by a transaction for each hundred. The key is the client's data
    /// key. Search isn't told of them: the caller writes the texts that this returns into the index.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when an entry is invalid, before anything is written; UNAVAILABLE, ABORTED (`CONFLICT`) or
    /// INTERNAL. What was written before the error stays.
    pub async fn add(&self, client: ClientId, key: &SealingKey, entries: Vec<JournalEntry>) -> Result<Vec<EntryText>> {
        let (permit, now) = (Write::of_operators(client), now(&self.platform));
        let new = |entry| {
            let Draft { felt_at, content } = wire::draft(entry, permit, now)?;
            Ok(Entry::new(EntryId::generate(felt_at, &*self.platform.entropy), content, now))
        };
        let entries: Vec<_> = entries.into_iter().map(new).collect::<Result<_>>()?;
        self.store.import(permit, key, &entries).await?;
        Ok(entries.into_iter().map(|entry| wire::entry_text(client, entry)).collect())
    }
}

impl std::fmt::Debug for JournalImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalImport")
    }
}
