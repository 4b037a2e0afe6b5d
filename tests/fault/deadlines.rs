//! Deadlines of callers while DynamoDB hangs.

use std::time::{Duration, Instant};

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::{Someone, answer};
use proto::clients::v1::client_service_client::ClientServiceClient;
use proto::clients::v1::{DeleteClientRequest, GetClientRequest};
use reqwest::Method;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::world::{NEVER, World, serving, untimed_transport};

/// Tolerated delay of an answer on a busy machine; far below the timeouts that must not end the call.
const SLACK: Duration = Duration::from_secs(3);

/// Starts a mesh whose DynamoDB timeouts are an hour.
async fn world(change: impl FnOnce(&mut mesh::Config)) -> World {
    World::start_with(Engine::Embedded, |config| {
        config.dynamodb.attempt_timeout = NEVER;
        config.dynamodb.operation_timeout = NEVER;
        change(config);
    })
    .await
}

fn within<T>(message: T, who: &Someone, timeout: &'static str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", who.token).parse().unwrap());
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

fn assert_out_of_time(status: &Status, started: Instant, timeout: Duration) {
    let elapsed = started.elapsed();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("DEADLINE_EXCEEDED"));
    assert!(elapsed >= timeout && elapsed < timeout + SLACK, "{elapsed:?} for {timeout:?}");
}

#[tokio::test]
async fn call_ends_at_caller_deadline() {
    let world = world(|_| ()).await;
    let who = world.mesh.client("Asha").await;
    world.proxy.set(Mode::Hang).await;
    for address in [world.mesh.service("clients"), world.mesh.url.clone()] {
        let mut clients = ClientServiceClient::with_origin(untimed_transport(), address.parse().unwrap());
        let started = Instant::now();
        let request = within(GetClientRequest { client_id: who.id.clone() }, &who, "50m");
        let status = clients.get_client(request).await.unwrap_err();
        assert_out_of_time(&status, started, Duration::from_millis(50));
    }
    world.proxy.set(Mode::Pass).await;
    world.mesh.stop().await;
}

#[tokio::test]
async fn deadline_propagates_to_downstream_services() {
    let world = world(|_| ()).await;
    let who = world.mesh.client("Asha").await;
    world.only(None, "Users");
    world.proxy.set(Mode::Hang).await;
    let mut clients =
        ClientServiceClient::with_origin(untimed_transport(), world.mesh.service("clients").parse().unwrap());
    let started = Instant::now();
    let request = within(DeleteClientRequest { client_id: who.id.clone() }, &who, "400m");
    let status = clients.delete_client(request).await.unwrap_err();
    // A callee gets a slightly shorter deadline, so its own error may come first.
    assert_out_of_time(&status, started, Duration::from_millis(300));
    world.proxy.set(Mode::Pass).await;
    world.mesh.stop().await;
}

#[tokio::test]
async fn default_and_maximum_deadlines_apply() {
    let flags = ["--default-deadline", "2s", "--max-deadline", "3s", "--health-interval", "1h"];
    let world = world(|config| config.server = serving(&flags)).await;
    let who = world.mesh.client("Asha").await;
    world.proxy.set(Mode::Hang).await;
    let ask = async |timeout: Option<&'static str>, seconds: u64| {
        let mut clients =
            ClientServiceClient::with_origin(untimed_transport(), world.mesh.service("clients").parse().unwrap());
        let mut request = within(GetClientRequest { client_id: who.id.clone() }, &who, "1S");
        match timeout {
            Some(timeout) => request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap()),
            None => request.metadata_mut().remove("grpc-timeout"),
        };
        let started = Instant::now();
        let status = clients.get_client(request).await.unwrap_err();
        assert_out_of_time(&status, started, Duration::from_secs(seconds));
    };
    tokio::join!(ask(None, 2), ask(Some("soon"), 2), ask(Some("9H"), 3), ask(Some("99999999H"), 3));
    world.proxy.set(Mode::Pass).await;
    world.mesh.stop().await;
}

#[tokio::test]
async fn rest_request_times_out_at_front() {
    let timeout = Duration::from_secs(2);
    let world = world(|config| config.front.request_timeout = timeout).await;
    let who = world.mesh.client("Asha").await;
    world.proxy.set(Mode::Hang).await;
    for (method, path) in [(Method::GET, format!("/clients/{}", who.id)), (Method::GET, "/auth/me".to_owned())] {
        let started = Instant::now();
        let late = answer(world.mesh.request(method, &path).bearer_auth(&who.token)).await;
        let elapsed = started.elapsed();
        late.refused(504, "DEADLINE_EXCEEDED");
        assert!(elapsed + Duration::from_millis(100) >= timeout && elapsed < timeout + SLACK, "{elapsed:?}");
    }
    world.proxy.set(Mode::Pass).await;
    world.mesh.stop().await;
}
