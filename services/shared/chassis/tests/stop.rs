//! Shutdown of a service: its drain, its open streams and its health.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::identity::{AccessTokens, Issuer, KeySet, Keys};
use chassis::{Platform, Probe, Running, Service, health, server};
use clap::Parser;
use kernel::Error;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use transport::Channel;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: server::Config,
}

/// A service without RPCs of its own, and a channel to it.
async fn start() -> (Running, Channel) {
    start_with(Probe::new(|| async { Ok(()) })).await
}

/// The same with a probe.
async fn start_with(probe: Probe) -> (Running, Channel) {
    let config = Cli::parse_from(["test", "--health-interval", "1ms"]).config;
    let platform = Platform::system();
    let keys = Keys::fixed(KeySet::default());
    let people = AccessTokens::new(config.identity(), keys, Arc::clone(&platform.clock));
    let issuer = Arc::new(Issuer::generate(Arc::clone(&platform.clock)).expect("a key"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let service =
        Service { name: "test", grpc_services: &["therapy.auth.v1.AuthService"], routes: Routes::default(), probe };
    let workloads = issuer.workload("test").verifier;
    let running = server::start(service, listener, &config, people, workloads).await.expect("a service");
    let channel = transport::channel(&format!("http://{}", running.address())).expect("an address");
    (running, channel)
}

fn whole_server() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

#[tokio::test]
async fn open_streams_end_with_drain() {
    let (running, channel) = start().await;
    let mut health = HealthClient::new(channel.clone()).watch(whole_server()).await.expect("a stream").into_inner();
    let first = health.message().await.expect("a message").expect("a status");
    assert_eq!(first.status, ServingStatus::Serving as i32);
    let questions = futures_util::stream::pending();
    let mut reflection =
        ServerReflectionClient::new(channel).server_reflection_info(questions).await.expect("a stream").into_inner();

    let asked = Instant::now();
    assert!(running.drain().await, "the streams hold up the stop");
    assert!(asked.elapsed() < Duration::from_secs(10));

    let mut last = first.status;
    let end = loop {
        match health.message().await {
            Ok(Some(message)) => last = message.status,
            Ok(None) => break Code::Ok,
            Err(status) => break status.code(),
        }
    };
    assert_eq!((last, end), (ServingStatus::NotServing as i32, Code::Unavailable));
    assert_eq!(reflection.message().await.expect_err("an end").code(), Code::Unavailable);
}

#[tokio::test]
async fn draining_service_is_not_serving_but_answers() {
    const DRAINING: i32 = ServingStatus::NotServing as i32;
    let (running, channel) = start().await;
    let mut health = HealthClient::new(channel).watch(whole_server()).await.expect("a stream").into_inner();
    running.begin_drain();
    while health.message().await.expect("no end").expect("a status").status != DRAINING {}

    let newcomer = transport::channel(&format!("http://{}", running.address())).expect("an address");
    let mut newcomer = HealthClient::new(newcomer);
    assert_eq!(newcomer.check(whole_server()).await.expect("an answer").into_inner().status, DRAINING);
    let alive = HealthCheckRequest { service: health::LIVENESS.to_owned() };
    assert_eq!(newcomer.check(alive).await.expect("an answer").into_inner().status, ServingStatus::Serving as i32);
    assert!(running.drain().await);
    assert_eq!(health.message().await.expect_err("an end").code(), Code::Unavailable);
}

#[tokio::test]
async fn health_of_unknown_service_is_not_found() {
    let (running, channel) = start().await;
    let unknown = HealthCheckRequest { service: "nobody".to_owned() };
    let status = HealthClient::new(channel).check(unknown).await.expect_err("no such service");
    assert_eq!(status.code(), Code::NotFound);
    assert!(running.drain().await);
}

#[tokio::test]
async fn service_without_table_is_alive_but_not_serving() {
    let (running, channel) = start_with(Probe::new(|| async { Err(Error::unavailable("no table")) })).await;
    let status = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        HealthClient::new(channel.clone()).check(request).await.expect("an answer").into_inner().status
    };
    assert_eq!(status("").await, ServingStatus::NotServing as i32);
    assert_eq!(status("therapy.auth.v1.AuthService").await, ServingStatus::NotServing as i32);
    assert_eq!(status(health::LIVENESS).await, ServingStatus::Serving as i32);
    let address = format!("http://{}", running.address());
    let told = health::ask(&address).await.expect_err("it can't serve").to_string();
    assert_eq!(told, format!("{address} answers NOT_SERVING"));
    assert!(running.drain().await);
    let told = health::ask(&address).await.expect_err("nobody listens any more").to_string();
    assert_eq!(told, format!("{address} does not answer: Connection refused (os error 111)"));
}

#[tokio::test]
async fn serving_service_passes_health_check() {
    let (running, _) = start().await;
    health::ask(&format!("http://{}", running.address())).await.expect("it serves");
    assert!(running.drain().await);
}
