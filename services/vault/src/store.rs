//! Stores data keys in the table DataKeys: its keys, its items and the conditions of their writes.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `PERSON#<user id>` | `KEY` | the person's key, wrapped; or, for ever, the tombstone of a destroyed one |
//! | `KEKS` | id of a key-encryption key | its first use as a wrapping key: written before it wraps |

use std::collections::HashMap;

use dynamo::seal::Sealed;
use dynamo::{Condition, IndexDef, Item, Key, KeyDef, Projection, Put, Read, Rows, Table, TableDef, Update};
use kernel::{Error, Result, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::model::{KekId, Wrapped};

/// Table of data keys.
pub static DATA_KEYS: TableDef = TableDef { name: "DataKeys", key: KeyDef::PK_SK, indexes: &[BY_KEK], ttl: None };

/// Index of the persons whose key is wrapped by one key-encryption key. Tombstones are not in it.
const BY_KEK: IndexDef =
    IndexDef { name: "by_kek", key: KeyDef { partition: KEK, sort: Some("pk") }, projection: Projection::KeysOnly };

/// Attribute that holds a wrapped key.
pub(crate) const WRAPPED: &str = "wrapped";
const KEK: &str = "kek";
/// The attribute that only a tombstone has.
const DESTROYED_AT: &str = "destroyed_at";
const PERSON: &str = "PERSON#";
const KEKS: &str = "KEKS";

#[derive(Serialize, Deserialize)]
struct Row {
    wrapped: Sealed,
    kek: KekId,
    created_at: Timestamp,
}

#[derive(Serialize)]
struct Tombstone {
    destroyed_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Kek {
    first_used_at: Timestamp,
}

/// Stored state of a person's key.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    Key(Wrapped),
    Destroyed,
}

/// Outcome of storing a first key.
#[derive(Debug)]
pub(crate) enum Added {
    Done,
    /// A key or a tombstone was stored already.
    Exists(Stored),
}

/// Handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

impl TryFrom<Item> for Stored {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        if item.text(DESTROYED_AT).is_some() {
            return Ok(Self::Destroyed);
        }
        let Row { wrapped: sealed, kek, created_at: _ } = item.parse()?;
        Ok(Self::Key(Wrapped { kek, sealed }))
    }
}

/// Returns the key of the item of a person.
pub(crate) fn key_of(person: UserId) -> Key {
    Key::new(format!("{PERSON}{person}"), "KEY")
}

fn person_of(item: &Item) -> Result<UserId> {
    let person = || item.text("pk")?.strip_prefix(PERSON)?.parse().ok();
    person().ok_or_else(|| Error::internal("a data key is nobody's"))
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Returns the stored state of a person's key; `None` if there was never one.
    pub(crate) async fn read(&self, person: UserId) -> Result<Option<Stored>> {
        self.0.get_item(&key_of(person), Read::Consistent).await?.map(Stored::try_from).transpose()
    }

    /// Returns the stored states of these people's keys, without people who never had one.
    pub(crate) async fn read_all(&self, persons: &[UserId]) -> Result<HashMap<UserId, Stored>> {
        let keys = persons.iter().copied().map(key_of).collect();
        let items = self.0.batch_get(keys, Read::Consistent).await?;
        items.into_iter().map(|item| Ok((person_of(&item)?, item.try_into()?))).collect()
    }

    /// Stores a person's first key, unless there is or was one.
    pub(crate) async fn add(&self, person: UserId, wrapped: &Wrapped, now: Timestamp) -> Result<Added> {
        let Wrapped { kek, sealed } = wrapped.clone();
        Ok(match self.0.put_new(&key_of(person), &Row { wrapped: sealed, kek, created_at: now }).await? {
            Put::Done => Added::Done,
            Put::Exists(item) => Added::Exists(item.try_into()?),
        })
    }

    /// Replaces the wrapping of a person's key, if it is still this one. Returns whether it was.
    pub(crate) async fn rewrap(&self, person: UserId, old: &Wrapped, new: &Wrapped) -> Result<bool> {
        let unchanged = Condition::eq(KEK, &old.kek).and(Condition::eq(WRAPPED, &old.sealed));
        let replaced = self.0.update(&key_of(person)).set(WRAPPED, &new.sealed).set(KEK, &new.kek).when(unchanged);
        Ok(matches!(replaced.run().await?, Update::Done(_)))
    }

    /// Replaces a person's key by a tombstone, also where there was never a key. The first tombstone stays.
    pub(crate) async fn destroy(&self, person: UserId, now: Timestamp) -> Result<()> {
        let tombstone = self.0.put(&key_of(person), &Tombstone { destroyed_at: now });
        // A failed condition means that there is a tombstone.
        tombstone.when(Condition::lacks(DESTROYED_AT)).run().await.map(drop)
    }

    /// Records that a key-encryption key will wrap.
    pub(crate) async fn record_kek(&self, id: &KekId, now: Timestamp) -> Result<()> {
        self.0.put_new(&Key::new(KEKS, id.as_str()), &Kek { first_used_at: now }).await.map(drop)
    }

    /// Returns every key-encryption key that ever wrapped.
    pub(crate) async fn keks(&self) -> Result<Vec<KekId>> {
        let first = self.0.query(KEKS).consistent();
        let (mut ids, mut page) = (Vec::new(), first.clone().page().await?);
        loop {
            ids.extend(page.items.iter().filter_map(|item| item.text("sk")).map(|id| KekId::new(id.to_owned())));
            let Some(cursor) = page.next else { return Ok(ids) };
            page = first.clone().after(cursor).page().await?;
        }
    }

    /// Returns a page of at most `limit` persons whose key is wrapped by this key-encryption key. It lags behind the
    /// table, by milliseconds as a rule.
    pub(crate) async fn wrapped_by(
        &self,
        kek: &KekId,
        limit: u16,
        after: Option<dynamo::Cursor>,
    ) -> Result<WrappedKeyPage> {
        let query = self.0.query_index(&BY_KEK, kek.as_str()).limit(limit);
        let query = match after {
            Some(cursor) => query.after(cursor),
            None => query,
        };
        let Rows { items, next } = query.page().await?;
        Ok(WrappedKeyPage { persons: items.iter().map(person_of).collect::<Result<_>>()?, next })
    }
}

/// A page of persons whose key is wrapped by one key-encryption key.
pub(crate) struct WrappedKeyPage {
    pub(crate) persons: Vec<UserId>,
    pub(crate) next: Option<dynamo::Cursor>,
}
