//! Traces, metrics and logs of a process, by OpenTelemetry's semantic conventions.
//!
//! [`init`] installs one pipeline per process: logs on the console and, where the `OTEL_` variables name a collector,
//! spans, metrics and logs by OTLP. [`layer`] measures RPCs on both sides, [`http`] the REST edge, [`propagation`]
//! carries the trace from one to the next, and [`request_id`] the id by which the caller knows the request. Without a collector,
//! spans are not made at all and metrics are dropped; log lines have the ids of trace and request all the same.
//!
//! An allow-list decides what leaves the process: spans carry the attributes that [`layer`] and [`http`] name. The
//! libraries we stand on open `tracing` spans too, with fields that nobody has looked at, so such a span is exported
//! only if it has the field `otel.kind`: `tracing::info_span!("hash password", otel.kind = "internal")`. Ids of people,
//! addresses, query strings and what people wrote belong in none of them.

mod config;
mod console;
#[cfg(test)]
mod fuzz;
pub mod http;
pub mod layer;
mod pipeline;
pub mod propagation;
pub mod request_id;
mod semconv;
mod span;
mod timeout;

pub use config::{Config, LogFilter, LogFormat, Otlp};
pub use pipeline::{InitError, Telemetry, current, init};
pub use timeout::grpc_timeout;
