//! More requests than a service answers at once.

use std::time::Duration;

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::answer;
use proto::clients::v1::ListClientsRequest;
use proto::clients::v1::client_service_client::ClientServiceClient;
use reqwest::Method;
use tokio::task::JoinSet;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::world::{NEVER, World, patient, serving};

const PLACES: usize = 3;

#[tokio::test]
async fn what_comes_on_top_is_refused_at_once_and_the_service_is_not_sick() {
    let most = PLACES.to_string();
    let world = World::start_with(Engine::Embedded, |config| {
        config.server = serving(&["--max-concurrent-requests", &most, "--health-interval", "1h"]);
        config.dynamodb.attempt_timeout = NEVER;
        config.dynamodb.operation_timeout = NEVER;
    })
    .await;
    let (mesh, proxy) = (&world.mesh, &world.proxy);
    let who = mesh.client("Asha").await;
    let path = format!("/clients/{}", who.id);
    let read = || mesh.request(Method::GET, &path).bearer_auth(&who.token);

    let _ = proxy.take_calls();
    proxy.set(Mode::Hang).await;
    let mut waiting = JoinSet::new();
    for _ in 0..PLACES {
        waiting.spawn(answer(read()));
        world.proxy.called("GetItem").await;
    }
    for _ in 0..10 {
        let refused = answer(read()).await;
        refused.refused(503, "OVERLOADED");
        assert_eq!((refused.retry_after(), refused.headers["retry-after"].as_bytes()), (Some(1.0), b"1".as_slice()));
    }
    let address: http::Uri = mesh.service("clients").parse().unwrap();
    let mut clients = ClientServiceClient::with_origin(patient(), address.clone());
    // Refused before anybody asks who it is.
    let refused = clients.list_clients(ListClientsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));

    let mut health = HealthClient::with_origin(patient(), address);
    let status = health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
    answer(mesh.request(Method::GET, "/healthz")).await.expect(200);
    // The other services have places of their own, which hang likewise; a refusal needs none.
    mesh.get("/therapists/nobody", &who).await.refused(404, "NOT_FOUND");

    proxy.set(Mode::Pass).await;
    for answer in waiting.join_all().await {
        assert_eq!(answer.expect(200)["name"], "Asha");
    }
    answer(read()).await.expect(200);
    world.mesh.stop().await;
}
