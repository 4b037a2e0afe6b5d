//! Account deletion: complete or, for a while, all but the last step.

use std::time::Duration;

use dynamo::{Key, Read};
use kit::fault::{Mode, Proxy};
use kit::mesh::{PASSWORD, Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

kit::on_each_env!(
    account_deletion_removes_logins_address_and_profile,
    valid_token_cannot_recreate_deleted_account,
    account_without_profile_can_be_deleted,
    account_deletion_requires_login_within_10_minutes,
    account_deletion_by_ended_login_is_rejected,
    repeated_account_deletion_succeeds_until_token_expires,
    failing_account_deletion_does_not_block_others,
);

/// Recovery timeout, on a machine that does other things too.
const EVENTUALLY: Duration = Duration::from_secs(30);

async fn account_deletion_removes_logins_address_and_profile(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let reader = mesh.join("CLIENT").await;
    for (who, path) in [(&asha, format!("/clients/{}", asha.id)), (&noor, format!("/therapists/{}", noor.id))] {
        let gone = mesh.ask(Method::DELETE, &path, Some(who), None).await;
        assert_eq!((gone.status, &gone.body), (204, &serde_json::Value::Null));
        mesh.get(&path, who).await.refused(404, "NOT_FOUND");
        mesh.get("/auth/me", who).await.refused(401, "ACCOUNT_ENDED");
        let refresh = json!({"refreshToken": who.refresh});
        mesh.ask(Method::POST, "/auth/refresh", None, Some(refresh)).await.refused(401, "REFRESH_TOKEN_INVALID");
        let login = json!({"email": who.email, "password": PASSWORD});
        mesh.ask(Method::POST, "/auth/login", None, Some(login)).await.refused(401, "BAD_CREDENTIALS");
        let again = mesh.ask(Method::DELETE, &path, Some(who), None).await;
        assert_eq!((again.status, &again.body), (204, &serde_json::Value::Null));
    }
    assert_eq!(mesh.get("/therapists", &reader).await.expect(200), json!([]));
    let again = json!({"email": asha.email, "password": PASSWORD, "role": "CLIENT"});
    mesh.ask(Method::POST, "/auth/register", None, Some(again)).await.expect(201);
    mesh.stop().await;
}

async fn valid_token_cannot_recreate_deleted_account(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let path = format!("/clients/{}", asha.id);
    assert_eq!(mesh.ask(Method::DELETE, &path, Some(&asha), None).await.status, 204);
    let profile = json!({"name": "Asha", "email": asha.email, "pincode": "110001"});
    mesh.ask(Method::POST, "/clients", Some(&asha), Some(profile.clone())).await.refused(401, "ACCOUNT_ENDED");
    mesh.ask(Method::PUT, &path, Some(&asha), Some(profile)).await.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

async fn account_without_profile_can_be_deleted(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.join("CLIENT").await;
    assert_eq!(mesh.ask(Method::DELETE, &format!("/clients/{}", asha.id), Some(&asha), None).await.status, 204);
    mesh.get("/auth/me", &asha).await.refused(401, "ACCOUNT_ENDED");
    mesh.stop().await;
}

async fn account_deletion_requires_login_within_10_minutes(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    for (who, of) in [(&asha, "/clients"), (&noor, "/therapists")] {
        let path = format!("{of}/{}", who.id);
        let recent = mesh.login(&who.email, PASSWORD).await;
        mesh.pass(Duration::from_secs(601));
        mesh.ask(Method::DELETE, &path, Some(&recent), None).await.refused(403, "REAUTHENTICATION_REQUIRED");
        // A refresh renews the access token and not the proof of the password.
        let refresh = json!({"refreshToken": recent.refresh});
        let pair = mesh.ask(Method::POST, "/auth/refresh", None, Some(refresh)).await.expect(200);
        let refreshed = Someone::of(&pair);
        mesh.ask(Method::DELETE, &path, Some(&refreshed), None).await.refused(403, "REAUTHENTICATION_REQUIRED");
        let other = format!("{of}/01933b5e-7a4c-7def-8abc-0123456789ab");
        mesh.ask(Method::DELETE, &other, Some(&refreshed), None).await.refused(403, "NOT_YOUR_ACCOUNT");
        mesh.get("/auth/me", &refreshed).await.expect(200);

        let again = mesh.login(&who.email, PASSWORD).await;
        mesh.pass(Duration::from_secs(600));
        assert_eq!(mesh.ask(Method::DELETE, &path, Some(&again), None).await.status, 204);
    }
    mesh.stop().await;
}

async fn account_deletion_by_ended_login_is_rejected(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    for (who, path) in [(&asha, format!("/clients/{}", asha.id)), (&noor, format!("/therapists/{}", noor.id))] {
        let ended = mesh.login(&who.email, PASSWORD).await;
        mesh.ask(Method::POST, "/auth/logout", Some(&ended), None).await.expect(200);
        mesh.ask(Method::DELETE, &path, Some(&ended), None).await.refused(401, "LOGIN_ENDED");
        mesh.pass(Duration::from_secs(601));
        // An ended login is reported before an old one.
        mesh.ask(Method::DELETE, &path, Some(&ended), None).await.refused(401, "LOGIN_ENDED");
        let again = mesh.login(&who.email, PASSWORD).await;
        mesh.get(&path, &again).await.expect(200);
    }
    mesh.stop().await;
}

async fn repeated_account_deletion_succeeds_until_token_expires(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let path = format!("/clients/{}", asha.id);
    for _ in 0..3 {
        assert_eq!(mesh.ask(Method::DELETE, &path, Some(&asha), None).await.status, 204);
        mesh.pass(Duration::from_secs(299));
    }
    mesh.ask(Method::DELETE, &path, Some(&ben), None).await.refused(403, "NOT_YOUR_ACCOUNT");
    mesh.pass(Duration::from_secs(3));
    mesh.ask(Method::DELETE, &path, Some(&asha), None).await.refused(401, "TOKEN_EXPIRED");
    mesh.stop().await;
}

async fn failing_account_deletion_does_not_block_others(env: TestEnv) {
    let proxy = Proxy::start(&env.engine.endpoint().await);
    let mut direct = dynamo::Config::default();
    let mesh = TestMesh::start_with(env, |config| {
        direct = config.dynamodb.clone();
        config.dynamodb.endpoint = Some(proxy.endpoint());
        config.account_deletion.recovery_interval = Duration::from_millis(50);
        config.dynamodb.operation_timeout = Duration::from_secs(2);
    });
    let mesh = mesh.await;
    let (stuck, asha) = (mesh.client("Stuck").await, mesh.client("Asha").await);
    let id = stuck.id.clone();
    proxy.only(move |call| {
        call.operation == "UpdateItem" && call.body.windows(id.len()).any(|window| window == id.as_bytes())
    });
    proxy.set(Mode::Throttle).await;

    let table = direct.connect(kit::entropy::seeded()).await.table(&clients::CLIENTS);
    // More than one page of unreadable items, before the others in the order of the index.
    for number in 0..120 {
        let unreadable = json!({"pending": "EVENT", "user_id": "of nobody"});
        table.put(&Key::new(format!("CLIENT#{number:08}"), "PROFILE"), &unreadable).run().await.map(drop).unwrap();
    }
    for who in [&stuck, &asha] {
        // An account's id stands in for the event's: it has the same form.
        let tombstone = json!({
            "user_id": who.id, "role": "CLIENT",
            "pending": "EVENT", "event_id": who.id, "event_time": "2100-01-01T00:00:00Z",
        });
        table.put(&Key::new(format!("CLIENT#{}", who.id), "PROFILE"), &tombstone).run().await.map(drop).unwrap();
    }
    let is_pending = async |id: &str| {
        let there = table.get_item(&Key::new(format!("CLIENT#{id}"), "PROFILE"), Read::Consistent).await.unwrap();
        there.expect("a tombstone is there").text("pending").is_some()
    };
    let over = async {
        while is_pending(&asha.id).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(EVENTUALLY, over).await.is_ok(), "the ending behind the others is not finished");
    assert!(is_pending(&stuck.id).await);
    mesh.get("/auth/me", &asha).await.refused(401, "ACCOUNT_ENDED");
    mesh.stop().await;
}
