//! A client and a therapist, whose texts are searched and compared with what their owners hold.

use dynamo::{IndexDef, Projection};
use kit::mesh::{Answer, Someone, TestMesh};
use kit::wait::until;
use reqwest::Method;
use serde_json::{Value, json};

/// The index of the events that nobody has acknowledged yet.
static PENDING: IndexDef = outbox::pending(Projection::KeysOnly);
/// The topic of changes of texts.
const TEXT: &str = "TEXT";

pub(crate) struct Desk {
    pub(crate) client: Someone,
    pub(crate) therapist: Someone,
}

/// Returns the path of a search for a word.
pub(crate) fn search(word: &str) -> String {
    format!("/search?q={word}&in=JOURNAL,NOTES&pageSize=200")
}

/// Waits until a search finds these texts, in any order.
pub(crate) async fn finds(mesh: &TestMesh, who: &Someone, word: &str, expected: &[&str]) {
    let mut expected: Vec<_> = expected.iter().map(|id| (*id).to_owned()).collect();
    expected.sort_unstable();
    until(&format!("{word} is in {expected:?}"), async || found(mesh, who, word).await == expected).await;
}

/// Returns the sorted ids of hits.
async fn found(mesh: &TestMesh, who: &Someone, word: &str) -> Vec<String> {
    let hits = read(mesh, &search(word), who).await;
    sorted(hits.as_array().unwrap().iter().map(|hit| text(hit, "id")))
}

/// Reads a list that is one page. It is read again where a fault before has used up the retries of the service.
async fn read(mesh: &TestMesh, path: &str, who: &Someone) -> Value {
    loop {
        let answer = mesh.get(path, who).await;
        if answer.status != 503 {
            assert!(!answer.headers.contains_key("x-next-page-token"), "one page of {path} has all");
            return answer.expect(200);
        }
    }
}

/// Waits until search has acknowledged every change.
pub(crate) async fn all_is_indexed(store: &dynamo::Client) {
    until("search has acknowledged every change", async || is_taken(store).await).await;
}

/// Returns whether search has acknowledged every change.
pub(crate) async fn is_taken(store: &dynamo::Client) -> bool {
    for table in [&journals::JOURNALS, &sessions::SESSIONS] {
        let pending = store.table(table).query_index(&PENDING, TEXT).page().await.unwrap();
        if !pending.items.is_empty() {
            return false;
        }
    }
    true
}

fn sorted(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

impl Desk {
    /// Registers a client and a therapist with access to the journal.
    pub(crate) async fn open(mesh: &TestMesh) -> Self {
        let (client, therapist) = tokio::join!(mesh.client("Asha"), mesh.therapist("Noor", "Grief", "110001"));
        let desk = Self { client, therapist };
        let pair = json!({"therapistId": desk.therapist.id});
        let mapping = format!("/mapping/{}", desk.client.id);
        mesh.ask(Method::POST, &mapping, Some(&desk.client), Some(pair)).await.expect(201);
        let access = format!("/journal/{}/access?therapistId={}", desk.client.id, desk.therapist.id);
        let grant = json!({"access": "ACCEPTED"});
        mesh.ask(Method::PUT, &access, Some(&desk.client), Some(grant)).await.expect(200);
        desk
    }

    fn journal(&self, rest: &str) -> String {
        format!("/journal/{}{rest}", self.client.id)
    }

    /// Tries to add an entry.
    pub(crate) async fn try_write(&self, mesh: &TestMesh, note: &str) -> Answer {
        let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2099-12-31T12:00:00Z", "note": note});
        mesh.ask(Method::POST, &self.journal(""), Some(&self.client), Some(entry)).await
    }

    /// Adds an entry. Returns its id.
    pub(crate) async fn write(&self, mesh: &TestMesh, note: &str) -> String {
        text(&self.try_write(mesh, note).await.expect(201), "entryId")
    }

    pub(crate) async fn correct(&self, mesh: &TestMesh, entry: &str, change: Value) -> Answer {
        let path = self.journal(&format!("/entries/{entry}"));
        mesh.ask(Method::PUT, &path, Some(&self.client), Some(change)).await
    }

    pub(crate) async fn remove(&self, mesh: &TestMesh, entry: &str) -> Answer {
        let path = self.journal(&format!("?entryId={entry}"));
        mesh.ask(Method::DELETE, &path, Some(&self.client), None).await
    }

    /// Adds a session with the client, in the hour of this number, and notes. Returns its id.
    pub(crate) async fn book(&self, mesh: &TestMesh, number: u32, note: &str) -> String {
        let (month, day, hour) = (2 + number / 672, 1 + number / 24 % 28, number % 24);
        let session = json!({
            "sessionDate": format!("2100-{month:02}-{day:02}T{hour:02}:00:00Z"), "endTime": format!("{hour:02}:50"),
            "clientId": self.client.id, "sharedNotes": note, "privateNotes": "mine",
        });
        let made = mesh.ask(Method::POST, "/sessions", Some(&self.therapist), Some(session)).await.expect(201);
        text(&made, "sessionId")
    }

    /// Changes the shared notes of a session.
    pub(crate) async fn note(&self, mesh: &TestMesh, session: &str, note: &str) -> Answer {
        let path = format!("/sessions/{session}/notes");
        mesh.ask(Method::PUT, &path, Some(&self.therapist), Some(json!({"sharedNotes": note}))).await
    }

    /// Frees the slot of a session, with new notes in it.
    pub(crate) async fn free(&self, mesh: &TestMesh, session: &str) -> Answer {
        let path = format!("/sessions/{session}");
        mesh.ask(Method::PUT, &path, Some(&self.therapist), Some(json!({"status": "AVAILABLE"}))).await
    }

    pub(crate) async fn delete(&self, mesh: &TestMesh, session: &str) -> Answer {
        mesh.ask(Method::DELETE, &format!("/sessions/{session}"), Some(&self.therapist), None).await
    }

    /// Asserts that each of these words is found in exactly those texts in which the owners hold it.
    pub(crate) async fn assert_consistent(&self, mesh: &TestMesh, words: &[&str]) {
        for (who, is_client) in [(&self.client, true), (&self.therapist, false)] {
            let entries = read(mesh, &self.journal("?pageSize=200"), who).await;
            let sessions = read(mesh, "/sessions?pageSize=200", who).await;
            for word in words {
                let has = |value: &Value, field: &str| text(value, field).split(' ').any(|it| it == *word);
                let of = |list: &Value, id: &str, field: &str| {
                    let list = list.as_array().unwrap().iter().filter(|it| has(it, field));
                    list.map(|it| text(it, id)).collect::<Vec<_>>()
                };
                let own = if is_client { Vec::new() } else { of(&sessions, "sessionId", "privateNotes") };
                let held = [of(&entries, "entryId", "note"), of(&sessions, "sessionId", "sharedNotes"), own].concat();
                assert_eq!(found(mesh, who, word).await, sorted(held.into_iter()), "{word}, {is_client}");
            }
        }
    }
}
