use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use kernel::Result;

use crate::call::traced;
use crate::fault::Rejection;
use crate::item::{Cursor, Item};
use crate::query::Rows;
use crate::table::Table;

/// Items that one Scan reads at most: few, so that it takes nothing from people who wait.
const LIMIT: i32 = 100;

impl Table {
    /// Reads a page of all items, consistently and in no promised order, from where a page ended. It reads the whole table in
    /// the end: for a command of an operator that no key serves, never for a request.
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
