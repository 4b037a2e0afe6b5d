//! Rule 3: mapping, requesting and granting require an open login; ending, rejecting and revoking don't.

use kit::mesh::{Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;

use super::{Two, states};

kit::on_each_env!(
    ended_login_cannot_map_request_or_grant,
    ended_login_can_end_reject_and_revoke,
    repeated_post_by_ended_login_is_rejected,
);

/// Ends the login, and keeps its access token.
async fn log_out(mesh: &TestMesh, who: &Someone) {
    mesh.ask(Method::POST, "/auth/logout", Some(who), None).await.expect(200);
    mesh.get("/auth/me", who).await.expect(200);
}

async fn ended_login_cannot_map_request_or_grant(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let mut two = Two::join(&mesh).await;
    let map_client = json!({"clientId": two.client.id, "therapistId": two.therapist.id});
    log_out(&mesh, &two.therapist).await;
    two.request("MAPPING").await.refused(401, "LOGIN_ENDED");
    two.therapist(Method::POST, "/therapists/map-client", map_client.clone()).await.refused(401, "LOGIN_ENDED");
    assert_eq!(two.requests().await, json!([]));
    two.log_in().await;
    two.request("MAPPING").await.expect(201);

    log_out(&mesh, &two.client).await;
    two.map().await.refused(401, "LOGIN_ENDED");
    two.client(Method::POST, "/therapists/map-client", map_client).await.refused(401, "LOGIN_ENDED");
    two.reply("ACCEPTED").await.refused(401, "LOGIN_ENDED");
    two.log_in().await;
    two.reply("ACCEPTED").await.expect(200);

    log_out(&mesh, &two.therapist).await;
    two.request("JOURNAL_ACCESS").await.refused(401, "LOGIN_ENDED");
    log_out(&mesh, &two.client).await;
    two.grant().await.refused(401, "LOGIN_ENDED");
    states(&two.seen().await.0, "ACTIVE", "NONE");
    mesh.stop().await;
}

async fn ended_login_can_end_reject_and_revoke(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let mut two = Two::join(&mesh).await;
    two.request("MAPPING").await.expect(201);
    log_out(&mesh, &two.client).await;
    two.reply("REJECTED").await.expect(200);

    for end in ["REVOKED", "REJECTED", "by path", "by the client", "by the therapist"] {
        two.log_in().await;
        two.map().await;
        if end == "REJECTED" {
            two.request("JOURNAL_ACCESS").await.expect(201);
        } else {
            two.grant().await.expect(200);
        }
        for who in [&two.client, &two.therapist] {
            log_out(&mesh, who).await;
        }
        match end {
            "by path" => two.end_access().await,
            "by the client" => two.end(&two.client).await,
            "by the therapist" => two.end(&two.therapist).await,
            change => two.access(json!({"access": change})).await,
        }
        .expect(200);
        let shown = &two.seen().await.0;
        assert_ne!(shown["journalAccess"], "ACCEPTED", "{end}");
    }
    mesh.stop().await;
}

async fn repeated_post_by_ended_login_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let map = async || {
        let request = mesh.request(Method::POST, &two.mapping()).bearer_auth(&two.client.token);
        answer(request.header("idempotency-key", "k").json(&json!({"therapistId": two.therapist.id}))).await
    };
    map().await.expect(201);
    map().await.expect(201);
    log_out(&mesh, &two.client).await;
    map().await.refused(401, "LOGIN_ENDED");
    mesh.stop().await;
}
