//! Dispatches DynamoDB's operations to the engine.

use dynoxide::{Database, DynoxideError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Runs an operation on its JSON request, and returns its JSON answer; none if there is no such operation.
pub(crate) fn run(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String>> {
    Some(match operation {
        "CreateTable" => answer(body, |request| database.create_table(request)),
        "DeleteTable" => answer(body, |request| database.delete_table(request)),
        "DescribeTable" => answer(body, |request| database.describe_table(request)),
        "ListTables" => answer(body, |request| database.list_tables(request)),
        "UpdateTable" => answer(body, |request| database.update_table(request)),
        "DescribeTimeToLive" => answer(body, |request| database.describe_time_to_live(request)),
        "UpdateTimeToLive" => answer(body, |request| database.update_time_to_live(request)),
        "GetItem" => answer(body, |request| database.get_item(request)),
        "PutItem" => answer(body, |request| database.put_item(request)),
        "UpdateItem" => answer(body, |request| database.update_item(request)),
        "DeleteItem" => answer(body, |request| database.delete_item(request)),
        "Query" => answer(body, |request| database.query(request)),
        "Scan" => answer(body, |request| database.scan(request)),
        "BatchGetItem" => answer(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => answer(body, |request| database.batch_write_item(request)),
        "TransactGetItems" => answer(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => answer(body, |request| database.transact_write_items(request)),
        _ => return None,
    })
}

/// Returns whether an operation takes space.
pub(crate) fn stores(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "BatchWriteItem" | "TransactWriteItems")
}

fn answer<Q: DeserializeOwned, A: Serialize>(body: &[u8], run: impl FnOnce(Q) -> Result<A>) -> Result<String> {
    // The parser's message would quote the request.
    let unreadable = |_| DynoxideError::ValidationException("the request has a value that can't be read".to_owned());
    let answer = run(serde_json::from_slice(body).map_err(unreadable)?)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
