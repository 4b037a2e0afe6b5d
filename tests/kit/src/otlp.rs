//! In-process OpenTelemetry collector: receives spans, metrics and logs by OTLP/gRPC and keeps them for assertions.
//!
//! The telemetry of a process is set up once (subscriber and providers are global). So a test that exports to a
//! receiver is the only test of its binary, or it starts the program under test as a child process with
//! `OTEL_EXPORTER_OTLP_ENDPOINT` set to [`OtlpReceiver::endpoint`].

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Telemetry received so far.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// `service.name` of every sender.
    pub services: BTreeSet<String>,
    /// Ended spans, in the order of their arrival.
    pub spans: Vec<Span>,
    /// Metrics as received: cumulative, so the last one of a name is the current one.
    pub metrics: Vec<Metric>,
    /// Log records, in the order of their arrival.
    pub logs: Vec<LogRecord>,
}

/// A receiver on a loopback port. It stops when dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    endpoint: String,
    inbox: Arc<Inbox>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Received>,
    arrived: Notify,
}

impl OtlpReceiver {
    /// Starts the receiver.
    ///
    /// # Errors
    /// If there is no free port on the loopback address.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let inbox = Arc::new(Inbox::default());
        let router = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::from_arc(inbox.clone()))
            .add_service(MetricsServiceServer::from_arc(inbox.clone()))
            .add_service(LogsServiceServer::from_arc(inbox.clone()));
        #[allow(clippy::disallowed_methods, reason = "the receiver owns it and aborts it")]
        let server = tokio::spawn(async move {
            let _ = router.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        Ok(Self { endpoint, inbox, server })
    }

    /// Returns the export endpoint, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the spans received so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.inbox.look().spans
    }

    /// Returns the metrics received so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        self.inbox.look().metrics
    }

    /// Returns the log records received so far.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        self.inbox.look().logs
    }

    /// Waits until `done` holds of the received telemetry.
    ///
    /// # Errors
    /// The telemetry received within `timeout`, if `done` does not hold of it.
    pub async fn wait_for(
        &self,
        done: impl Fn(&Received) -> bool,
        timeout: Duration,
    ) -> Result<Received, Box<Received>> {
        let arrived = async {
            loop {
                let arrived = self.inbox.arrived.notified();
                let received = self.inbox.look();
                if done(&received) {
                    return received;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(timeout, arrived).await.map_err(|_| Box::new(self.inbox.look()))
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Returns the value of an attribute, if it exists and is a string.
#[must_use]
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match &attribute.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text),
        _ => None,
    }
}

impl Inbox {
    fn look(&self) -> Received {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, resource: Option<Resource>, add: impl FnOnce(&mut Received)) {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let attributes = resource.map(|resource| resource.attributes).unwrap_or_default();
        received.services.extend(text(&attributes, "service.name").map(str::to_owned));
        add(&mut received);
        drop(received);
        self.arrived.notify_waiters();
    }
}

#[tonic::async_trait]
impl TraceService for Inbox {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for group in request.into_inner().resource_spans {
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.add(group.resource, |received| received.spans.extend(spans));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Inbox {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for group in request.into_inner().resource_metrics {
            let metrics = group.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.add(group.resource, |received| received.metrics.extend(metrics));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Inbox {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        for group in request.into_inner().resource_logs {
            let logs = group.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            self.add(group.resource, |received| received.logs.extend(logs));
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
