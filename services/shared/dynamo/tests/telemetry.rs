//! Traces and metrics of DynamoDB calls. A binary of its own: the providers are global.

use std::collections::BTreeMap;

use dynamo::{Condition, Key, KeyDef, TableDef};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use opentelemetry::global;
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing_subscriber::layer::SubscriberExt as _;

static SECRETS: TableDef = TableDef { name: "Secrets", key: KeyDef::PK_SK, indexes: &[], ttl: None };

fn attributes(span: &SpanData) -> BTreeMap<&str, String> {
    span.attributes.iter().map(|pair| (pair.key.as_str(), pair.value.to_string())).collect()
}

#[tokio::test]
async fn call_emits_one_span_and_one_metric_without_item_data() {
    let (spans, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
    let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
    global::set_meter_provider(meters.clone());
    let exported = tracing_subscriber::filter::filter_fn(|of| of.fields().field("otel.kind").is_some());
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracers.tracer("test"))
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    let layer = tracing_subscriber::Layer::with_filter(layer, exported);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let mut config = Engine::Embedded.config().await;
    config.connect(kit::entropy::seeded()).await.create_or_verify(&[&SECRETS]).await.unwrap();
    let proxy = Proxy::start(&Engine::Embedded.endpoint().await);
    config.endpoint = Some(proxy.endpoint());
    let table = config.connect(kit::entropy::seeded()).await.table(&SECRETS);
    let key = Key::new("anna@example.org", "whisper");
    spans.reset();

    let _ = table.put_new(&key, &BTreeMap::from([("word", "whisper")])).await.unwrap();
    let _ = table.update(&key).set("word", "whisper").when(Condition::eq("word", "shout")).run().await.unwrap();
    proxy.set(Mode::Throttle).await;
    table.query("anna@example.org").page().await.unwrap_err();

    let spans = spans.get_finished_spans().unwrap();
    let name = table.name();
    let names: Vec<_> = spans.iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, [format!("PutItem {name}"), format!("UpdateItem {name}"), format!("Query {name}")]);
    assert!(spans.iter().all(|span| span.span_kind == SpanKind::Client));

    let common = |operation: &str| {
        BTreeMap::from([
            ("aws.dynamodb.table_names", format!(r#"["{name}"]"#)),
            ("db.collection.name", name.to_owned()),
            ("db.operation.name", operation.to_owned()),
            ("db.system.name", "aws.dynamodb".to_owned()),
        ])
    };
    let mut put = attributes(&spans[0]);
    let capacity = put.remove("aws.dynamodb.consumed_capacity").unwrap();
    assert!(capacity.contains("CapacityUnits") && capacity.contains(name), "{capacity}");
    assert_eq!(put, common("PutItem"));
    assert_eq!(attributes(&spans[1]), common("UpdateItem"), "a condition that does not hold is no error");
    assert_eq!(spans[1].status, Status::Unset);
    let mut query = common("Query");
    query.insert("error.type", "ProvisionedThroughputExceededException".to_owned());
    assert_eq!(attributes(&spans[2]), query);
    assert!(matches!(spans[2].status, Status::Error { .. }));
    let all = format!("{spans:?}");
    assert!(!all.contains("whisper") && !all.contains("anna"), "{all}");

    meters.force_flush().unwrap();
    let metrics = metrics.get_finished_metrics().unwrap();
    let mut measured = Vec::new();
    for metric in metrics.iter().flat_map(|all| all.scope_metrics()).flat_map(|scope| scope.metrics()) {
        assert_eq!((metric.name(), metric.unit()), ("db.client.operation.duration", "s"));
        let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else { panic!("{metric:?}") };
        for point in histogram.data_points() {
            let value = |key: &str| point.attributes().find(|a| a.key.as_str() == key).map(|a| a.value.to_string());
            measured.push((value("db.operation.name").unwrap(), value("error.type"), point.count()));
        }
    }
    measured.sort();
    let throttled = Some("ProvisionedThroughputExceededException".to_owned());
    let expected = [("PutItem", None, 1), ("Query", throttled, 1), ("UpdateItem", None, 1)];
    assert_eq!(measured, expected.map(|(operation, error, count)| (operation.to_owned(), error, count)));
}
