//! Contract §2: `etag`, `If-Match`, `If-None-Match` and `ETag`, of every operation that has or takes one.

use std::collections::BTreeSet;

use kit::mesh::{Answer, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use proto::{RPCS, Rpc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, ETAG};
use serde_json::{Value, json};

kit::on_each_env!(
    each_answer_with_etag_has_the_header_and_each_change_takes_it,
    precondition_is_rejected_where_it_would_be_ignored,
    parallel_changes_of_one_version_let_one_win,
    expired_request_is_modified,
);

/// A mesh, and the RPCs that were called.
struct World {
    mesh: TestMesh,
    tagged: BTreeSet<&'static str>,
    changed: BTreeSet<&'static str>,
}

/// Returns the names of RPCs.
fn names(is_meant: fn(&Rpc) -> bool) -> BTreeSet<&'static str> {
    RPCS.iter().filter(|rpc| is_meant(rpc)).filter_map(|rpc| rpc.path.rsplit('/').next()).collect()
}

async fn ask(mesh: &TestMesh, method: Method, path: &str, who: &Someone, header: (&str, &str), body: &Value) -> Answer {
    let request = mesh.request(method, path).bearer_auth(&who.token).header(header.0, header.1);
    answer(if body.is_null() { request } else { request.json(body) }).await
}

/// Returns the header `ETag`, which says the same as the body.
#[track_caller]
fn tag(answer: &Answer) -> String {
    let tag = answer.headers.get(ETAG).unwrap_or_else(|| panic!("no ETag: {}", answer.body)).to_str().unwrap();
    assert_eq!(tag, format!("\"{}\"", answer.body["etag"].as_str().unwrap()), "{}", answer.body);
    tag.to_owned()
}

impl World {
    /// Creates something. Returns the path of what was created.
    async fn create(&mut self, rpc: &'static str, path: &str, id: &str, who: &Someone, body: Value) -> String {
        let made = self.mesh.ask(Method::POST, path, Some(who), Some(body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        tag(&made);
        self.tagged.insert(rpc);
        format!("{path}/{}", made.body[id].as_str().unwrap())
    }

    /// Reads something whose etag the caller knows or not. Returns its `ETag`.
    async fn read(&mut self, rpc: &'static str, path: &str, who: &Someone) -> String {
        let read = self.mesh.get(path, who).await;
        assert_eq!(read.status, 200, "{}", read.body);
        let tag = tag(&read);
        for known in [&tag, "*", &format!("W/{tag}"), &format!("\"other\", {tag}")] {
            let same = ask(&self.mesh, Method::GET, path, who, ("if-none-match", known), &Value::Null).await;
            assert_eq!((same.status, &same.body), (304, &Value::Null), "{known}");
            assert_eq!(same.headers[ETAG], tag.as_str());
            assert_eq!(same.headers["cache-control"], "no-store");
            assert!(!same.headers.contains_key(CONTENT_TYPE));
        }
        let other = ask(&self.mesh, Method::GET, path, who, ("if-none-match", "\"other\""), &Value::Null).await;
        assert_eq!((other.status, other.body), (200, read.body));
        self.tagged.insert(rpc);
        tag
    }

    /// Changes something at `path`, which is read at `home`, by stale etags and then by the present one.
    async fn change(
        &mut self,
        rpc: &'static str,
        read: &'static str,
        home: &str,
        path: &str,
        who: &Someone,
        body: &Value,
    ) {
        let present = self.read(read, home, who).await;
        for stale in ["\"0\"", &format!("W/{present}"), "\"0\", \"00\""] {
            let refused = ask(&self.mesh, Method::PUT, path, who, ("if-match", stale), body).await;
            refused.refused(409, "STALE_ETAG");
        }
        let unquoted = ask(&self.mesh, Method::PUT, path, who, ("if-match", present.trim_matches('"')), body).await;
        unquoted.refused(400, "INVALID_FIELDS");
        assert_eq!(unquoted.bad_fields(), ["If-Match"]);
        let mut other = body.clone();
        other["etag"] = "0".into();
        let differs = ask(&self.mesh, Method::PUT, path, who, ("if-match", &present), &other).await;
        differs.refused(400, "INVALID_FIELDS");
        assert_eq!(differs.bad_fields(), ["etag"]);
        assert_eq!(self.read(read, home, who).await, present, "nothing has changed");

        let mut same = body.clone();
        same["etag"] = present.trim_matches('"').into();
        let list = format!("\"0\", {present}");
        let changed = ask(&self.mesh, Method::PUT, path, who, ("if-match", &list), &same).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
        assert_ne!(tag(&changed), present);
        assert_eq!(self.read(read, home, who).await, tag(&changed));
        self.tagged.insert(rpc);
        self.changed.insert(rpc);
    }

    /// Removes something at `path`, which is read at `home`, by stale etags and then by the present one.
    async fn remove(&mut self, rpc: &'static str, read: &'static str, home: &str, path: &str, who: &Someone) {
        let present = self.read(read, home, who).await;
        for stale in ["\"0\"", &format!("W/{present}")] {
            let refused = ask(&self.mesh, Method::DELETE, path, who, ("if-match", stale), &Value::Null).await;
            refused.refused(409, "STALE_ETAG");
        }
        assert_eq!(self.read(read, home, who).await, present, "it is still there");
        let removed = ask(&self.mesh, Method::DELETE, path, who, ("if-match", &present), &Value::Null).await;
        assert!(removed.status < 300, "{} {}", removed.status, removed.body);
        self.changed.insert(rpc);
    }
}

async fn each_answer_with_etag_has_the_header_and_each_change_takes_it(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    let mut world = World { mesh, tagged: BTreeSet::new(), changed: BTreeSet::new() };

    let profile = json!({"name": "Asha", "email": asha.email, "pincode": "110001"});
    let client = world.create("CreateClient", "/clients", "clientId", &asha, profile.clone()).await;
    world.change("UpdateClient", "GetClient", &client, &client, &asha, &profile).await;
    let profile = json!({"name": "Noor", "email": noor.email, "specialty": "Grief", "pincode": "110001"});
    let therapist = world.create("CreateTherapist", "/therapists", "therapistId", &noor, profile.clone()).await;
    world.change("UpdateTherapist", "GetTherapist", &therapist, &therapist, &noor, &profile).await;

    let journal = format!("/journal/{}", asha.id);
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2026-01-05T16:00:00Z"});
    let made = world.create("CreateEntry", &journal, "entryId", &asha, entry).await;
    let id = made.rsplit('/').next().unwrap().to_owned();
    let entry = format!("{journal}/entries/{id}");
    world.change("UpdateEntry", "GetEntry", &entry, &entry, &asha, &json!({"intensity": 4})).await;
    world.remove("DeleteEntry", "GetEntry", &entry, &format!("{journal}?entryId={id}"), &asha).await;

    for booked in [false, true] {
        let session = json!({"sessionDate": "2100-01-02T09:00:00Z", "endTime": "10:00"});
        let session = world.create("CreateSession", "/sessions", "sessionId", &noor, session).await;
        let notes = format!("{session}/notes");
        world.change("UpdateSession", "GetSession", &session, &session, &noor, &json!({"endTime": "11:00"})).await;
        world.change("UpdateNotes", "GetSession", &session, &notes, &noor, &json!({"privateNotes": "mine"})).await;
        let wanted = json!({
            "therapistId": noor.id, "sessionId": session.rsplit('/').next(), "appointmentDate": "2100-01-02T09:00:00Z",
        });
        let asked = world.create("CreateAppointment", "/appointments", "appointmentId", &asha, wanted).await;
        let (get, accept) = ("GetAppointment", json!({"status": "ACCEPTED"}));
        if booked {
            world.change("UpdateAppointmentStatus", get, &asked, &format!("{asked}/status"), &noor, &accept).await;
        } else {
            world.remove("CancelAppointment", get, &asked, &asked, &asha).await;
        }
        world.remove("DeleteSession", "GetSession", &session, &session, &noor).await;
    }
    world.remove("DeleteClient", "GetClient", &client, &client, &asha).await;
    world.remove("DeleteTherapist", "GetTherapist", &therapist, &therapist, &noor).await;
    assert_eq!(world.tagged, names(|rpc| rpc.answers_etag));
    assert_eq!(world.changed, names(|rpc| rpc.takes_if_match));
    world.mesh.stop().await;
}

async fn precondition_is_rejected_where_it_would_be_ignored(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let (own, pair) = (format!("/clients/{}", asha.id), json!({"status": "REJECTED"}));
    for (method, path, header, name, body) in [
        (Method::PUT, format!("/mapping/{}", asha.id), ("if-match", "*"), "If-Match", &pair),
        (Method::POST, "/clients".to_owned(), ("if-none-match", "*"), "If-None-Match", &json!({})),
        (Method::POST, "/clients".to_owned(), ("if-match", "\"1\""), "If-Match", &json!({})),
        (Method::PUT, own.clone(), ("if-none-match", "\"7\""), "If-None-Match", &json!({})),
        (Method::GET, own.clone(), ("if-match", "\"1\""), "If-Match", &Value::Null),
        (Method::GET, own.clone(), ("if-none-match", "1"), "If-None-Match", &Value::Null),
    ] {
        let refused = ask(&mesh, method, &path, &asha, header, body).await;
        refused.refused(400, "INVALID_FIELDS");
        assert_eq!(refused.bad_fields(), [name], "{path} {header:?}");
    }
    // A list has no etag.
    let list = ask(&mesh, Method::GET, "/clients", &asha, ("if-none-match", "*"), &Value::Null).await;
    assert!(!list.headers.contains_key(ETAG));
    list.expect(200);
    mesh.stop().await;
}

async fn parallel_changes_of_one_version_let_one_win(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let path = format!("/clients/{}", asha.id);
    let read = mesh.get(&path, &asha).await;
    let present = tag(&read);
    let mut profile = read.body;
    profile.as_object_mut().unwrap().remove("etag");
    let write =
        || mesh.request(Method::PUT, &path).bearer_auth(&asha.token).header("if-match", &present).json(&profile);
    let writes: Vec<_> = (0..8).map(|_| tokio::spawn(answer(write()))).collect();
    let mut won = 0;
    for write in writes {
        let answered = write.await.unwrap();
        if answered.status == 200 {
            won += 1;
        } else {
            answered.refused(409, "STALE_ETAG");
        }
    }
    assert_eq!(won, 1);
    mesh.stop().await;
}

/// Nothing is stored when a request expires, and its answer is another one all the same.
async fn expired_request_is_modified(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let session = json!({"sessionDate": "2100-01-02T09:00:00Z", "endTime": "10:00"});
    let session = mesh.ask(Method::POST, "/sessions", Some(&noor), Some(session)).await.expect(201);
    let wanted = json!({
        "therapistId": noor.id, "sessionId": session["sessionId"], "appointmentDate": "2100-01-02T09:00:00Z",
    });
    let asked = mesh.ask(Method::POST, "/appointments", Some(&asha), Some(wanted)).await.expect(201);
    let path = format!("/appointments/{}", asked["appointmentId"].as_str().unwrap());
    let pending = tag(&mesh.get(&path, &asha).await);
    let again = async |asha: &Someone, known: &str| {
        ask(&mesh, Method::GET, &path, asha, ("if-none-match", known), &Value::Null).await
    };
    assert_eq!(again(&asha, &pending).await.status, 304);
    mesh.pass(std::time::Duration::from_secs(3 * 24 * 60 * 60));
    let asha = mesh.login(&asha.email, kit::mesh::PASSWORD).await;
    let expired = again(&asha, &pending).await;
    assert_eq!((expired.status, &expired.body["status"]), (200, &json!("EXPIRED")));
    assert_eq!(again(&asha, &tag(&expired)).await.status, 304);
    mesh.stop().await;
}
