use std::collections::HashMap;

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use kernel::{Error, Result};

use crate::call::{backoff, traced};
use crate::fault::Rejection;
use crate::item::{Attributes, Item, Key};
use crate::table::{Read, Table};

/// The most keys that one BatchGetItem takes.
const MOST: usize = 100;
/// How often a key is asked for that DynamoDB leaves unprocessed. The largest items need three.
const ROUNDS: u32 = 5;

/// The items with these keys, in no promised order; those that are not there are left out. One call for each hundred.
pub(crate) async fn get(table: &Table, mut keys: Vec<Key>, read: Read) -> Result<Vec<Item>> {
    // DynamoDB refuses a key that comes twice.
    keys.sort_unstable();
    keys.dedup();
    let mut items = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(MOST) {
        let mut left = chunk.iter().map(|key| key.attributes(table.def)).collect();
        for again in 0..ROUNDS {
            // It leaves keys when there is too much in them for one answer, and when the table is busy: then it wants rest.
            if again > 0 {
                tokio::time::sleep(backoff(again)).await;
            }
            left = round(table, left, read, &mut items).await?;
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

/// One call; answers the keys that it left.
async fn round(table: &Table, keys: Vec<Attributes>, read: Read, items: &mut Vec<Item>) -> Result<Vec<Attributes>> {
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
