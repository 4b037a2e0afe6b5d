//! Contract §2, rows /sessions, stories T2 and T8, and rules 8, 9 and 14: sessions of therapists and their visibility.

mod refusals;

use kit::mesh::{Answer, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    session_is_added_read_changed_and_removed,
    session_date_keeps_given_offset,
    session_sent_back_as_read_stays_unchanged,
    notes_are_visible_to_their_readers_only,
    booked_session_shows_client_shared_notes,
    filtered_list_is_ordered_by_start,
    client_lists_available_and_own_sessions_only,
    stale_etag_is_rejected_and_missing_etag_overwrites,
    repeated_post_with_key_adds_one_session,
    parallel_overlapping_sessions_add_one,
);

/// Well-formed id of no person or thing.
const NOBODY: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";

async fn therapist(mesh: &TestMesh) -> Someone {
    mesh.therapist("Noor", "Grief", "110001").await
}

/// Returns a new client who is mapped to the therapist.
async fn related(mesh: &TestMesh, name: &str, therapist: &Someone) -> Someone {
    let client = mesh.client(name).await;
    let pair = json!({"therapistId": therapist.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(&client), Some(pair)).await.expect(201);
    client
}

/// Returns a session in January 2100, at these hours in UTC.
fn on(day: u32, start: u32, end: u32) -> Value {
    json!({
        "sessionDate": format!("2100-01-{day:02}T00:00:00Z"),
        "startTime": format!("{start:02}:00"),
        "endTime": format!("{end:02}:00"),
    })
}

fn with(mut session: Value, more: &Value) -> Value {
    session.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    session
}

async fn offer(mesh: &TestMesh, who: &Someone, session: Value) -> Answer {
    mesh.ask(Method::POST, "/sessions", Some(who), Some(session)).await
}

async fn add(mesh: &TestMesh, who: &Someone, session: Value) -> Value {
    offer(mesh, who, session).await.expect(201)
}

async fn put(mesh: &TestMesh, who: &Someone, session: &Value, change: Value) -> Answer {
    mesh.ask(Method::PUT, &path(session), Some(who), Some(change)).await
}

fn path(session: &Value) -> String {
    format!("/sessions/{}", session["sessionId"].as_str().unwrap())
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|session| session["sessionId"].as_str().unwrap()).collect()
}

async fn session_is_added_read_changed_and_removed(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    assert_eq!(mesh.get("/sessions", &noor).await.expect(200), json!([]));
    let session = with(on(2, 9, 10), &json!({"privateNotes": "mine", "sharedNotes": "ours", "status": "CANCELLED"}));
    let made = add(&mesh, &noor, session).await;
    let expected = json!({
        "sessionId": made["sessionId"], "therapistId": noor.id, "clientId": "", "sessionDate": "2100-01-02T00:00:00Z",
        "startTime": "09:00", "endTime": "10:00", "status": "AVAILABLE", "sharedNotes": "ours", "privateNotes": "mine",
        "etag": made["etag"],
    });
    assert_eq!(made, expected);
    assert_eq!(mesh.get(&path(&made), &noor).await.expect(200), expected);
    assert_eq!(mesh.get("/sessions", &noor).await.expect(200), json!([expected]));

    let same = put(&mesh, &noor, &made, made.clone()).await.expect(200);
    assert_eq!(with(same.clone(), &json!({"etag": 0})), with(made.clone(), &json!({"etag": 0})), "sent back as it was");
    let moved = put(&mesh, &noor, &made, json!({"startTime": "09:30", "endTime": "11:00"})).await.expect(200);
    assert_eq!((&moved["startTime"], &moved["endTime"]), (&json!("09:30"), &json!("11:00")));
    assert_eq!(moved["privateNotes"], "mine");
    let cancelled = put(&mesh, &noor, &made, json!({"status": "CANCELLED"})).await.expect(200);
    assert_eq!(cancelled["status"], "CANCELLED");
    add(&mesh, &noor, on(2, 10, 11)).await;
    put(&mesh, &noor, &made, json!({"status": "AVAILABLE"})).await.refused(409, "SESSION_OVERLAPS");

    let removed = mesh.ask(Method::DELETE, &path(&made), Some(&noor), None).await;
    assert_eq!((removed.status, removed.body), (204, Value::Null));
    mesh.get(&path(&made), &noor).await.refused(404, "NOT_FOUND");
    mesh.ask(Method::DELETE, &path(&made), Some(&noor), None).await.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

async fn session_date_keeps_given_offset(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let by_date = json!({"sessionDate": "2100-01-02T09:00:00+05:30", "endTime": "10:00"});
    let made = add(&mesh, &noor, by_date).await;
    assert_eq!(made["sessionDate"], "2100-01-02T09:00:00+05:30");
    assert_eq!((&made["startTime"], &made["endTime"]), (&json!("09:00"), &json!("10:00")));
    // It is at 03:30 UTC: the same time in another offset overlaps.
    let same_time = json!({"sessionDate": "2100-01-01T00:00:00-08:00", "startTime": "20:00", "endTime": "20:30"});
    offer(&mesh, &noor, same_time).await.refused(409, "SESSION_OVERLAPS");
    let right_after = json!({"sessionDate": "2100-01-01T00:00:00-08:00", "startTime": "20:30", "endTime": "21:00"});
    add(&mesh, &noor, right_after).await;
    let listed =
        mesh.get("/sessions?afterDate=2100-01-02T09:00:00%2B05:30&beforeDate=2100-01-02T04:30:00Z", &noor).await;
    assert_eq!(ids(&listed.expect(200)), [made["sessionId"].as_str().unwrap()]);
    mesh.stop().await;
}

async fn session_sent_back_as_read_stays_unchanged(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    for (date, start, end) in [
        ("2100-02-01T09:00:00Z", None, "10:00"),
        ("2100-02-02T09:00:00+05:30", None, "10:00"),
        ("2100-02-03T23:00:00-08:00", None, "23:59"),
        ("2100-02-05T00:00:00+14:00", None, "00:30"),
        ("2100-02-06T09:00:00+05:30", Some("09:00"), "10:00"),
        ("2100-02-07T23:59:59.5+05:30", Some("00:00"), "00:01"),
        ("2100-02-08T12:00:00-08:00", Some("17:45"), "18:00"),
    ] {
        let start_time = start.map_or(json!({}), |start| json!({"startTime": start}));
        let made = add(&mesh, &noor, with(json!({"sessionDate": date, "endTime": end}), &start_time)).await;
        for _ in 0..2 {
            let read = mesh.get(&path(&made), &noor).await.expect(200);
            let same = put(&mesh, &noor, &made, read.clone()).await.expect(200);
            assert_eq!(with(same.clone(), &json!({"etag": 0})), with(read, &json!({"etag": 0})), "{date} {start:?}");
            assert_eq!(with(same, &json!({"etag": 0})), with(made.clone(), &json!({"etag": 0})), "{date} {start:?}");
        }
        // The date alone moves a session that was made without a start, also after it was sent back.
        if start.is_none() {
            let later = json!({"sessionDate": "2100-03-01T08:15:00+01:00", "endTime": "09:00"});
            let moved = put(&mesh, &noor, &made, later).await.expect(200);
            assert_eq!(moved["startTime"], "08:15", "{date}");
            mesh.ask(Method::DELETE, &path(&made), Some(&noor), None).await;
        }
    }
    mesh.stop().await;
}

async fn notes_are_visible_to_their_readers_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (noor, other, asha) = (therapist(&mesh).await, therapist(&mesh).await, mesh.client("Asha").await);
    let notes = json!({"privateNotes": "mine", "sharedNotes": "ours"});
    let made = add(&mesh, &noor, with(on(2, 9, 10), &notes)).await;
    let seen = mesh.get(&path(&made), &asha).await.expect(200);
    assert_eq!(seen, with(made.clone(), &json!({"privateNotes": "", "sharedNotes": "", "etag": ""})));
    mesh.get(&path(&made), &other).await.refused(404, "NOT_FOUND");
    let change = |who: Someone, notes: Value| {
        let path = format!("{}/notes", path(&made));
        let mesh = &mesh;
        async move { mesh.ask(Method::PUT, &path, Some(&who), Some(notes)).await }
    };
    let changed = change(noor.clone(), json!({"sharedNotes": "walk"})).await.expect(200);
    assert_eq!((&changed["sharedNotes"], &changed["privateNotes"]), (&json!("walk"), &json!("mine")));
    let changed = change(noor.clone(), json!({"privateNotes": ""})).await.expect(200);
    assert_eq!((&changed["sharedNotes"], &changed["privateNotes"]), (&json!("walk"), &json!("")));
    change(other, json!({"sharedNotes": "x"})).await.refused(404, "NOT_FOUND");
    change(asha, json!({"sharedNotes": "x"})).await.refused(403, "ROLE_NOT_ALLOWED");
    let long = change(noor, json!({"sharedNotes": "x".repeat(10_001), "privateNotes": "\u{0}"})).await;
    assert_eq!(long.bad_fields(), ["privateNotes", "sharedNotes"]);
    mesh.stop().await;
}

async fn booked_session_shows_client_shared_notes(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let (asha, tara) = (related(&mesh, "Asha", &noor).await, related(&mesh, "Tara", &noor).await);
    let notes = json!({"privateNotes": "mine", "sharedNotes": "ours", "clientId": asha.id});
    let made = add(&mesh, &noor, with(on(2, 9, 10), &notes)).await;
    assert_eq!((&made["status"], &made["clientId"]), (&json!("BOOKED"), &json!(asha.id)));
    let seen = mesh.get(&path(&made), &asha).await.expect(200);
    assert_eq!(seen, with(made.clone(), &json!({"privateNotes": "", "etag": ""})));
    mesh.get(&path(&made), &tara).await.refused(404, "NOT_FOUND");
    let listed = format!("/sessions?therapistId={}", noor.id);
    assert_eq!(mesh.get(&listed, &asha).await.expect(200), json!([seen]));
    assert_eq!(mesh.get(&listed, &tara).await.expect(200), json!([]));
    put(&mesh, &noor, &made, json!({"startTime": "09:30"})).await.refused(400, "SESSION_BOOKED");
    let cancelled = put(&mesh, &noor, &made, json!({"status": "CANCELLED"})).await.expect(200);
    assert_eq!((&cancelled["clientId"], &cancelled["sharedNotes"]), (&json!(asha.id), &json!("ours")));
    assert_eq!(mesh.get(&path(&made), &asha).await.expect(200)["sharedNotes"], "ours");
    let freed = put(&mesh, &noor, &made, json!({"status": "AVAILABLE", "sharedNotes": "ours"})).await.expect(200);
    assert_eq!((&freed["clientId"], &freed["sharedNotes"]), (&json!(""), &json!("")));
    assert_eq!(freed["privateNotes"], "mine");
    mesh.stop().await;
}

async fn filtered_list_is_ordered_by_start(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let asha = related(&mesh, "Asha", &noor).await;
    let late = add(&mesh, &noor, on(5, 9, 10)).await;
    let booked = add(&mesh, &noor, with(on(3, 9, 10), &json!({"clientId": asha.id}))).await;
    let early = add(&mesh, &noor, on(2, 9, 10)).await;
    let cancelled = add(&mesh, &noor, on(4, 9, 10)).await;
    put(&mesh, &noor, &cancelled, json!({"status": "CANCELLED"})).await.expect(200);
    for (query, expected) in [
        (String::new(), vec![&early, &booked, &cancelled, &late]),
        ("?status=AVAILABLE".to_owned(), vec![&early, &late]),
        ("?status=BOOKED".to_owned(), vec![&booked]),
        (format!("?clientId={}", asha.id), vec![&booked]),
        (format!("?clientId={}&status=CANCELLED", asha.id), vec![]),
        (format!("?therapistId={}&status=CANCELLED", noor.id), vec![&cancelled]),
        ("?afterDate=2100-01-03T09:00:00Z&beforeDate=2100-01-05T09:00:00Z".to_owned(), vec![&booked, &cancelled]),
        ("?status=AVAILABLE&afterDate=2100-01-02T09:00:00.5Z".to_owned(), vec![&late]),
        (format!("?clientId={NOBODY}"), vec![]),
    ] {
        let list = mesh.get(&format!("/sessions{query}"), &noor).await.expect(200);
        assert_eq!(
            ids(&list),
            expected.iter().map(|it| it["sessionId"].as_str().unwrap()).collect::<Vec<_>>(),
            "{query}"
        );
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = mesh.get(&format!("/sessions?pageSize=1&pageToken={token}"), &noor).await;
        let next = page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
        let page = page.expect(200);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match next {
            Some(next) => token = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), 4);
    mesh.stop().await;
}

async fn client_lists_available_and_own_sessions_only(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let noor = therapist(&mesh).await;
    let (asha, tara) = (related(&mesh, "Asha", &noor).await, related(&mesh, "Tara", &noor).await);
    let available = add(&mesh, &noor, on(2, 9, 10)).await;
    let own = add(&mesh, &noor, with(on(1, 9, 10), &json!({"clientId": asha.id}))).await;
    let others = add(&mesh, &noor, with(on(3, 9, 10), &json!({"clientId": tara.id}))).await;
    let cancelled = add(&mesh, &noor, on(4, 9, 10)).await;
    put(&mesh, &noor, &cancelled, json!({"status": "CANCELLED"})).await.expect(200);
    let id = |session: &Value| session["sessionId"].as_str().unwrap().to_owned();
    for (query, expected) in [
        (String::new(), vec![id(&own)]),
        (format!("?therapistId={}", noor.id), vec![id(&own), id(&available)]),
        (format!("?therapistId={}&status=AVAILABLE", noor.id), vec![id(&available)]),
        (format!("?therapistId={}&status=BOOKED", noor.id), vec![id(&own)]),
        (format!("?therapistId={}&status=CANCELLED", noor.id), vec![]),
        (format!("?therapistId={}&clientId={}", noor.id, asha.id), vec![id(&own)]),
        (format!("?therapistId={NOBODY}"), vec![]),
        ("?status=AVAILABLE".to_owned(), vec![]),
    ] {
        let list = mesh.get(&format!("/sessions{query}"), &asha).await.expect(200);
        assert_eq!(ids(&list), expected, "{query}");
        assert!(!list.to_string().contains(&id(&others)) && !list.to_string().contains(&tara.id), "{query}");
    }
    mesh.get(&path(&others), &asha).await.refused(404, "NOT_FOUND");
    mesh.get(&path(&cancelled), &asha).await.refused(404, "NOT_FOUND");
    mesh.pass(std::time::Duration::from_secs(3 * 24 * 3600));
    let asha = mesh.login(&asha.email, kit::mesh::PASSWORD).await;
    let list = mesh.get(&format!("/sessions?therapistId={}", noor.id), &asha).await.expect(200);
    assert_eq!(ids(&list), [id(&own)], "what has begun can't be asked for");
    mesh.stop().await;
}

async fn stale_etag_is_rejected_and_missing_etag_overwrites(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let made = add(&mesh, &noor, on(2, 9, 10)).await;
    let new = put(&mesh, &noor, &made, json!({"endTime": "11:00", "etag": made["etag"]})).await.expect(200);
    put(&mesh, &noor, &made, json!({"endTime": "12:00", "etag": made["etag"]})).await.refused(409, "STALE_ETAG");
    let notes = format!("{}/notes", path(&made));
    let stale = json!({"sharedNotes": "late", "etag": made["etag"]});
    mesh.ask(Method::PUT, &notes, Some(&noor), Some(stale)).await.refused(409, "STALE_ETAG");
    put(&mesh, &noor, &made, json!({"endTime": "12:00", "etag": new["etag"]})).await.expect(200);
    let last = put(&mesh, &noor, &made, json!({"endTime": "13:00"})).await.expect(200);
    assert_eq!(last["endTime"], "13:00");
    mesh.stop().await;
}

async fn repeated_post_with_key_adds_one_session(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let send = async |session: &Value| {
        let request = mesh.request(Method::POST, "/sessions").bearer_auth(&noor.token).json(session);
        answer(request.header("idempotency-key", "one")).await
    };
    let session = on(2, 9, 10);
    let made = send(&session).await.expect(201);
    assert_eq!(send(&session).await.expect(201), made);
    send(&on(2, 11, 12)).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    put(&mesh, &noor, &made, json!({"status": "CANCELLED"})).await.expect(200);
    assert_eq!(send(&session).await.expect(201)["status"], "CANCELLED", "the session as it is now");
    assert_eq!(ids(&mesh.get("/sessions", &noor).await.expect(200)).len(), 1);
    mesh.stop().await;
}

async fn parallel_overlapping_sessions_add_one(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let noor = therapist(&mesh).await;
    let added = futures_util::future::join_all((0..16).map(|_| offer(&mesh, &noor, on(2, 9, 10)))).await;
    let made: Vec<_> = added.iter().filter(|it| it.status == 201).collect();
    assert_eq!(made.len(), 1);
    for refused in added.iter().filter(|it| it.status != 201) {
        refused.refused(409, "SESSION_OVERLAPS");
    }
    assert_eq!(ids(&mesh.get("/sessions", &noor).await.expect(200)).len(), 1);
    mesh.stop().await;
}
