//! The one pipeline of a process: subscriber, providers, exporters.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::logs::LogRecord as _;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing::Metadata;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Config, LogFormat, Otlp};
use crate::{console, request_id};

/// The targets of the exporters and of what they stand on: their logs stay on the console, since each log that is
/// exported would make the next.
const EXPORTERS: [&str; 6] = ["h2", "hyper", "opentelemetry", "rustls", "tonic", "tower"];

static CURRENT: Mutex<Option<Telemetry>> = Mutex::new(None);

/// Errors of starting telemetry.
#[derive(Debug)]
pub enum InitError {
    /// An `OTEL_` variable makes no sense.
    Exporter(ExporterBuildError),
    /// There is no thread for the exporters.
    Runtime(std::io::Error),
}

impl std::fmt::Display for InitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exporter(error) => write!(f, "the OTLP exporter can't be set up: {error}"),
            Self::Runtime(_) => f.write_str("the OTLP exporters' thread can't be started"),
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Exporter(error) => Some(error),
            Self::Runtime(error) => Some(error),
        }
    }
}

/// A handle on the pipeline of this process.
#[derive(Debug, Clone)]
pub struct Telemetry {
    exporters: Arc<Exporters>,
}

#[derive(Debug, Default)]
struct Exporters {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Returns whether anything is exported.
    #[must_use]
    pub fn is_exporting(&self) -> bool {
        let Exporters { traces, metrics, logs } = &*self.exporters;
        traces.is_some() || metrics.is_some() || logs.is_some()
    }

    /// Sends what is waiting to the collector, for at most `within`; false if something was still waiting then.
    ///
    /// To be called last, and as often as there are meshes in the process: the pipeline outlives them, since a
    /// subscriber and global providers can't be replaced.
    pub async fn shutdown(&self, within: Duration) -> bool {
        if !self.is_exporting() {
            return true;
        }
        let exporters = self.exporters.clone();
        let (done, flushed) = oneshot::channel();
        // A thread of its own, not the runtime's blocking pool: a runtime waits for its pool when it ends.
        let flusher = std::thread::Builder::new().name("telemetry-flush".into()).spawn(move || {
            let _ = done.send(exporters.flush());
        });
        flusher.is_ok() && matches!(tokio::time::timeout(within, flushed).await, Ok(Ok(true)))
    }
}

impl Exporters {
    fn flush(&self) -> bool {
        let Self { traces, metrics, logs } = self;
        let traces = traces.as_ref().is_none_or(|provider| provider.force_flush().is_ok());
        let metrics = metrics.as_ref().is_none_or(|provider| provider.force_flush().is_ok());
        let logs = logs.as_ref().is_none_or(|provider| provider.force_flush().is_ok());
        traces && metrics && logs
    }

    fn build(service: &str, otlp: &Otlp) -> Result<Self, InitError> {
        let (traces, metrics, logs) = (otlp.traces(), otlp.metrics(), otlp.logs());
        if traces.is_none() && metrics.is_none() && logs.is_none() {
            return Ok(Self::default());
        }
        let _entered = exporter_runtime().map_err(InitError::Runtime)?.enter();
        let resource = resource(service);
        let exporters = Self {
            traces: traces.map(|endpoint| tracer_provider(endpoint, &resource)).transpose()?,
            metrics: metrics.map(|endpoint| meter_provider(endpoint, &resource)).transpose()?,
            logs: logs.map(|endpoint| logger_provider(endpoint, &resource)).transpose()?,
        };
        Ok(exporters)
    }
}

/// Installs the pipeline of this process: console, and a collector where `config` names one.
///
/// `service` is `service.name`, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` name it. Must be called before
/// the layers of [`layer`](crate::layer) and [`http`](crate::http) are used: what they record with is fixed at their
/// first use. A later call changes nothing and returns the first one's handle; a subscriber that somebody else
/// installed stays.
///
/// # Errors
/// If an `OTEL_` variable makes no sense; not if the collector can't be reached, which is logged and tried again.
pub fn init(service: &str, config: &Config) -> Result<Telemetry, InitError> {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(telemetry) = &*current {
        return Ok(telemetry.clone());
    }
    let exporters = Exporters::build(service, &config.otlp)?;
    global::set_text_map_propagator(TraceContextPropagator::new());
    if let Some(traces) = &exporters.traces {
        global::set_tracer_provider(traces.clone());
    }
    if let Some(metrics) = &exporters.metrics {
        global::set_meter_provider(metrics.clone());
    }
    subscribe(config, &exporters);
    Ok(current.insert(Telemetry { exporters: Arc::new(exporters) }).clone())
}

/// The pipeline of this process, if there is one yet.
#[must_use]
pub fn current() -> Option<Telemetry> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn subscribe(config: &Config, exporters: &Exporters) {
    // A test may have installed one of its own; it stays, and what we export is the same.
    let _ = subscriber(config, exporters).try_init();
}

/// Builds the subscriber of the configured layers alone: one that is `None` would let the libraries make every span
/// they have, for nobody.
fn subscriber(config: &Config, exporters: &Exporters) -> impl tracing::Subscriber + Send + Sync + use<> {
    let ansi = std::io::stderr().is_terminal();
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![match config.log_format {
        LogFormat::Pretty => console::pretty(ansi).with_filter(logged(config)).boxed(),
        LogFormat::Json => console::json().with_filter(logged(config)).boxed(),
    }];
    if let Some(logs) = &exporters.logs {
        let exported = filter_fn(|metadata| !EXPORTERS.iter().any(|name| metadata.target().starts_with(name)));
        let exported = exported.with_max_level_hint(LevelFilter::TRACE);
        layers.push(OpenTelemetryTracingBridge::new(logs).with_filter(logged(config).and(exported)).boxed());
    }
    if let Some(traces) = &exporters.traces {
        let ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.fields().field("otel.kind").is_some();
        let spans = tracing_opentelemetry::layer()
            .with_tracer(traces.tracer("mesh"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        layers.push(spans.with_filter(filter_fn(ours)).boxed());
    }
    tracing_subscriber::registry().with(layers)
}

/// The events that the operator wants to see, and no spans: their fields would be formatted for nothing.
fn logged<S: 'static>(config: &Config) -> impl Filter<S> + use<S> {
    let events = filter_fn(|metadata| metadata.is_event());
    // A filter without a hint would take away that of the other.
    config.log.targets().and(events.with_max_level_hint(LevelFilter::TRACE))
}

/// Returns the runtime of the exporters' connections: on a thread of its own, so that they outlive the runtime that
/// called [`init`], and so that a busy mesh doesn't delay them nor they the mesh.
fn exporter_runtime() -> std::io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("telemetry").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

fn resource(service: &str) -> Resource {
    const SERVICE_NAME: &str = "service.name";
    let detected = Resource::builder().build();
    let named = detected.get(&SERVICE_NAME.into()).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let name = (!named).then(|| KeyValue::new(SERVICE_NAME, service.to_owned()));
    Resource::builder().with_attributes(name).build()
}

fn tracer_provider(endpoint: &str, resource: &Resource) -> Result<SdkTracerProvider, InitError> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(InitError::Exporter)?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone()).build())
}

fn meter_provider(endpoint: &str, resource: &Resource) -> Result<SdkMeterProvider, InitError> {
    let exporter =
        MetricExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(InitError::Exporter)?;
    Ok(SdkMeterProvider::builder().with_periodic_exporter(exporter).with_resource(resource.clone()).build())
}

fn logger_provider(endpoint: &str, resource: &Resource) -> Result<SdkLoggerProvider, InitError> {
    let exporter = LogExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(InitError::Exporter)?;
    let builder = SdkLoggerProvider::builder().with_log_processor(RequestIds);
    Ok(builder.with_batch_exporter(exporter).with_resource(resource.clone()).build())
}

/// Names the request in each log that is exported; the trace is there already.
#[derive(Debug)]
struct RequestIds;

impl LogProcessor for RequestIds {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        if let Some(id) = request_id::current() {
            record.add_attribute("request_id", id.to_string());
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn spans_and_unlogged_events_are_off_without_collector() {
        let subscriber = subscriber(&Config::default(), &Exporters::default());
        assert_eq!(tracing::Subscriber::max_level_hint(&subscriber), Some(LevelFilter::INFO));
        tracing::subscriber::with_default(subscriber, || {
            assert!(tracing::span!(target: "h2", Level::TRACE, "poll").is_disabled());
            assert!(tracing::span!(target: "anything", Level::ERROR, "span").is_disabled());
            assert!(!tracing::event_enabled!(target: "h2", Level::INFO));
            assert!(tracing::event_enabled!(target: "access", Level::INFO));
        });
    }
}
