//! A storage without space.

use kit::mesh::{Answer, Someone};
use kit::wait::until;
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::Process;

/// Entries that may be written before the limit is reached.
const MAX_ENTRIES: usize = 2_000;

/// Writes an entry of the maximum size.
async fn write(mesh: &Process, who: &Someone) -> Answer {
    let entry = json!({"emotion": "lonely", "intensity": 4, "timestamp": "2026-01-05T16:00:00Z",
        "note": "so quiet. ".repeat(1_000)});
    mesh.ask(Method::POST, &format!("/journal/{}", who.id), Some(&who.token), Some(entry)).await
}

async fn health(mesh: &Process) -> (u16, Value) {
    let answer = mesh.ask(Method::GET, "/healthz", None, None).await;
    (answer.status, answer.body)
}

/// Reads go on, every write says that the storage is full, and health tells it until entries are deleted.
#[tokio::test(flavor = "multi_thread")]
async fn full_storage_is_told_by_errors_and_by_health_until_there_is_space() {
    let data = tempfile::tempdir().unwrap();
    let settings = [("MESH_DATA_LIMIT", "4194304"), ("MESH_HEALTH_INTERVAL", "50ms"), ("MESH_LOG", "off")];
    let mesh = Process::start_with(data.path(), &settings);
    let client = mesh.join("asha@example.org", "CLIENT").await;
    assert_eq!(health(&mesh).await, (200, json!({"status": "SERVING"})));

    let mut entries = Vec::new();
    let refused = loop {
        let answer = write(&mesh, &client).await;
        if answer.status != 201 {
            break answer;
        }
        entries.push(answer.body["entryId"].as_str().unwrap().to_owned());
        assert!(entries.len() < MAX_ENTRIES, "the limit is reached");
    };
    let body = refused.refused(503, "STORAGE_FULL");
    assert_eq!(body["message"], "the storage is full: nothing can be stored until the operator makes space");
    assert!(!body.to_string().contains("RetryInfo") && !refused.headers.contains_key("retry-after"), "{body}");
    until("health tells it", async || health(&mesh).await == (503, json!({"status": "NOT_SERVING"}))).await;
    let journal = format!("/journal/{}", client.id);
    let read = mesh.ask(Method::GET, &journal, Some(&client.token), None).await.expect(200);
    assert!(!read.as_array().unwrap().is_empty(), "what is stored is read");

    for entry in &entries {
        mesh.ask(Method::DELETE, &format!("{journal}?entryId={entry}"), Some(&client.token), None).await.expect(200);
    }
    until("health recovers", async || health(&mesh).await.0 == 200).await;
    write(&mesh, &client).await.expect(201);
}
