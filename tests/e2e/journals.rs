//! Contract §2, rows /journal and /emotions: a client's own journal.

mod therapists;

use kit::mesh::{Answer, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    entry_is_added_read_corrected_and_removed,
    invalid_entry_names_every_bad_field,
    invalid_or_future_entry_time_is_rejected,
    missing_or_foreign_entry_is_not_found,
    entry_time_and_ids_are_immutable,
    stale_etag_is_rejected_and_missing_etag_overwrites,
    repeated_post_with_key_adds_one_entry,
    parallel_posts_with_key_return_one_entry,
    entries_of_same_millisecond_are_distinct,
    pages_of_any_size_list_all,
    invalid_query_names_every_bad_parameter,
    insights_count_families_in_requested_time_zone,
    vocabulary_has_ten_families_of_three_strengths,
);

/// Initial time of the test clock.
const NOW: &str = "2100-01-01T00:00:00Z";

fn journal(of: &Someone) -> String {
    format!("/journal/{}", of.id)
}

fn at(path: &str, entry: &Value) -> String {
    format!("{path}/entries/{}", entry["entryId"].as_str().unwrap())
}

/// Adds an entry to the caller's journal.
async fn add(mesh: &TestMesh, who: &Someone, emotion: &str, intensity: i64, timestamp: &str) -> Value {
    let entry = json!({"emotion": emotion, "intensity": intensity, "timestamp": timestamp});
    mesh.ask(Method::POST, &journal(who), Some(who), Some(entry)).await.expect(201)
}

fn next(page: &Answer) -> Option<String> {
    page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned())
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|entry| entry["entryId"].as_str().unwrap().to_owned()).collect()
}

/// Returns the ids of each page.
async fn pages(mesh: &TestMesh, who: &Someone, of: &Someone, query: &str, size: usize) -> Vec<Vec<String>> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = mesh.get(&format!("{}?pageSize={size}&{query}&pageToken={token}", journal(of)), who).await;
        let next = next(&page);
        all.push(ids(&page.expect(200)));
        match next {
            Some(next) => token = next,
            None => return all,
        }
    }
}

async fn entry_is_added_read_corrected_and_removed(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let asha = mesh.client("Asha").await;
    let path = journal(&asha);
    assert_eq!(mesh.get(&path, &asha).await.expect(200), json!([]));
    let entry = json!({
        "emotion": "  Furious ", "intensity": 4, "timestamp": "2099-12-31T23:59:59.123456+05:30", "note": "one\ntwo",
        "etag": "of another entry",
    });
    let made = mesh.ask(Method::POST, &path, Some(&asha), Some(entry)).await.expect(201);
    let expected = json!({
        "entryId": made["entryId"], "clientId": asha.id, "emotion": "Furious", "intensity": 4,
        "timestamp": "2099-12-31T18:29:59.123Z", "note": "one\ntwo", "family": "anger", "visibility": "SHARED",
        "createdAt": NOW, "updatedAt": NOW, "etag": made["etag"],
    });
    assert_eq!(made, expected);
    assert_eq!(made["entryId"].as_str().unwrap().len(), 26, "a ULID");
    assert_eq!(mesh.get(&at(&path, &made), &asha).await.expect(200), made);
    assert_eq!(mesh.get(&path, &asha).await.expect(200), json!([made]));
    assert_eq!(
        mesh.get(&format!("/clients/{}/journals", asha.id), &asha).await.expect(200),
        json!([made]),
        "the alias"
    );

    mesh.pass(std::time::Duration::from_secs(60));
    let change = json!({"intensity": 2, "emotion": "wistful", "note": "", "visibility": "PRIVATE"});
    let changed = mesh.ask(Method::PUT, &at(&path, &made), Some(&asha), Some(change)).await.expect(200);
    let mut expected = made.clone();
    for (field, value) in [
        ("intensity", json!(2)),
        ("emotion", json!("wistful")),
        ("note", json!("")),
        ("family", json!("")),
        ("visibility", json!("PRIVATE")),
        ("updatedAt", json!("2100-01-01T00:01:00Z")),
        ("etag", changed["etag"].clone()),
    ] {
        expected[field] = value;
    }
    assert_eq!(changed, expected);
    assert_ne!(changed["etag"], made["etag"]);
    // An entry that was read is accepted as an update unchanged.
    let same = mesh.ask(Method::PUT, &at(&path, &made), Some(&asha), Some(changed.clone())).await.expect(200);
    assert_eq!((&same["emotion"], &same["visibility"]), (&json!("wistful"), &json!("PRIVATE")));
    let nothing = mesh.ask(Method::PUT, &at(&path, &made), Some(&asha), Some(json!({}))).await.expect(200);
    assert_eq!(nothing["intensity"], 2);

    let removed = format!("{path}?entryId={}", made["entryId"].as_str().unwrap());
    mesh.ask(Method::DELETE, &removed, Some(&asha), None).await.expect(200);
    mesh.ask(Method::DELETE, &removed, Some(&asha), None).await.refused(404, "NOT_FOUND");
    mesh.get(&at(&path, &made), &asha).await.refused(404, "NOT_FOUND");
    mesh.ask(Method::PUT, &at(&path, &made), Some(&asha), Some(json!({}))).await.refused(404, "NOT_FOUND");
    assert_eq!(mesh.get(&path, &asha).await.expect(200), json!([]));
    mesh.stop().await;
}

async fn invalid_entry_names_every_bad_field(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let path = journal(&asha);
    let made = add(&mesh, &asha, "calm", 3, NOW).await;
    let good = json!({"emotion": "calm", "intensity": 3, "timestamp": NOW});
    let with = |field: &str, value: Value| {
        let mut entry = good.clone();
        entry[field] = value;
        entry
    };
    for (body, bad) in [
        (json!({}), &["emotion", "intensity", "timestamp"][..]),
        (
            json!({"emotion": " ", "intensity": 0, "timestamp": "1969-12-31T23:59:59Z", "note": "\u{7}", "clientId": ben.id}),
            &["clientId", "emotion", "intensity", "note", "timestamp"],
        ),
        (with("intensity", json!(0)), &["intensity"]),
        (with("intensity", json!(6)), &["intensity"]),
        (with("intensity", json!(-1)), &["intensity"]),
        (with("intensity", json!(2.5)), &["intensity"]),
        (with("intensity", json!("much")), &["intensity"]),
        (with("note", json!("x".repeat(10_001))), &["note"]),
        (with("emotion", json!("x".repeat(101))), &["emotion"]),
        (with("emotion", json!("a\nb")), &["emotion"]),
        (with("visibility", json!("SECRET")), &["visibility"]),
    ] {
        let refused = mesh.ask(Method::POST, &path, Some(&asha), Some(body.clone())).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, bad.to_vec()), "{}", refused.body);
    }
    for (field, value) in [
        ("emotion", json!("")),
        ("intensity", json!(0)),
        ("intensity", json!(6)),
        ("intensity", json!(2.5)),
        ("note", json!("x".repeat(10_001))),
    ] {
        let refused = mesh.ask(Method::PUT, &at(&path, &made), Some(&asha), Some(json!({field: value}))).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, vec![field]), "{}", refused.body);
    }
    mesh.ask(Method::POST, &path, Some(&asha), Some(with("note", json!("é".repeat(10_000))))).await.expect(201);
    assert_eq!(mesh.get(&path, &asha).await.expect(200).as_array().unwrap().len(), 2, "and nothing else was written");
    mesh.stop().await;
}

async fn invalid_or_future_entry_time_is_rejected(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    for (timestamp, good) in [
        ("2100-01-01T00:05:00Z", true),
        ("1970-01-01T00:00:00Z", true),
        ("2100-01-01T05:30:00+05:30", true),
        ("2100-01-01T00:05:00.001Z", false),
        ("2100-01-02T00:00:00Z", false),
        ("1969-12-31T23:59:59.999Z", false),
        ("2099-12-31T00:00:00", false),
        ("2099-12-31", false),
        ("9999-12-31T23:59:59Z", false),
        ("10000-01-01T00:00:00Z", false),
        ("yesterday", false),
        ("", false),
    ] {
        let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": timestamp});
        let told = mesh.ask(Method::POST, &journal(&asha), Some(&asha), Some(entry)).await;
        let bad = if good { vec![] } else { vec!["timestamp"] };
        assert_eq!((told.status, told.bad_fields()), (if good { 201 } else { 400 }, bad), "{timestamp}: {}", told.body);
    }
    mesh.stop().await;
}

async fn missing_or_foreign_entry_is_not_found(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let made = add(&mesh, &asha, "calm", 3, NOW).await;
    let id = made["entryId"].as_str().unwrap();
    let other = format!("{}{}", &id[..25], if id.ends_with('A') { "B" } else { "A" });
    for bad in [&*other, &id[1..], "nobody", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "%20", "..%2f.."] {
        let path = format!("{}/entries/{bad}", journal(&asha));
        mesh.get(&path, &asha).await.refused(404, "NOT_FOUND");
        mesh.ask(Method::PUT, &path, Some(&asha), Some(json!({"intensity": 1}))).await.refused(404, "NOT_FOUND");
        let path = format!("{}?entryId={bad}", journal(&asha));
        mesh.ask(Method::DELETE, &path, Some(&asha), None).await.refused(404, "NOT_FOUND");
    }
    let without = mesh.ask(Method::DELETE, &journal(&asha), Some(&asha), None).await;
    assert_eq!((without.status, without.bad_fields()), (400, vec!["entryId"]));

    // Another client's journal and a missing one are answered alike.
    let nobody = "01933b5e-7a4c-7def-8abc-0123456789ab";
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": NOW});
    for (method, rest, body) in [
        (Method::GET, String::new(), None),
        (Method::POST, String::new(), Some(entry)),
        (Method::DELETE, format!("?entryId={id}"), None),
        (Method::GET, format!("/entries/{id}"), None),
        (Method::PUT, format!("/entries/{id}"), Some(json!({"intensity": 1}))),
        (Method::GET, "/insights".to_owned(), None),
    ] {
        let of = async |client: &str, who: Option<&Someone>| {
            mesh.ask(method.clone(), &format!("/journal/{client}{rest}"), who, body.clone()).await
        };
        let (there, absent) = (of(&asha.id, Some(&ben)).await, of(nobody, Some(&ben)).await);
        there.refused(403, "NOT_YOUR_ACCOUNT");
        assert_eq!((there.status, &there.body), (absent.status, &absent.body));
        of(&asha.id, None).await.refused(401, "TOKEN_MISSING");
    }
    // Another client's entry is not found in the caller's journal.
    mesh.get(&format!("{}/entries/{id}", journal(&ben)), &ben).await.refused(404, "NOT_FOUND");
    assert_eq!(mesh.get(&at(&journal(&asha), &made), &asha).await.expect(200), made, "nothing was changed");
    mesh.stop().await;
}

async fn entry_time_and_ids_are_immutable(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let made = add(&mesh, &asha, "calm", 3, "2099-12-31T12:00:00.123456Z").await;
    let other = add(&mesh, &asha, "calm", 3, NOW).await;
    let put = async |body| mesh.ask(Method::PUT, &at(&journal(&asha), &made), Some(&asha), Some(body)).await;
    for body in [
        json!({"timestamp": "2099-12-31T12:00:00.124Z"}),
        json!({"clientId": ben.id}),
        json!({"entryId": other["entryId"]}),
    ] {
        let bad = put(body.clone()).await;
        bad.refused(400, "INVALID_FIELDS");
        assert_eq!(bad.bad_fields(), body.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>());
    }
    let all = put(json!({"timestamp": NOW, "clientId": ben.id, "entryId": "x", "intensity": 9})).await;
    assert_eq!(all.bad_fields(), ["clientId", "entryId", "intensity", "timestamp"]);
    put(json!({"timestamp": "2099-12-31T13:00:00.123456+01:00", "clientId": asha.id, "entryId": made["entryId"]}))
        .await
        .expect(200);
    mesh.stop().await;
}

async fn stale_etag_is_rejected_and_missing_etag_overwrites(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let made = add(&mesh, &asha, "calm", 3, NOW).await;
    let path = at(&journal(&asha), &made);
    let put = async |body: Value| mesh.ask(Method::PUT, &path, Some(&asha), Some(body)).await;
    put(json!({"intensity": 4, "etag": made["etag"]})).await.expect(200);
    put(json!({"intensity": 5, "etag": made["etag"]})).await.refused(409, "STALE_ETAG");
    put(json!({"intensity": 5, "etag": "never an etag"})).await.refused(409, "STALE_ETAG");
    assert_eq!(mesh.get(&path, &asha).await.expect(200)["intensity"], 4);
    let writes: Vec<_> = (0..4)
        .map(|number| {
            let change = json!({"intensity": 1 + number});
            tokio::spawn(answer(mesh.request(Method::PUT, &path).bearer_auth(&asha.token).json(&change)))
        })
        .collect();
    for write in writes {
        write.await.unwrap().expect(200);
    }
    mesh.stop().await;
}

async fn repeated_post_with_key_adds_one_entry(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": NOW});
    let post = async |key: &str, body: &Value| {
        let request = mesh.request(Method::POST, &journal(&asha)).bearer_auth(&asha.token);
        answer(request.header("idempotency-key", key).json(body)).await
    };
    let first = post("k-1", &entry).await.expect(201);
    assert_eq!(post("k-1", &entry).await.expect(201), first);
    let other = json!({"emotion": "calm", "intensity": 4, "timestamp": NOW});
    post("k-1", &other).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    assert_ne!(post("k-2", &entry).await.expect(201)["entryId"], first["entryId"]);
    assert_eq!(post("", &json!({"emotion": "calm"})).await.bad_fields(), ["Idempotency-Key", "intensity", "timestamp"]);
    assert_eq!(mesh.get(&journal(&asha), &asha).await.expect(200).as_array().unwrap().len(), 2);
    // A repeated request returns the resource in its present state.
    let path = at(&journal(&asha), &first);
    let changed = mesh.ask(Method::PUT, &path, Some(&asha), Some(json!({"intensity": 1}))).await.expect(200);
    assert_eq!(post("k-1", &entry).await.expect(201), changed);
    let removed = format!("{}?entryId={}", journal(&asha), first["entryId"].as_str().unwrap());
    mesh.ask(Method::DELETE, &removed, Some(&asha), None).await.expect(200);
    post("k-1", &entry).await.refused(404, "NOT_FOUND");
    mesh.stop().await;
}

async fn parallel_posts_with_key_return_one_entry(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": NOW});
    let posts: Vec<_> = (0..8)
        .map(|_| {
            let request = mesh.request(Method::POST, &journal(&asha)).bearer_auth(&asha.token);
            tokio::spawn(answer(request.header("idempotency-key", "same").json(&entry)))
        })
        .collect();
    let mut made = Vec::new();
    for post in posts {
        made.push(post.await.unwrap().expect(201));
    }
    assert!(made.iter().all(|one| *one == made[0]));
    assert_eq!(mesh.get(&journal(&asha), &asha).await.expect(200), json!([made[0]]));
    mesh.stop().await;
}

async fn entries_of_same_millisecond_are_distinct(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let one = add(&mesh, &asha, "calm", 3, NOW).await;
    let other = add(&mesh, &asha, "calm", 3, NOW).await;
    assert_ne!(one["entryId"], other["entryId"]);
    let list = ids(&mesh
        .get(&format!("{}?from={NOW}&to=2100-01-01T00:00:00.000000001Z", journal(&asha)), &asha)
        .await
        .expect(200));
    assert_eq!(list.len(), 2);
    for entry in [&one, &other] {
        assert_eq!(&mesh.get(&at(&journal(&asha), entry), &asha).await.expect(200), entry);
    }
    mesh.stop().await;
}

async fn pages_of_any_size_list_all(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let mut expected = Vec::new();
    for minute in 0..12 {
        let made = add(&mesh, &asha, "calm", 1 + minute % 5, &format!("2099-12-31T23:{minute:02}:00Z")).await;
        expected.insert(0, made["entryId"].as_str().unwrap().to_owned());
    }
    for size in [1, 5, 12, 200] {
        assert_eq!(pages(&mesh, &asha, &asha, "", size).await.concat(), expected, "{size} a page");
        let within = "from=2099-12-31T23:02:00Z&to=2099-12-31T23:09:00Z";
        assert_eq!(pages(&mesh, &asha, &asha, within, size).await.concat(), expected[3..10], "{size} a page");
    }
    // An instant within a millisecond is rounded up to the next.
    let after = "from=2099-12-31T23:02:00.000000001Z&to=2099-12-31T23:09:00.000000001Z";
    assert_eq!(pages(&mesh, &asha, &asha, after, 50).await.concat(), expected[2..9]);
    let strong = pages(&mesh, &asha, &asha, "minIntensity=5&emotion=CALM", 1).await;
    assert_eq!(strong.concat(), [expected[2].clone(), expected[7].clone()]);

    let page = mesh.get(&format!("{}?pageSize=5", journal(&asha)), &asha).await;
    let token = next(&page).unwrap();
    for query in [
        format!("pageToken={token}&minIntensity=1"),
        format!("pageToken={token}&from=2099-12-31T23:00:00Z"),
        format!("pageToken={}x", &token[..token.len() - 1]),
        "pageToken=tampered".to_owned(),
        "pageToken=tampered&emotion=calm".to_owned(),
    ] {
        let refused = mesh.get(&format!("{}?{query}", journal(&asha)), &asha).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, vec!["pageToken"]), "{query}");
    }
    mesh.stop().await;
}

async fn invalid_query_names_every_bad_parameter(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    for (rest, bad) in [
        (
            "?minIntensity=6&pageSize=-1&from=2099-01-02T00:00:00Z&to=2099-01-01T00:00:00Z",
            &["minIntensity", "pageSize", "to"][..],
        ),
        ("?minIntensity=-1", &["minIntensity"]),
        ("?minIntensity=2.5", &["minIntensity"]),
        ("?emotion=%20", &["emotion"]),
        ("?from=2099-01-01T00:00:00Z&to=2099-01-01T00:00:00Z", &["to"]),
        ("?from=yesterday", &["from"]),
        ("?mood=calm", &["mood"]),
        ("/insights?timeZone=Mars/Olympus&from=2100-01-01T00:00:00Z", &["timeZone", "to"]),
        ("/insights?timeZone=Etc/Unknown", &["timeZone"]),
        ("/insights?bucket=YEAR", &["bucket"]),
        ("/insights?from=2000-01-01T00:00:00Z", &["bucket"]),
        ("/insights?from=1900-01-01T00:00:00Z&bucket=MONTH", &["bucket"]),
    ] {
        let refused = mesh.get(&format!("{}{rest}", journal(&asha)), &asha).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, bad.to_vec()), "{rest}: {}", refused.body);
    }
    let forever = "?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&minIntensity=0";
    assert_eq!(mesh.get(&format!("{}{forever}", journal(&asha)), &asha).await.expect(200), json!([]));
    assert_eq!(mesh.get(&format!("{}?to=1970-01-01T00:00:00Z", journal(&asha)), &asha).await.expect(200), json!([]));
    mesh.stop().await;
}

async fn insights_count_families_in_requested_time_zone(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    // In Kolkata midnight is at 18:30 UTC.
    for (emotion, intensity, timestamp) in [
        ("furious", 5, "2099-12-30T18:29:59Z"),
        ("angry", 4, "2099-12-30T18:29:59.999Z"),
        ("furious", 2, "2099-12-30T18:30:00Z"),
        ("saudade", 3, "2099-12-31T10:00:00Z"),
        ("calm", 1, "2099-11-01T00:00:00Z"),
    ] {
        add(&mesh, &asha, emotion, intensity, timestamp).await;
    }
    let query = "timeZone=asia/kolkata&from=2099-12-30T00:00:00Z&to=2099-12-31T18:00:00Z";
    let told = mesh.get(&format!("{}/insights?{query}", journal(&asha)), &asha).await.expect(200);
    let (first, second) = ("2099-12-30T00:00:00Z", "2099-12-30T18:30:00Z");
    let change = |family: &str, before: Value, after: Value| {
        json!({
            "family": family, "from": first, "to": second, "countBefore": before[0], "countAfter": after[0],
            "meanIntensityBefore": before[1], "meanIntensityAfter": after[1],
        })
    };
    let number = |value: &Value| value.as_f64().unwrap_or(-1.0);
    assert_eq!(told["timeZone"], "Asia/Kolkata");
    assert_eq!(told["bucket"], "DAY");
    assert_eq!(told["buckets"].as_array().unwrap().len(), 2);
    let bucket = &told["buckets"][0];
    assert_eq!((&bucket["start"], &bucket["end"]), (&json!(first), &json!(second)));
    assert_eq!((&bucket["families"][0]["family"], &bucket["families"][0]["count"]), (&json!("anger"), &json!(2)));
    assert!((number(&bucket["families"][0]["meanIntensity"]) - 4.5).abs() < 1e-9);
    let families: Vec<_> =
        told["buckets"][1]["families"].as_array().unwrap().iter().map(|f| f["family"].clone()).collect();
    assert_eq!(families, ["anger", ""]);
    let changes = told["changes"].as_array().unwrap();
    for (told, expected) in changes
        .iter()
        .zip([change("anger", json!([2, 4.5]), json!([1, 2.0])), change("", json!([0, 0.0]), json!([1, 3.0]))])
    {
        for (field, value) in expected.as_object().unwrap() {
            assert!(told[field] == *value || (number(&told[field]) - number(value)).abs() < 1e-9, "{field}: {told}");
        }
    }
    assert_eq!(changes.len(), 2);
    let months = mesh.get(&format!("{}/insights?bucket=MONTH", journal(&asha)), &asha).await.expect(200);
    assert_eq!(months["timeZone"], "UTC");
    assert_eq!(months["buckets"].as_array().unwrap().len(), 3, "90 days, from 3 October");
    assert_eq!(months["buckets"][0]["start"], "2099-10-03T00:00:00Z");
    mesh.stop().await;
}

async fn vocabulary_has_ten_families_of_three_strengths(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    let told = mesh.get("/emotions", &asha).await.expect(200);
    assert_eq!(mesh.get("/emotions", &noor).await.expect(200), told);
    assert!(told["version"].as_str().is_some_and(|version| !version.is_empty()));
    assert_eq!(told["families"].as_array().unwrap().len(), 10);
    for family in told["families"].as_array().unwrap() {
        for strength in ["light", "medium", "strong"] {
            let word = family[strength][0].as_str().unwrap();
            assert_eq!(add(&mesh, &asha, word, 1, NOW).await["family"], family["family"]);
        }
    }
    mesh.ask(Method::GET, "/emotions", None, None).await.refused(401, "TOKEN_MISSING");
    mesh.stop().await;
}
