//! Callers that disconnect during a request leave no slot, thread or task occupied.

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::{PASSWORD, answer, hash_as_in_production};
use kit::wait::until;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{NEVER, World, serving};

const CALLERS: usize = 8;

#[tokio::test]
async fn slot_is_freed_when_caller_disconnects() {
    let world = World::start_with(Engine::Embedded, |config| {
        config.server = serving(&["--max-concurrent-requests", "1", "--health-interval", "1h"]);
        config.dynamodb.attempt_timeout = NEVER;
        config.dynamodb.operation_timeout = NEVER;
    })
    .await;
    let mesh = &world.mesh;
    let who = mesh.join("CLIENT").await;
    let profile = json!({"name": "Asha", "email": who.email, "pincode": "110001"});
    world.only(Some("PutItem"), "Clients");
    world.proxy.set(Mode::Hang).await;
    for _ in 0..CALLERS {
        let mut caller = JoinSet::new();
        // A request before the slot is free is refused and retried, so the hanging call holds the slot.
        let request = mesh.request(Method::POST, "/clients").bearer_auth(&who.token).json(&profile);
        caller.spawn(async move {
            loop {
                let again = request.try_clone().expect("its body is bytes");
                answer(again).await.refused(429, "OVERLOADED");
            }
        });
        world.proxy.called("PutItem").await;
        caller.shutdown().await;
    }
    world.proxy.set(Mode::Pass).await;
    until("the profile is there, whoever made it", async || {
        let made = mesh.ask(Method::POST, "/clients", Some(&who), Some(profile.clone())).await;
        made.status == 201 || made.status == 409
    })
    .await;
    assert_eq!(mesh.get("/clients", &who).await.expect(200)[0]["name"], "Asha");
    world.mesh.stop().await;
}

#[tokio::test]
async fn login_recovers_after_callers_disconnect() {
    let world = World::start_with(Engine::Embedded, |config| {
        hash_as_in_production(config);
        (config.auth.hash_threads, config.auth.hash_queue) = (Some(1), 1);
    })
    .await;
    let mesh = &world.mesh;
    let who = mesh.join("CLIENT").await;
    let login = || mesh.request(Method::POST, "/auth/login").json(&json!({"email": who.email, "password": PASSWORD}));
    world.proxy.set(Mode::Hang).await;
    for _ in 0..CALLERS {
        let mut caller = JoinSet::new();
        caller.spawn(answer(login()));
        world.proxy.called("GetItem").await;
        caller.shutdown().await;
    }
    world.proxy.set(Mode::Pass).await;
    until("a login works", async || answer(login()).await.status == 200).await;
    world.mesh.stop().await;
}
