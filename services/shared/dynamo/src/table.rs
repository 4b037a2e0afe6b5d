use std::sync::Arc;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use kernel::{Entropy, Result};
use serde::de::DeserializeOwned;

use crate::call::traced;
use crate::def::TableDef;
use crate::erasure::Erasure;
use crate::fault::Rejection;
use crate::item::{Item, Key};

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

    /// Checks that the table can be read, by reading a key that no item has.
    ///
    /// # Errors
    /// UNAVAILABLE, or INTERNAL when the table is not there.
    pub async fn ping(&self) -> Result<()> {
        let key = if self.def.key.sort.is_some() { Key::new("PING", "PING") } else { Key::partition("PING") };
        self.get_item(&key, Read::Eventual).await.map(drop)
    }
}
