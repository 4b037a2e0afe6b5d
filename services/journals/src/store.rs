//! The table Journals: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `ENTRY#<entry id>` | an entry, whose content is one sealed attribute |
//! | `IDEM#<digest>` | `IDEM` | the record of an idempotent request |
//!
//! Entry ids sort by the time of the emotion, so the descending order of the key is newest first.

use std::sync::Arc;

use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{
    Claim, Condition, Cursor, Delete, EXPIRES_AT, Item, Key, KeyDef, Put, Query, Read as Fresh, Sort, Table, TableDef,
    Transact, Update,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{ClientId, Entropy, Error, Result, Timestamp, Version};
use serde::{Deserialize, Serialize};
use subscriber::AccountDeletionPermit;

use crate::content::{self, Opened};
use crate::model::{Entry, EntryId, Range, Visibility};
use crate::policy::{Read, Write};

/// The table of journals.
pub static JOURNALS: TableDef = TableDef { name: "Journals", key: KeyDef::PK_SK, indexes: &[], ttl: Some(EXPIRES_AT) };

const ENTRY: &str = "ENTRY#";

/// The sealed attribute.
const CONTENT: &str = "content";

/// Erasure of a journal: maximum entries of one read, and of those removed concurrently.
const ERASED_AT_ONCE: (u16, usize) = (200, 8);

/// The handle of the table.
pub(crate) struct Store {
    table: Table,
    entropy: Arc<dyn Entropy>,
}

/// Outcome of adding an entry.
pub(crate) enum Added {
    Done,
    /// The same request has added the entry with this id before.
    Replayed(EntryId),
}

/// Result of one read of a journal, newest first.
pub(crate) struct Chunk {
    /// Entries that were read. Of those that the permit doesn't show there is only the id.
    pub(crate) looked_at: Vec<(EntryId, Option<Entry>)>,
    /// Cursor of the next read; `None` at the end.
    pub(crate) next: Option<Cursor>,
}

#[derive(Serialize)]
struct NewRow<'a> {
    content: &'a Sealed,
    format: u8,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: Version,
}

#[derive(Deserialize)]
struct Row {
    sk: String,
    content: Sealed,
    format: u8,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: Version,
}

fn partition(client: ClientId) -> String {
    format!("CLIENT#{client}")
}

fn sort(id: EntryId) -> String {
    format!("{ENTRY}{id}")
}

fn key_of(client: ClientId, id: EntryId) -> Key {
    Key::new(partition(client), sort(id))
}

impl Store {
    pub(crate) const fn new(table: Table, entropy: Arc<dyn Entropy>) -> Self {
        Self { table, entropy }
    }

    /// Stores a new entry, with the record of an idempotent request.
    pub(crate) async fn add(
        &self,
        permit: Write,
        key: &SealingKey,
        entry: &Entry,
        claim: Option<&Claim>,
    ) -> Result<Added> {
        let place = key_of(permit.client(), entry.id);
        let sealed = self.seal(&place, key, entry)?;
        let row = row(entry, &sealed);
        // With 80 random bits, a taken id means that the source of randomness is broken.
        let taken = || Error::internal("the id of a new entry is taken");
        let Some(claim) = claim else {
            return match self.table.put_new(&place, &row).await? {
                Put::Done => Ok(Added::Done),
                Put::Exists(_) => Err(taken()),
            };
        };
        let put = self.table.put(&place, &row).when(Condition::absent()).into();
        match self.table.transact([put, claim.action(&entry.id.to_string())]).await? {
            Transact::Done => Ok(Added::Done),
            Transact::Failed(verdicts) => {
                let made = verdicts.get(1).map(|verdict| claim.lost(verdict)).transpose()?.flatten();
                let made = made.ok_or_else(taken)?;
                made.parse().map(Added::Replayed).map_err(|_| Error::internal("a record names no entry"))
            }
        }
    }

    /// Replaces an entry if its version is still the one that was read. Returns whether it was.
    pub(crate) async fn replace(&self, permit: Write, key: &SealingKey, old: Version, new: &Entry) -> Result<bool> {
        let place = key_of(permit.client(), new.id);
        let sealed = self.seal(&place, key, new)?;
        let put = self.table.put(&place, &row(new, &sealed)).when(Condition::eq("version", old));
        Ok(matches!(put.run().await?, Update::Done(_)))
    }

    /// Removes an entry. Returns whether it existed.
    pub(crate) async fn remove(&self, permit: Write, id: EntryId) -> Result<bool> {
        let delete = self.table.delete(&key_of(permit.client(), id)).when(Condition::exists());
        Ok(matches!(delete.run().await?, Delete::Done(_)))
    }

    /// Removes every entry under the account's id; a therapist has none. Idempotent: a repetition resumes after an
    /// interruption.
    pub(crate) async fn erase(&self, permit: AccountDeletionPermit) -> Result<()> {
        let client = ClientId::from(permit.id());
        loop {
            let rows = self.table.query(partition(client)).consistent().limit(ERASED_AT_ONCE.0).page().await?;
            let remove = async |item: Item| {
                let sort = item.text("sk").ok_or_else(|| Error::internal("an item of a journal has no key"))?;
                self.table.delete(&Key::new(partition(client), sort)).run().await.map(drop)
            };
            let removed = stream::iter(rows.items).map(remove).buffer_unordered(ERASED_AT_ONCE.1);
            removed.try_collect::<()>().await?;
            if rows.next.is_none() {
                return Ok(());
            }
        }
    }

    /// Returns the entry with this id, if the permit shows it.
    pub(crate) async fn entry(&self, permit: &Read, key: &SealingKey, id: EntryId) -> Result<Option<Entry>> {
        let item = self.table.get_item(&key_of(permit.client(), id), Fresh::Consistent).await?;
        item.map(|item| self.open(permit, key, item)).transpose().map(|opened| opened.and_then(|(_, entry)| entry))
    }

    /// Returns the query of the permitted part of a range, newest first; `None` when no part is permitted.
    pub(crate) fn query(&self, permit: &Read, range: Range) -> Option<Query> {
        let (first, last) = permit.within(range).ids()?;
        let sort = Sort::Between(sort(first), sort(last));
        Some(self.table.query(partition(permit.client())).sort(sort).descending().consistent())
    }

    /// Reads at most `limit` items of a query from [`query`](Self::query), by one call.
    pub(crate) async fn chunk(&self, permit: &Read, key: &SealingKey, query: Query, limit: u16) -> Result<Chunk> {
        let rows = query.limit(limit).page().await?;
        Ok(Chunk { looked_at: self.open_all(permit, key, rows.items)?, next: rows.next })
    }

    /// Opens items that were read.
    pub(crate) fn open_all(
        &self,
        permit: &Read,
        key: &SealingKey,
        items: Vec<Item>,
    ) -> Result<Vec<(EntryId, Option<Entry>)>> {
        items.into_iter().map(|item| self.open(permit, key, item)).collect()
    }

    /// Opens an item. Every entry read from the table passes here: one that the permit doesn't show is `None`.
    fn open(&self, permit: &Read, key: &SealingKey, item: Item) -> Result<(EntryId, Option<Entry>)> {
        let Row { sk, content: sealed, format, created_at, updated_at, version } = item.parse()?;
        let broken = || Error::internal("an item of a journal is no entry");
        let id = sk.strip_prefix(ENTRY).and_then(|id| id.parse().ok()).ok_or_else(broken)?;
        let place = Key::new(partition(permit.client()), sk);
        let place = Place { table: &self.table, key: &place, attribute: CONTENT, version: format };
        let Opened { content, shared_since } = content::decode(format, &key.open(&place, &sealed)?)?;
        let shown = permit.shows(id, &content);
        // An entry stored before `shared_since` existed was SHARED from the start if it was never corrected, and else
        // at least since its last correction.
        let known = if version == Version::FIRST { created_at } else { updated_at };
        let shared_since = (content.visibility == Visibility::Shared).then(|| shared_since.unwrap_or(known));
        Ok((id, shown.then_some(Entry { id, content, created_at, updated_at, shared_since, version })))
    }

    fn seal(&self, place: &Key, key: &SealingKey, entry: &Entry) -> Result<Sealed> {
        let place = Place { table: &self.table, key: place, attribute: CONTENT, version: content::FORMAT };
        key.seal(&place, &content::encode(&entry.content, entry.shared_since), &*self.entropy)
    }
}

/// Returns the cursor at an entry's position, whether the entry still exists or not.
pub(crate) fn cursor(client: ClientId, id: EntryId) -> Cursor {
    let KeyDef { partition: pk, sort: sk } = JOURNALS.key;
    Cursor::new([(pk.to_owned(), partition(client)), (sk.unwrap_or_default().to_owned(), sort(id))])
}

const fn row<'a>(entry: &Entry, content: &'a Sealed) -> NewRow<'a> {
    let Entry { id: _, content: _, created_at, updated_at, shared_since: _, version } = entry;
    NewRow { content, format: content::FORMAT, created_at: *created_at, updated_at: *updated_at, version: *version }
}
