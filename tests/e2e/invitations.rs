//! Contract §2, row POST /invitations: a therapist invites by address, and learns nothing until the client answers.

use std::time::Duration;

use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    invitation_becomes_mapping_request,
    journal_invitation_is_answered_in_two_steps,
    unanswered_invitation_shows_therapist_nothing,
    invitation_answer_is_equal_for_every_address,
    rejected_invitation_leaves_no_pending_request,
    invitations_are_limited_to_30_per_hour,
    invitation_expires_after_30_days,
    account_deletion_ends_invitation_requests,
    invalid_invitation_names_every_bad_field,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn invite(mesh: &TestMesh, therapist: &Someone, email: &str, what: &str) -> Answer {
    let invitation = json!({"email": email, "requestType": what});
    mesh.ask(Method::POST, "/invitations", Some(therapist), Some(invitation)).await
}

async fn requests(mesh: &TestMesh, client: &Someone) -> Value {
    mesh.get(&format!("/mapping/{}/requests", client.id), client).await.expect(200)
}

async fn reply(mesh: &TestMesh, client: &Someone, therapist: &Someone, status: &str) -> Answer {
    let path = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    mesh.ask(Method::PUT, &path, Some(client), Some(json!({"status": status}))).await
}

async fn related(mesh: &TestMesh, therapist: &Someone) -> Value {
    mesh.get(&format!("/therapists/{}/clients", therapist.id), therapist).await.expect(200)
}

async fn people(mesh: &TestMesh) -> (Someone, Someone) {
    (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await)
}

async fn invitation_becomes_mapping_request(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = people(&mesh).await;
    assert_eq!(invite(&mesh, &noor, &asha.email.to_uppercase(), "MAPPING").await.expect(202), json!({}));
    let request = json!({
        "therapistId": noor.id, "therapistName": "Noor", "specialty": "Grief", "requestType": "MAPPING",
        "requestedAt": "2100-01-01T00:00:00Z", "expiresAt": "2100-01-31T00:00:00Z",
    });
    assert_eq!(requests(&mesh, &asha).await, json!([request]));
    assert_eq!(requests(&mesh, &asha).await, json!([request]), "once it is a request it stays one");
    let path = format!("/clients/{}/therapists", asha.id);
    assert_eq!(mesh.get(&path, &asha).await.expect(200)[0]["mappingStatus"], "REQUESTED");

    let mapped = reply(&mesh, &asha, &noor, "ACCEPTED").await.expect(200);
    assert_eq!((&mapped["mappingStatus"], &mapped["journalAccess"]), (&json!("ACTIVE"), &json!("NONE")));
    assert_eq!(requests(&mesh, &asha).await, json!([]));
    assert_eq!(related(&mesh, &noor).await[0]["clientName"], "Asha");
    assert_eq!(invite(&mesh, &noor, &asha.email, "MAPPING").await.expect(202), json!({}), "also when it is mapped");
    assert_eq!(requests(&mesh, &asha).await, json!([]));
    mesh.stop().await;
}

async fn journal_invitation_is_answered_in_two_steps(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = people(&mesh).await;
    invite(&mesh, &noor, &asha.email, "JOURNAL_ACCESS").await.expect(202);
    assert_eq!(requests(&mesh, &asha).await[0]["requestType"], "MAPPING");
    let map = json!({"therapistId": noor.id});
    let mapped = mesh.ask(Method::POST, &format!("/mapping/{}", asha.id), Some(&asha), Some(map)).await.expect(201);
    assert_eq!((&mapped["mappingStatus"], &mapped["journalAccess"]), (&json!("ACTIVE"), &json!("PENDING")));
    let waiting = requests(&mesh, &asha).await;
    assert_eq!((waiting.as_array().unwrap().len(), &waiting[0]["requestType"]), (1, &json!("JOURNAL_ACCESS")));
    let path = format!("/journal/{}/access?therapistId={}", asha.id, noor.id);
    let granted = mesh.ask(Method::PUT, &path, Some(&asha), Some(json!({"access": "ACCEPTED"}))).await.expect(200);
    assert_eq!(granted["journalAccess"], "ACCEPTED");
    mesh.get(&format!("/journal/{}", asha.id), &noor).await.expect(200);
    mesh.stop().await;
}

async fn unanswered_invitation_shows_therapist_nothing(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = people(&mesh).await;
    for received in [false, true] {
        invite(&mesh, &noor, &asha.email, "MAPPING").await.expect(202);
        if received {
            assert_eq!(requests(&mesh, &asha).await[0]["therapistId"], noor.id.as_str());
        }
        assert_eq!(related(&mesh, &noor).await, json!([]));
        assert_eq!(mesh.get("/clients", &noor).await.expect(200), json!([]));
        assert_eq!(mesh.get(&format!("/clients?email={}", asha.email), &noor).await.expect(200), json!([]));
        mesh.get(&format!("/clients/{}", asha.id), &noor).await.refused(404, "NOT_FOUND");
        let access = json!({"requestType": "JOURNAL_ACCESS"});
        let path = format!("/mapping/{}/request", asha.id);
        mesh.ask(Method::POST, &path, Some(&noor), Some(access)).await.refused(404, "NOT_FOUND");
        let end = format!("/mapping/{}?therapistId={}", asha.id, noor.id);
        mesh.ask(Method::DELETE, &end, Some(&noor), None).await.refused(404, "NOT_FOUND");
    }
    // A mapping request by id neither conflicts with the invitation nor shows twice.
    let mapping = json!({"requestType": "MAPPING"});
    mesh.ask(Method::POST, &format!("/mapping/{}/request", asha.id), Some(&noor), Some(mapping)).await.expect(201);
    assert_eq!(requests(&mesh, &asha).await.as_array().unwrap().len(), 1);
    mesh.stop().await;
}

async fn invitation_answer_is_equal_for_every_address(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = people(&mesh).await;
    let (newcomer, gone) = (mesh.join("CLIENT").await, mesh.client("Gone").await);
    assert_eq!(mesh.ask(Method::DELETE, &format!("/clients/{}", gone.id), Some(&gone), None).await.status, 204);
    let therapist = mesh.therapist("Omar", "Sleep", "110001").await;
    for email in [&asha.email, &newcomer.email, &gone.email, &therapist.email, "nobody.at.all@example.org", &asha.email]
    {
        let told = invite(&mesh, &noor, email, "MAPPING").await;
        assert_eq!((told.status, &told.body), (202, &json!({})), "{email}");
        assert!(told.headers.get("etag").is_none(), "{email}");
    }
    // A key stands for one invitation; reuse for another one is rejected.
    let keyed = |email: &str| {
        let invitation = json!({"email": email, "requestType": "MAPPING"});
        let request = mesh.request(Method::POST, "/invitations").bearer_auth(&noor.token).json(&invitation);
        answer(request.header("idempotency-key", "invite"))
    };
    keyed(&asha.email).await.expect(202);
    keyed(&asha.email).await.expect(202);
    keyed(&newcomer.email).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    mesh.ask(Method::POST, "/invitations", Some(&asha), Some(json!({}))).await.refused(403, "ROLE_NOT_ALLOWED");
    mesh.stop().await;
}

async fn rejected_invitation_leaves_no_pending_request(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = people(&mesh).await;
    invite(&mesh, &noor, &asha.email, "MAPPING").await.expect(202);
    requests(&mesh, &asha).await;
    let rejected = reply(&mesh, &asha, &noor, "REJECTED").await.expect(200);
    assert_eq!(rejected["mappingStatus"], "REJECTED");
    assert_eq!(requests(&mesh, &asha).await, json!([]));
    assert_eq!(related(&mesh, &noor).await[0]["mappingStatus"], "REJECTED", "the answer is for the therapist to see");
    reply(&mesh, &asha, &noor, "ACCEPTED").await.refused(400, "NO_PENDING_REQUEST");
    mesh.stop().await;
}

async fn invitations_are_limited_to_30_per_hour(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = people(&mesh).await;
    let all = (0..40).map(|number| {
        let email = if number % 2 == 0 { asha.email.clone() } else { format!("nobody.{number}@example.org") };
        let invitation = json!({"email": email, "requestType": "MAPPING"});
        tokio::spawn(answer(mesh.request(Method::POST, "/invitations").bearer_auth(&noor.token).json(&invitation)))
    });
    let mut sent = 0;
    for task in all.collect::<Vec<_>>() {
        let told = task.await.unwrap();
        if told.status == 202 {
            sent += 1;
        } else {
            told.refused(429, "TOO_MANY_INVITATIONS");
            assert_eq!(told.retry_after(), Some(3600.0));
        }
    }
    assert_eq!(sent, 30);
    mesh.pass(Duration::from_secs(3600));
    let noor = mesh.login(&noor.email, PASSWORD).await;
    invite(&mesh, &noor, &asha.email, "MAPPING").await.expect(202);
    mesh.stop().await;
}

async fn invitation_expires_after_30_days(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = people(&mesh).await;
    let (ben, late) = (mesh.client("Ben").await, mesh.client("Late").await);
    for who in [&asha, &ben, &late] {
        invite(&mesh, &noor, &who.email, "MAPPING").await.expect(202);
    }
    assert_eq!(requests(&mesh, &ben).await.as_array().unwrap().len(), 1);
    mesh.pass(DAY * 30 - Duration::from_secs(1));
    let [asha, ben, late] = [
        mesh.login(&asha.email, PASSWORD).await,
        mesh.login(&ben.email, PASSWORD).await,
        mesh.login(&late.email, PASSWORD).await,
    ];
    assert_eq!(requests(&mesh, &asha).await.as_array().unwrap().len(), 1, "a second before");
    mesh.pass(Duration::from_secs(1));
    for who in [&asha, &ben, &late] {
        assert_eq!(requests(&mesh, who).await, json!([]));
        reply(&mesh, who, &noor, "ACCEPTED").await.refused(404, "NOT_FOUND");
    }
    let noor = mesh.login(&noor.email, PASSWORD).await;
    assert_eq!(related(&mesh, &noor).await, json!([]));
    mesh.stop().await;
}

async fn account_deletion_ends_invitation_requests(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = people(&mesh).await;
    let omar = mesh.therapist("Omar", "Sleep", "110001").await;
    for therapist in [&noor, &omar] {
        invite(&mesh, therapist, &asha.email, "MAPPING").await.expect(202);
    }
    assert_eq!(requests(&mesh, &asha).await.as_array().unwrap().len(), 2);
    let path = format!("/therapists/{}", omar.id);
    assert_eq!(mesh.ask(Method::DELETE, &path, Some(&omar), None).await.status, 204);
    let left = requests(&mesh, &asha).await;
    assert_eq!((left.as_array().unwrap().len(), &left[0]["therapistId"]), (1, &json!(noor.id)));
    reply(&mesh, &asha, &omar, "ACCEPTED").await.refused(404, "NOT_FOUND");

    let path = format!("/clients/{}", asha.id);
    assert_eq!(mesh.ask(Method::DELETE, &path, Some(&asha), None).await.status, 204);
    assert_eq!(requests(&mesh, &asha).await, json!([]));
    assert_eq!(related(&mesh, &noor).await, json!([]));
    mesh.stop().await;
}

async fn invalid_invitation_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = people(&mesh).await;
    let bad = mesh.ask(Method::POST, "/invitations", Some(&noor), Some(json!({}))).await;
    bad.refused(400, "INVALID_FIELDS");
    assert_eq!(bad.bad_fields(), ["email", "requestType"]);
    assert_eq!(invite(&mesh, &noor, "asha", "MAPPING").await.bad_fields(), ["email"]);
    assert_eq!(requests(&mesh, &asha).await, json!([]));
    mesh.stop().await;
}
