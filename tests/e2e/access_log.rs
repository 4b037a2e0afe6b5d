//! Contract §2, row /clients/{clientId}/access-log, and rule 15: the client sees who read what of the journal.

use std::time::Duration;

use dynamo::secret::{Secret, Secrets};
use kit::mesh::{Answer, Someone, TestMesh};
use kit::test_env::TestEnv;
use proto::audit::v1::RecordAccessRequest;
use proto::audit::v1::access::Action;
use proto::audit::v1::audit_service_client::AuditServiceClient;
use reqwest::Method;
use serde_json::{Value, json};
use tonic::{Code, Request};

kit::on_each_env!(
    therapist_read_logs_action_count_and_grant,
    equal_reads_within_minute_are_one_line_with_count,
    own_and_rejected_reads_are_not_logged,
    pages_of_any_size_list_all_newest_first,
    log_is_readable_by_its_client_only,
    deleted_therapist_stays_in_log_without_name,
    accesses_are_linked_into_valid_chain_within_seconds,
    access_is_recorded_by_journals_for_therapists_only,
);

fn log(of: &Someone) -> String {
    format!("/clients/{}/access-log", of.id)
}

fn journal(of: &Someone) -> String {
    format!("/journal/{}", of.id)
}

async fn add(mesh: &TestMesh, who: &Someone, entry: Value) -> String {
    let made = mesh.ask(Method::POST, &journal(who), Some(who), Some(entry)).await.expect(201);
    made["entryId"].as_str().unwrap().to_owned()
}

/// Adds two shared entries and a private one. Returns the id of a shared one.
async fn fill(mesh: &TestMesh, who: &Someone) -> String {
    add(mesh, who, json!({"emotion": "calm", "intensity": 2, "timestamp": "2099-12-30T10:00:00Z"})).await;
    let secret =
        json!({"emotion": "hope", "intensity": 3, "timestamp": "2099-12-30T11:00:00Z", "visibility": "PRIVATE"});
    add(mesh, who, secret).await;
    add(mesh, who, json!({"emotion": "dread", "intensity": 5, "timestamp": "2099-12-30T12:00:00Z"})).await
}

/// Maps a therapist and grants access. Returns the grant's id.
async fn grant(mesh: &TestMesh, client: &Someone, therapist: &Someone) -> String {
    let pair = json!({"therapistId": therapist.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(pair)).await.expect(201);
    let path = format!("{}/access?therapistId={}", journal(client), therapist.id);
    let relation = mesh.ask(Method::PUT, &path, Some(client), Some(json!({"access": "ACCEPTED"}))).await.expect(200);
    relation["grantId"].as_str().unwrap().to_owned()
}

/// Reads a path as a person, one second after the last call.
async fn read(mesh: &TestMesh, path: &str, who: &Someone) -> Answer {
    mesh.pass(Duration::from_secs(1));
    mesh.get(path, who).await
}

async fn therapist_read_logs_action_count_and_grant(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let entry = fill(&mesh, &asha).await;
    let grant = grant(&mesh, &asha, &noor).await;
    assert_eq!(mesh.get(&log(&asha), &asha).await.expect(200), json!([]));

    read(&mesh, &journal(&asha), &noor).await.expect(200);
    read(&mesh, &format!("/clients/{}/journals?emotion=dread", asha.id), &noor).await.expect(200);
    read(&mesh, &format!("{}/entries/{entry}", journal(&asha)), &noor).await.expect(200);
    read(&mesh, &format!("{}/insights", journal(&asha)), &noor).await.expect(200);

    let lines = mesh.get(&log(&asha), &asha).await.expect(200);
    let expected = [("INSIGHT", 2, ""), ("ENTRY", 1, &*entry), ("LIST", 1, ""), ("LIST", 2, "")];
    assert_eq!(lines.as_array().unwrap().len(), expected.len(), "{lines}");
    for (number, (action, count, entry_id)) in expected.into_iter().enumerate() {
        let line = &lines[number];
        let time = format!("2100-01-01T00:00:{:02}Z", expected.len() - number);
        let shown = json!({
            "accessId": line["accessId"], "therapistId": noor.id, "therapistName": "Noor", "action": action,
            "entryCount": count, "entryId": entry_id, "grantId": grant, "time": time,
            "count": 1, "firstTime": time,
        });
        assert_eq!(*line, shown, "line {number}, every field printed");
        assert!(line["accessId"].as_str().is_some_and(|id| !id.is_empty()));
    }
    mesh.stop().await;
}

/// Rule 15: each read is recorded; the list shows equal neighbours within a minute as one line with a count.
async fn equal_reads_within_minute_are_one_line_with_count(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    grant(&mesh, &asha, &noor).await;
    for _ in 0..40 {
        read(&mesh, &journal(&asha), &noor).await.expect(200);
    }
    read(&mesh, &format!("{}/insights", journal(&asha)), &noor).await.expect(200);
    for _ in 0..3 {
        read(&mesh, &journal(&asha), &noor).await.expect(200);
    }
    mesh.pass(Duration::from_secs(60));
    read(&mesh, &journal(&asha), &noor).await.expect(200);
    let lines = |lines: &Value| {
        let shown = lines.as_array().unwrap().iter();
        shown.map(|it| json!([it["action"], it["count"], it["firstTime"], it["time"]])).collect::<Vec<_>>()
    };
    let second = |second: u32| format!("2100-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
    let expected = [
        json!(["LIST", 1, second(105), second(105)]),
        json!(["LIST", 3, second(42), second(44)]),
        json!(["INSIGHT", 1, second(41), second(41)]),
        json!(["LIST", 40, second(1), second(40)]),
    ];
    assert_eq!(lines(&mesh.get(&log(&asha), &asha).await.expect(200)), expected);
    let (mut paged, mut token) = (Vec::new(), String::new());
    for page in 0..expected.len() {
        let answer = mesh.get(&format!("{}?pageSize=1&pageToken={token}", log(&asha)), &asha).await;
        let next = answer.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
        assert_eq!(next.is_some(), page + 1 < expected.len(), "page {page}");
        token = next.unwrap_or_default();
        paged.extend(lines(&answer.expect(200)));
    }
    assert_eq!(paged, expected, "no group is shown twice, or in parts");
    mesh.stop().await;
}

async fn own_and_rejected_reads_are_not_logged(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let stranger = mesh.therapist("Omar", "Grief", "110001").await;
    let entry = fill(&mesh, &asha).await;
    grant(&mesh, &asha, &noor).await;
    for path in [journal(&asha), format!("{}/entries/{entry}", journal(&asha)), format!("{}/insights", journal(&asha))]
    {
        mesh.get(&path, &asha).await.expect(200);
        mesh.get(&path, &stranger).await.refused(404, "NOT_FOUND");
    }
    assert_eq!(mesh.get(&log(&asha), &asha).await.expect(200), json!([]));
    mesh.stop().await;
}

async fn pages_of_any_size_list_all_newest_first(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let asha = mesh.client("Asha").await;
    let readers = [mesh.therapist("Noor", "Grief", "110001").await, mesh.therapist("Omar", "Trauma", "110001").await];
    for reader in &readers {
        grant(&mesh, &asha, reader).await;
    }
    for number in 0..11 {
        read(&mesh, &journal(&asha), &readers[number % 2]).await.expect(200);
    }
    let whole = mesh.get(&log(&asha), &asha).await.expect(200);
    let names: Vec<_> = whole.as_array().unwrap().iter().map(|line| line["therapistName"].as_str().unwrap()).collect();
    assert_eq!(names, ["Noor", "Omar", "Noor", "Omar", "Noor", "Omar", "Noor", "Omar", "Noor", "Omar", "Noor"]);
    let times: Vec<_> = whole.as_array().unwrap().iter().map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer > older), "{times:?}");
    for size in [1, 3, 11, 200] {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = mesh.get(&format!("{}?pageSize={size}&pageToken={token}", log(&asha)), &asha).await;
            let next = page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
            let lines = page.expect(200);
            assert!(lines.as_array().unwrap().len() <= size);
            all.extend(lines.as_array().unwrap().iter().cloned());
            match next {
                Some(next) => token = next,
                None => break,
            }
        }
        assert_eq!(Value::Array(all), whole, "{size} a page");
    }
    for (query, bad) in
        [("pageSize=-1", "pageSize"), ("pageToken=tampered", "pageToken"), ("therapistId=x", "therapistId")]
    {
        let refused = mesh.get(&format!("{}?{query}", log(&asha)), &asha).await;
        assert_eq!((refused.status, refused.bad_fields()), (400, vec![bad]), "{query}: {}", refused.body);
    }
    mesh.stop().await;
}

async fn log_is_readable_by_its_client_only(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, ben) = (mesh.client("Asha").await, mesh.client("Ben").await);
    let noor = mesh.therapist("Noor", "Grief", "110001").await;
    grant(&mesh, &asha, &noor).await;
    read(&mesh, &journal(&asha), &noor).await.expect(200);
    let nobody = format!("/clients/{}/access-log", "01933b5e-7a4c-7def-8abc-0123456789ab");
    for path in [log(&asha), nobody, "/clients/nobody/access-log".to_owned()] {
        mesh.get(&path, &ben).await.refused(403, "NOT_YOUR_ACCOUNT");
        mesh.get(&path, &noor).await.refused(403, "ROLE_NOT_ALLOWED");
        mesh.ask(Method::GET, &path, None, None).await.refused(401, "TOKEN_MISSING");
    }
    assert_eq!(mesh.get(&log(&ben), &ben).await.expect(200), json!([]));

    mesh.pass(Duration::from_secs(60));
    read(&mesh, &journal(&asha), &noor).await.expect(200);
    let page = mesh.get(&format!("{}?pageSize=1", log(&asha)), &asha).await;
    let token = page.headers["x-next-page-token"].to_str().unwrap();
    let foreign = mesh.get(&format!("{}?pageToken={token}", log(&ben)), &ben).await;
    assert_eq!((foreign.status, foreign.bad_fields()), (400, vec!["pageToken"]));
    mesh.stop().await;
}

async fn deleted_therapist_stays_in_log_without_name(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    grant(&mesh, &asha, &noor).await;
    mesh.get(&journal(&asha), &noor).await.expect(200);
    let ended = mesh.ask(Method::DELETE, &format!("/therapists/{}", noor.id), Some(&noor), None).await;
    assert_eq!(ended.status, 204, "{}", ended.body);
    let lines = mesh.get(&log(&asha), &asha).await.expect(200);
    assert_eq!((&lines[0]["therapistId"], &lines[0]["therapistName"]), (&json!(noor.id), &json!("")), "{lines}");
    mesh.stop().await;
}

/// Maximum delay until a record is linked into the chain.
const LINKED_WITHIN: Duration = Duration::from_secs(5);

async fn accesses_are_linked_into_valid_chain_within_seconds(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    grant(&mesh, &asha, &noor).await;
    for _ in 0..3 {
        read(&mesh, &journal(&asha), &noor).await.expect(200);
    }
    let dynamodb = mesh.dynamodb.connect(kit::entropy::seeded()).await;
    let client = asha.id.parse().unwrap();
    // These are not the secrets of the mesh: the chain is valid, and the key of its head is unknown.
    let secrets = Secrets::new(Secret::new([1; 32]), Vec::new());
    let linked = async {
        loop {
            let report =
                audit::verify(&dynamodb, &secrets, Some(client), &audit::Heads::default(), |_| ()).await.unwrap();
            if report.unlinked == 0 {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let report = tokio::time::timeout(LINKED_WITHIN, linked).await.expect("linked in time");
    assert_eq!(report.linked, 3);
    let flaws: Vec<_> = report.findings.iter().map(|found| found.flaw).collect();
    assert_eq!(flaws, [audit::Flaw::HeadOfUnknownKey]);
    mesh.stop().await;
}

async fn access_is_recorded_by_journals_for_therapists_only(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let channel = tonic::transport::Channel::from_shared(mesh.service("audit")).unwrap().connect().await.unwrap();
    let record = async |workload: Option<&str>, person: Option<&Someone>, count: i32| {
        let mut request = Request::new(RecordAccessRequest {
            client_id: asha.id.clone(),
            action: Action::List.into(),
            entry_count: count,
            entry_id: String::new(),
            grant_id: "grant".to_owned(),
        });
        if let Some(name) = workload {
            let token = mesh.workload_token(name);
            request.metadata_mut().insert("workload-identity-token", token.parse().unwrap());
        }
        if let Some(person) = person {
            request.metadata_mut().insert("authorization", format!("Bearer {}", person.token).parse().unwrap());
        }
        AuditServiceClient::new(channel.clone()).record_access(request).await.map_err(|status| status.code())
    };
    assert_eq!(record(None, Some(&noor), 1).await.unwrap_err(), Code::Unauthenticated);
    assert_eq!(record(Some("clients"), Some(&noor), 1).await.unwrap_err(), Code::PermissionDenied);
    assert_eq!(record(Some("journals"), None, 1).await.unwrap_err(), Code::Unauthenticated);
    assert_eq!(record(Some("journals"), Some(&asha), 1).await.unwrap_err(), Code::PermissionDenied);
    assert_eq!(record(Some("journals"), Some(&noor), -1).await.unwrap_err(), Code::InvalidArgument);
    assert_eq!(mesh.get(&log(&asha), &asha).await.expect(200), json!([]));
    record(Some("journals"), Some(&noor), 1).await.unwrap();
    let lines = mesh.get(&log(&asha), &asha).await.expect(200);
    assert_eq!((&lines[0]["therapistId"], &lines[0]["entryCount"]), (&json!(noor.id), &json!(1)), "{lines}");
    mesh.stop().await;
}
