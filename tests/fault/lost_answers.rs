//! Writes whose answers from DynamoDB are lost: once, so that the SDK's retry meets the result of the first attempt, or
//! always, so that the caller's retry does.

use std::time::Duration;

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

kit::on_each_engine!(
    registration_with_lost_answer_is_done_once,
    keyed_profile_with_lost_answer_is_created_once,
    profile_with_lost_answer_exists_on_retry,
    change_with_lost_answer_is_done_once,
    refresh_with_lost_answer_is_repeated_for_10s,
);

async fn post(mesh: &TestMesh, path: &str, who: &Someone, key: Option<&str>, body: &Value) -> Answer {
    let request = mesh.request(Method::POST, path).bearer_auth(&who.token).json(body);
    answer(match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    })
    .await
}

fn profile(who: &Someone) -> Value {
    json!({"name": "Asha", "email": who.email, "specialty": "Grief", "pincode": "110001"})
}

async fn registration_with_lost_answer_is_done_once(engine: Engine) {
    let world = World::start(engine).await;
    let mesh = &world.mesh;
    world.only(Some("TransactWriteItems"), "Users");
    let register = async |email: &str| {
        let account = json!({"email": email, "password": PASSWORD, "role": "CLIENT"});
        mesh.ask(Method::POST, "/auth/register", None, Some(account)).await
    };
    world.proxy.next([Mode::LoseAnswer]);
    register("once@example.org").await.expect(201);
    mesh.login("once@example.org", PASSWORD).await;

    world.proxy.set(Mode::LoseAnswer).await;
    register("always@example.org").await.refused(503, "UNAVAILABLE");
    world.proxy.set(Mode::Pass).await;
    register("always@example.org").await.refused(409, "EMAIL_TAKEN");
    mesh.login("always@example.org", PASSWORD).await;
    world.mesh.stop().await;
}

async fn keyed_profile_with_lost_answer_is_created_once(engine: Engine) {
    let world = World::start(engine).await;
    let mesh = &world.mesh;
    for (role, path, table) in [("CLIENT", "/clients", "Clients"), ("THERAPIST", "/therapists", "Therapists")] {
        world.only(Some("TransactWriteItems"), table);
        let (once, always) = (mesh.join(role).await, mesh.join(role).await);
        world.proxy.next([Mode::LoseAnswer]);
        post(mesh, path, &once, Some("k"), &profile(&once)).await.expect(201);

        world.proxy.set(Mode::LoseAnswer).await;
        post(mesh, path, &always, Some("k"), &profile(&always)).await.refused(503, "UNAVAILABLE");
        world.proxy.set(Mode::Pass).await;
        let made = post(mesh, path, &always, Some("k"), &profile(&always)).await.expect(201);
        assert_eq!(mesh.get(&format!("{path}/{}", always.id), &always).await.expect(200), made);
    }
    world.mesh.stop().await;
}

async fn profile_with_lost_answer_exists_on_retry(engine: Engine) {
    let world = World::start(engine).await;
    let mesh = &world.mesh;
    for (role, path, table) in [("CLIENT", "/clients", "Clients"), ("THERAPIST", "/therapists", "Therapists")] {
        world.only(Some("PutItem"), table);
        let (once, always) = (mesh.join(role).await, mesh.join(role).await);
        world.proxy.next([Mode::LoseAnswer]);
        post(mesh, path, &once, None, &profile(&once)).await.expect(201);

        world.proxy.set(Mode::LoseAnswer).await;
        post(mesh, path, &always, None, &profile(&always)).await.refused(503, "UNAVAILABLE");
        world.proxy.set(Mode::Pass).await;
        post(mesh, path, &always, None, &profile(&always)).await.refused(409, "PROFILE_EXISTS");
        let there = mesh.get(&format!("{path}/{}", always.id), &always).await.expect(200);
        assert_eq!(there["name"], "Asha");
    }
    world.mesh.stop().await;
}

async fn change_with_lost_answer_is_done_once(engine: Engine) {
    let world = World::start(engine).await;
    let mesh = &world.mesh;
    let (client, therapist) = (mesh.client("Asha").await, mesh.therapist("Asha", "Grief", "110001").await);
    for (who, path, table) in [(client, "/clients", "Clients"), (therapist, "/therapists", "Therapists")] {
        let path = format!("{path}/{}", who.id);
        world.only(Some("PutItem"), table);
        let rename = async |from: &Value, to: &str| {
            let mut changed = from.clone();
            changed["name"] = to.into();
            mesh.ask(Method::PUT, &path, Some(&who), Some(changed)).await
        };
        let first = mesh.get(&path, &who).await.expect(200);
        world.proxy.next([Mode::LoseAnswer]);
        let second = rename(&first, "Ben").await.expect(200);
        assert_eq!(mesh.get(&path, &who).await.expect(200), second);

        world.proxy.set(Mode::LoseAnswer).await;
        rename(&second, "Cleo").await.refused(503, "UNAVAILABLE");
        world.proxy.set(Mode::Pass).await;
        rename(&second, "Cleo").await.refused(409, "STALE_ETAG");
        assert_eq!(mesh.get(&path, &who).await.expect(200)["name"], "Cleo");
    }
    world.mesh.stop().await;
}

async fn refresh_with_lost_answer_is_repeated_for_10s(engine: Engine) {
    let world = World::start(engine).await;
    let mesh = &world.mesh;
    world.only(Some("UpdateItem"), "Users");
    let refresh =
        async |token: &str| mesh.ask(Method::POST, "/auth/refresh", None, Some(json!({"refreshToken": token}))).await;
    let first = mesh.join("CLIENT").await;
    world.proxy.next([Mode::LoseAnswer]);
    let second = Someone::of(&refresh(&first.refresh).await.expect(200));
    let third = Someone::of(&refresh(&second.refresh).await.expect(200));

    world.proxy.set(Mode::LoseAnswer).await;
    refresh(&third.refresh).await.refused(503, "UNAVAILABLE");
    world.proxy.set(Mode::Pass).await;
    let fourth = Someone::of(&refresh(&third.refresh).await.expect(200));
    mesh.pass(Duration::from_secs(11));
    refresh(&third.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    refresh(&fourth.refresh).await.refused(401, "REFRESH_TOKEN_INVALID");
    mesh.login(&first.email, PASSWORD).await;
    world.mesh.stop().await;
}
