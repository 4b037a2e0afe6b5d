//! Checks of open logins while auth is unavailable: what grants access fails, what ends it succeeds.

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::Someone;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

kit::on_each_engine!(auth_outage_blocks_grants_but_not_revocations, auth_outage_blocks_account_deletion,);

async fn auth_outage_blocks_grants_but_not_revocations(engine: Engine) {
    let world = World::start(engine).await;
    let mesh = &world.mesh;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let other = mesh.therapist("Omar", "Sleep", "110001").await;
    let of_noor = |path: &str| format!("{path}?therapistId={}", noor.id);
    let mapping = format!("/mapping/{}", asha.id);
    let access = of_noor(&format!("/journal/{}/access", asha.id));
    let ask = async |method, path: &str, who: &Someone, body: Value| {
        mesh.ask(method, path, Some(who), Some(body).filter(|body| !body.is_null())).await
    };
    ask(Method::POST, &mapping, &asha, json!({"therapistId": noor.id})).await.expect(201);
    ask(Method::PUT, &access, &asha, json!({"access": "ACCEPTED"})).await.expect(200);

    world.only(None, "Users");
    world.proxy.set(Mode::Throttle).await;
    let omar = json!({"therapistId": other.id});
    ask(Method::POST, &mapping, &asha, omar).await.refused(503, "UNAVAILABLE");
    ask(Method::PUT, &access, &asha, json!({"access": "ACCEPTED"})).await.refused(503, "UNAVAILABLE");
    let request = json!({"requestType": "MAPPING"});
    ask(Method::POST, &format!("{mapping}/request"), &other, request).await.refused(503, "UNAVAILABLE");

    ask(Method::PUT, &access, &asha, json!({"access": "REVOKED"})).await.expect(200);
    ask(Method::DELETE, &of_noor(&mapping), &asha, Value::Null).await.expect(200);
    world.proxy.set(Mode::Pass).await;
    world.mesh.stop().await;
}

async fn auth_outage_blocks_account_deletion(engine: Engine) {
    let world = World::start(engine).await;
    let asha = world.mesh.client("Asha").await;
    let path = format!("/clients/{}", asha.id);
    world.only(None, "Users");
    world.proxy.set(Mode::Throttle).await;
    world.mesh.ask(Method::DELETE, &path, Some(&asha), None).await.refused(503, "UNAVAILABLE");
    world.proxy.set(Mode::Pass).await;
    world.mesh.get(&path, &asha).await.expect(200);
    assert_eq!(world.mesh.ask(Method::DELETE, &path, Some(&asha), None).await.status, 204);
    world.mesh.stop().await;
}
