use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use kernel::{Error, Kind};
use opentelemetry::{Array, StringValue, Value};
use tracing::{Instrument as _, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::fault::{Modelled, Rejection, class, rejection};

/// Runs one call in a span of its own, by OpenTelemetry's conventions for DynamoDB. Keys and values stay out of it.
pub(crate) async fn traced<T, E: Modelled>(
    operation: &'static str,
    table: &str,
    capacity: impl FnOnce(&T) -> &[ConsumedCapacity],
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Rejection> {
    let span = tracing::info_span!(
        "dynamodb",
        otel.name = format!("{operation} {table}"),
        otel.kind = "client",
        otel.status_code = field::Empty,
        db.system.name = "aws.dynamodb",
        db.operation.name = operation,
        db.collection.name = table,
        error.type = field::Empty,
    );
    span.set_attribute("aws.dynamodb.table_names", strings([table.to_owned()]));
    match call.instrument(span.clone()).await {
        Ok(output) => {
            note_capacity(&span, capacity(&output));
            Ok(output)
        }
        Err(error) => {
            let rejection = rejection(operation, table, &error);
            // A condition that does not hold is an answer, not an error.
            if !matches!(rejection, Rejection::Unmet(_) | Rejection::Cancelled(_)) {
                span.record("error.type", class(&error));
                span.record("otel.status_code", "ERROR");
            }
            Err(rejection)
        }
    }
}

fn note_capacity(span: &Span, consumed: &[ConsumedCapacity]) {
    if consumed.is_empty() || span.is_disabled() {
        return;
    }
    let entries = consumed.iter().map(|one| {
        let (table, units) = (one.table_name().unwrap_or_default(), one.capacity_units().unwrap_or_default());
        format!(r#"{{"TableName":"{table}","CapacityUnits":{units}}}"#)
    });
    span.set_attribute("aws.dynamodb.consumed_capacity", strings(entries));
}

fn strings(texts: impl IntoIterator<Item = String>) -> Value {
    Value::Array(Array::String(texts.into_iter().map(StringValue::from).collect()))
}

/// Counts the attempts that the SDK makes of one call.
///
/// A write whose answer got lost is tried again, and the second attempt meets what the first one wrote. Who knows that
/// there was a first one can tell this from a condition that never held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts(Arc<AtomicU32>);

impl Attempts {
    pub(crate) fn repeated(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_dynamodb::error::BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// How often a write is tried that collides with a transaction. The SDK does not retry these.
const CONFLICT_ATTEMPTS: u32 = 4;

/// Repeats a write while transactions on the same items are under way, waiting a little longer each time.
///
/// # Errors
/// ABORTED (`CONFLICT`) when they don't end, as an error of the caller's retry; every other rejection as it is.
pub(crate) async fn past_conflicts<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Rejection>
where
    F: Future<Output = Result<T, Rejection>>,
{
    for round in 0..CONFLICT_ATTEMPTS {
        if round > 0 {
            tokio::time::sleep(backoff(round)).await;
        }
        match attempt().await {
            Err(Rejection::Conflict) => {}
            outcome => return outcome,
        }
    }
    let message = "somebody else is changing the same thing right now; repeat the request";
    Err(Rejection::Fault(Error::new(Kind::Aborted, "CONFLICT", message).retry_after(Duration::from_secs(1))))
}

/// 10 ms, 20 ms, 40 ms, each shortened at random by up to half, so that those who collided don't meet again.
fn backoff(round: u32) -> Duration {
    let full = Duration::from_millis(5) * 2_u32.saturating_pow(round);
    let mut byte = [0_u8];
    // Without randomness the wait is merely less well spread.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    full - full / 2 * u32::from(byte[0]) / 255
}
