//! The index of search, while calls of its table or of those that hold the texts fail: no change of a text is lost, and
//! whatever was interrupted ends with what the owners hold.

mod crashes;
mod desk;
mod races;
mod steps;

use std::time::Duration;

use kit::engine::Engine;
use kit::fault::Mode;
use kit::wait::until;
use mesh::Config;
use serde_json::json;

use crate::search::desk::{Desk, all_is_indexed, finds, search};
use crate::world::World;

kit::on_each_engine!(outage_of_index_loses_no_change);

/// Interval between redeliveries: a minute of an outage takes six of them by default.
const SOON: Duration = Duration::from_millis(200);
/// Calls of the index that an outage sees, in a minute of six redeliveries and more.
const CALLS: usize = 30;

/// Redelivers soon, and gives a loaded engine more time than other tests of faults do.
fn recover_soon(config: &mut Config) {
    config.account_deletion.recovery_interval = SOON;
    config.dynamodb.max_attempts = 2;
    config.dynamodb.attempt_timeout = Duration::from_millis(1500);
    config.dynamodb.operation_timeout = Duration::from_secs(4);
}

async fn outage_of_index_loses_no_change(engine: Engine) {
    let world = World::start_with(engine, recover_soon).await;
    let mesh = &world.mesh;
    let desk = Desk::open(mesh).await;
    let (kept, removed) = (desk.write(mesh, "amber").await, desk.write(mesh, "amber").await);
    let session = desk.book(mesh, 1, "amber").await;
    finds(mesh, &desk.client, "amber", &[&session, &removed, &kept]).await;
    world.only(None, "SearchIndex");
    for mode in [Mode::Throttle, Mode::Hang] {
        world.proxy.set(mode.clone()).await;
        let _before = world.proxy.take_calls();
        // Nobody who writes waits for search.
        let mut written = Vec::new();
        for _ in 0..6 {
            written.push(desk.write(mesh, "birch").await);
        }
        desk.correct(mesh, &kept, json!({"note": "birch", "visibility": "PRIVATE"})).await.expect(200);
        desk.note(mesh, &session, "birch").await.expect(200);
        let booked = desk.book(mesh, 2, "birch").await;
        desk.remove(mesh, &written[0]).await.expect(200);
        mesh.get(&search("birch"), &desk.client).await.refused(503, "UNAVAILABLE");
        let index = format!("{}SearchIndex", mesh.dynamodb.table_prefix);
        let calls = std::cell::Cell::new(0);
        until("redeliveries meet the outage", async || {
            calls.set(calls.get() + world.proxy.take_calls_that(|call| call.names(&index)).len());
            calls.get() >= if mode == Mode::Hang { 8 } else { CALLS }
        })
        .await;
        world.proxy.set(Mode::Pass).await;
        all_is_indexed(&world.store).await;
        desk.assert_consistent(mesh, &["amber", "birch"]).await;
        let told = mesh.get(&search("birch"), &desk.client).await.expect(200);
        assert_eq!(told.as_array().unwrap().len(), 5 + 1 + 2, "{told}");
        // The next outage begins as this one did.
        desk.correct(mesh, &kept, json!({"note": "amber", "visibility": "SHARED"})).await.expect(200);
        for entry in &written[1..] {
            desk.remove(mesh, entry).await.expect(200);
        }
        desk.note(mesh, &session, "amber").await.expect(200);
        desk.delete(mesh, &booked).await;
        finds(mesh, &desk.client, "amber", &[&session, &removed, &kept]).await;
    }
    world.mesh.stop().await;
}
