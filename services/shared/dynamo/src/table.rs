use std::sync::Arc;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use kernel::{Entropy, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch;
use crate::call::traced;
use crate::condition::Condition;
use crate::def::{IndexDef, TableDef};
use crate::erasure::Erasure;
use crate::fault::Rejection;
use crate::item::{Item, Key};
use crate::query::Query;
use crate::transact::{Action, Check, Transact, transact};
use crate::write::{DeleteRequest, Put, PutRequest, Update, UpdateRequest, with_key};

/// Consistency of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Sees every write that was acknowledged before. Permission checks read so.
    Consistent,
    /// May miss the writes of the last second, for half the price.
    Eventual,
}

/// The handle of one table. Cheap to clone.
#[derive(Clone)]
pub struct Table {
    pub(crate) sdk: aws_sdk_dynamodb::Client,
    pub(crate) name: Arc<str>,
    pub(crate) def: &'static TableDef,
    pub(crate) erasure: Option<Arc<dyn Erasure>>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Table {
    /// Returns the full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Overwrites what was deleted before the call, if this process owns the store's files.
    ///
    /// # Errors
    /// UNAVAILABLE when the files can't be written.
    pub async fn erase_deleted(&self) -> Result<()> {
        match &self.erasure {
            Some(erasure) => erasure.erase().await,
            None => Ok(()),
        }
    }

    /// The item with this key.
    ///
    /// # Errors
    /// UNAVAILABLE, or INTERNAL, also when the item is not a `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key, read: Read) -> Result<Option<T>> {
        self.get_item(key, read).await?.map(Item::parse).transpose()
    }

    /// Reads the item with this key, as it is stored.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn get_item(&self, key: &Key, read: Read) -> Result<Option<Item>> {
        let call = self
            .sdk
            .get_item()
            .table_name(&*self.name)
            .set_key(Some(key.attributes(self.def)))
            .consistent_read(read == Read::Consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send();
        traced("GetItem", &self.name, |output| output.consumed_capacity.as_slice(), call)
            .await
            .map(|output| output.item.map(Item))
            .map_err(Rejection::into_error)
    }

    /// Reads the items with these keys, in no promised order; missing ones are left out. One call for each hundred
    /// keys.
    ///
    /// # Errors
    /// UNAVAILABLE, also when DynamoDB keeps leaving keys unprocessed, or INTERNAL.
    pub async fn batch_get(&self, keys: Vec<Key>, read: Read) -> Result<Vec<Item>> {
        batch::get(self, keys, read).await
    }

    /// Checks that the table can be read, by reading a key that no item has.
    ///
    /// # Errors
    /// UNAVAILABLE, or INTERNAL when the table is not there.
    pub async fn ping(&self) -> Result<()> {
        let key = if self.def.key.sort.is_some() { Key::new("PING", "PING") } else { Key::partition("PING") };
        self.get_item(&key, Read::Eventual).await.map(drop)
    }

    /// Stores an item if none has its key.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL; never because the item exists.
    pub async fn put_new<T: Serialize + ?Sized>(&self, key: &Key, item: &T) -> Result<Put> {
        match self.put(key, item).when(Condition::absent()).run().await? {
            Update::Done(_) => Ok(Put::Done),
            Update::ConditionFailed(Some(old)) => Ok(Put::Exists(old)),
            Update::ConditionFailed(None) => {
                Err(kernel::Error::internal("DynamoDB kept the item that exists to itself"))
            }
        }
    }

    /// Returns a write of a whole item. Its key attributes are those of `key`, also if the item has others.
    ///
    /// serde writes `None` as NULL, which an index refuses as a key: skip it (`skip_serializing_if`).
    pub fn put<T: Serialize + ?Sized>(&self, key: &Key, item: &T) -> PutRequest {
        PutRequest { table: self.clone(), item: with_key(self, key, item), condition: None }
    }

    /// Returns a change of some attributes of the item with this key.
    pub fn update(&self, key: &Key) -> UpdateRequest {
        let key = key.attributes(self.def);
        UpdateRequest { table: self.clone(), key, changes: Vec::new(), condition: None }
    }

    /// Returns a deletion of the item with this key.
    pub fn delete(&self, key: &Key) -> DeleteRequest {
        DeleteRequest { table: self.clone(), key: key.attributes(self.def), condition: None }
    }

    /// Returns a transaction's condition on the item with this key, which no other action of it may touch.
    pub fn check(&self, key: &Key, condition: Condition) -> Action {
        Action::from(Check { table: self.clone(), key: key.attributes(self.def), condition })
    }

    /// Returns a query for the items of a partition, in the order of the sort key.
    pub fn query(&self, partition: impl Into<String>) -> Query {
        Query::new(self.clone(), None, partition.into())
    }

    /// Returns a query for the items of a partition of an index. An index lags behind: permission checks never read it.
    pub fn query_index(&self, index: &'static IndexDef, partition: impl Into<String>) -> Query {
        Query::new(self.clone(), Some(index), partition.into())
    }

    /// Applies all actions or none: 1 to 100, each on another item. Costs twice the single writes.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) when others keep changing the same items, or INTERNAL; never for a condition
    /// that does not hold.
    pub async fn transact(&self, actions: impl IntoIterator<Item = Action>) -> Result<Transact> {
        transact(self, actions.into_iter().collect()).await
    }
}
