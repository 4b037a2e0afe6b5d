//! Rejected requests about appointments, with their reasons.

use std::time::Duration;

use kit::mesh::{Answer, PASSWORD, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

use super::{NOBODY, Practice, at, id};

kit::on_each_env!(
    invalid_request_names_every_bad_field,
    impossible_request_is_rejected_with_reason,
    invisible_session_is_answered_like_missing_one,
    sixth_pending_request_to_therapist_is_rejected,
    foreign_appointment_is_answered_like_missing_one,
    action_of_other_role_is_rejected,
    stale_etag_is_rejected,
);

async fn invalid_request_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let client = mesh.client("Asha").await;
    let post = async |body: Value| mesh.ask(Method::POST, "/appointments", Some(&client), Some(body)).await;
    let named = |answer: Answer, fields: &[&str]| {
        answer.refused(400, "INVALID_FIELDS");
        assert_eq!(answer.bad_fields(), fields, "{}", answer.body);
    };
    let therapist = practice.therapist.id.as_str();
    named(post(json!({})).await, &["appointmentDate", "therapistId"]);
    named(
        post(json!({"therapistId": "x", "appointmentDate": "tomorrow", "sessionId": "y"})).await,
        &["appointmentDate", "sessionId", "therapistId"],
    );
    for date in ["2100-01-02T10:00:00", "2100-01-02", "2100-01-02 10:00:00Z", "2100-02-30T10:00:00Z"] {
        named(post(json!({"therapistId": therapist, "appointmentDate": date})).await, &["appointmentDate"]);
    }
    named(post(json!({"therapistId": client.id, "appointmentDate": at(10)})).await, &["therapistId"]);
    let request = mesh.request(Method::POST, "/appointments").bearer_auth(&client.token);
    let keyed = kit::mesh::answer(request.header("idempotency-key", "").json(&json!({}))).await;
    named(keyed, &["Idempotency-Key", "appointmentDate", "therapistId"]);
    named(mesh.get("/appointments?therapistId=x&pageSize=-1", &client).await, &["pageSize", "therapistId"]);
    named(mesh.get("/appointments?clientId=x", &practice.therapist).await, &["clientId"]);
    named(mesh.get("/appointments?pageToken=x", &client).await, &["pageToken"]);
    let path = format!("/appointments/{NOBODY}/status");
    for status in [json!({}), json!({"status": "PENDING"}), json!({"status": "EXPIRED"})] {
        named(mesh.ask(Method::PUT, &path, Some(&practice.therapist), Some(status)).await, &["status"]);
    }
    mesh.stop().await;
}

async fn impossible_request_is_rejected_with_reason(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let another = Practice::open(&mesh).await;
    let client = mesh.client("Asha").await;
    let session = practice.session(10).await;
    practice.ask(&client, NOBODY, 10).await.refused(404, "NOT_FOUND");
    another.ask(&client, &session, 10).await.refused(404, "NOT_FOUND");
    let nobody = json!({"therapistId": NOBODY, "appointmentDate": at(10), "sessionId": session});
    mesh.ask(Method::POST, "/appointments", Some(&client), Some(nobody)).await.refused(404, "NOT_FOUND");
    let elsewhere = practice.ask(&client, &session, 11).await;
    elsewhere.refused(400, "INVALID_FIELDS");
    assert_eq!(elsewhere.bad_fields(), ["appointmentDate"]);
    for other in [NOBODY, &mesh.client("Bo").await.id, "x"] {
        let mut body = practice.request(&session, 10);
        body["clientId"] = json!(other);
        let refused = mesh.ask(Method::POST, "/appointments", Some(&client), Some(body)).await;
        refused.refused(403, "NOT_YOUR_ACCOUNT");
    }
    practice.ask(&practice.therapist, &session, 10).await.refused(403, "ROLE_NOT_ALLOWED");
    practice.ask(&client, &session, 10).await.expect(201);
    practice.ask(&client, &session, 10).await.refused(409, "REQUEST_PENDING");
    mesh.stop().await;
}

/// Rule 14: by the time alone, or once it is over, another client's session is answered as if it did not exist.
async fn invisible_session_is_answered_like_missing_one(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let mut practice = Practice::open(&mesh).await;
    let stranger = mesh.client("Bo").await;
    let (booked, cancelled, offered) =
        (practice.session(10).await, practice.session(11).await, practice.session(12).await);
    let (owner, _) = practice.booked(&booked, 10).await;
    let path = format!("/sessions/{cancelled}");
    let change = json!({"status": "CANCELLED"});
    mesh.ask(Method::PUT, &path, Some(&practice.therapist), Some(change)).await.expect(200);
    let by_time = |hour: u32| json!({"therapistId": practice.therapist.id, "appointmentDate": at(hour)});
    let (at_booked, at_cancelled, at_none) = (by_time(10), by_time(11), by_time(13));
    let post = async |who, body: &Value| mesh.ask(Method::POST, "/appointments", Some(who), Some(body.clone())).await;
    let same_as_none = async |who, bodies: &[&Value]| {
        let none = post(who, &at_none).await.refused(404, "NOT_FOUND").clone();
        for body in bodies {
            assert_eq!(*post(who, body).await.refused(404, "NOT_FOUND"), none, "{body}");
        }
    };
    same_as_none(&stranger, &[&at_booked, &at_cancelled]).await;
    post(&stranger, &practice.request(&booked, 10)).await.refused(409, "SLOT_TAKEN");
    post(&stranger, &practice.request(&booked, 15)).await.refused(409, "SLOT_TAKEN");
    post(&owner, &at_booked).await.refused(409, "SLOT_TAKEN");

    mesh.pass(Duration::from_secs(31 * 3600));
    let stranger = mesh.login(&stranger.email, PASSWORD).await;
    let owner = mesh.login(&owner.email, PASSWORD).await;
    practice.therapist = mesh.login(&practice.therapist.email, PASSWORD).await;
    let (named, elsewhere, gone) =
        (practice.request(&booked, 10), practice.request(&booked, 15), practice.request(&cancelled, 11));
    same_as_none(&stranger, &[&at_booked, &at_cancelled, &named, &elsewhere, &gone]).await;
    // A client to whom the session is visible learns that it is over.
    for body in [&at_booked, &named] {
        post(&owner, body).await.refused(400, "SESSION_OVER");
    }
    practice.ask(&stranger, &offered, 12).await.refused(400, "SESSION_OVER");
    mesh.stop().await;
}

async fn sixth_pending_request_to_therapist_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let client = mesh.client("Asha").await;
    let mut asked = Vec::new();
    for hour in 10..15 {
        let session = practice.session(hour).await;
        asked.push(id(&practice.ask(&client, &session, hour).await.expect(201), "appointmentId"));
    }
    let session = practice.session(15).await;
    practice.ask(&client, &session, 15).await.refused(429, "TOO_MANY_REQUESTS_PENDING");
    practice.change(&practice.therapist, &asked[0], "REJECTED").await.expect(200);
    practice.ask(&client, &session, 15).await.expect(201);
    let another = Practice::open(&mesh).await;
    let session = another.session(10).await;
    another.ask(&client, &session, 10).await.expect(201);
    mesh.stop().await;
}

async fn foreign_appointment_is_answered_like_missing_one(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, other) = (mesh.client("Bo").await, mesh.therapist("Kim", "Grief", "110001").await);
    let (_, appointment) = practice.booked(&practice.session(10).await, 10).await;
    for who in [&client, &other] {
        let bodies: Vec<_> = [appointment.as_str(), NOBODY, "x"].into();
        let mut told = Vec::new();
        for id in bodies {
            let paths = [format!("/appointments/{id}"), format!("/appointments/{id}/status")];
            for path in &paths {
                told.push(mesh.get(path, who).await.refused(404, "NOT_FOUND").clone());
            }
            told.push(practice.change(who, id, "REVOKED").await.refused(404, "NOT_FOUND").clone());
        }
        told.dedup();
        assert_eq!(told.len(), 1, "the same, whether it exists or not");
        assert_eq!(mesh.get("/appointments", who).await.expect(200), json!([]));
    }
    for id in [&client.id, &practice.therapist.id, NOBODY] {
        mesh.get(&format!("/appointments?therapistId={id}"), &other).await.refused(403, "NOT_YOUR_ACCOUNT");
    }
    mesh.stop().await;
}

async fn action_of_other_role_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, session) = (mesh.client("Asha").await, practice.session(10).await);
    let asked = id(&practice.ask(&client, &session, 10).await.expect(201), "appointmentId");
    for appointment in [asked.as_str(), NOBODY, "x"] {
        for status in ["ACCEPTED", "REJECTED"] {
            practice.change(&client, appointment, status).await.refused(403, "ROLE_NOT_ALLOWED");
        }
        let path = format!("/appointments/{appointment}");
        mesh.ask(Method::DELETE, &path, Some(&practice.therapist), None).await.refused(403, "ROLE_NOT_ALLOWED");
    }
    for who in [&client, &practice.therapist] {
        practice.change(who, &asked, "REVOKED").await.refused(400, "NOT_ACCEPTED");
    }
    practice.change(&practice.therapist, &asked, "REJECTED").await.expect(200);
    practice.change(&practice.therapist, &asked, "REJECTED").await.expect(200);
    practice.accept(&asked).await.refused(400, "NOT_PENDING");
    mesh.stop().await;
}

async fn stale_etag_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let practice = Practice::open(&mesh).await;
    let (client, session) = (mesh.client("Asha").await, practice.session(10).await);
    let asked = practice.ask(&client, &session, 10).await.expect(201);
    let path = format!("/appointments/{}/status", id(&asked, "appointmentId"));
    let change = async |status: &str, etag: &Value| {
        let body = json!({"status": status, "etag": etag});
        mesh.ask(Method::PUT, &path, Some(&practice.therapist), Some(body)).await
    };
    let accepted = change("ACCEPTED", &asked["etag"]).await.expect(200);
    change("REVOKED", &asked["etag"]).await.refused(409, "STALE_ETAG");
    change("REVOKED", &json!("never one of ours")).await.refused(409, "STALE_ETAG");
    change("REVOKED", &accepted["etag"]).await.expect(200);
    mesh.stop().await;
}
