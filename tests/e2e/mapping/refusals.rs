//! Rejected requests about relations and consent, with their reasons.

use kit::mesh::{Answer, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

use super::{NOBODY, Two, states};

kit::on_each_env!(
    action_in_wrong_state_is_rejected_with_reason,
    invalid_request_names_every_bad_field,
    foreign_account_path_is_answered_like_missing_one,
    person_without_profile_cannot_be_mapped_or_asked,
);

async fn action_in_wrong_state_is_rejected_with_reason(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    // No relation at all.
    two.reply("ACCEPTED").await.refused(404, "NOT_FOUND");
    two.end(&two.client).await.refused(404, "NOT_FOUND");
    two.end(&two.therapist).await.refused(404, "NOT_FOUND");
    two.end_access().await.refused(404, "NOT_FOUND");
    two.grant().await.refused(404, "NOT_FOUND");
    two.request("JOURNAL_ACCESS").await.refused(404, "NOT_FOUND");

    two.request("MAPPING").await.expect(201);
    two.request("MAPPING").await.refused(409, "REQUEST_PENDING");
    two.request("JOURNAL_ACCESS").await.refused(400, "NOT_MAPPED");
    two.grant().await.refused(400, "NOT_MAPPED");
    two.access(json!({"access": "REJECTED"})).await.refused(400, "NO_PENDING_REQUEST");
    two.access(json!({"access": "REVOKED"})).await.refused(400, "NO_JOURNAL_ACCESS");
    two.end_access().await.refused(400, "NO_JOURNAL_ACCESS");
    two.reply("REJECTED").await.expect(200);
    // The client may end a rejected relation; that changes nothing.
    two.end(&two.client).await.expect(200);
    two.end(&two.therapist).await.refused(400, "NOT_MAPPED");

    two.map().await.expect(201);
    two.map().await.refused(409, "MAPPING_EXISTS");
    two.request("MAPPING").await.refused(409, "MAPPING_EXISTS");
    two.request("JOURNAL_ACCESS").await.expect(201);
    two.request("JOURNAL_ACCESS").await.refused(409, "REQUEST_PENDING");
    two.end_access().await.refused(400, "NO_JOURNAL_ACCESS");
    two.grant().await.expect(200);
    two.request("JOURNAL_ACCESS").await.refused(409, "JOURNAL_ACCESS_EXISTS");
    two.access(json!({"access": "REJECTED"})).await.refused(400, "NO_PENDING_REQUEST");
    mesh.stop().await;
}

async fn invalid_request_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    two.map().await.expect(201);
    let named = |answer: Answer, fields: &[&str]| {
        answer.refused(400, "INVALID_FIELDS");
        assert_eq!(answer.bad_fields(), fields, "{}", answer.body);
    };
    for bad in [json!({}), json!({"therapistId": ""}), json!({"therapistId": "nobody"})] {
        named(two.client(Method::POST, &two.mapping(), bad).await, &["therapistId"]);
    }
    let none = json!({"clientId": "x", "therapistId": two.therapist.id});
    named(two.therapist(Method::POST, "/therapists/map-client", none).await, &["clientId"]);
    let unsaid = json!({"therapistId": two.therapist.id});
    named(two.therapist(Method::POST, &format!("{}/request", two.mapping()), unsaid).await, &["requestType"]);
    named(two.client(Method::PUT, &two.mapping(), json!({})).await, &["status", "therapistId"]);
    named(two.client(Method::DELETE, &two.mapping(), Value::Null).await, &["therapistId"]);
    named(two.therapist(Method::DELETE, &two.mapping(), Value::Null).await, &["therapistId"]);
    named(two.client(Method::DELETE, &format!("{}/access", two.mapping()), Value::Null).await, &["therapistId"]);

    for access in ["NONE", "PENDING", "EXPIRED"] {
        named(two.access(json!({"access": access})).await, &["access"]);
    }
    let limits = |access: &str, until: &str| {
        let from = "2099-01-01T00:00:00Z";
        json!({"access": access, "entriesFrom": from, "expiresAt": until})
    };
    named(two.access(limits("REVOKED", "2101-01-01T00:00:00Z")).await, &["entriesFrom", "expiresAt"]);
    named(two.access(limits("PENDING", "2101-01-01T00:00:00Z")).await, &["access", "entriesFrom", "expiresAt"]);
    named(two.access(limits("ACCEPTED", "2100-01-01T00:00:00Z")).await, &["expiresAt"]);
    let path = format!("/journal/{}/access?therapistId=nobody", two.client.id);
    named(two.client(Method::PUT, &path, json!({})).await, &["access", "therapistId"]);
    states(&two.seen().await.0, "ACTIVE", "NONE");

    let (of_client, of_therapist) =
        (format!("/clients/{}/therapists", two.client.id), format!("/therapists/{}/clients", two.therapist.id));
    for (list, who) in [
        (two.mapping(), &two.client),
        (format!("{}/requests", two.mapping()), &two.client),
        (of_client, &two.client),
        (of_therapist, &two.therapist),
    ] {
        named(mesh.get(&format!("{list}?pageSize=-1"), who).await, &["pageSize"]);
        named(mesh.get(&format!("{list}?pageToken=forged"), who).await, &["pageToken"]);
    }
    mesh.stop().await;
}

/// The answer must not tell whether another account exists.
async fn foreign_account_path_is_answered_like_missing_one(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let (ben, omar) = (mesh.client("Ben").await, mesh.therapist("Omar", "Grief", "110001").await);
    two.map().await.expect(201);
    let (noor, asha) = (&two.therapist.id, &two.client.id);
    let mut cases = Vec::new();
    for id in [asha.as_str(), NOBODY, "nonsense"] {
        let by_ben = [
            (Method::POST, format!("/mapping/{id}"), json!({"therapistId": noor})),
            (Method::POST, "/therapists/map-client".to_owned(), json!({"clientId": id, "therapistId": noor})),
            (Method::PUT, format!("/mapping/{id}?therapistId={noor}"), json!({"status": "ACCEPTED"})),
            (Method::DELETE, format!("/mapping/{id}?therapistId={noor}"), Value::Null),
            (Method::DELETE, format!("/mapping/{id}/access?therapistId={noor}"), Value::Null),
            (Method::PUT, format!("/journal/{id}/access?therapistId={noor}"), json!({"access": "ACCEPTED"})),
            (Method::PUT, format!("/therapists/{noor}/clients/{id}/journal-access"), json!({"access": "ACCEPTED"})),
            (Method::GET, format!("/mapping/{id}"), Value::Null),
            (Method::GET, format!("/mapping/{id}/requests"), Value::Null),
            (Method::GET, format!("/clients/{id}/therapists"), Value::Null),
        ];
        cases.extend(by_ben.map(|case| (&ben, case)));
    }
    for id in [noor.as_str(), NOBODY, "nonsense"] {
        let by_omar = [
            (Method::POST, "/therapists/map-client".to_owned(), json!({"clientId": asha, "therapistId": id})),
            (Method::POST, format!("/mapping/{asha}/request"), json!({"therapistId": id, "requestType": "MAPPING"})),
            (Method::DELETE, format!("/mapping/{asha}?therapistId={id}"), Value::Null),
            (Method::GET, format!("/therapists/{id}/clients"), Value::Null),
        ];
        cases.extend(by_omar.map(|case| (&omar, case)));
    }
    let mut messages = Vec::new();
    for (who, (method, path, body)) in cases {
        let answer = mesh.ask(method, &path, Some(who), Some(body).filter(|body| !body.is_null())).await;
        messages.push(answer.refused(403, "NOT_YOUR_ACCOUNT").clone());
    }
    messages.sort_by_key(Value::to_string);
    messages.dedup();
    assert_eq!(messages.len(), 2, "one answer for clients and one for therapists: {messages:?}");

    // An unrelated therapist gets the same answer for an existing client and a missing one.
    for (method, path, body) in [
        (Method::POST, "/request", json!({"requestType": "JOURNAL_ACCESS"})),
        (Method::DELETE, &*format!("?therapistId={}", omar.id), Value::Null),
    ] {
        let body = Some(body).filter(|body| !body.is_null());
        let of =
            async |id: &str| mesh.ask(method.clone(), &format!("/mapping/{id}{path}"), Some(&omar), body.clone()).await;
        let there = of(asha).await;
        there.refused(404, "NOT_FOUND");
        assert_eq!((&of(NOBODY).await.body, &of("nonsense").await.body), (&there.body, &there.body));
    }
    mesh.stop().await;
}

async fn person_without_profile_cannot_be_mapped_or_asked(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let (without_client, without_therapist) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    for id in [NOBODY, &without_therapist.id, &two.client.id] {
        two.client(Method::POST, &two.mapping(), json!({"therapistId": id})).await.refused(404, "NOT_FOUND");
    }
    for id in [NOBODY, &without_client.id, &two.therapist.id, "nonsense"] {
        let path = format!("/mapping/{id}/request");
        two.therapist(Method::POST, &path, json!({"requestType": "MAPPING"})).await.refused(404, "NOT_FOUND");
    }
    // The caller needs no profile.
    let pair = json!({"therapistId": two.therapist.id});
    let path = format!("/mapping/{}", without_client.id);
    mesh.ask(Method::POST, &path, Some(&without_client), Some(pair)).await.expect(201);
    let path = format!("/mapping/{}/request", two.client.id);
    let request = json!({"requestType": "MAPPING"});
    mesh.ask(Method::POST, &path, Some(&without_therapist), Some(request)).await.expect(201);
    mesh.stop().await;
}
