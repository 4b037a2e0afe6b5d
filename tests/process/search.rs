//! Commands that compare the search index with the texts, and restore it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use dynamo::{Key, Rows, Table};
use kit::mesh::Someone;
use kit::wait::until;
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::{Process, mesh as command, run};

/// A client with entries, and a therapist with notes.
struct World {
    data: tempfile::TempDir,
    mesh: Process,
    client: Someone,
    therapist: Someone,
    /// Id of the session with the notes.
    session: String,
}

impl World {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mesh = Process::start(data.path());
        let client = mesh.join("asha@example.org", "CLIENT").await;
        let therapist = mesh.join("noor@example.org", "THERAPIST").await;
        let mut world = Self { data, mesh, client, therapist, session: String::new() };
        let journal = format!("/journal/{}", world.client.id);
        for (note, visibility) in [("the harbour at dusk", "SHARED"), ("the harbour alone", "PRIVATE")] {
            let entry = json!({
                "emotion": "calm", "intensity": 3, "timestamp": "2026-11-01T09:00:00Z",
                "note": note, "visibility": visibility,
            });
            world.ask(Method::POST, &journal, &world.client, entry, 201).await;
        }
        let session = json!({
            "sessionDate": "2030-01-07T09:00:00Z", "endTime": "10:00",
            "privateNotes": "speak of the harbour", "sharedNotes": "write about the harbour",
        });
        let made = world.ask(Method::POST, "/sessions", &world.therapist, session, 201).await;
        world.session = made["sessionId"].as_str().unwrap().to_owned();
        world
    }

    async fn ask(&self, method: Method, path: &str, who: &Someone, body: Value, status: u16) -> Value {
        self.mesh.ask(method, path, Some(&who.token), Some(body)).await.expect(status)
    }

    /// Returns the number of texts that each of the two finds.
    async fn found(&self) -> [usize; 2] {
        let count = async |who: &Someone| {
            let hits = self.mesh.ask(Method::GET, "/search?q=harbour", Some(&who.token), None).await.expect(200);
            hits.as_array().unwrap().len()
        };
        [count(&self.client).await, count(&self.therapist).await]
    }

    async fn table(&self) -> Table {
        let mut config =
            dynamo::Config { endpoint: Some(self.mesh.announced("DynamoDB").to_owned()), ..Default::default() };
        mesh::take_access_key(&mut config, self.data.path()).unwrap();
        config.connect(kit::entropy::seeded()).await.table(&search::SEARCH_INDEX)
    }

    fn run(&self, name: &str) -> Output {
        let data: &Path = self.data.path();
        let endpoint = self.mesh.announced("DynamoDB");
        let mut command = command(&[("MESH_DYNAMODB_ENDPOINT", endpoint), ("MESH_DATA_DIR", data.to_str().unwrap())]);
        command.args([name, "--rate", "1000"]);
        run(command)
    }

    /// Returns the lines of a check, and true if it found no difference.
    fn check(&self) -> (BTreeSet<String>, bool) {
        let done = self.run("check-search");
        let text = String::from_utf8(done.stdout).unwrap();
        (text.lines().map(str::to_owned).collect(), done.status.success())
    }
}

/// Replaces an item by one without attributes.
async fn empty(table: &Table, key: &Key) {
    table.put(key, &json!({})).run().await.map(drop).unwrap();
}

/// Returns the keys of all items.
async fn keys(table: &Table) -> Vec<(String, String)> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let Rows { items, next } = table.scan(after).await.unwrap();
        let part = |item: &dynamo::Item, name| item.text(name).unwrap().to_owned();
        keys.extend(items.iter().map(|item| (part(item, "pk"), part(item, "sk"))));
        after = next;
        if after.is_none() {
            return keys;
        }
    }
}

/// Data of an earlier version has no index.
#[tokio::test]
async fn search_index_is_rebuilt_from_texts_without_one() {
    let world = World::start().await;
    until("all texts are found", async || world.found().await == [2, 2]).await;
    until("the index agrees", async || world.check().1).await;
    let table = world.table().await;
    for (partition, sort) in keys(&table).await {
        table.delete(&Key::new(partition, sort)).run().await.map(drop).unwrap();
    }
    assert_eq!(world.found().await, [0, 0]);
    let (told, agrees) = world.check();
    assert!(!agrees);
    let missing = told.iter().filter(|line| line.ends_with("is not in the index"));
    assert_eq!(missing.count(), 4, "{told:?}");
    assert!(told.contains("done: 4 texts of 2 people compared, 4 differences, 0 people failed"), "{told:?}");

    let done = world.run("rebuild-search");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = String::from_utf8(done.stdout).unwrap();
    let end = "done, the differences are mended: 4 texts of 2 people compared, 4 differences, 0 people failed";
    assert!(told.contains(end), "{told}");
    assert_eq!(world.found().await, [2, 2]);
    assert!(world.check().1);
}

/// Somebody who writes the table can't hide a text for good.
#[tokio::test]
async fn altered_search_index_is_found_and_restored() {
    let world = World::start().await;
    until("all texts are found", async || world.found().await == [2, 2]).await;
    until("the index agrees", async || world.check().1).await;
    let table = world.table().await;
    let all = keys(&table).await;
    let (partition, posting) = all.iter().find(|(_, sort)| !sort.contains('#')).unwrap();
    table.delete(&Key::new(partition, posting)).run().await.map(drop).unwrap();
    let (told, agrees) = world.check();
    assert!(!agrees);
    let findings = told.iter().filter(|line| line.ends_with("is not completely in the index"));
    assert_eq!(findings.count(), 1, "{told:?}");
    assert!(world.run("rebuild-search").status.success());
    assert!(world.check().1);
    let mut restored = keys(&table).await;
    let mut all = all;
    restored.sort();
    all.sort();
    assert_eq!(restored, all);
}

/// A forward item that doesn't open stops neither the comparison nor the restoration.
#[tokio::test]
async fn corrupt_forward_item_is_found_and_restored() {
    let world = World::start().await;
    until("all texts are found", async || world.found().await == [2, 2]).await;
    until("the index agrees", async || world.check().1).await;
    let table = world.table().await;
    let mut all = keys(&table).await;
    let forwards: Vec<_> = all.iter().filter(|(_, sort)| sort.starts_with("DOC#")).collect();
    assert_eq!(forwards.len(), 4);
    for (partition, sort) in forwards {
        empty(&table, &Key::new(partition, sort)).await;
    }
    let (told, agrees) = world.check();
    assert!(!agrees);
    let findings = told.iter().filter(|line| line.ends_with("is not completely in the index"));
    assert_eq!(findings.count(), 4, "{told:?}");
    assert!(world.run("rebuild-search").status.success());
    assert!(world.check().1);
    assert_eq!(world.found().await, [2, 2]);
    let mut restored = keys(&table).await;
    restored.sort();
    all.sort();
    assert_eq!(restored, all);
}

/// The version of the session grows, and its texts are the same.
#[tokio::test]
async fn changed_end_of_session_is_no_difference() {
    let world = World::start().await;
    until("all texts are found", async || world.found().await == [2, 2]).await;
    until("the index agrees", async || world.check().1).await;
    let path = format!("/sessions/{}", world.session);
    world.ask(Method::PUT, &path, &world.therapist, json!({"endTime": "10:30"}), 200).await;
    let (told, agrees) = world.check();
    assert!(agrees, "{told:?}");
}

/// The index of one person can't be read, and that of the other is restored.
#[tokio::test]
async fn failing_person_is_reported_and_others_are_restored() {
    let world = World::start().await;
    until("all texts are found", async || world.found().await == [2, 2]).await;
    until("the index agrees", async || world.check().1).await;
    let table = world.table().await;
    // Lists of people's scopes: the client's and the therapist's have two each.
    let all = keys(&table).await;
    let (partition, list) = all.iter().find(|(_, sort)| sort.starts_with("SCOPE#")).unwrap();
    empty(&table, &Key::new(partition, list)).await;
    for (partition, sort) in all.iter().filter(|(_, sort)| sort.starts_with("DOC#")) {
        table.delete(&Key::new(partition, sort)).run().await.map(drop).unwrap();
    }
    for command in ["check-search", "rebuild-search"] {
        let done = world.run(command);
        assert!(!done.status.success());
        let [told, log] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(told.contains("2 texts of 1 people compared, 2 differences, 1 people failed"), "{told}");
        let named = [&world.client, &world.therapist].map(|who| log.contains(&who.id));
        assert!(named[0] != named[1], "{log}");
        assert!(log.contains("run it again"), "{log}");
    }
}
