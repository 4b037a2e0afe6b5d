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
}

impl World {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mesh = Process::start(data.path());
        let client = mesh.join("asha@example.org", "CLIENT").await;
        let therapist = mesh.join("noor@example.org", "THERAPIST").await;
        let world = Self { data, mesh, client, therapist };
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
        world.ask(Method::POST, "/sessions", &world.therapist, session, 201).await;
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
    assert!(told.contains("done: 4 texts of 2 people compared, 4 differences"), "{told:?}");

    let done = world.run("rebuild-search");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.contains("done: 4 texts of 2 people compared, 4 differences, which are mended"), "{told}");
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
