//! Notes of sessions, found by their therapist, and the shared ones by the client of the session.

use kit::mesh::{Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

use super::{change, end, finds, finds_nothing, map, search, session, therapist};

kit::on_each_env!(
    therapist_finds_private_shared_and_draft_notes,
    client_finds_shared_notes_of_own_sessions_only,
    notes_of_freed_session_are_not_found_by_first_client,
    notes_of_accepted_appointment_are_found_by_its_client,
    moved_session_is_found_at_its_new_time,
    corrected_and_deleted_notes_are_not_found,
    ended_relation_leaves_notes_of_its_sessions,
);

/// Returns a client who is mapped to the therapist.
async fn related(mesh: &TestMesh, name: &str, therapist: &Someone) -> Someone {
    let client = mesh.client(name).await;
    map(mesh, &client, therapist).await;
    client
}

/// Returns the kinds, visibilities and ids of hits.
async fn hits(mesh: &TestMesh, who: &Someone, path: &str) -> Vec<Value> {
    let hits = mesh.get(path, who).await.expect(200);
    hits.as_array().unwrap().iter().map(|hit| json!([hit["kind"], hit["visibility"], hit["id"]])).collect()
}

async fn therapist_finds_private_shared_and_draft_notes(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, omar) = (therapist(&mesh).await, therapist(&mesh).await);
    let (asha, tara) = (related(&mesh, "Asha", &noor).await, related(&mesh, "Tara", &noor).await);
    let notes =
        |who: &str| json!({"privateNotes": format!("lantern, for me: {who}"), "sharedNotes": "hang the lantern"});
    let of = |client: &Someone| super::with(notes(&client.id), &json!({"clientId": client.id}));
    let draft = session(&mesh, &noor, 1, &notes("nobody")).await;
    let first = session(&mesh, &noor, 2, &of(&asha)).await;
    let second = session(&mesh, &noor, 3, &of(&tara)).await;
    let path = search("lantern");
    let both = |id: &str| ["PRIVATE", "SHARED"].map(|visibility| json!(["NOTES", visibility, id]));
    let sorted = async |path: &str| {
        let mut hits = hits(&mesh, &noor, path).await;
        hits.sort_by_key(Value::to_string);
        hits
    };
    let expected = |ids: &[&String]| {
        let mut all: Vec<_> = ids.iter().flat_map(|id| both(id)).collect();
        all.sort_by_key(Value::to_string);
        all
    };
    let newest_first = [&second, &second, &first, &first, &draft, &draft];
    finds(&mesh, &noor, &path, &newest_first.map(String::as_str)).await;
    assert_eq!(sorted(&path).await, expected(&[&draft, &first, &second]));
    assert_eq!(sorted(&format!("{path}&clientId={}", asha.id)).await, expected(&[&first]));
    assert_eq!(sorted(&format!("{path}&in=NOTES&from=2100-02-03T09:00:00Z")).await, expected(&[&second]));
    assert_eq!(hits(&mesh, &noor, &search("lantern me nobody")).await, [json!(["NOTES", "PRIVATE", draft])]);
    finds_nothing(&mesh, &noor, &format!("{path}&in=JOURNAL,CLIENTS")).await;
    finds_nothing(&mesh, &omar, &path).await;

    let shown = mesh.get(&format!("{}&clientId={}", search("hang"), asha.id), &noor).await.expect(200);
    let expected = json!([{
        "kind": "NOTES", "id": first, "clientId": asha.id, "therapistId": noor.id, "timestamp": "2100-02-02T09:00:00Z",
        "snippet": "hang the lantern", "matches": [{"start": 0, "end": 4}], "visibility": "SHARED",
    }]);
    assert_eq!(shown, expected);
    let draft = mesh.get(&search("nobody"), &noor).await.expect(200);
    assert_eq!((&draft[0]["clientId"], &draft[0]["therapistId"]), (&json!(""), &json!(noor.id)));
    mesh.stop().await;
}

async fn client_finds_shared_notes_of_own_sessions_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, omar) = (therapist(&mesh).await, therapist(&mesh).await);
    let (asha, tara) = (related(&mesh, "Asha", &noor).await, related(&mesh, "Tara", &noor).await);
    map(&mesh, &asha, &omar).await;
    let notes = json!({"privateNotes": "compass for me", "sharedNotes": "buy a compass"});
    let of = |client: &Someone| super::with(notes.clone(), &json!({"clientId": client.id}));
    let draft = session(&mesh, &noor, 1, &notes).await;
    let own = session(&mesh, &noor, 2, &of(&asha)).await;
    let taras = session(&mesh, &noor, 3, &of(&tara)).await;
    let others = session(&mesh, &omar, 4, &of(&asha)).await;
    let path = search("compass");
    finds(&mesh, &noor, &path, &[&*taras, &taras, &own, &own, &draft, &draft]).await;
    finds(&mesh, &asha, &path, &[&others, &own]).await;
    finds(&mesh, &tara, &path, &[&taras]).await;
    let told = mesh.get(&path, &asha).await.expect(200);
    assert!(told.as_array().unwrap().iter().all(|hit| hit["visibility"] == "SHARED"), "{told}");
    assert_eq!(told[1]["therapistId"], noor.id.as_str());
    for query in ["compass me", "\"compass for me\""] {
        finds_nothing(&mesh, &asha, &search(query)).await;
    }
    finds_nothing(&mesh, &asha, &format!("{path}&in=JOURNAL")).await;
    // A cancelled session keeps what was shared.
    change(&mesh, &noor, &own, &json!({"status": "CANCELLED"})).await;
    finds(&mesh, &asha, &path, &[&others, &own]).await;
    mesh.stop().await;
}

async fn notes_of_freed_session_are_not_found_by_first_client(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let (asha, tara) = (related(&mesh, "Asha", &noor).await, related(&mesh, "Tara", &noor).await);
    let notes = json!({"privateNotes": "anchor for me", "sharedNotes": "drop the anchor", "clientId": asha.id});
    let made = session(&mesh, &noor, 2, &notes).await;
    let path = search("anchor");
    finds(&mesh, &asha, &path, &[&made]).await;
    finds(&mesh, &noor, &path, &[&made, &made]).await;
    change(&mesh, &noor, &made, &json!({"status": "AVAILABLE"})).await;
    // What was shared with the client goes with the client.
    finds_nothing(&mesh, &asha, &path).await;
    assert_eq!(hits(&mesh, &noor, &path).await, [json!(["NOTES", "PRIVATE", made])]);
    change(&mesh, &noor, &made, &json!({"sharedNotes": "raise the anchor"})).await;
    finds(&mesh, &noor, &search("raise"), &[&made]).await;
    finds_nothing(&mesh, &asha, &path).await;

    let wish = json!({"therapistId": noor.id, "sessionId": made, "appointmentDate": "2100-02-02T09:00:00Z"});
    let asked = mesh.ask(Method::POST, "/appointments", Some(&tara), Some(wish)).await.expect(201);
    finds_nothing(&mesh, &tara, &path).await;
    let status = format!("/appointments/{}/status", asked["appointmentId"].as_str().unwrap());
    mesh.ask(Method::PUT, &status, Some(&noor), Some(json!({"status": "ACCEPTED"}))).await.expect(200);
    finds(&mesh, &tara, &path, &[&made]).await;
    finds(&mesh, &noor, &format!("{path}&clientId={}", tara.id), &[&made, &made]).await;
    finds_nothing(&mesh, &noor, &format!("{path}&clientId={}", asha.id)).await;
    finds_nothing(&mesh, &asha, &path).await;
    mesh.stop().await;
}

async fn notes_of_accepted_appointment_are_found_by_its_client(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let asha = related(&mesh, "Asha", &noor).await;
    let made = session(&mesh, &noor, 2, &json!({"sharedNotes": "mend the rudder"})).await;
    let path = search("rudder");
    finds(&mesh, &noor, &path, &[&made]).await;
    finds_nothing(&mesh, &asha, &path).await;
    let wish = json!({"therapistId": noor.id, "sessionId": made, "appointmentDate": "2100-02-02T09:00:00Z"});
    let asked = mesh.ask(Method::POST, "/appointments", Some(&asha), Some(wish)).await.expect(201);
    let status = format!("/appointments/{}/status", asked["appointmentId"].as_str().unwrap());
    let decide = async |by: &Someone, status_now: &str| {
        mesh.ask(Method::PUT, &status, Some(by), Some(json!({"status": status_now}))).await.expect(200);
    };
    decide(&noor, "ACCEPTED").await;
    finds(&mesh, &asha, &path, &[&made]).await;
    finds(&mesh, &noor, &path, &[&made]).await;
    decide(&asha, "REVOKED").await;
    finds_nothing(&mesh, &asha, &path).await;
    mesh.stop().await;
}

async fn moved_session_is_found_at_its_new_time(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let made = session(&mesh, &noor, 2, &json!({"privateNotes": "the ferry", "sharedNotes": "take the ferry"})).await;
    let early = format!("{}&to=2100-02-10T00:00:00Z", search("ferry"));
    let late = format!("{}&from=2100-02-10T00:00:00Z", search("ferry"));
    finds(&mesh, &noor, &early, &[&made, &made]).await;
    finds_nothing(&mesh, &noor, &late).await;
    change(&mesh, &noor, &made, &json!({"sessionDate": "2100-02-20T09:00:00Z", "endTime": "10:00"})).await;
    finds_nothing(&mesh, &noor, &early).await;
    finds(&mesh, &noor, &late, &[&made, &made]).await;
    let all = mesh.get(&search("ferry"), &noor).await.expect(200);
    assert!(all.as_array().unwrap().iter().all(|hit| hit["timestamp"] == "2100-02-20T09:00:00Z"), "{all}");
    mesh.stop().await;
}

async fn corrected_and_deleted_notes_are_not_found(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let asha = related(&mesh, "Asha", &noor).await;
    let notes = json!({"privateNotes": "the sail", "sharedNotes": "mend the sail", "clientId": asha.id});
    let made = session(&mesh, &noor, 2, &notes).await;
    finds(&mesh, &noor, &search("sail"), &[&made, &made]).await;
    finds(&mesh, &asha, &search("sail"), &[&made]).await;
    let path = format!("/sessions/{made}/notes");
    let put = async |notes: Value| mesh.ask(Method::PUT, &path, Some(&noor), Some(notes)).await.expect(200);
    put(json!({"privateNotes": "the mast", "sharedNotes": "mend the keel"})).await;
    for who in [&noor, &asha] {
        finds_nothing(&mesh, who, &search("sail")).await;
        finds(&mesh, who, &search("keel"), &[&made]).await;
    }
    finds(&mesh, &noor, &search("mast"), &[&made]).await;
    finds_nothing(&mesh, &asha, &search("mast")).await;
    put(json!({"sharedNotes": ""})).await;
    for who in [&noor, &asha] {
        finds_nothing(&mesh, who, &search("keel")).await;
    }
    put(json!({"sharedNotes": "mend the keel"})).await;
    finds(&mesh, &asha, &search("keel"), &[&made]).await;
    assert_eq!(mesh.ask(Method::DELETE, &format!("/sessions/{made}"), Some(&noor), None).await.status, 204);
    for (who, query) in [(&noor, "mast"), (&noor, "keel"), (&asha, "keel")] {
        finds_nothing(&mesh, who, &search(query)).await;
    }
    mesh.stop().await;
}

async fn ended_relation_leaves_notes_of_its_sessions(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let asha = related(&mesh, "Asha of the tide", &noor).await;
    let notes = json!({"privateNotes": "about the tide", "sharedNotes": "watch the tide", "clientId": asha.id});
    let made = session(&mesh, &noor, 2, &notes).await;
    finds(&mesh, &asha, &search("tide"), &[&made]).await;
    finds(&mesh, &noor, &search("tide"), &[&*made, &made, &asha.id]).await;
    end(&mesh, &asha, &noor, &asha).await;
    // What was accepted stays, and so do its notes.
    finds(&mesh, &asha, &search("tide"), &[&made]).await;
    for more in ["", &*format!("&clientId={}", asha.id)] {
        finds(&mesh, &noor, &format!("{}{more}", search("tide")), &[&made, &made]).await;
    }
    mesh.stop().await;
}
