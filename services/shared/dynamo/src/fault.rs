use std::error::Error as _;
use std::fmt;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::get_item::GetItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::operation::scan::ScanError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::CancellationReason;
use kernel::{Error, Result};

use crate::item::Item;

/// Reason for a call that did not do what was asked.
pub(crate) enum Rejection {
    /// The condition does not hold of this item.
    ConditionFailed(Option<Item>),
    /// Another transaction is changing the item.
    Conflict,
    /// The transaction was cancelled, with a reason per action.
    Cancelled(Vec<CancellationReason>),
    /// Anything else, as the error for the caller.
    Fault(Error),
}

impl Rejection {
    /// Returns the item for which the condition failed; every other rejection becomes an error.
    pub(crate) fn into_failed_condition(self) -> Result<Option<Item>> {
        match self {
            Self::ConditionFailed(old) => Ok(old),
            other @ (Self::Conflict | Self::Cancelled(_) | Self::Fault(_)) => Err(other.into_error()),
        }
    }

    /// Returns the error, for calls without conditions.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Fault(error) => error,
            Self::ConditionFailed(_) => Error::internal("DynamoDB reports a condition where there is none"),
            Self::Conflict => Error::unavailable("DynamoDB reports a conflict of transactions"),
            Self::Cancelled(_) => Error::internal("DynamoDB reports a transaction where there is none"),
        }
    }
}

/// The outcomes among the modelled errors of an operation.
pub(crate) trait Modelled: ProvideErrorMetadata + std::error::Error + 'static {
    fn outcome(&self) -> Option<Rejection>;
}

macro_rules! conditional {
    ($($error:ident),*) => {$(
        impl Modelled for $error {
            fn outcome(&self) -> Option<Rejection> {
                if let Self::ConditionalCheckFailedException(failed) = self {
                    Some(Rejection::ConditionFailed(failed.item().filter(|item| !item.is_empty()).cloned().map(Item)))
                } else {
                    matches!(self, Self::TransactionConflictException(_)).then_some(Rejection::Conflict)
                }
            }
        }
    )*};
}
conditional!(PutItemError, UpdateItemError, DeleteItemError);

macro_rules! transactional {
    ($($error:ident),*) => {$(
        impl Modelled for $error {
            fn outcome(&self) -> Option<Rejection> {
                if let Self::TransactionCanceledException(cancelled) = self {
                    Some(Rejection::Cancelled(cancelled.cancellation_reasons().to_vec()))
                } else {
                    None
                }
            }
        }
    )*};
}
transactional!(TransactGetItemsError, TransactWriteItemsError);

macro_rules! unconditional {
    ($($error:ident),*) => {$(
        impl Modelled for $error {
            fn outcome(&self) -> Option<Rejection> {
                None
            }
        }
    )*};
}
unconditional!(BatchGetItemError, BatchWriteItemError, GetItemError, QueryError, ScanError);

/// Maps a failed call to its rejection: transient failures are UNAVAILABLE, the others INTERNAL.
pub(crate) fn rejection<E: Modelled>(
    operation: &'static str,
    table: &str,
    error: &SdkError<E, HttpResponse>,
) -> Rejection {
    error
        .as_service_error()
        .and_then(Modelled::outcome)
        .unwrap_or_else(|| Rejection::Fault(fault(operation, table, error)))
}

pub(crate) fn fault<E>(operation: &'static str, table: &str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let cause = Fault { operation, table: table.to_owned(), class: class(error).to_owned(), detail: chain(error) };
    if cause.class == STORAGE_FULL_EXCEPTION {
        return Error::storage_full(cause);
    }
    let passing = if let SdkError::ServiceError(answer) = error {
        answer.raw().status().is_server_error() || answer.err().code().is_some_and(is_passing)
    } else {
        !matches!(error, SdkError::ConstructionFailure(_))
    };
    if passing { Error::unavailable(cause) } else { Error::internal(cause) }
}

/// Code of the embedded DynamoDB for a write that finds no space.
const STORAGE_FULL_EXCEPTION: &str = "StorageFullException";

/// Returns true for DynamoDB's transient error codes with status 400.
pub(crate) fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "ReplicatedWriteConflictException"
            | "TransactionConflictException"
            | "TransactionInProgressException"
    )
}

/// Returns the `error.type` of the semantic conventions, from a small set.
pub(crate) fn class<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    match error {
        SdkError::ConstructionFailure(_) => "construction_failure",
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(_) => "dispatch_failure",
        SdkError::ResponseError(_) => "response_error",
        SdkError::ServiceError(answer) => answer.err().code().unwrap_or("service_error"),
        _ => "_OTHER",
    }
}

/// The logged cause. It isn't the SDK's error, whose Debug form holds the raw answer.
#[derive(Debug)]
struct Fault {
    operation: &'static str,
    table: String,
    class: String,
    detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.operation, self.table, self.class, self.detail)
    }
}

impl std::error::Error for Fault {}

fn chain<E: std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
