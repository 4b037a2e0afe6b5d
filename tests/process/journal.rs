//! Acknowledged journal entries survive `kill -9`; operators' commands for keys and access records.

use std::path::Path;
use std::time::Duration;

use kit::mesh::Someone;
use kit::wait::until;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::{Process, mesh as command, run};

const WRITERS: u64 = 8;
const ROUNDS: u8 = 6;
/// 2026-01-01, in milliseconds since 1970.
const FIRST: u64 = 1_767_225_600_000;

fn entry(millisecond: u64, note: &str) -> Value {
    json!({"emotion": "lonely", "intensity": 3, "timestamp": instant(millisecond), "note": note})
}

fn instant(millisecond: u64) -> String {
    kernel::Timestamp::from_millisecond(i64::try_from(millisecond).unwrap()).unwrap().to_string()
}

/// Writes entries until the mesh is gone. Returns the acknowledged ones.
async fn write(url: String, who: Someone, writer: u64, round: u8) -> Vec<Value> {
    let http = kit::mesh::http_client();
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let note = format!("round {round}, writer {writer}, entry {number}");
        let felt = FIRST + u64::from(round) * 1_000_000 + number * 10 + writer % 2;
        let request = http.post(format!("{url}/journal/{}", who.id)).bearer_auth(&who.token);
        let request = match number % 2 {
            0 => request,
            _ => request.header("idempotency-key", note.clone()),
        };
        let Ok(answer) = request.json(&entry(felt, &note)).send().await else { break };
        let status = answer.status();
        let Ok(body) = answer.json::<Value>().await else { break };
        if status == 201 {
            acknowledged.push(body);
        }
    }
    acknowledged
}

async fn journal(mesh: &Process, who: &Someone) -> Vec<Value> {
    let (mut entries, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("/journal/{}?pageSize=200&pageToken={token}", who.id);
        let page = mesh.ask(Method::GET, &path, Some(&who.token), None).await;
        let next = page.headers.get("x-next-page-token").map(|next| next.to_str().unwrap().to_owned());
        entries.extend(page.expect(200).as_array().unwrap().clone());
        match next {
            Some(next) => token = next,
            None => return entries,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_entries_survive_kills_in_order() {
    let seed = std::process::id();
    println!("the kills come by the seed {seed}");
    let mut random =
        TestRng::from_seed(RngAlgorithm::ChaCha, &std::array::from_fn::<u8, 32, _>(|at| seed.to_le_bytes()[at % 4]));
    let data = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<Value> = Vec::new();
    let mut who: Option<Someone> = None;
    for round in 0..ROUNDS {
        let mesh = Process::start(data.path());
        let author = match who.take() {
            Some(author) => author,
            None => mesh.join("asha@example.org", "CLIENT").await,
        };
        check(&journal(&mesh, &author).await, &acknowledged);
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(mesh.url.clone(), author.clone(), writer, round));
        }
        tokio::time::sleep(Duration::from_millis(50 + random.next_u64() % 650)).await;
        mesh.kill();
        while let Some(written) = writers.join_next().await {
            acknowledged.extend(written.unwrap());
        }
        who = Some(author);
    }
    assert!(acknowledged.len() > 100, "{} entries were acknowledged in all", acknowledged.len());
    let mesh = Process::start(data.path());
    check(&journal(&mesh, &who.unwrap()).await, &acknowledged);
}

/// Asserts that the journal has all acknowledged entries unchanged, each once, newest first. It may have unacknowledged
/// entries too, but at most one per request.
fn check(journal: &[Value], acknowledged: &[Value]) {
    for told in acknowledged {
        assert!(journal.contains(told), "lost: {told}");
    }
    let ids: Vec<&str> = journal.iter().map(|entry| entry["entryId"].as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "newest first, each once");
    let mut notes: Vec<&str> = journal.iter().map(|entry| entry["note"].as_str().unwrap()).collect();
    notes.sort_unstable();
    assert!(notes.windows(2).all(|pair| pair[0] != pair[1]), "one request, one entry");
}

fn add_first_line(file: &Path, line: &str) {
    let old = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, format!("{line}\n{old}")).unwrap();
}

#[tokio::test]
async fn key_rotation_keeps_entries_readable() {
    let data = tempfile::tempdir().unwrap();
    let keys = data.path().join("key-encryption-keys");
    let mesh = Process::start(data.path());
    let who = mesh.join("asha@example.org", "CLIENT").await;
    let path = format!("/journal/{}", who.id);
    let told = mesh.ask(Method::POST, &path, Some(&who.token), Some(entry(FIRST, "quiet"))).await.expect(201);
    assert!(mesh.stop(Signal::TERM).0.success());

    add_first_line(&keys, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    let mesh = Process::start(data.path());
    let endpoint = mesh.announced("DynamoDB").to_owned();
    let rewrap = || {
        let settings = [("MESH_DYNAMODB_ENDPOINT", &*endpoint), ("MESH_DATA_DIR", data.path().to_str().unwrap())];
        let mut command = command(&settings);
        command.arg("rewrap-keys");
        let done = run(command);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(rewrap().contains("done: 1 data keys rewrapped"));
    assert!(rewrap().contains("done: 0 data keys rewrapped"), "there is nothing more to do");
    assert!(mesh.stop(Signal::TERM).0.success());

    // The old key is gone for good.
    std::fs::write(&keys, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n").unwrap();
    let mesh = Process::start(data.path());
    assert_eq!(mesh.ask(Method::GET, &path, Some(&who.token), None).await.expect(200), json!([told]));
}

#[tokio::test]
async fn verify_audit_checks_chain_and_heads() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let client = mesh.join("asha@example.org", "CLIENT").await;
    let therapist = mesh.join("noor@example.org", "THERAPIST").await;
    let ask = async |method, path: &str, who: &Someone, body: Value, status: u16| {
        let body = Some(body).filter(|body| !body.is_null());
        mesh.ask(method, path, Some(&who.token), body).await.expect(status)
    };
    let profile = json!({"name": "Noor", "email": therapist.email, "specialty": "Grief", "pincode": "110001"});
    ask(Method::POST, "/therapists", &therapist, profile, 201).await;
    let (mapping, journal) = (format!("/mapping/{}", client.id), format!("/journal/{}", client.id));
    ask(Method::POST, &mapping, &client, json!({"therapistId": therapist.id}), 201).await;
    let access = format!("{journal}/access?therapistId={}", therapist.id);
    ask(Method::PUT, &access, &client, json!({"access": "ACCEPTED"}), 200).await;
    for _ in 0..3 {
        ask(Method::GET, &journal, &therapist, Value::Null, 200).await;
    }

    let endpoint = mesh.announced("DynamoDB").to_owned();
    let heads = data.path().join("heads");
    let verify = || {
        let settings = [("MESH_DYNAMODB_ENDPOINT", &*endpoint), ("MESH_DATA_DIR", data.path().to_str().unwrap())];
        let mut command = command(&settings);
        command.args(["verify-audit", "--client", &client.id, "--heads", heads.to_str().unwrap()]);
        let done = run(command);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    until("the records are linked", async || verify().contains("1 chain of 3 records")).await;
    let kept = std::fs::read_to_string(&heads).unwrap();
    assert!(kept.starts_with(&format!("{} 3 ", client.id)), "{kept}");

    // A removed log of another client is found by the saved heads only.
    std::fs::write(&heads, kept.replace(&client.id, "01933b5e-7a4c-7def-8abc-0123456789ab")).unwrap();
    let settings = [("MESH_DYNAMODB_ENDPOINT", &*endpoint), ("MESH_DATA_DIR", data.path().to_str().unwrap())];
    let mut command = command(&settings);
    command.args(["verify-audit", "--heads", heads.to_str().unwrap()]);
    let told = run(command);
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stdout).contains("record 1 was cut off"));
}
