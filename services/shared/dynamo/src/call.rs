use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::ConsumedCapacity;
use kernel::{Entropy, Error, Kind};
use opentelemetry::metrics::Histogram;
use opentelemetry::{Array, KeyValue, StringValue, Value, global};
use retry::Policy;
use tracing::{Instrument as _, Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::fault::{Modelled, Rejection, class, rejection};

/// Runs one call in a span of its own and measures it, by OpenTelemetry's conventions for DynamoDB. Keys and values
/// stay out of it.
pub(crate) fn traced<T, E: Modelled>(
    operation: &'static str,
    table: &str,
    capacity: impl FnOnce(&T) -> &[ConsumedCapacity],
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> impl Future<Output = Result<T, Rejection>> {
    // The futures of the SDK are large, and would make those of every caller larger still.
    let call = Box::pin(call);
    async move {
        let span = span(operation, table);
        let started = Instant::now();
        let outcome = call.instrument(span.clone()).await;
        let elapsed = started.elapsed();
        match outcome {
            Ok(output) => {
                measure(operation, table, elapsed, None);
                note_capacity(&span, capacity(&output));
                Ok(output)
            }
            Err(error) => {
                let rejection = rejection(operation, table, &error);
                // A condition that does not hold is an answer, not an error.
                let failed = !matches!(rejection, Rejection::ConditionFailed(_) | Rejection::Cancelled(_));
                let class = failed.then(|| class(&error));
                if let Some(class) = class {
                    span.record("error.type", class);
                    span.record("otel.status_code", "ERROR");
                }
                measure(operation, table, elapsed, class);
                Err(rejection)
            }
        }
    }
}

fn span(operation: &'static str, table: &str) -> Span {
    let span = tracing::info_span!(
        "dynamodb",
        otel.name = format!("{operation} {table}"),
        otel.kind = "client",
        otel.status_code = field::Empty,
        db.system.name = SYSTEM,
        db.operation.name = operation,
        db.collection.name = table,
        error.type = field::Empty,
    );
    if !span.is_disabled() {
        span.set_attribute("aws.dynamodb.table_names", strings([table.to_owned()]));
    }
    span
}

const SYSTEM: &str = "aws.dynamodb";

/// The conventions' bounds for durations of database calls, in seconds.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

fn measure(operation: &'static str, table: &str, elapsed: Duration, failure: Option<&str>) {
    static DURATION: OnceLock<Histogram<f64>> = OnceLock::new();
    let duration = DURATION.get_or_init(|| {
        global::meter("dynamo")
            .f64_histogram("db.client.operation.duration")
            .with_unit("s")
            .with_description("Duration of database client operations.")
            .with_boundaries(SECONDS.to_vec())
            .build()
    });
    let mut attributes = vec![
        KeyValue::new("db.system.name", SYSTEM),
        KeyValue::new("db.operation.name", operation),
        KeyValue::new("db.collection.name", table.to_owned()),
    ];
    attributes.extend(failure.map(|class| KeyValue::new("error.type", class.to_owned())));
    duration.record(elapsed.as_secs_f64(), &attributes);
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
/// A write whose answer got lost is tried again, and the second attempt meets what the first one wrote. The count tells
/// this case from a condition that never held.
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

/// Retries a write with backoff while it conflicts with transactions on the same items.
///
/// # Errors
/// ABORTED (`CONFLICT`), for the caller to retry, when the conflicts don't end; every other rejection as it is.
pub(crate) async fn retry_conflicts<T, F>(entropy: &dyn Entropy, mut call: impl FnMut() -> F) -> Result<T, Rejection>
where
    F: Future<Output = Result<T, Rejection>>,
{
    let mut attempts = Policy::DYNAMODB.start(entropy);
    while attempts.next().await {
        match call().await {
            Err(Rejection::Conflict) => {}
            outcome => return outcome,
        }
    }
    let message = "somebody else is changing the same thing right now; repeat the request";
    Err(Rejection::Fault(Error::new(Kind::Aborted, "CONFLICT", message).retry_after(Duration::from_secs(1))))
}
