use std::collections::HashMap;

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{Error, Result};
use serde::Serialize;

use retry::Policy;

use crate::call::traced;
use crate::def::TableDef;
use crate::fault::Rejection;
use crate::item::{Attributes, Item, Key};
use crate::table::{Read, Table};

/// Maximum keys in one BatchGetItem.
const MAX_KEYS: usize = 100;

/// Maximum writes in one BatchWriteItem.
const MAX_WRITES: usize = 25;

/// Concurrent calls of one [`Table::batch_write`].
const CONCURRENT_WRITES: usize = 4;

/// One write of [`Table::batch_write`]: it has no condition.
#[derive(Debug, Clone)]
#[must_use]
pub struct BatchWrite {
    key: Key,
    /// The item to store; none for a deletion.
    item: Option<Item>,
}

impl BatchWrite {
    /// Creates a write of a whole item, which replaces an existing one. Its key attributes are those of `key`.
    ///
    /// # Errors
    /// INTERNAL when the item can't be stored.
    pub fn put<T: Serialize + ?Sized>(key: Key, item: &T) -> Result<Self> {
        Item::of(item).map(|item| Self { key, item: Some(item) })
    }

    /// Creates a deletion of the item with this key, if there is one.
    pub const fn delete(key: Key) -> Self {
        Self { key, item: None }
    }

    fn render(self, def: &TableDef) -> Result<WriteRequest> {
        let Self { key, item } = self;
        let attributes = key.attributes(def);
        let request = WriteRequest::builder();
        let request = if let Some(mut item) = item {
            item.0.extend(attributes);
            request.put_request(PutRequest::builder().set_item(Some(item.0)).build().map_err(Error::internal)?)
        } else {
            let delete = DeleteRequest::builder().set_key(Some(attributes)).build().map_err(Error::internal)?;
            request.delete_request(delete)
        };
        Ok(request.build())
    }
}

impl Table {
    /// Reads the items with these keys, in no promised order; missing ones are left out. One call for each hundred
    /// keys.
    ///
    /// # Errors
    /// UNAVAILABLE, also when DynamoDB keeps leaving keys unprocessed, or INTERNAL.
    pub async fn batch_get(&self, mut keys: Vec<Key>, read: Read) -> Result<Vec<Item>> {
        // DynamoDB refuses duplicate keys.
        keys.sort_unstable();
        keys.dedup();
        let mut items = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_KEYS) {
            let mut left = chunk.iter().map(|key| key.attributes(self.def)).collect();
            // DynamoDB leaves keys unprocessed when the answer gets too large (the largest items need three calls) or the table is
            // throttled.
            let mut attempts = Policy::DYNAMODB.start(&*self.entropy);
            while attempts.next().await {
                left = get_chunk(self, left, read, &mut items).await?;
                if left.is_empty() {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(Error::unavailable("BatchGetItem keeps leaving keys unprocessed"));
            }
        }
        Ok(items)
    }

    /// Makes these writes, each of another item, in no promised order: 25 to a call, and a few calls at a time. After an
    /// error some of them are made and others are not.
    ///
    /// # Errors
    /// UNAVAILABLE, also when DynamoDB keeps leaving writes unprocessed, or INTERNAL.
    pub async fn batch_write(&self, writes: Vec<BatchWrite>) -> Result<()> {
        let requests = writes.into_iter().map(|write| write.render(self.def)).collect::<Result<Vec<_>>>()?;
        let chunks: Vec<_> = requests.chunks(MAX_WRITES).map(<[_]>::to_vec).collect();
        let written = stream::iter(chunks).map(|chunk| write_chunk(self, chunk)).buffer_unordered(CONCURRENT_WRITES);
        written.try_collect().await
    }
}

/// Makes the writes of one call, and repeats those that DynamoDB leaves unprocessed because the table is throttled.
async fn write_chunk(table: &Table, mut left: Vec<WriteRequest>) -> Result<()> {
    let mut attempts = Policy::DYNAMODB.start(&*table.entropy);
    while attempts.next().await {
        left = put_chunk(table, left).await?;
        if left.is_empty() {
            return Ok(());
        }
    }
    Err(Error::unavailable("BatchWriteItem keeps leaving writes unprocessed"))
}

/// Makes one call and returns the unprocessed writes.
async fn put_chunk(table: &Table, writes: Vec<WriteRequest>) -> Result<Vec<WriteRequest>> {
    let call = table
        .sdk
        .batch_write_item()
        .request_items(&*table.name, writes)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send();
    let output = traced("BatchWriteItem", &table.name, |output| output.consumed_capacity(), call)
        .await
        .map_err(Rejection::into_error)?;
    Ok(output.unprocessed_items.unwrap_or_default().into_values().flatten().collect())
}

/// Makes one call and returns the unprocessed keys.
async fn get_chunk(table: &Table, keys: Vec<Attributes>, read: Read, items: &mut Vec<Item>) -> Result<Vec<Attributes>> {
    let wanted = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(read == Read::Consistent)
        .build()
        .map_err(Error::internal)?;
    let call = table
        .sdk
        .batch_get_item()
        .request_items(&*table.name, wanted)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send();
    let output = traced("BatchGetItem", &table.name, |output| output.consumed_capacity(), call)
        .await
        .map_err(Rejection::into_error)?;
    let found = output.responses.unwrap_or_default().into_values().flatten();
    items.extend(found.map(Item));
    let unprocessed: HashMap<_, _> = output.unprocessed_keys.unwrap_or_default();
    Ok(unprocessed.into_values().flat_map(|left| left.keys).collect())
}
