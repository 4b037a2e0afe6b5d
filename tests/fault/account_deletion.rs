//! Account deletion, which involves several services, while one of them fails.

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
    deletion_failed_at_auth_is_completed_by_retry,
    deletion_failed_at_auth_is_completed_by_recovery,
    deletion_failed_at_last_step_is_completed_by_recovery,
    deletion_with_lost_answers_is_completed_by_retry,
    lost_answer_of_auth_is_retried,
    deletion_failed_at_subscriber_is_completed_by_recovery,
);

const SOON: Duration = Duration::from_millis(50);

/// An account that the test deletes.
struct Account {
    who: Someone,
    path: String,
    table: &'static TableDef,
    key: Key,
}

async fn one_of_each(world: &World) -> [Account; 2] {
    let client = world.mesh.client("Asha").await;
    let therapist = world.mesh.therapist("Noor", "Grief", "110001").await;
    [
        Account {
            path: format!("/clients/{}", client.id),
            table: &clients::CLIENTS,
            key: Key::new(format!("CLIENT#{}", client.id), "PROFILE"),
            who: client,
        },
        Account {
            path: format!("/therapists/{}", therapist.id),
            table: &therapists::THERAPISTS,
            key: Key::new(format!("THERAPIST#{}", therapist.id), "PROFILE"),
            who: therapist,
        },
    ]
}

impl Account {
    async fn end(&self, world: &World) -> Answer {
        world.mesh.ask(Method::DELETE, &self.path, Some(&self.who), None).await
    }

    /// Returns true if the tombstone is marked as pending.
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

async fn deletion_failed_at_auth_is_completed_by_retry(engine: Engine) {
    let world = World::start(engine).await;
    for account in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), "Users");
        world.proxy.set(Mode::Throttle).await;
        account.end(&world).await.refused(503, "UNAVAILABLE");
        world.mesh.get(&account.path, &account.who).await.refused(404, "NOT_FOUND");
        world.proxy.set(Mode::Pass).await;
        world.mesh.get("/auth/me", &account.who).await.expect(200);
        assert!(account.is_pending(&world).await);
        assert_eq!(account.end(&world).await.status, 204);
        account.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn deletion_failed_at_auth_is_completed_by_recovery(engine: Engine) {
    let world = World::start_with(engine, |config| config.account_deletion.recovery_interval = SOON).await;
    for account in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), "Users");
        world.proxy.set(Mode::Throttle).await;
        account.end(&world).await.refused(503, "UNAVAILABLE");
        world.proxy.set(Mode::Pass).await;
        until("the ending is over", async || !account.is_pending(&world).await).await;
        account.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn deletion_failed_at_last_step_is_completed_by_recovery(engine: Engine) {
    let world = World::start_with(engine, |config| config.account_deletion.recovery_interval = SOON).await;
    for account in one_of_each(&world).await {
        world.only(Some("UpdateItem"), account.table.name);
        world.proxy.set(Mode::Throttle).await;
        account.end(&world).await.refused(503, "UNAVAILABLE");
        world.mesh.get("/auth/me", &account.who).await.refused(401, "ACCOUNT_ENDED");
        assert!(account.is_pending(&world).await);
        world.proxy.set(Mode::Pass).await;
        until("the ending is over", async || !account.is_pending(&world).await).await;
        account.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn deletion_with_lost_answers_is_completed_by_retry(engine: Engine) {
    let world = World::start(engine).await;
    for account in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), account.table.name);
        world.proxy.set(Mode::LoseAnswer).await;
        account.end(&world).await.refused(503, "UNAVAILABLE");
        assert!(account.is_pending(&world).await, "the profile was replaced by its tombstone");
        world.mesh.get("/auth/me", &account.who).await.expect(200);
        world.only(Some("UpdateItem"), account.table.name);
        account.end(&world).await.refused(503, "UNAVAILABLE");
        world.proxy.set(Mode::Pass).await;
        account.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn lost_answer_of_auth_is_retried(engine: Engine) {
    let world = World::start(engine).await;
    for account in one_of_each(&world).await {
        world.only(Some("TransactWriteItems"), "Users");
        world.proxy.set(Mode::LoseAnswer).await;
        assert_eq!(account.end(&world).await.status, 204);
        world.proxy.set(Mode::Pass).await;
        account.assert_gone(&world).await;
    }
    world.mesh.stop().await;
}

async fn deletion_failed_at_subscriber_is_completed_by_recovery(engine: Engine) {
    let world = World::start_with(engine, |config| config.account_deletion.recovery_interval = SOON).await;
    for table in ["Mappings", "DataKeys"] {
        for account in one_of_each(&world).await {
            world.only(None, table);
            world.proxy.set(Mode::Throttle).await;
            account.end(&world).await.refused(503, "UNAVAILABLE");
            assert!(account.is_pending(&world).await, "{table}");
            world.mesh.get("/auth/me", &account.who).await.refused(401, "ACCOUNT_ENDED");
            world.proxy.set(Mode::Pass).await;
            until("the ending is over", async || !account.is_pending(&world).await).await;
            account.assert_gone(&world).await;
        }
    }
    world.mesh.stop().await;
}
