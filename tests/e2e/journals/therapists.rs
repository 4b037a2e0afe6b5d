//! Reads of a journal by therapists: limited to the client's grant and listed in the client's access log.

use std::time::Duration;

use kit::mesh::{Someone, TestMesh};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

use super::{NOW, add, at, ids, journal, next, pages};

kit::on_each_env!(
    journal_is_readable_by_grant_not_by_mapping,
    journal_is_writable_by_its_client_only,
    unreadable_journal_is_answered_like_missing_one,
    private_entry_is_hidden_from_therapist,
    private_corrections_hide_times_and_etag_from_therapist,
    grant_covers_entries_since_date_until_expiry,
    revocation_invalidates_reads_and_page_tokens,
    access_log_lists_every_therapist_read,
    grant_opens_one_journal_only,
    deleted_account_leaves_no_readable_journal,
);

async fn map(mesh: &TestMesh, client: &Someone, therapist: &Someone) {
    let pair = json!({"therapistId": therapist.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(pair)).await.expect(201);
}

async fn grant(mesh: &TestMesh, client: &Someone, therapist: &Someone, change: Value) -> Value {
    let path = format!("{}/access?therapistId={}", journal(client), therapist.id);
    mesh.ask(Method::PUT, &path, Some(client), Some(change)).await.expect(200)
}

async fn revoke(mesh: &TestMesh, client: &Someone, therapist: &Someone) {
    let path = format!("/mapping/{}/access?therapistId={}", client.id, therapist.id);
    mesh.ask(Method::DELETE, &path, Some(client), None).await.expect(200);
}

/// Returns a client and a therapist with a grant of access.
async fn pair(mesh: &TestMesh) -> (Someone, Someone) {
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    map(mesh, &asha, &noor).await;
    grant(mesh, &asha, &noor, json!({"access": "ACCEPTED"})).await;
    (asha, noor)
}

/// Returns every path by which a journal is read.
fn reads(of: &Someone, entry: &Value) -> [String; 5] {
    [
        journal(of),
        format!("/clients/{}/journals", of.id),
        format!("{}?emotion=calm&minIntensity=1", journal(of)),
        at(&journal(of), entry),
        format!("{}/insights", journal(of)),
    ]
}

/// Returns an entry that was never private as a therapist sees it.
fn without_version(mut entry: Value) -> Value {
    entry["etag"] = json!("");
    entry
}

async fn journal_is_readable_by_grant_not_by_mapping(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let entry = add(&mesh, &asha, "calm", 3, "2099-12-31T00:00:00Z").await;
    let refused = async |when: &str| {
        for path in reads(&asha, &entry) {
            let answer = mesh.get(&path, &noor).await;
            assert_eq!(answer.status, 404, "{when}: {path}");
        }
    };
    refused("unrelated").await;
    map(&mesh, &asha, &noor).await;
    refused("mapped").await;
    grant(&mesh, &asha, &noor, json!({"access": "ACCEPTED"})).await;
    let seen = without_version(entry.clone());
    assert_eq!(mesh.get(&journal(&asha), &noor).await.expect(200), json!([seen]));
    assert_eq!(mesh.get(&at(&journal(&asha), &entry), &noor).await.expect(200), seen);
    let sums = mesh.get(&format!("{}/insights?bucket=MONTH", journal(&asha)), &noor).await.expect(200);
    assert_eq!(sums["buckets"].as_array().unwrap().last().unwrap()["families"][0]["count"], 1);
    let end = format!("/mapping/{}?therapistId={}", asha.id, noor.id);
    mesh.ask(Method::DELETE, &end, Some(&noor), None).await.expect(200);
    refused("formerly mapped").await;
    mesh.stop().await;
}

async fn journal_is_writable_by_its_client_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let entry = add(&mesh, &asha, "calm", 3, NOW).await;
    let body = json!({"emotion": "calm", "intensity": 1, "timestamp": NOW});
    for client in [&*asha.id, &noor.id, "01933b5e-7a4c-7def-8abc-0123456789ab"] {
        let (path, id) = (format!("/journal/{client}"), entry["entryId"].as_str().unwrap());
        for (method, path, body) in [
            (Method::POST, path.clone(), Some(body.clone())),
            (Method::POST, format!("/clients/{client}/journals"), Some(body.clone())),
            (Method::PUT, format!("{path}/entries/{id}"), Some(body.clone())),
            (Method::DELETE, format!("{path}?entryId={id}"), None),
        ] {
            mesh.ask(method, &path, Some(&noor), body).await.refused(403, "ROLE_NOT_ALLOWED");
        }
    }
    assert_eq!(mesh.get(&journal(&asha), &asha).await.expect(200), json!([entry]));
    mesh.stop().await;
}

async fn unreadable_journal_is_answered_like_missing_one(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let asha = mesh.client("Asha").await;
    let entry = add(&mesh, &asha, "calm", 3, NOW).await;
    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    let nobody = Someone { id: "01933b5e-7a4c-7def-8abc-0123456789ab".to_owned(), ..asha.clone() };
    let malformed = Someone { id: "nobody".to_owned(), ..asha.clone() };
    let itself = Someone { id: noor.id.clone(), ..asha.clone() };
    let paths = reads(&asha, &entry);
    for other in [nobody, malformed, itself] {
        for (there, absent) in paths.iter().zip(reads(&other, &entry)) {
            let (there, absent) = (mesh.get(there, &noor).await, mesh.get(&absent, &noor).await);
            there.refused(404, "NOT_FOUND");
            assert_eq!((there.status, there.body), (absent.status, absent.body));
        }
    }
    mesh.stop().await;
}

async fn private_entry_is_hidden_from_therapist(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let mut shared = Vec::new();
    let mut hidden = json!(null);
    for minute in 0..10 {
        let timestamp = format!("2099-12-31T23:{minute:02}:00Z");
        shared.insert(0, add(&mesh, &asha, "calm", 3, &timestamp).await["entryId"].as_str().unwrap().to_owned());
        let secret = json!({"emotion": "furious", "intensity": 5, "timestamp": timestamp, "visibility": "PRIVATE"});
        hidden = mesh.ask(Method::POST, &journal(&asha), Some(&asha), Some(secret)).await.expect(201);
    }
    for size in [1, 3, 5, 10, 50] {
        let seen = pages(&mesh, &noor, &asha, "", size).await;
        assert_eq!(seen.concat(), shared);
        assert_eq!(seen.len(), 10_usize.div_ceil(size), "as many pages as if there were no other entries");
    }
    assert_eq!(pages(&mesh, &noor, &asha, "emotion=furious", 50).await, [Vec::<String>::new()]);
    assert_eq!(pages(&mesh, &noor, &asha, "emotion=anger&minIntensity=5", 1).await, [Vec::<String>::new()]);
    let missing = at(&journal(&asha), &json!({"entryId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}));
    let (there, absent) = (mesh.get(&at(&journal(&asha), &hidden), &noor).await, mesh.get(&missing, &noor).await);
    there.refused(404, "NOT_FOUND");
    assert_eq!((there.status, there.body), (absent.status, absent.body));
    let sums = mesh.get(&format!("{}/insights?bucket=WEEK", journal(&asha)), &noor).await.expect(200);
    let counted: Vec<_> =
        sums["buckets"].as_array().unwrap().iter().flat_map(|b| b["families"].as_array().unwrap()).collect();
    assert!(counted.iter().all(|family| family["family"] != "anger"), "{sums}");
    assert_eq!(counted.iter().filter_map(|family| family["count"].as_i64()).sum::<i64>(), 10);
    assert_eq!(mesh.get(&journal(&asha), &asha).await.expect(200).as_array().unwrap().len(), 20, "the client sees all");
    // Visibility takes effect with each change.
    let change = async |visibility: &str| {
        let body = json!({"visibility": visibility});
        mesh.ask(Method::PUT, &at(&journal(&asha), &hidden), Some(&asha), Some(body)).await.expect(200)
    };
    change("SHARED").await;
    mesh.get(&at(&journal(&asha), &hidden), &noor).await.expect(200);
    change("PRIVATE").await;
    mesh.get(&at(&journal(&asha), &hidden), &noor).await.refused(404, "NOT_FOUND");
    let log = mesh.get(&format!("/clients/{}/access-log?pageSize=200", asha.id), &asha).await.expect(200);
    let most = log.as_array().unwrap().iter().filter_map(|access| access["entryCount"].as_i64()).max();
    assert_eq!(most, Some(10), "the log counts what was shown");
    mesh.stop().await;
}

/// Rule 8: to a therapist an entry begins when it was last made SHARED.
async fn private_corrections_hide_times_and_etag_from_therapist(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = pair(&mesh).await;
    let secret = json!({"emotion": "calm", "intensity": 1, "timestamp": NOW, "visibility": "PRIVATE"});
    let entry = mesh.ask(Method::POST, &journal(&asha), Some(&asha), Some(secret)).await.expect(201);
    let path = at(&journal(&asha), &entry);
    let correct = async |change: Value| {
        mesh.pass(Duration::from_secs(60));
        mesh.ask(Method::PUT, &path, Some(&asha), Some(change)).await.expect(200)
    };
    let minute = |minute: u32| json!(format!("2100-01-01T00:{minute:02}:00Z"));
    let seen = async |created: u32, updated: u32, now: &Value| {
        let mut expected = without_version(now.clone());
        (expected["createdAt"], expected["updatedAt"]) = (minute(created), minute(updated));
        assert_eq!(mesh.get(&path, &noor).await.expect(200), expected);
        assert_eq!(mesh.get(&journal(&asha), &noor).await.expect(200), json!([expected]));
    };
    correct(json!({"note": "written in private"})).await;
    let shared = correct(json!({"visibility": "SHARED"})).await;
    seen(2, 2, &shared).await;
    seen(2, 3, &correct(json!({"intensity": 2, "visibility": "SHARED"})).await).await;
    correct(json!({"visibility": "PRIVATE"})).await;
    correct(json!({"note": "written in private again"})).await;
    let shared = correct(json!({"visibility": "SHARED"})).await;
    seen(6, 6, &shared).await;
    // The client sees all of it.
    assert_eq!(mesh.get(&path, &asha).await.expect(200), shared);
    assert_eq!((&shared["createdAt"], &shared["updatedAt"], &shared["etag"]), (&json!(NOW), &minute(6), &json!("7")));
    mesh.stop().await;
}

async fn grant_covers_entries_since_date_until_expiry(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    map(&mesh, &asha, &noor).await;
    let old = add(&mesh, &asha, "calm", 3, "2099-12-30T23:59:59.999Z").await;
    let new = add(&mesh, &asha, "calm", 3, "2099-12-31T00:00:00Z").await;
    let limits =
        json!({"access": "ACCEPTED", "entriesFrom": "2099-12-31T00:00:00Z", "expiresAt": "2100-01-01T00:01:00Z"});
    grant(&mesh, &asha, &noor, limits).await;
    for query in ["", "from=2099-01-01T00:00:00Z", "emotion=calm"] {
        assert_eq!(pages(&mesh, &noor, &asha, query, 1).await.concat(), [new["entryId"].as_str().unwrap()], "{query}");
    }
    let before = format!("{}?to=2099-12-31T00:00:00Z", journal(&asha));
    assert_eq!(mesh.get(&before, &noor).await.expect(200), json!([]));
    mesh.get(&at(&journal(&asha), &old), &noor).await.refused(404, "NOT_FOUND");
    mesh.get(&at(&journal(&asha), &new), &noor).await.expect(200);
    let sums = mesh.get(&format!("{}/insights?bucket=MONTH", journal(&asha)), &noor).await.expect(200);
    assert_eq!(sums["buckets"].as_array().unwrap().last().unwrap()["families"][0]["count"], 1);
    mesh.pass(Duration::from_secs(61));
    for path in reads(&asha, &new) {
        assert_eq!(mesh.get(&path, &noor).await.status, 404, "{path}");
    }
    mesh.stop().await;
}

async fn revocation_invalidates_reads_and_page_tokens(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let mut entry = json!(null);
    for _ in 0..5 {
        entry = add(&mesh, &asha, "calm", 3, "2099-12-31T00:00:00Z").await;
    }
    let page = mesh.get(&format!("{}?pageSize=2", journal(&asha)), &noor).await;
    let token = next(&page).unwrap();
    let going_on = format!("{}?pageSize=2&pageToken={token}", journal(&asha));
    assert_eq!(ids(&mesh.get(&going_on, &noor).await.expect(200)).len(), 2);
    revoke(&mesh, &asha, &noor).await;
    for path in reads(&asha, &entry).into_iter().chain([going_on.clone()]) {
        assert_eq!(mesh.get(&path, &noor).await.status, 404, "{path}");
    }
    grant(&mesh, &asha, &noor, json!({"access": "ACCEPTED"})).await;
    let old = mesh.get(&going_on, &noor).await;
    assert_eq!((old.status, old.bad_fields()), (400, vec!["pageToken"]), "the token was of the grant that ended");
    assert_eq!(pages(&mesh, &noor, &asha, "", 2).await.concat().len(), 5);
    mesh.stop().await;
}

async fn access_log_lists_every_therapist_read(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor Haddad", "Grief", "110001").await);
    map(&mesh, &asha, &noor).await;
    let granted = grant(&mesh, &asha, &noor, json!({"access": "ACCEPTED"})).await;
    let (entry, other) = (
        add(&mesh, &asha, "calm", 3, "2099-12-31T00:00:00Z").await,
        add(&mesh, &asha, "sad", 2, "2099-12-31T01:00:00Z").await,
    );
    let log = async || mesh.get(&format!("/clients/{}/access-log", asha.id), &asha).await.expect(200);
    for path in [journal(&asha), at(&journal(&asha), &entry), format!("{}/insights", journal(&asha))] {
        mesh.get(&path, &asha).await.expect(200);
    }
    assert_eq!(log().await, json!([]), "what the client reads is not in it");
    let missing = at(&journal(&asha), &json!({"entryId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}));
    mesh.get(&missing, &noor).await.refused(404, "NOT_FOUND");
    assert_eq!(log().await, json!([]), "nothing was shown");
    let empty = format!("{}?emotion=furious", journal(&asha));
    let mut expected = Vec::new();
    for (path, action, count, id) in [
        (journal(&asha), "LIST", 2, json!("")),
        (format!("{}?pageSize=1", journal(&asha)), "LIST", 1, json!("")),
        (empty, "LIST", 0, json!("")),
        (at(&journal(&asha), &other), "ENTRY", 1, other["entryId"].clone()),
        (format!("{}/insights", journal(&asha)), "INSIGHT", 2, json!("")),
    ] {
        mesh.pass(Duration::from_millis(1));
        mesh.get(&path, &noor).await.expect(200);
        expected.insert(0, json!([action, count, id, noor.id, "Noor Haddad", granted["grantId"]]));
        let told = log().await;
        let told: Vec<_> = told
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                json!([
                    it["action"],
                    it["entryCount"],
                    it["entryId"],
                    it["therapistId"],
                    it["therapistName"],
                    it["grantId"]
                ])
            })
            .collect();
        assert_eq!(told, expected, "{path}");
    }
    mesh.stop().await;
}

async fn grant_opens_one_journal_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = pair(&mesh).await;
    let (ben, omar) = (mesh.client("Ben").await, mesh.therapist("Omar", "Grief", "110001").await);
    let (of_asha, of_ben) = (add(&mesh, &asha, "calm", 3, NOW).await, add(&mesh, &ben, "calm", 3, NOW).await);
    for path in reads(&ben, &of_ben) {
        assert_eq!(mesh.get(&path, &noor).await.status, 404, "{path}");
    }
    for path in reads(&asha, &of_asha) {
        assert_eq!(mesh.get(&path, &omar).await.status, 404, "{path}");
    }
    mesh.get(&at(&journal(&asha), &of_ben), &noor).await.refused(404, "NOT_FOUND");
    let page = mesh.get(&format!("{}?pageSize=1", journal(&asha)), &noor).await;
    assert_eq!(next(&page), None, "one entry is one page");
    mesh.stop().await;
}

async fn deleted_account_leaves_no_readable_journal(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = pair(&mesh).await;
    let entry = add(&mesh, &asha, "calm", 3, NOW).await;
    mesh.get(&journal(&asha), &noor).await.expect(200);
    let ended = mesh.ask(Method::DELETE, &format!("/clients/{}", asha.id), Some(&asha), None).await;
    assert_eq!(ended.status, 204, "{}", ended.body);
    // Longer than a data key is cached.
    mesh.pass(Duration::from_secs(31));
    for path in reads(&asha, &entry) {
        assert_eq!(mesh.get(&path, &noor).await.status, 404, "{path}");
        mesh.get(&path, &asha).await.refused(401, "ACCOUNT_ENDED");
    }
    let another = json!({"emotion": "calm", "intensity": 1, "timestamp": NOW});
    mesh.ask(Method::POST, &journal(&asha), Some(&asha), Some(another)).await.refused(401, "ACCOUNT_ENDED");
    let change = json!({"intensity": 1});
    mesh.ask(Method::PUT, &at(&journal(&asha), &entry), Some(&asha), Some(change)).await.refused(401, "ACCOUNT_ENDED");
    mesh.stop().await;
}
