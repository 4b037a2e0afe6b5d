//! Contract §2, rows /clients, as a therapist sees them: clients who have agreed to be related; and the effects of
//! account deletion on relations.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use kit::fault::Proxy;
use kit::mesh::{Answer, Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    client_is_visible_to_therapist_while_mapped,
    unaccepted_request_shows_nothing_of_client,
    contact_shows_name_and_open_appointment_shows_profile,
    profile_stays_visible_until_accepted_session_is_over,
    related_clients_page_takes_bounded_calls,
    related_clients_page_token_is_bound_to_caller,
    therapist_account_deletion_ends_mappings_and_access,
    client_account_deletion_ends_mappings_and_journal,
);

const NOTE: &str = "the heron stood still in the rain";

async fn map(mesh: &TestMesh, client: &Someone, therapist: &Someone) {
    let pair = json!({"therapistId": therapist.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(pair)).await.expect(201);
}

async fn request_mapping(mesh: &TestMesh, therapist: &Someone, client: &Someone) {
    let path = format!("/mapping/{}/request", client.id);
    let request = json!({"therapistId": therapist.id, "requestType": "MAPPING"});
    mesh.ask(Method::POST, &path, Some(therapist), Some(request)).await.expect(201);
}

async fn answer_request(mesh: &TestMesh, client: &Someone, therapist: &Someone, answer: &str) {
    let path = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    mesh.ask(Method::PUT, &path, Some(client), Some(json!({"status": answer}))).await.expect(200);
}

async fn end_mapping(mesh: &TestMesh, who: &Someone, client: &Someone, therapist: &Someone) {
    let path = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    mesh.ask(Method::DELETE, &path, Some(who), None).await.expect(200);
}

/// Returns a client with a journal entry, and a therapist with access to it.
async fn reader_and_read(mesh: &TestMesh) -> (Someone, Someone) {
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    map(mesh, &asha, &noor).await;
    let access = format!("/journal/{}/access?therapistId={}", asha.id, noor.id);
    mesh.ask(Method::PUT, &access, Some(&asha), Some(json!({"access": "ACCEPTED"}))).await.expect(200);
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2099-12-31T00:00:00Z", "note": NOTE});
    mesh.ask(Method::POST, &format!("/journal/{}", asha.id), Some(&asha), Some(entry)).await.expect(201);
    let seen = mesh.get(&format!("/journal/{}", asha.id), &noor).await.expect(200);
    assert_eq!(seen[0]["note"], NOTE);
    (asha, noor)
}

async fn sees(mesh: &TestMesh, therapist: &Someone, client: &Someone, profile: &Value) {
    assert_eq!(mesh.get("/clients", therapist).await.expect(200), json!([profile]));
    assert_eq!(&mesh.get(&format!("/clients/{}", client.id), therapist).await.expect(200), profile);
}

async fn sees_nothing(mesh: &TestMesh, therapist: &Someone, client: &Someone) {
    assert_eq!(mesh.get("/clients", therapist).await.expect(200), json!([]));
    let there = mesh.get(&format!("/clients/{}", client.id), therapist).await;
    there.refused(404, "NOT_FOUND");
    let absent = mesh.get("/clients/01933b5e-7a4c-7def-8abc-0123456789ab", therapist).await;
    assert_eq!((there.status, &there.body), (absent.status, &absent.body));
}

fn next(page: &Answer) -> Option<String> {
    page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned())
}

fn column(list: &Value, name: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

async fn client_is_visible_to_therapist_while_mapped(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let (noor, omar) = (mesh.therapist("Noor", "Grief", "1100").await, mesh.therapist("Omar", "Grief", "1100").await);
    let profile = mesh.get(&format!("/clients/{}", asha.id), &asha).await.expect(200);
    sees_nothing(&mesh, &noor, &asha).await;
    map(&mesh, &asha, &noor).await;
    map(&mesh, &ben, &omar).await;
    sees(&mesh, &noor, &asha, &profile).await;
    mesh.get(&format!("/clients/{}", asha.id), &omar).await.refused(404, "NOT_FOUND");
    mesh.get(&format!("/clients/{}", asha.id), &ben).await.refused(403, "NOT_YOUR_ACCOUNT");
    let by_address = format!("/clients?email={}", asha.email);
    assert_eq!(mesh.get(&by_address, &noor).await.expect(200), json!([profile]));
    assert_eq!(mesh.get(&by_address, &omar).await.expect(200), json!([]));

    for (who, restored) in [(&asha, true), (&noor, false)] {
        end_mapping(&mesh, who, &asha, &noor).await;
        sees_nothing(&mesh, &noor, &asha).await;
        if restored {
            map(&mesh, &asha, &noor).await;
            sees(&mesh, &noor, &asha, &profile).await;
        }
    }
    mesh.stop().await;
}

async fn unaccepted_request_shows_nothing_of_client(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let profile = mesh.get(&format!("/clients/{}", asha.id), &asha).await.expect(200);
    request_mapping(&mesh, &noor, &asha).await;
    sees_nothing(&mesh, &noor, &asha).await;
    answer_request(&mesh, &asha, &noor, "REJECTED").await;
    sees_nothing(&mesh, &noor, &asha).await;
    mesh.pass(Duration::from_secs(7 * 24 * 3600));
    let noor = mesh.login(&noor.email, kit::mesh::PASSWORD).await;
    request_mapping(&mesh, &noor, &asha).await;
    mesh.pass(Duration::from_secs(31 * 24 * 3600));
    let noor = mesh.login(&noor.email, kit::mesh::PASSWORD).await;
    let asha = mesh.login(&asha.email, kit::mesh::PASSWORD).await;
    sees_nothing(&mesh, &noor, &asha).await;
    request_mapping(&mesh, &noor, &asha).await;
    sees_nothing(&mesh, &noor, &asha).await;
    answer_request(&mesh, &asha, &noor, "ACCEPTED").await;
    sees(&mesh, &noor, &asha, &profile).await;
    mesh.stop().await;
}

/// Adds a session of the therapist at this hour of the first day, and requests it as the client. Returns both ids.
async fn ask_for_session(mesh: &TestMesh, client: &Someone, therapist: &Someone, hour: &str) -> (String, String) {
    let session = json!({"sessionDate": format!("2100-01-01T{hour}:00:00Z"), "endTime": format!("{hour}:50")});
    let session = mesh.ask(Method::POST, "/sessions", Some(therapist), Some(session)).await.expect(201);
    let wish = json!({"therapistId": therapist.id, "sessionId": session["sessionId"],
        "appointmentDate": session["sessionDate"]});
    let asked = mesh.ask(Method::POST, "/appointments", Some(client), Some(wish)).await.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&session["sessionId"]), text(&asked["appointmentId"]))
}

async fn decide(mesh: &TestMesh, therapist: &Someone, appointment: &str, status: &str) {
    let path = format!("/appointments/{appointment}/status");
    mesh.ask(Method::PUT, &path, Some(therapist), Some(json!({"status": status}))).await.expect(200);
}

/// Contract §2, GET /clients/{clientId}.
async fn contact_shows_name_and_open_appointment_shows_profile(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let profile = mesh.get(&format!("/clients/{}", asha.id), &asha).await.expect(200);
    let by_name = json!([{"clientId": asha.id, "name": "Asha", "email": "", "pincode": "", "etag": ""}]);
    let shows_name_alone = async || {
        assert_eq!(mesh.get("/clients", &noor).await.expect(200), by_name);
        mesh.get(&format!("/clients/{}", asha.id), &noor).await.refused(404, "NOT_FOUND");
    };
    let message = json!({"receiverId": noor.id, "message": "Hello."});
    mesh.ask(Method::POST, "/messages", Some(&asha), Some(message)).await.expect(201);
    shows_name_alone().await;

    let (_, rejected) = ask_for_session(&mesh, &asha, &noor, "08").await;
    sees(&mesh, &noor, &asha, &profile).await;
    decide(&mesh, &noor, &rejected, "REJECTED").await;
    shows_name_alone().await;
    let (_, cancelled) = ask_for_session(&mesh, &asha, &noor, "09").await;
    let path = format!("/appointments/{cancelled}");
    mesh.ask(Method::DELETE, &path, Some(&asha), None).await.expect(200);
    shows_name_alone().await;
    let (_, revoked) = ask_for_session(&mesh, &asha, &noor, "10").await;
    decide(&mesh, &noor, &revoked, "ACCEPTED").await;
    sees(&mesh, &noor, &asha, &profile).await;
    decide(&mesh, &noor, &revoked, "REVOKED").await;
    shows_name_alone().await;
    map(&mesh, &asha, &noor).await;
    sees(&mesh, &noor, &asha, &profile).await;
    mesh.stop().await;
}

/// Contract §2, GET /clients/{clientId}: an accepted appointment that is not yet over.
async fn profile_stays_visible_until_accepted_session_is_over(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let (session, accepted) = ask_for_session(&mesh, &asha, &noor, "10").await;
    decide(&mesh, &noor, &accepted, "ACCEPTED").await;
    end_mapping(&mesh, &asha, &asha, &noor).await;
    let profile = format!("/clients/{}", asha.id);
    mesh.get(&profile, &noor).await.expect(200);
    mesh.pass(Duration::from_secs(10 * 3600 + 49 * 60));
    let noor = mesh.login(&noor.email, kit::mesh::PASSWORD).await;
    mesh.get(&profile, &noor).await.expect(200);
    // The present end of the session counts.
    let longer = json!({"endTime": "10:55"});
    mesh.ask(Method::PUT, &format!("/sessions/{session}"), Some(&noor), Some(longer)).await.expect(200);
    mesh.pass(Duration::from_secs(5 * 60));
    mesh.get(&profile, &noor).await.expect(200);
    mesh.pass(Duration::from_secs(60));
    mesh.get(&profile, &noor).await.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

async fn related_clients_page_takes_bounded_calls(env: TestEnv) {
    const RELATED: usize = 120;
    let proxy = Proxy::start(&env.engine.endpoint().await);
    let mut read_of = Vec::new();
    let mesh = TestMesh::start_with(env, |config| {
        config.dynamodb.endpoint = Some(proxy.endpoint());
        read_of = ["Mappings", "Clients"].map(|table| format!("{}{table}", config.dynamodb.table_prefix)).to_vec();
        config.server.health_interval = Duration::from_secs(3600);
        config.account_deletion.recovery_interval = Duration::from_secs(3600);
    });
    let mesh = mesh.await;
    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    let (mesh_of_all, therapist) = (&mesh, &noor);
    stream::iter(0..RELATED)
        .for_each_concurrent(4, |number| async move {
            let client = mesh_of_all.client(&format!("Client {number:03}")).await;
            map(mesh_of_all, &client, therapist).await;
        })
        .await;

    let theirs = format!("/therapists/{}/clients", noor.id);
    for (list, name, size, at_most) in [
        // Whole profiles: the agreement of their clients is read from the table, a hundred at a time like the profiles.
        ("/clients", "name", 50, 3),
        ("/clients", "name", 200, 5),
        (theirs.as_str(), "clientName", 50, 2),
        (theirs.as_str(), "clientName", 200, 3),
    ] {
        let (mut ids, mut names, mut token, mut pages) = (Vec::new(), BTreeSet::new(), String::new(), 0);
        loop {
            let _ = proxy.take_calls();
            let page = mesh.get(&format!("{list}?pageSize={size}&pageToken={token}"), &noor).await;
            let calls =
                proxy.take_calls_that(|call| read(call.operation) && read_of.iter().any(|table| call.names(table)));
            assert!(calls.len() <= at_most, "{list} by {size}: {calls:?}");
            pages += 1;
            let next = next(&page);
            let shown = page.expect(200);
            ids.extend(column(&shown, "clientId"));
            names.extend(column(&shown, name));
            let Some(next) = next else { break };
            token = next;
        }
        assert!(pages <= RELATED / size + 1, "{list} by {size}: {pages} pages");
        assert!(ids.is_sorted(), "{list}: in the order of the ids");
        assert_eq!(names, (0..RELATED).map(|number| format!("Client {number:03}")).collect(), "{list}");
        assert_eq!(ids.len(), RELATED, "{list}: each once");
    }
    mesh.stop().await;
}

fn read(operation: &str) -> bool {
    ["GetItem", "BatchGetItem", "Query"].contains(&operation)
}

async fn related_clients_page_token_is_bound_to_caller(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, omar) = (mesh.therapist("Noor", "Grief", "1100").await, mesh.therapist("Omar", "Grief", "1100").await);
    for number in 0..3 {
        let client = mesh.client(&format!("Client {number}")).await;
        map(&mesh, &client, &noor).await;
        map(&mesh, &client, &omar).await;
    }
    let first = mesh.get("/clients?pageSize=2", &noor).await;
    let token = next(&first).expect("there is more");
    let rest = mesh.get(&format!("/clients?pageSize=2&pageToken={token}"), &noor).await;
    assert_eq!(next(&rest), None);
    let all = mesh.get("/clients", &noor).await.expect(200);
    let both = [column(&first.body, "clientId"), column(&rest.body, "clientId")].concat();
    assert_eq!(both, column(&all, "clientId"));

    let related = mesh.get(&format!("/therapists/{}/clients?pageSize=2", noor.id), &noor).await;
    let of_another_list = next(&related).expect("there is more");
    for (who, bad) in [(&omar, token.as_str()), (&noor, "tampered"), (&noor, &of_another_list)] {
        let refused = mesh.get(&format!("/clients?pageSize=2&pageToken={bad}"), who).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), ["pageToken"]);
        let words = "is not a token of this list; leave it out to start from the first page";
        assert!(refused.body["message"].as_str().unwrap().contains(words), "{}", refused.body);
    }
    let negative = mesh.get("/clients?pageSize=-1", &noor).await;
    assert_eq!((negative.status, negative.bad_fields()), (400, vec!["pageSize"]));
    mesh.stop().await;
}

async fn therapist_account_deletion_ends_mappings_and_access(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = reader_and_read(&mesh).await;
    let path = format!("/therapists/{}", noor.id);
    assert_eq!(mesh.ask(Method::DELETE, &path, Some(&noor), None).await.status, 204);

    assert_eq!(mesh.get(&format!("/mapping/{}", asha.id), &asha).await.expect(200), json!([]));
    let relations = mesh.get(&format!("/clients/{}/therapists", asha.id), &asha).await.expect(200);
    assert_eq!(relations[0]["therapistId"], noor.id.as_str());
    assert_eq!((&relations[0]["therapistName"], &relations[0]["specialty"]), (&json!(""), &json!("")));
    assert_eq!(relations[0]["mappingStatus"], "ENDED");
    assert_eq!(relations[0]["journalAccess"], "REVOKED");
    // The access token is still valid, but gives no access.
    mesh.get(&format!("/journal/{}", asha.id), &noor).await.refused(404, "NOT_FOUND");
    sees_nothing(&mesh, &noor, &asha).await;
    let again = json!({"therapistId": noor.id});
    let mapped = mesh.ask(Method::POST, &format!("/mapping/{}", asha.id), Some(&asha), Some(again)).await;
    mapped.refused(404, "NOT_FOUND");
    // The client's journal is unchanged.
    assert_eq!(mesh.get(&format!("/journal/{}", asha.id), &asha).await.expect(200)[0]["note"], NOTE);
    mesh.stop().await;
}

async fn client_account_deletion_ends_mappings_and_journal(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = reader_and_read(&mesh).await;
    assert_eq!(mesh.ask(Method::DELETE, &format!("/clients/{}", asha.id), Some(&asha), None).await.status, 204);

    sees_nothing(&mesh, &noor, &asha).await;
    let relations = mesh.get(&format!("/therapists/{}/clients", noor.id), &noor).await.expect(200);
    assert_eq!((&relations[0]["clientId"], &relations[0]["clientName"]), (&json!(asha.id), &json!("")));
    assert_eq!((&relations[0]["mappingStatus"], &relations[0]["journalAccess"]), (&json!("ENDED"), &json!("REVOKED")));
    mesh.get(&format!("/journal/{}", asha.id), &noor).await.refused(404, "NOT_FOUND");
    // The client's access token is still valid, but gives no access.
    mesh.get(&format!("/journal/{}", asha.id), &asha).await.refused(401, "ACCOUNT_ENDED");
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2099-12-31T00:00:00Z", "note": NOTE});
    let added = mesh.ask(Method::POST, &format!("/journal/{}", asha.id), Some(&asha), Some(entry)).await;
    added.refused(401, "ACCOUNT_ENDED");
    mesh.stop().await;
}
