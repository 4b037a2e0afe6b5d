//! The table Journals: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `ENTRY#<entry id>` | an entry: what the client wrote is one sealed attribute |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |
//!
//! Entry ids order by the time of the emotion, so that newest first is the order of the key.

use std::sync::Arc;

use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{
    Claim, Condition, Cursor, Delete, EXPIRES_AT, Item, Key, KeyDef, Put, Query, Read as Fresh, Sort, Table, TableDef,
    Transact, Update,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{ClientId, Entropy, Error, Result, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::content::{self, Opened};
use crate::model::{Entry, EntryId, Range, Visibility};
use crate::policy::{Erase, Read, Write};

/// The table of journals.
pub static JOURNALS: TableDef = TableDef { name: "Journals", key: KeyDef::PK_SK, indexes: &[], ttl: Some(EXPIRES_AT) };

const ENTRY: &str = "ENTRY#";

/// The attribute that is sealed.
const CONTENT: &str = "content";

/// How many entries are read to be erased, and how many of them are removed at a time.
const ERASED_AT_ONCE: (u16, usize) = (200, 8);

/// The handle of the table.
pub(crate) struct Store {
    table: Table,
    entropy: Arc<dyn Entropy>,
}

/// What became of a new entry.
pub(crate) enum Added {
    Done,
    /// The same request has made the entry with this id before.
    Replayed(EntryId),
}

/// What was read of a journal in one go, newest first.
pub(crate) struct Chunk {
    /// What was looked at. Of what the permit does not show there is the place alone.
    pub(crate) looked_at: Vec<(EntryId, Option<Entry>)>,
    /// Where to go on; nothing when this was the end.
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

    /// Stores a new entry, and the record of the request if it brought a key.
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
        // Eighty random bits: that an id is taken is a fault of the source of randomness.
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

    /// Replaces an entry, if it is still the version that was read. Answers whether it was.
    pub(crate) async fn replace(&self, permit: Write, key: &SealingKey, old: Version, new: &Entry) -> Result<bool> {
        let place = key_of(permit.client(), new.id);
        let sealed = self.seal(&place, key, new)?;
        let put = self.table.put(&place, &row(new, &sealed)).when(Condition::eq("version", old));
        Ok(matches!(put.run().await?, Update::Done(_)))
    }

    /// Removes an entry. Answers whether there was one.
    pub(crate) async fn remove(&self, permit: Write, id: EntryId) -> Result<bool> {
        let delete = self.table.delete(&key_of(permit.client(), id)).when(Condition::exists());
        Ok(matches!(delete.run().await?, Delete::Done(_)))
    }

    /// Removes every entry. Can be repeated, and goes on where it was interrupted.
    pub(crate) async fn erase(&self, permit: Erase) -> Result<()> {
        loop {
            let rows = self.table.query(partition(permit.client())).consistent().limit(ERASED_AT_ONCE.0).page().await?;
            let remove = async |item: Item| {
                let sort = item.text("sk").ok_or_else(|| Error::internal("an item of a journal has no key"))?;
                self.table.delete(&Key::new(partition(permit.client()), sort)).run().await.map(drop)
            };
            let removed = stream::iter(rows.items).map(remove).buffer_unordered(ERASED_AT_ONCE.1);
            removed.try_collect::<()>().await?;
            if rows.next.is_none() {
                return Ok(());
            }
        }
    }

    /// The entry with this id, if the permit shows it.
    pub(crate) async fn entry(&self, permit: &Read, key: &SealingKey, id: EntryId) -> Result<Option<Entry>> {
        let item = self.table.get_item(&key_of(permit.client(), id), Fresh::Consistent).await?;
        item.map(|item| self.open(permit, key, item)).transpose().map(|opened| opened.and_then(|(_, entry)| entry))
    }

    /// A journal as far as the permit reaches, newest first; nothing when it doesn't reach into the time at all.
    pub(crate) fn query(&self, permit: &Read, range: Range) -> Option<Query> {
        let (first, last) = permit.within(range).ids()?;
        let sort = Sort::Between(sort(first), sort(last));
        Some(self.table.query(partition(permit.client())).sort(sort).descending().consistent())
    }

    /// At most so many items of a query of [`query`](Self::query), by one Query.
    pub(crate) async fn chunk(&self, permit: &Read, key: &SealingKey, query: Query, limit: u16) -> Result<Chunk> {
        let rows = query.limit(limit).page().await?;
        Ok(Chunk { looked_at: self.open_all(permit, key, rows.items)?, next: rows.next })
    }

    /// Opens what was read.
    pub(crate) fn open_all(
        &self,
        permit: &Read,
        key: &SealingKey,
        items: Vec<Item>,
    ) -> Result<Vec<(EntryId, Option<Entry>)>> {
        items.into_iter().map(|item| self.open(permit, key, item)).collect()
    }

    /// The one way from the table to an entry: what the permit does not show does not come out.
    fn open(&self, permit: &Read, key: &SealingKey, item: Item) -> Result<(EntryId, Option<Entry>)> {
        let Row { sk, content: sealed, format, created_at, updated_at, version } = item.parse()?;
        let broken = || Error::internal("an item of a journal is no entry");
        let id = sk.strip_prefix(ENTRY).and_then(|id| id.parse().ok()).ok_or_else(broken)?;
        let place = Key::new(partition(permit.client()), sk);
        let place = Place { table: &self.table, key: &place, attribute: CONTENT, version: format };
        let Opened { content, shared_since } = content::decode(format, &key.open(&place, &sealed)?)?;
        let shown = permit.shows(id, &content);
        // Of an entry of before this was kept it is known that it was never PRIVATE if it was never corrected, and else that it
        // has not been since the last correction.
        let known = if version == Version::FIRST { created_at } else { updated_at };
        let shared_since = (content.visibility == Visibility::Shared).then(|| shared_since.unwrap_or(known));
        Ok((id, shown.then_some(Entry { id, content, created_at, updated_at, shared_since, version })))
    }

    fn seal(&self, place: &Key, key: &SealingKey, entry: &Entry) -> Result<Sealed> {
        let place = Place { table: &self.table, key: place, attribute: CONTENT, version: content::FORMAT };
        key.seal(&place, &content::encode(&entry.content, entry.shared_since), &*self.entropy)
    }
}

/// Where an entry is, or was.
pub(crate) fn cursor(client: ClientId, id: EntryId) -> Cursor {
    let KeyDef { partition: pk, sort: sk } = JOURNALS.key;
    Cursor::new([(pk.to_owned(), partition(client)), (sk.unwrap_or_default().to_owned(), sort(id))])
}

const fn row<'a>(entry: &Entry, content: &'a Sealed) -> NewRow<'a> {
    let Entry { id: _, content: _, created_at, updated_at, shared_since: _, version } = entry;
    NewRow { content, format: content::FORMAT, created_at: *created_at, updated_at: *updated_at, version: *version }
}
