//! Rejected requests about sessions, with their reasons.

use kit::mesh::TestMesh;
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

use super::{NOBODY, add, offer, on, path, put, related, therapist, with};

kit::on_each_env!(
    invalid_session_names_every_bad_field,
    session_owner_can_be_named_but_not_changed,
    session_for_unrelated_client_or_by_client_is_rejected,
    invalid_query_names_every_bad_parameter,
    session_is_booked_by_acceptance_only,
);

async fn invalid_session_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let made = add(&mesh, &noor, on(2, 9, 10)).await;
    let date = |date: &str| with(on(3, 9, 10), &json!({"sessionDate": date}));
    let time = |start: Value, end: Value| with(on(3, 9, 10), &json!({"startTime": start, "endTime": end}));
    for (session, fields) in [
        (json!({}), &["endTime", "sessionDate"][..]),
        (date("2100-01-03T00:00:00"), &["sessionDate"]),
        (date("2100-01-03"), &["sessionDate"]),
        (date("soon"), &["sessionDate"]),
        (time(json!("9:00"), json!("24:00")), &["endTime", "startTime"]),
        (time(json!("09:00:00"), json!("10")), &["endTime", "startTime"]),
        (time(json!("10:00"), json!("10:00")), &["endTime"]),
        (time(json!("10:00"), json!("09:00")), &["endTime"]),
        (with(on(3, 9, 10), &json!({"privateNotes": "x".repeat(10_001)})), &["privateNotes"]),
    ] {
        for refused in [offer(&mesh, &noor, session.clone()).await, put(&mesh, &noor, &made, session.clone()).await] {
            if session == json!({}) && refused.status == 200 {
                continue;
            }
            refused.refused(400, "INVALID_FIELDS");
            assert_eq!(refused.bad_fields(), fields, "{session}");
        }
    }
    let past = json!({"sessionDate": "2099-12-31T00:00:00Z", "startTime": "09:00", "endTime": "10:00"});
    for refused in [offer(&mesh, &noor, past.clone()).await, put(&mesh, &noor, &made, past).await] {
        assert_eq!(refused.bad_fields(), ["startTime"]);
    }
    let by_date = json!({"sessionDate": "2099-12-31T09:00:00Z", "endTime": "10:00"});
    assert_eq!(offer(&mesh, &noor, by_date).await.bad_fields(), ["sessionDate"]);
    let odd = json!({"sessionDate": "2100-01-03T09:00:30Z", "endTime": "10:00"});
    assert_eq!(offer(&mesh, &noor, odd).await.bad_fields(), ["sessionDate"]);
    mesh.stop().await;
}

async fn session_owner_can_be_named_but_not_changed(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, other) = (therapist(&mesh).await, therapist(&mesh).await);
    let asha = related(&mesh, "Asha", &noor).await;
    let made = add(&mesh, &noor, with(on(2, 9, 10), &json!({"therapistId": noor.id}))).await;
    for id in [&other.id, NOBODY, "nobody"] {
        let named = json!({"therapistId": id});
        offer(&mesh, &noor, with(on(3, 9, 10), &named)).await.refused(403, "NOT_YOUR_ACCOUNT");
        put(&mesh, &noor, &made, named).await.refused(403, "NOT_YOUR_ACCOUNT");
        mesh.get(&format!("/sessions?therapistId={id}"), &noor).await.refused(403, "NOT_YOUR_ACCOUNT");
        mesh.get(&format!("/sessions?clientId={id}"), &asha).await.refused(403, "NOT_YOUR_ACCOUNT");
    }
    for (change, field) in [
        (json!({"clientId": asha.id}), "clientId"),
        (json!({"clientId": "nobody"}), "clientId"),
        (json!({"sessionId": NOBODY}), "sessionId"),
    ] {
        assert_eq!(put(&mesh, &noor, &made, change).await.bad_fields(), [field]);
    }
    for id in [NOBODY, "nobody"] {
        let nothing = json!({"sessionId": id});
        mesh.get(&path(&nothing), &noor).await.refused(404, "NOT_FOUND");
        mesh.get(&path(&nothing), &asha).await.refused(404, "NOT_FOUND");
        put(&mesh, &noor, &nothing, json!({})).await.refused(404, "NOT_FOUND");
        mesh.ask(Method::DELETE, &path(&nothing), Some(&noor), None).await.refused(404, "NOT_FOUND");
    }
    for (method, body) in [(Method::PUT, Some(json!({"status": "CANCELLED"}))), (Method::DELETE, None)] {
        mesh.ask(method, &path(&made), Some(&other), body).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(mesh.get(&path(&made), &noor).await.expect(200), made);
    mesh.stop().await;
}

async fn session_for_unrelated_client_or_by_client_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, asha) = (therapist(&mesh).await, mesh.client("Asha").await);
    let made = add(&mesh, &noor, on(2, 9, 10)).await;
    offer(&mesh, &asha, on(3, 9, 10)).await.refused(403, "ROLE_NOT_ALLOWED");
    put(&mesh, &asha, &made, json!({"status": "CANCELLED"})).await.refused(403, "ROLE_NOT_ALLOWED");
    mesh.ask(Method::DELETE, &path(&made), Some(&asha), None).await.refused(403, "ROLE_NOT_ALLOWED");
    mesh.ask(Method::GET, "/sessions", None, None).await.refused(401, "TOKEN_MISSING");
    for id in [&asha.id, &noor.id, NOBODY, "nobody"] {
        offer(&mesh, &noor, with(on(3, 9, 10), &json!({"clientId": id}))).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(mesh.get("/sessions", &noor).await.expect(200), json!([made]), "nothing was left");
    mesh.stop().await;
}

async fn invalid_query_names_every_bad_parameter(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, asha) = (therapist(&mesh).await, mesh.client("Asha").await);
    let bad = async |who, query: &str| {
        let refused = mesh.get(&format!("/sessions?{query}"), who).await;
        refused.bad_fields().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(bad(&noor, "clientId=nobody&pageSize=-1").await, ["clientId", "pageSize"]);
    assert_eq!(bad(&asha, "therapistId=nobody&pageSize=-1").await, ["pageSize", "therapistId"]);
    let backwards = "afterDate=2100-01-02T00:00:00Z&beforeDate=2100-01-02T00:00:00Z";
    assert_eq!(bad(&noor, backwards).await, ["beforeDate"]);
    assert_eq!(bad(&noor, "pageToken=x").await, ["pageToken"]);
    for query in ["afterDate=soon", "afterDate=2100-01-02", "status=OPEN", "when=now"] {
        assert_eq!(mesh.get(&format!("/sessions?{query}"), &noor).await.status, 400, "{query}");
    }
    mesh.stop().await;
}

async fn session_is_booked_by_acceptance_only(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let noor = therapist(&mesh).await;
    let made = add(&mesh, &noor, on(2, 9, 10)).await;
    put(&mesh, &noor, &made, json!({"status": "BOOKED"})).await.refused(400, "BOOKED_BY_ACCEPTING");
    put(&mesh, &noor, &made, json!({"status": "CANCELLED"})).await.expect(200);
    mesh.pass(std::time::Duration::from_secs(2 * 24 * 3600));
    let noor = mesh.login(&noor.email, kit::mesh::PASSWORD).await;
    put(&mesh, &noor, &made, json!({"status": "AVAILABLE"})).await.refused(400, "SESSION_OVER");
    let later = with(on(9, 9, 10), &json!({"status": "AVAILABLE"}));
    assert_eq!(put(&mesh, &noor, &made, later).await.expect(200)["status"], "AVAILABLE");
    mesh.stop().await;
}
