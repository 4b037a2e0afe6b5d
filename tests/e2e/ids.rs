//! Contract rule 20: ids are read in any case and answered in one.

use kit::mesh::{Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    id_in_other_case_names_the_same_thing,
    id_in_other_case_is_accepted_by_every_write,
    request_repeated_with_ids_in_other_case_is_the_same_request,
);

/// Returns an id in the case in which it is not answered: a UUID in upper case, a ULID in lower case.
fn flipped(id: &str) -> String {
    let is_ulid = id.len() == 26;
    if is_ulid { id.to_lowercase() } else { id.to_uppercase() }
}

fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap().to_owned()
}

/// Returns the same text with these ids in the other case.
fn with_flipped(text: &str, ids: &[&str]) -> String {
    ids.iter().fold(text.to_owned(), |text, id| text.replace(id, &flipped(id)))
}

/// Sends a request with the ids in its path and its body in the other case.
async fn write(mesh: &TestMesh, method: Method, path: &str, who: &Someone, body: Value, ids: &[&str]) -> Value {
    let body = serde_json::from_str(&with_flipped(&body.to_string(), ids)).unwrap();
    let status = if method == Method::POST { 201 } else { 200 };
    mesh.ask(method, &with_flipped(path, ids), Some(who), Some(body)).await.expect(status)
}

fn session(therapist: &Someone, hour: u32) -> Value {
    json!({
        "therapistId": therapist.id, "sessionDate": "2100-01-02T00:00:00+05:30",
        "startTime": format!("{hour:02}:00"), "endTime": format!("{hour:02}:30"),
    })
}

fn appointment(therapist: &Someone, session: &str, hour: u32) -> Value {
    json!({
        "therapistId": therapist.id, "sessionId": session,
        "appointmentDate": format!("2100-01-02T{hour:02}:00:00+05:30"),
    })
}

async fn id_in_other_case_names_the_same_thing(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let (client, therapist) = (&*asha.id, &*noor.id);
    let post = async |path: String, who, body| mesh.ask(Method::POST, &path, Some(who), Some(body)).await.expect(201);
    post(format!("/mapping/{client}"), &asha, json!({"therapistId": therapist})).await;
    let path = format!("/journal/{client}/access?therapistId={therapist}");
    mesh.ask(Method::PUT, &path, Some(&asha), Some(json!({"access": "ACCEPTED"}))).await.expect(200);
    let felt = json!({"emotion": "calm", "intensity": 2, "timestamp": "2099-12-31T12:00:00Z"});
    let entry = &*text(&post(format!("/journal/{client}"), &asha, felt).await, "entryId");
    let slot = &*text(&post("/sessions".to_owned(), &noor, session(&noor, 10)).await, "sessionId");
    let asked = appointment(&noor, slot, 10);
    let asked = &*text(&post("/appointments".to_owned(), &asha, asked).await, "appointmentId");
    post("/messages".to_owned(), &asha, json!({"receiverId": therapist, "message": "Hello"})).await;

    for (who, path) in [
        (&asha, format!("/clients/{client}")),
        (&noor, format!("/clients/{client}")),
        (&asha, format!("/therapists/{therapist}")),
        (&asha, format!("/clients/{client}/therapists")),
        (&noor, format!("/therapists/{therapist}/clients")),
        (&asha, format!("/mapping/{client}")),
        (&asha, format!("/mapping/{client}/requests")),
        (&asha, format!("/journal/{client}")),
        (&noor, format!("/journal/{client}")),
        (&noor, format!("/clients/{client}/journals")),
        (&asha, format!("/journal/{client}/entries/{entry}")),
        (&noor, format!("/journal/{client}/entries/{entry}")),
        (&noor, format!("/journal/{client}/insights")),
        (&asha, format!("/clients/{client}/access-log")),
        (&noor, format!("/sessions/{slot}")),
        (&noor, format!("/sessions?therapistId={therapist}&clientId={client}")),
        (&asha, format!("/sessions?therapistId={therapist}")),
        (&asha, format!("/appointments/{asked}")),
        (&noor, format!("/appointments/{asked}/status")),
        (&asha, format!("/appointments?clientId={client}&therapistId={therapist}")),
        (&noor, format!("/appointments?clientId={client}&therapistId={therapist}")),
        (&asha, format!("/messages/history?senderId={client}&receiverId={therapist}")),
        (&noor, format!("/messages/history?senderId={client}&receiverId={therapist}")),
    ] {
        let expected = mesh.get(&path, who).await.expect(200);
        let other = with_flipped(&path, &[client, therapist, entry, slot, asked]);
        assert_ne!(other, path);
        assert_eq!(mesh.get(&other, who).await.expect(200), expected, "{other}");
    }
    mesh.stop().await;
}

async fn id_in_other_case_is_accepted_by_every_write(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let (client, therapist) = (&*asha.id, &*noor.id);
    let put = async |path: &str, who, body, ids: &[&str]| write(&mesh, Method::PUT, path, who, body, ids).await;
    let post = async |path: &str, who, body, ids: &[&str]| write(&mesh, Method::POST, path, who, body, ids).await;

    let journal = &*format!("/journal/{client}");
    for (who, path) in [(&asha, format!("/clients/{client}")), (&noor, format!("/therapists/{therapist}"))] {
        let profile = mesh.get(&path, who).await.expect(200);
        let mut replaced = put(&path, who, profile.clone(), &[client, therapist]).await;
        replaced["etag"] = profile["etag"].clone();
        assert_eq!(replaced, profile);
    }

    let path = format!("/mapping/{client}/request");
    let request = json!({"therapistId": therapist, "requestType": "MAPPING"});
    let asked = post(&path, &noor, request, &[client, therapist]).await;
    assert_eq!((&asked["clientId"], &asked["therapistId"]), (&json!(client), &json!(therapist)));
    let path = format!("/mapping/{client}?therapistId={therapist}");
    put(&path, &asha, json!({"status": "ACCEPTED"}), &[client, therapist]).await;
    let path = format!("/therapists/{therapist}/clients/{client}/journal-access");
    let granted = put(&path, &asha, json!({"access": "ACCEPTED"}), &[client, therapist]).await;
    assert_eq!((&granted["clientId"], &granted["therapistId"]), (&json!(client), &json!(therapist)));

    let felt = json!({"emotion": "calm", "intensity": 2, "timestamp": "2099-12-31T12:00:00Z", "clientId": client});
    let made = post(journal, &asha, felt, &[client]).await;
    assert_eq!(made["clientId"], client);
    let entry = &*text(&made, "entryId");
    let path = format!("{journal}/entries/{entry}");
    let changed = put(&path, &asha, made.clone(), &[client, entry]).await;
    assert_eq!((&changed["clientId"], &changed["entryId"]), (&json!(client), &json!(entry)));

    let slot = post("/sessions", &noor, session(&noor, 10), &[therapist]).await;
    assert_eq!(slot["therapistId"], therapist);
    let slot = &*text(&slot, "sessionId");
    let asked = post("/appointments", &asha, appointment(&noor, slot, 10), &[therapist, slot]).await;
    assert_eq!((&asked["therapistId"], &asked["sessionId"]), (&json!(therapist), &json!(slot)));
    let asked = &*text(&asked, "appointmentId");
    let path = format!("/appointments/{asked}/status");
    assert_eq!(put(&path, &noor, json!({"status": "ACCEPTED"}), &[asked]).await["appointmentId"], asked);
    let path = format!("/sessions/{slot}");
    let booked = mesh.get(&path, &noor).await.expect(200);
    assert_eq!(booked["clientId"], client);
    let same = put(&path, &noor, booked, &[client, therapist, slot]).await;
    assert_eq!((&same["sessionId"], &same["clientId"]), (&json!(slot), &json!(client)));
    let noted = put(&format!("{path}/notes"), &noor, json!({"sharedNotes": "Breathe"}), &[slot]).await;
    assert_eq!(noted["sessionId"], slot);
    let mut reserved = session(&noor, 12);
    reserved["clientId"] = client.into();
    assert_eq!(post("/sessions", &noor, reserved, &[client, therapist]).await["clientId"], client);

    let sent = json!({"senderId": client, "receiverId": therapist, "message": "Hello"});
    let sent = post("/messages", &asha, sent, &[client, therapist]).await;
    assert_eq!((&sent["senderId"], &sent["receiverId"]), (&json!(client), &json!(therapist)));
    let message = &*text(&sent, "messageId");
    let read = json!({"peerId": client, "messageId": message});
    let read = put("/messages/read", &noor, read, &[client, message]).await;
    assert_eq!((&read["peerId"], &read["messageId"]), (&json!(client), &json!(message)));

    for (who, path) in [
        (&asha, format!("{journal}?entryId={entry}")),
        (&asha, format!("/mapping/{client}/access?therapistId={therapist}")),
        (&noor, format!("/mapping/{client}?therapistId={therapist}")),
        (&noor, format!("/sessions/{slot}")),
        (&noor, format!("/therapists/{therapist}")),
        (&asha, format!("/clients/{client}")),
    ] {
        let path = with_flipped(&path, &[client, therapist, entry, slot]);
        let removed = mesh.ask(Method::DELETE, &path, Some(who), None).await;
        assert!([200, 204].contains(&removed.status), "{path}: {} {}", removed.status, removed.body);
    }
    mesh.stop().await;
}

async fn request_repeated_with_ids_in_other_case_is_the_same_request(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    let (client, therapist) = (&*asha.id, &*noor.id);
    let post = async |path: &str, who: &Someone, body: &Value| {
        let request = mesh.request(Method::POST, path).bearer_auth(&who.token);
        answer(request.header("idempotency-key", "once").json(body)).await.expect(201)
    };
    let twice = async |path: &str, who: &Someone, body: Value| {
        let first = post(path, who, &body).await;
        let ids = [client, therapist];
        let other = serde_json::from_str(&with_flipped(&body.to_string(), &ids)).unwrap();
        assert_ne!(other, body);
        assert_eq!(post(&with_flipped(path, &ids), who, &other).await, first, "{path}");
        first
    };
    let profile = json!({"clientId": client, "name": "Asha", "email": asha.email, "pincode": "110001"});
    twice("/clients", &asha, profile).await;
    let profile = json!({
        "therapistId": therapist, "name": "Noor", "email": noor.email, "specialty": "Grief", "pincode": "110001",
    });
    twice("/therapists", &noor, profile).await;
    let ids = json!({"clientId": client, "therapistId": therapist});
    twice("/therapists/map-client", &noor, ids).await;
    twice(&format!("/mapping/{client}"), &asha, json!({"therapistId": therapist})).await;
    let request = json!({"therapistId": therapist, "requestType": "JOURNAL_ACCESS"});
    twice(&format!("/mapping/{client}/request"), &noor, request).await;
    let felt = json!({"emotion": "calm", "intensity": 2, "timestamp": "2099-12-31T12:00:00Z", "clientId": client});
    twice(&format!("/journal/{client}"), &asha, felt).await;
    let slot = twice("/sessions", &noor, session(&noor, 10)).await;
    twice("/appointments", &asha, appointment(&noor, &text(&slot, "sessionId"), 10)).await;
    twice("/messages", &asha, json!({"receiverId": therapist, "message": "Hello"})).await;
    mesh.stop().await;
}
