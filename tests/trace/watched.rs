//! A mesh whose telemetry goes to a receiver, and requests with distinct traces.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kit::engine::Engine;
use kit::fault::Proxy;
use kit::mesh::{Answer, TestMesh, answer};
use kit::otlp::{OtlpReceiver, Received, text};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::RequestBuilder;
use telemetry::{Config, Otlp, Telemetry};

const SOON: Duration = Duration::from_secs(60);
/// Parent span of each request of the tests.
const CALLER: u64 = 0x00c0_ffee;

pub(crate) struct Watched {
    pub(crate) mesh: TestMesh,
    pub(crate) proxy: Proxy,
    receiver: OtlpReceiver,
    telemetry: Telemetry,
    traces: AtomicU64,
    prefix: String,
}

/// Number of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace(u64);

/// Telemetry that arrived until the shutdown of the mesh.
pub(crate) struct Seen {
    pub(crate) received: Received,
    prefix: String,
}

impl Watched {
    pub(crate) async fn start() -> Self {
        let receiver = OtlpReceiver::start().await.expect("a port is free");
        let log = "debug".parse().expect("a filter");
        let config = Config { log, otlp: Otlp::to(receiver.endpoint()), ..Config::default() };
        let telemetry = telemetry::init("mesh", &config).expect("telemetry starts");
        let proxy = Proxy::start(&Engine::Embedded.endpoint().await);
        let mut prefix = String::new();
        let mesh = TestMesh::start_with(Engine::Embedded, |config| {
            config.dynamodb.endpoint = Some(proxy.endpoint());
            prefix.clone_from(&config.dynamodb.table_prefix);
        });
        let mesh = mesh.await;
        Self { mesh, proxy, receiver, telemetry, traces: AtomicU64::new(1), prefix }
    }

    /// Returns a new trace and its `traceparent` (W3C Trace Context).
    pub(crate) fn new_trace(&self) -> (Trace, String) {
        let number = self.traces.fetch_add(1, Ordering::Relaxed);
        (Trace(number), format!("00-{number:032x}-{CALLER:016x}-01"))
    }

    /// Sends a request in a trace of its own.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> (Trace, Answer) {
        let (trace, parent) = self.new_trace();
        (trace, answer(request.header("traceparent", parent)).await)
    }

    /// Stops the mesh, which ends every span. Returns the telemetry.
    pub(crate) async fn stop(self) -> Seen {
        let Self { mesh, receiver, telemetry, prefix, .. } = self;
        mesh.stop().await;
        assert!(telemetry.shutdown(SOON).await, "everything is sent");
        let all = |received: &Received| {
            !received.spans.is_empty() && !received.metrics.is_empty() && !received.logs.is_empty()
        };
        let received = receiver.wait_for(all, SOON).await.expect("spans, metrics and logs arrive");
        Seen { received, prefix }
    }
}

impl Trace {
    pub(crate) fn id(self) -> Vec<u8> {
        u128::from(self.0).to_be_bytes().to_vec()
    }
}

impl Seen {
    /// Returns the spans of a trace, oldest first.
    pub(crate) fn spans(&self, trace: Trace) -> Vec<&Span> {
        let id = trace.id();
        let mut spans: Vec<_> = self.received.spans.iter().filter(|span| span.trace_id == id).collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    /// Formats the trace as an indented tree of spans by kind and name. A span without a known parent is an orphan.
    pub(crate) fn tree(&self, trace: Trace) -> String {
        let spans = self.spans(trace);
        let mut tree = String::new();
        self.draw(&spans, &CALLER.to_be_bytes(), 0, &mut tree);
        let known = |id: &[u8]| id == CALLER.to_be_bytes() || spans.iter().any(|span| span.span_id == id);
        for orphan in spans.iter().filter(|span| !known(&span.parent_span_id)) {
            let _ = writeln!(tree, "orphan {}", self.name(orphan));
            self.draw(&spans, &orphan.span_id, 1, &mut tree);
        }
        tree
    }

    fn draw(&self, spans: &[&Span], parent: &[u8], depth: usize, tree: &mut String) {
        for span in spans.iter().filter(|span| span.parent_span_id == parent) {
            let _ = writeln!(tree, "{}{}", "  ".repeat(depth), self.name(span));
            self.draw(spans, &span.span_id, depth + 1, tree);
        }
    }

    fn name(&self, span: &Span) -> String {
        let kind = match span.kind() {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Internal => "internal",
            SpanKind::Unspecified | SpanKind::Producer | SpanKind::Consumer => "unexpected",
        };
        format!("{kind} {}", span.name.replace(&self.prefix, ""))
    }

    /// Returns the DynamoDB calls of a trace, such as `GetItem Users`, in the order of their starts.
    pub(crate) fn dynamodb_calls(&self, trace: Trace) -> Vec<String> {
        let spans = self.spans(trace).into_iter();
        let calls = spans.filter_map(|span| {
            let of = |key| text(&span.attributes, key);
            Some(format!("{} {}", of("db.operation.name")?, of("db.collection.name")?.replace(&self.prefix, "")))
        });
        calls.collect()
    }
}
