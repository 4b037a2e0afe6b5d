use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use kernel::{Error, Result};

use retry::Policy;

use crate::call::traced;
use crate::fault::Rejection;
use crate::item::{Attributes, Item, Key};
use crate::table::{Read, Table};

/// Maximum keys in one BatchGetItem.
const MAX_KEYS: usize = 100;

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
