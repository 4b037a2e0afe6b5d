//! Ending an account, which two services have a part in, while one of them can't do its own.

use std::time::Duration;

use dynamo::{Key, Read, TableDef};
use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::{Answer, PASSWORD, Someone};
use kit::wait::until;
use reqwest::Method;
use serde_json::json;

use crate::world::World;

kit::on_each_engine!(
    an_ending_that_auth_could_not_carry_out_is_finished_by_asking_again,
    an_ending_that_auth_could_not_carry_out_is_finished_without_being_asked,
    an_ending_whose_last_step_failed_is_finished_without_being_asked,
    an_ending_whose_answers_are_lost_is_finished_by_asking_again,
    an_ending_that_auth_did_without_an_answer_is_asked_of_it_again,
    an_ending_that_one_could_not_take_is_taken_by_the_others_and_finished_later,
);

const SOON: Duration = Duration::from_millis(50);

/// Somebody who will go.
struct Leaving {
    who: Someone,
    path: String,
    table: &'static TableDef,
    key: Key,
}

async fn one_of_each(world: &World) -> [Leaving; 2] {
    let client = world.mesh.client("Asha").await;
    let therapist = world.mesh.therapist("Noor", "Grief", "110001").await;
    [
        Leaving {
            path: format!("/clients/{}", client.id),
            table: &clients::CLIENTS,
            key: Key::new(format!("CLIENT#{}", client.id), "PROFILE"),
            who: client,
        },
        Leaving {
            path: format!("/therapists/{}", therapist.id),
            table: &therapists::THERAPISTS,
            key: Key::new(format!("THERAPIST#{}", therapist.id), "PROFILE"),
            who: therapist,
        },
    ]
}

impl Leaving {
    async fn end(&self, world: &World) -> Answer {
        world.mesh.ask(Method::DELETE, &self.path, Some(&self.who), None).await
    }

    /// Whether the tombstone says that something is left to do.
    async fn is_pending(&self, world: &World) -> bool {
        let there = world.store.table(self.table).get_item(&self.key, Read::Consistent).await.unwrap();
        there.expect("a tombstone is there").text("pending").is_some()
    }

    async fn assert_gone(&self, world: &World) {
        let (mesh, Self { who, path, .. }) = (&world.mesh, self);
        assert!(!self.is_pending(world).await);
        mesh.get("/auth/me", who).await.refused(401, "ACCOUNT_ENDED");
        mesh.get(path, who).await.refused(404, "NOT_FOUND");
        let login = json!({"email": who.email, "password": PASSWORD});
        mesh.ask(Method::POST, "/auth/login", None, Some(login)).await.refused(401, "BAD_CREDENTIALS");
        assert_eq!(self.end(world).await.status, 204, "a repeated ending answers as the first did");
    }
}

async fn an_ending_that_auth_could_not_carry_out_is_finished_by_asking_again(engine: Engine) {
    let world = World::start(engine).await;
    for leaving in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), "Users");
        world.proxy.set(Mode::Throttle).await;
        leaving.end(&world).await.refused(503, "UNAVAILABLE");
        world.mesh.get(&leaving.path, &leaving.who).await.refused(404, "NOT_FOUND");
        world.proxy.set(Mode::Pass).await;
        world.mesh.get("/auth/me", &leaving.who).await.expect(200);
        assert!(leaving.is_pending(&world).await);
        assert_eq!(leaving.end(&world).await.status, 204);
        leaving.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn an_ending_that_auth_could_not_carry_out_is_finished_without_being_asked(engine: Engine) {
    let world = World::start_with(engine, |config| config.endings.recovery_interval = SOON).await;
    for leaving in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), "Users");
        world.proxy.set(Mode::Throttle).await;
        leaving.end(&world).await.refused(503, "UNAVAILABLE");
        world.proxy.set(Mode::Pass).await;
        until("the ending is over", async || !leaving.is_pending(&world).await).await;
        leaving.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn an_ending_whose_last_step_failed_is_finished_without_being_asked(engine: Engine) {
    let world = World::start_with(engine, |config| config.endings.recovery_interval = SOON).await;
    for leaving in one_of_each(&world).await {
        world.only(Some("UpdateItem"), leaving.table.name);
        world.proxy.set(Mode::Throttle).await;
        leaving.end(&world).await.refused(503, "UNAVAILABLE");
        world.mesh.get("/auth/me", &leaving.who).await.refused(401, "ACCOUNT_ENDED");
        assert!(leaving.is_pending(&world).await);
        world.proxy.set(Mode::Pass).await;
        until("the ending is over", async || !leaving.is_pending(&world).await).await;
        leaving.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn an_ending_whose_answers_are_lost_is_finished_by_asking_again(engine: Engine) {
    let world = World::start(engine).await;
    for leaving in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), leaving.table.name);
        world.proxy.set(Mode::LoseAnswer).await;
        leaving.end(&world).await.refused(503, "UNAVAILABLE");
        assert!(leaving.is_pending(&world).await, "the profile was replaced by its tombstone");
        world.mesh.get("/auth/me", &leaving.who).await.expect(200);
        world.only(Some("UpdateItem"), leaving.table.name);
        leaving.end(&world).await.refused(503, "UNAVAILABLE");
        world.proxy.set(Mode::Pass).await;
        leaving.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn an_ending_that_auth_did_without_an_answer_is_asked_of_it_again(engine: Engine) {
    let world = World::start(engine).await;
    for leaving in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), "Users");
        world.proxy.set(Mode::LoseAnswer).await;
        assert_eq!(leaving.end(&world).await.status, 204);
        world.proxy.set(Mode::Pass).await;
        leaving.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn an_ending_that_one_could_not_take_is_taken_by_the_others_and_finished_later(engine: Engine) {
    let world = World::start_with(engine, |config| config.endings.recovery_interval = SOON).await;
    for table in ["Mappings", "DataKeys"] {
        for leaving in one_of_each(&world).await {
            world.only(None, table);
            world.proxy.set(Mode::Throttle).await;
            leaving.end(&world).await.refused(503, "UNAVAILABLE");
            assert!(leaving.is_pending(&world).await, "{table}");
            world.mesh.get("/auth/me", &leaving.who).await.refused(401, "ACCOUNT_ENDED");
            world.proxy.set(Mode::Pass).await;
            until("the ending is over", async || !leaving.is_pending(&world).await).await;
            leaving.assert_gone(&world).await;
        }
    }
    world.mesh.stop().await;
}
