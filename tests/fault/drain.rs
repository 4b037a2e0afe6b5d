//! Graceful shutdown while requests are in progress.

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::answer;
use kit::wait::until;
use reqwest::Method;
use tokio::task::JoinSet;

use crate::world::{NEVER, World};

#[tokio::test]
async fn drain_answers_open_requests_and_refuses_connections() {
    let world = World::start_with(Engine::Embedded, |config| {
        config.dynamodb.attempt_timeout = NEVER;
        config.dynamodb.operation_timeout = NEVER;
    })
    .await;
    let who = world.mesh.client("Asha").await;
    let (url, path) = (world.mesh.url.clone(), format!("/clients/{}", who.id));
    let profile = serde_json::json!({"name": "Ben", "email": who.email, "pincode": "110001"});
    let (read, change) = (world.mesh.request(Method::GET, &path), world.mesh.request(Method::PUT, &path));

    // Both hang in DynamoDB until the mesh refuses connections, so they are in progress at the shutdown.
    world.only(Some("GetItem"), "Clients");
    world.proxy.set(Mode::Hang).await;
    let mut under_way = JoinSet::new();
    for request in [read, change.json(&profile)] {
        under_way.spawn(answer(request.bearer_auth(&who.token)));
        world.proxy.called("GetItem").await;
    }
    let World { mesh, proxy, .. } = world;
    let mut stopping = JoinSet::new();
    stopping.spawn(mesh.stop());
    let stranger = kit::mesh::http_client();
    until("new connections are refused", async || {
        stranger.get(format!("{url}/healthz")).send().await.is_err_and(|error| error.is_connect())
    })
    .await;
    proxy.set(Mode::Pass).await;
    for answer in under_way.join_all().await {
        answer.expect(200);
    }
    stopping.join_all().await;
}
