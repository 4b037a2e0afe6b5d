//! More requests than a service answers at once.

use std::time::Duration;

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::{Answer, Someone, TestMesh, answer};
use proto::clients::v1::ListClientsRequest;
use proto::clients::v1::client_service_client::ClientServiceClient;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::world::{NEVER, World, serving, untimed_transport};

const PLACES: usize = 3;

#[tokio::test]
async fn excess_request_is_rejected_and_service_stays_healthy() {
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
        refused.refused(429, "OVERLOADED");
        assert_eq!((refused.retry_after(), refused.headers["retry-after"].as_bytes()), (Some(1.0), b"1".as_slice()));
    }
    let address: http::Uri = mesh.service("clients").parse().unwrap();
    let mut clients = ClientServiceClient::with_origin(untimed_transport(), address.clone());
    let mut list = tonic::Request::new(ListClientsRequest::default());
    list.metadata_mut().insert("authorization", format!("Bearer {}", who.token).parse().unwrap());
    let refused = clients.list_clients(list).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));

    let mut health = HealthClient::with_origin(untimed_transport(), address);
    let status = health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);
    answer(mesh.request(Method::GET, "/healthz")).await.expect(200);
    // The other services have limits of their own.
    mesh.get("/therapists/nobody", &who).await.refused(404, "NOT_FOUND");

    proxy.set(Mode::Pass).await;
    for answer in waiting.join_all().await {
        assert_eq!(answer.expect(200)["name"], "Asha");
    }
    answer(read()).await.expect(200);
    world.mesh.stop().await;
}

/// Starts a mesh with a low concurrency limit at each service, a client, and a therapist with access to the journal.
async fn few_places() -> (World, Someone, Someone) {
    let most = PLACES.to_string();
    let world = World::start_with(Engine::Embedded, |config| {
        config.server = serving(&["--max-concurrent-requests", &most, "--health-interval", "1h"]);
        config.dynamodb.attempt_timeout = NEVER;
        config.dynamodb.operation_timeout = NEVER;
    })
    .await;
    let mesh = &world.mesh;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let body = json!({"therapistId": noor.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", asha.id), Some(&asha), Some(body)).await.expect(201);
    access(mesh, &asha, &noor, "ACCEPTED").await.expect(200);
    (world, asha, noor)
}

async fn access(mesh: &TestMesh, client: &Someone, therapist: &Someone, change: &str) -> Answer {
    let path = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    mesh.ask(Method::PUT, &path, Some(client), Some(json!({"access": change}))).await
}

/// Fills mapping's concurrency limit for people with requests that hang in the store.
async fn take_places_of_mapping(world: &World, who: &Someone) -> JoinSet<Answer> {
    world.only(Some("Query"), "Mappings");
    let _ = world.proxy.take_calls();
    world.proxy.set(Mode::Hang).await;
    let mut waiting = JoinSet::new();
    for _ in 0..PLACES {
        waiting.spawn(answer(world.mesh.request(Method::GET, &list(who)).bearer_auth(&who.token)));
        world.proxy.called("Query").await;
    }
    world.mesh.get(&list(who), who).await.refused(429, "OVERLOADED");
    waiting
}

fn list(client: &Someone) -> String {
    format!("/clients/{}/therapists", client.id)
}

/// Requests that end access have reserved capacity.
#[tokio::test]
async fn revocation_is_served_during_overload() {
    let (world, asha, noor) = Box::pin(few_places()).await;
    let mesh = &world.mesh;
    let waiting = take_places_of_mapping(&world, &asha).await;
    // The RPC grants and revokes; the message decides.
    access(mesh, &asha, &noor, "ACCEPTED").await.refused(429, "OVERLOADED");
    assert_eq!(access(mesh, &asha, &noor, "REVOKED").await.expect(200)["journalAccess"], "REVOKED");
    let path = format!("/mapping/{}?therapistId={}", asha.id, noor.id);
    mesh.ask(Method::DELETE, &path, Some(&asha), None).await.expect(200);
    world.proxy.set(Mode::Pass).await;
    for answer in waiting.join_all().await {
        answer.expect(200);
    }
    world.mesh.stop().await;
}

/// Calls of services have reserved capacity.
#[tokio::test]
async fn service_call_is_served_during_overload() {
    let (world, asha, noor) = Box::pin(few_places()).await;
    let waiting = take_places_of_mapping(&world, &asha).await;
    // Journals asks mapping for the grant.
    world.mesh.get(&format!("/journal/{}", asha.id), &noor).await.expect(200);
    world.proxy.set(Mode::Pass).await;
    for answer in waiting.join_all().await {
        answer.expect(200);
    }
    world.mesh.stop().await;
}

#[tokio::test]
async fn caller_limit_leaves_capacity_for_others() {
    let world = World::start_with(Engine::Embedded, |config| {
        config.server = serving(&["--max-requests-per-caller", "2", "--health-interval", "1h"]);
        config.dynamodb.attempt_timeout = NEVER;
        config.dynamodb.operation_timeout = NEVER;
    })
    .await;
    let mesh = &world.mesh;
    let (asha, ravi) = (mesh.client("Asha").await, mesh.client("Ravi").await);
    world.only(Some("Query"), "Mappings");
    let _ = world.proxy.take_calls();
    world.proxy.set(Mode::Hang).await;
    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        waiting.spawn(answer(mesh.request(Method::GET, &list(&asha)).bearer_auth(&asha.token)));
        world.proxy.called("Query").await;
    }
    let refused = mesh.get(&list(&asha), &asha).await;
    refused.refused(429, "TOO_MANY_REQUESTS");
    assert_eq!(refused.retry_after(), Some(1.0));
    waiting.spawn(answer(mesh.request(Method::GET, &list(&ravi)).bearer_auth(&ravi.token)));
    world.proxy.called("Query").await;
    world.proxy.set(Mode::Pass).await;
    for answer in waiting.join_all().await {
        answer.expect(200);
    }
    world.mesh.stop().await;
}
