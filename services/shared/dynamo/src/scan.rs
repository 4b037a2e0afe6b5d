use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use kernel::Result;

use crate::call::traced;
use crate::fault::Rejection;
use crate::item::{Cursor, Item};
use crate::query::Rows;
use crate::table::Table;

/// Maximum items of one Scan: few, so that it doesn't slow down requests of people.
const LIMIT: i32 = 100;

impl Table {
    /// Reads a page of all items, consistently and in no promised order, after the end of a page. The pages add up to
    /// the whole table: for an operator's command that no key serves, never for a request.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn scan(&self, after: Option<Cursor>) -> Result<Rows> {
        let call = self
            .sdk
            .scan()
            .table_name(&*self.name)
            .consistent_read(true)
            .limit(LIMIT)
            .set_exclusive_start_key(after.map(Cursor::into_attributes))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send();
        let output = traced("Scan", &self.name, |output| output.consumed_capacity.as_slice(), call)
            .await
            .map_err(Rejection::into_error)?;
        Ok(Rows {
            items: output.items.unwrap_or_default().into_iter().map(Item).collect(),
            next: output.last_evaluated_key.filter(|key| !key.is_empty()).map(Cursor::from_attributes).transpose()?,
        })
    }
}
