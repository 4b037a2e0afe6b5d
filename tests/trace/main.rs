//! Tests of telemetry: traces, logs and metrics of a request, its DynamoDB calls, and the absence of personal data. It
//! is one test, since the pipeline of a process is set up once; the modules are its parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod calls;
mod canaries;
mod trees;
mod watched;

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::watched::{Seen, Watched};

#[tokio::test]
async fn request_is_one_trace_of_known_calls_without_personal_data() {
    let watched = Watched::start().await;
    let trees = trees::play(&watched).await;
    let calls = calls::play(&watched).await;
    let canaries = canaries::play(&watched).await;
    let seen = watched.stop().await;

    trees.check(&seen);
    calls.check(&seen);
    canaries.check(&seen);
    rate_errors_and_durations_are_measured(&seen);
}

/// Asserts that each RPC, each requested route and each operation of DynamoDB has its own series.
fn rate_errors_and_durations_are_measured(seen: &Seen) {
    let series = |name: &str, key: &str| -> BTreeSet<String> {
        let metrics = seen.received.metrics.iter().filter(|metric| metric.name == name);
        let points = metrics.filter_map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) if metric.unit == "s" => Some(&histogram.data_points),
            _ => None,
        });
        let counted = points.flatten().filter(|point| point.count > 0);
        counted.filter_map(|point| kit::otlp::text(&point.attributes, key).map(str::to_owned)).collect()
    };
    let rpcs: BTreeSet<String> = proto::RPCS.iter().map(|rpc| rpc.path[1..].to_owned()).collect();
    let served = series("rpc.server.call.duration", "rpc.method");
    assert!(rpcs.is_subset(&served), "{served:?}");
    assert!(rpcs.is_subset(&series("rpc.client.call.duration", "rpc.method")));
    let routes = series("http.server.request.duration", "http.route");
    for route in ["/auth/login", "/clients/{client_id}", "/therapists", "/healthz"] {
        assert!(routes.contains(route), "{route} is not among {routes:?}");
    }
    let failures = series("rpc.server.call.duration", "error.type");
    assert!(failures.contains("UNAVAILABLE"), "{failures:?}");
    let operations = series("db.client.operation.duration", "db.operation.name");
    let all = [
        "BatchGetItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    ];
    assert_eq!(operations.iter().map(String::as_str).collect::<Vec<_>>(), all);
}
