//! Export to a collector of one call from a client to a server. One test: the pipeline of a process is set up once.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use telemetry::layer::{RpcClientTelemetry, RpcTelemetry};
use telemetry::{Config, Otlp};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;
use tower::util::MapFutureLayer;
use tracing::Instrument;

use otlp::{OtlpReceiver, text};

// The file, not the crate: the kit brings engines and fronts, and a mesh that stands on this crate.
#[allow(dead_code, unreachable_pub, reason = "the kit's, used here in part")]
#[path = "../../../../tests/kit/src/otlp.rs"]
mod otlp;

const METHOD: &str = "grpc.health.v1.Health/Check";
const SOON: Duration = Duration::from_secs(20);

/// Simulates the work of a service within a call: a span that asks to be exported, within one that doesn't.
fn work<F: Future>(answer: F) -> impl Future<Output = F::Output> {
    let foreign = tracing::info_span!("library", secret = "what someone wrote");
    answer.instrument(tracing::info_span!("hash", otel.kind = "internal")).instrument(foreign)
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder().layer(RpcTelemetry).layer(MapFutureLayer::new(work)).add_service(health);
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

async fn call(address: SocketAddr) {
    let channel =
        Channel::from_shared(format!("http://{address}")).expect("a URI").connect().await.expect("it listens");
    let layer = RpcClientTelemetry::new("health", Some(address.port()));
    let mut client = HealthClient::new(ServiceBuilder::new().layer(layer).service(channel));
    client.check(HealthCheckRequest { service: String::new() }).await.expect("it serves");
}

#[tokio::test]
async fn call_exports_one_trace_with_logs_and_metrics() {
    let receiver = OtlpReceiver::start().await.expect("a free port");
    let log = "info,access=debug".parse().expect("a filter");
    let config = Config { log, otlp: Otlp::to(receiver.endpoint()), ..Config::default() };
    let telemetry = telemetry::init("test", &config).expect("it starts");
    let again = telemetry::init("other", &Config::default()).expect("a second start is none");
    assert!(again.is_exporting() && telemetry::current().is_some());

    let address = serve().await;
    call(address).await;
    assert!(telemetry.shutdown(SOON).await, "everything is sent");

    let received = receiver
        .wait_for(
            |received| received.spans.len() >= 3 && !received.metrics.is_empty() && !received.logs.is_empty(),
            SOON,
        )
        .await
        .expect("spans, metrics and logs arrive");
    assert_eq!(received.services.iter().map(String::as_str).collect::<Vec<_>>(), ["test"]);

    let of_kind = |kind: SpanKind| {
        let mut spans = received.spans.iter().filter(|span| span.kind == kind as i32);
        let span = spans.next().unwrap_or_else(|| panic!("no {kind:?} span in {received:?}"));
        assert!(spans.next().is_none(), "more than one {kind:?} span");
        span
    };
    let (client, server) = (of_kind(SpanKind::Client), of_kind(SpanKind::Server));
    assert_eq!((client.name.as_str(), server.name.as_str()), (METHOD, METHOD));
    assert_eq!(server.trace_id, client.trace_id);
    assert_eq!(server.parent_span_id, client.span_id);
    assert_eq!(text(&server.attributes, "rpc.response.status_code"), Some("OK"));
    let work = of_kind(SpanKind::Internal);
    assert_eq!((work.name.as_str(), &work.parent_span_id), ("hash", &server.span_id));
    assert_eq!(received.spans.len(), 3, "spans that don't ask for it stay here");

    let line =
        received.logs.iter().find(|log| text(&log.attributes, "method") == Some(METHOD)).expect("the access log");
    assert_eq!(line.trace_id, server.trace_id);
    assert_eq!(line.span_id, server.span_id);
    let mut fields: Vec<&str> = line.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["caller", "code", "duration_ms", "method", "request_id"]);

    for name in ["rpc.client.call.duration", "rpc.server.call.duration"] {
        let metric = received.metrics.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("no {name} in {received:?}"));
        assert_eq!((metric.unit.as_str(), count(metric)), ("s", 1), "{name}");
    }
}

fn count(metric: &Metric) -> u64 {
    match &metric.data {
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.iter().map(|point| point.count).sum(),
        other => panic!("a duration is a histogram, not {other:?}"),
    }
}
