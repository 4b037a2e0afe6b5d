//! A collector that takes connections and never answers. One test: the pipeline of a process is set up once.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use telemetry::{Config, Otlp};
use tokio::net::TcpListener;

#[tokio::test]
async fn silent_collector_delays_shutdown_by_timeout_at_most() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let config = Config { otlp: Otlp::to(endpoint), ..Config::default() };
    let telemetry = telemetry::init("test", &config).expect("nobody needs to answer for it to start");
    tracing::info!("a line that can't be exported");

    let asked = Instant::now();
    assert!(!telemetry.shutdown(Duration::from_millis(200)).await);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}
