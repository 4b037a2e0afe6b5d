//! The table Journals: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `ENTRY#<entry id>` | an entry, whose content is one sealed attribute; with the mark of a change until search has taken it |
//! | `CLIENT#<id>` | `REMOVED#<entry id>` | the mark of a removed entry, until search has taken it |
//! | `IDEM#<digest>` | `IDEM` | the record of an idempotent request |
//!
//! Entry ids sort by the time of the emotion, so the descending order of the key is newest first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{
    Claim, Condition, Cursor, EXPIRES_AT, Item, Key, KeyDef, Projection, Put, Query, Read as Fresh, Sort, Table,
    TableDef, Transact, Update,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{ClientId, Entropy, Error, Result, Timestamp, Version};
use outbox::Mark;
use serde::{Deserialize, Serialize};
use subscriber::AccountDeletionPermit;

use crate::content::{self, Opened};
use crate::model::{Entry, EntryId, Range, Visibility};
use crate::policy::{Read, Write};

/// The table of journals.
pub static JOURNALS: TableDef = TableDef {
    name: "Journals",
    key: KeyDef::PK_SK,
    indexes: &[outbox::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

const CLIENT: &str = "CLIENT#";
const ENTRY: &str = "ENTRY#";
const REMOVED: &str = "REMOVED#";

/// The sealed attribute.
const CONTENT: &str = "content";

/// Maximum entries of one transaction.
const MAX_ACTIONS: usize = 100;

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

/// Some entries of one journal, with the permit and the key to read them.
pub(crate) struct Selection {
    pub(crate) permit: Read,
    pub(crate) key: SealingKey,
    pub(crate) ids: BTreeSet<EntryId>,
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
    /// The mark of the change; `None` if whoever makes it tells search.
    #[serde(flatten)]
    mark: Option<Mark>,
}

#[derive(Serialize)]
struct RemovedRow {
    #[serde(flatten)]
    mark: Mark,
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
    format!("{CLIENT}{client}")
}

fn sort(id: EntryId) -> String {
    format!("{ENTRY}{id}")
}

/// Returns the key of an entry.
pub(crate) fn key_of(client: ClientId, id: EntryId) -> Key {
    Key::new(partition(client), sort(id))
}

/// Returns the key of the item that tells of an entry's removal.
pub(crate) fn removed_key_of(client: ClientId, id: EntryId) -> Key {
    Key::new(partition(client), format!("{REMOVED}{id}"))
}

/// Returns whether the key is that of an item that tells of a removal.
pub(crate) fn is_removed(key: &Key) -> bool {
    key.sort().is_some_and(|sort| sort.starts_with(REMOVED))
}

/// Returns the client and the id of the entry that an item is, or whose removal it tells of.
///
/// # Errors
/// INTERNAL when it is another item.
pub(crate) fn named(item: &Item) -> Result<(ClientId, EntryId)> {
    let client = item.text("pk").and_then(|pk| pk.strip_prefix(CLIENT)).and_then(|id| id.parse().ok());
    let id = item.text("sk").and_then(|sk| sk.strip_prefix(ENTRY).or_else(|| sk.strip_prefix(REMOVED)));
    let id = id.and_then(|id| id.parse().ok());
    client.zip(id).ok_or_else(|| Error::internal("an item of a journal names no entry"))
}

impl Store {
    pub(crate) const fn new(table: Table, entropy: Arc<dyn Entropy>) -> Self {
        Self { table, entropy }
    }

    /// Stores a new entry with the mark of the change, and the record of an idempotent request.
    pub(crate) async fn add(
        &self,
        permit: Write,
        key: &SealingKey,
        entry: &Entry,
        mark: Mark,
        claim: Option<&Claim>,
    ) -> Result<Added> {
        let place = key_of(permit.client(), entry.id);
        let sealed = self.seal(&place, key, entry)?;
        let row = row(entry, &sealed, Some(mark));
        let Some(claim) = claim else {
            return match self.table.put_new(&place, &row).await? {
                Put::Done => Ok(Added::Done),
                Put::Exists(old) if is_own_write(&old, &sealed) => Ok(Added::Done),
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

    /// Stores new entries without a mark, a hundred in a transaction.
    pub(crate) async fn import(&self, permit: Write, key: &SealingKey, entries: &[Entry]) -> Result<()> {
        let put = |entry: &Entry| {
            let place = key_of(permit.client(), entry.id);
            let sealed = self.seal(&place, key, entry)?;
            Ok(self.table.put(&place, &row(entry, &sealed, None)).when(Condition::absent()).into())
        };
        for entries in entries.chunks(MAX_ACTIONS) {
            let puts: Vec<_> = entries.iter().map(put).collect::<Result<_>>()?;
            if matches!(self.table.transact(puts).await?, Transact::Failed(_)) {
                return Err(taken());
            }
        }
        Ok(())
    }

    /// Replaces an entry, with the mark of the change, if its version is still the one that was read. Returns whether
    /// it was.
    ///
    /// A mark that is there already is replaced too: the new event tells the subscriber no less than the old one.
    pub(crate) async fn replace(
        &self,
        permit: Write,
        key: &SealingKey,
        old: Version,
        new: &Entry,
        mark: Mark,
    ) -> Result<bool> {
        let place = key_of(permit.client(), new.id);
        let sealed = self.seal(&place, key, new)?;
        let put = self.table.put(&place, &row(new, &sealed, Some(mark))).when(Condition::eq("version", old));
        Ok(match put.run().await? {
            Update::Done(_) => true,
            Update::ConditionFailed(item) => item.is_some_and(|item| is_own_write(&item, &sealed)),
        })
    }

    /// Returns the version of an entry; none if it doesn't exist.
    pub(crate) async fn version(&self, permit: Write, id: EntryId) -> Result<Option<Version>> {
        let item = self.table.get_item(&key_of(permit.client(), id), Fresh::Consistent).await?;
        item.map(|item| item.parse::<Row>().map(|row| row.version)).transpose()
    }

    /// Removes an entry, and leaves the mark of its removal in an item of its own. Returns whether it existed, in this
    /// version if one is named.
    pub(crate) async fn remove(
        &self,
        permit: Write,
        id: EntryId,
        version: Option<Version>,
        mark: Mark,
    ) -> Result<bool> {
        let is_there = version.map_or_else(Condition::exists, |version| Condition::eq("version", version));
        let delete = self.table.delete(&key_of(permit.client(), id)).when(is_there);
        let put = self.table.put(&removed_key_of(permit.client(), id), &RemovedRow { mark });
        Ok(matches!(self.table.transact([delete.into(), put.into()]).await?, Transact::Done))
    }

    /// Removes every entry under the account's id, and every mark of a removal; a therapist has none. Idempotent: a
    /// repetition resumes after an interruption.
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

    /// Returns those of the selected entries that their permits show, each with its permit, in no promised order. Makes
    /// one call for each hundred.
    pub(crate) async fn entries(&self, selections: &[Selection]) -> Result<Vec<(Read, Entry)>> {
        let keys = |it: &Selection| it.ids.iter().map(|id| key_of(it.permit.client(), *id)).collect::<Vec<_>>();
        let items = self.table.batch_get(selections.iter().flat_map(keys).collect(), Fresh::Consistent).await?;
        let selections: HashMap<_, _> = selections.iter().map(|it| (partition(it.permit.client()), it)).collect();
        let mut shown = Vec::new();
        for item in items {
            let selection = item.text("pk").and_then(|pk| selections.get(pk));
            let selection = selection.ok_or_else(|| Error::internal("an entry was read of another journal"))?;
            let Selection { permit, key, ids: _ } = selection;
            let (_, entry) = self.open(permit, key, item)?;
            shown.extend(entry.map(|entry| (permit.clone(), entry)));
        }
        Ok(shown)
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

/// Returns the error of a new entry whose id is taken. With 80 random bits, the source of randomness is broken.
fn taken() -> Error {
    Error::internal("the id of a new entry is taken")
}

/// Returns whether an item was written with this content: by an attempt whose answer got lost. Its mark may be gone by
/// now, so that the table doesn't recognize the write. No two seals are equal, as each has a nonce of its own.
fn is_own_write(item: &Item, content: &Sealed) -> bool {
    item.clone().parse::<Row>().is_ok_and(|row| row.content == *content)
}

const fn row<'a>(entry: &Entry, content: &'a Sealed, mark: Option<Mark>) -> NewRow<'a> {
    let Entry { id: _, content: _, created_at, updated_at, shared_since: _, version } = entry;
    let (created_at, updated_at, version) = (*created_at, *updated_at, *version);
    NewRow { content, format: content::FORMAT, created_at, updated_at, version, mark }
}
