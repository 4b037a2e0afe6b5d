//! Random people, texts, grants and changes of them, over REST. What is left of them, the oracle reads.

use std::time::Duration;

use kernel::{Clock as _, Timestamp};
use kit::mesh::{Answer, Someone, TestMesh};
use reqwest::Method;
use serde_json::{Value, json};

use super::hits::text;
use crate::model::random::Random;

/// Number of clients, and one less of therapists.
const CLIENTS: usize = 3;
const THERAPISTS: usize = 2;

/// Words of texts, names and queries. None begins like another one, and none has the stem of another.
pub(crate) const WORDS: [&str; 6] = ["amber", "birch", "copper", "dune", "elm", "fern"];

/// Milliseconds of the journals before the first time of the clock.
const PAST: i64 = 60 * 60 * 1000;

/// A mesh with five people.
pub(crate) struct World<'a> {
    pub(crate) mesh: &'a TestMesh,
    pub(crate) random: Random,
    /// Clients whose accounts have not ended.
    pub(crate) clients: Vec<Someone>,
    pub(crate) therapists: Vec<Someone>,
    /// Ids of clients whose accounts have ended.
    pub(crate) ended: Vec<String>,
    /// Entries with the number of their client's id among all; some were removed.
    entries: Vec<(String, String)>,
    /// Sessions with their therapists; some were deleted.
    pub(crate) sessions: Vec<(String, usize)>,
    slots: i64,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Write,
    Correct,
    Remove,
    Map,
    Grant,
    Revoke,
    EndRelation,
    AddSession,
    EditSession,
    DeleteSession,
    Rename,
    PassTime,
}

const CHANGES: [(usize, Change); 12] = [
    (30, Change::Write),
    (15, Change::Correct),
    (6, Change::Remove),
    (8, Change::Map),
    (12, Change::Grant),
    (4, Change::Revoke),
    (3, Change::EndRelation),
    (14, Change::AddSession),
    (16, Change::EditSession),
    (3, Change::DeleteSession),
    (2, Change::Rename),
    (4, Change::PassTime),
];

impl<'a> World<'a> {
    pub(crate) async fn new(mesh: &'a TestMesh, random: Random) -> Self {
        let mut world = Self {
            mesh,
            random,
            clients: Vec::new(),
            therapists: Vec::new(),
            ended: Vec::new(),
            entries: Vec::new(),
            sessions: Vec::new(),
            slots: 0,
        };
        for _ in 0..CLIENTS {
            let name = world.words(2);
            world.clients.push(mesh.client(&name).await);
        }
        for _ in 0..THERAPISTS {
            world.therapists.push(mesh.therapist("Noor", "Grief", "110001").await);
        }
        for client in &world.clients {
            for therapist in &world.therapists {
                let body = json!({"therapistId": therapist.id});
                let path = format!("/mapping/{}", client.id);
                mesh.ask(Method::POST, &path, Some(client), Some(body)).await.expect(201);
            }
        }
        world
    }

    /// Returns all people whose accounts have not ended: clients, then therapists.
    pub(crate) fn people(&self) -> impl Iterator<Item = (&Someone, bool)> {
        let clients = self.clients.iter().map(|who| (who, true));
        clients.chain(self.therapists.iter().map(|who| (who, false)))
    }

    /// Returns up to `most` words, at least one.
    pub(crate) fn words(&mut self, most: usize) -> String {
        let count = 1 + self.random.below(most);
        (0..count).map(|_| *self.random.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }

    /// Changes something. Whether the change is allowed doesn't matter, as long as it is answered.
    pub(crate) async fn change(&mut self) {
        let change = self.random.weighted(&CHANGES);
        let answer = match change {
            Change::Write => self.write().await,
            Change::Correct => self.correct().await,
            Change::Remove => self.remove().await,
            Change::Map => self.map().await,
            Change::Grant => self.grant().await,
            Change::Revoke => self.revoke().await,
            Change::EndRelation => self.end_relation().await,
            Change::AddSession => self.add_session().await,
            Change::EditSession => self.change_session().await,
            Change::DeleteSession => self.delete_session().await,
            Change::Rename => self.rename().await,
            Change::PassTime => {
                self.mesh.pass(Duration::from_secs(5));
                None
            }
        };
        if let Some(answer) = answer {
            assert!(answer.status < 500, "{change:?}: {} {}", answer.status, answer.body);
        }
    }

    /// Ends the account of a client.
    pub(crate) async fn end_account(&mut self) {
        let client = self.clients.remove(0);
        let path = format!("/clients/{}", client.id);
        assert_eq!(self.ask(Method::DELETE, &path, &client, None).await.status, 204);
        self.ended.push(client.id);
    }

    async fn ask(&self, method: Method, path: &str, who: &Someone, body: Option<Value>) -> Answer {
        self.mesh.ask(method, path, Some(who), body).await
    }

    fn pair(&mut self) -> (Someone, Someone) {
        (self.random.pick(&self.clients).clone(), self.random.pick(&self.therapists).clone())
    }

    /// Returns a time of the journals.
    pub(crate) fn past(&mut self) -> Timestamp {
        // Few times, so that some are equal.
        let ago = self.random.between(0, 60) * PAST / 60;
        Timestamp::from_millisecond(4_102_444_800_000 - ago).unwrap()
    }

    fn visibility(&mut self) -> &'static str {
        if self.random.percent(30) { "PRIVATE" } else { "SHARED" }
    }

    async fn write(&mut self) -> Option<Answer> {
        let (client, _) = self.pair();
        let entry = json!({
            "emotion": self.words(1), "intensity": 3, "timestamp": self.past().to_string(), "note": self.words(4),
            "visibility": self.visibility(),
        });
        let made = self.ask(Method::POST, &format!("/journal/{}", client.id), &client, Some(entry)).await.expect(201);
        self.entries.push((text(&made, "entryId"), client.id));
        None
    }

    /// Returns an entry of a client whose account has not ended.
    fn entry(&mut self) -> Option<(String, Someone)> {
        if self.entries.is_empty() {
            return None;
        }
        let (entry, client) = self.random.pick(&self.entries).clone();
        self.clients.iter().find(|known| known.id == client).map(|client| (entry, client.clone()))
    }

    async fn correct(&mut self) -> Option<Answer> {
        let (entry, client) = self.entry()?;
        let change = match self.random.below(3) {
            0 => json!({"note": self.words(4)}),
            1 => json!({"visibility": self.visibility()}),
            _ => json!({"note": self.words(4), "emotion": self.words(1), "visibility": self.visibility()}),
        };
        let path = format!("/journal/{}/entries/{entry}", client.id);
        Some(self.ask(Method::PUT, &path, &client, Some(change)).await)
    }

    async fn remove(&mut self) -> Option<Answer> {
        let (entry, client) = self.entry()?;
        let path = format!("/journal/{}?entryId={entry}", client.id);
        Some(self.ask(Method::DELETE, &path, &client, None).await)
    }

    async fn map(&mut self) -> Option<Answer> {
        let (client, therapist) = self.pair();
        let body = json!({"therapistId": therapist.id});
        Some(self.ask(Method::POST, &format!("/mapping/{}", client.id), &client, Some(body)).await)
    }

    async fn grant(&mut self) -> Option<Answer> {
        let (client, therapist) = self.pair();
        let mut change = json!({"access": "ACCEPTED"});
        if self.random.percent(50) {
            change["entriesFrom"] = self.past().to_string().into();
        }
        if self.random.percent(40) {
            let soon = self.mesh.clock.now().checked_add(Duration::from_secs(8)).unwrap();
            change["expiresAt"] = soon.to_string().into();
        }
        let path = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
        Some(self.ask(Method::PUT, &path, &client, Some(change)).await)
    }

    async fn revoke(&mut self) -> Option<Answer> {
        let (client, therapist) = self.pair();
        let path = format!("/mapping/{}/access?therapistId={}", client.id, therapist.id);
        Some(self.ask(Method::DELETE, &path, &client, None).await)
    }

    async fn end_relation(&mut self) -> Option<Answer> {
        let (client, therapist) = self.pair();
        let path = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
        let by = if self.random.percent(50) { &client } else { &therapist };
        Some(self.ask(Method::DELETE, &path, by, None).await)
    }

    /// Returns a new hour to come.
    fn slot(&mut self) -> Value {
        self.slots += 1;
        let start = 4_102_444_800 + (24 + self.slots) * 3600;
        let start = Timestamp::from_second(start).unwrap().to_string();
        json!({"sessionDate": start, "endTime": format!("{}:50", &start[11..13])})
    }

    async fn add_session(&mut self) -> Option<Answer> {
        let number = self.random.below(self.therapists.len());
        let therapist = self.therapists[number].clone();
        let mut session = self.slot();
        (session["privateNotes"], session["sharedNotes"]) = (self.words(3).into(), self.words(3).into());
        if self.random.percent(70) {
            session["clientId"] = self.random.pick(&self.clients).id.as_str().into();
        }
        let made = self.ask(Method::POST, "/sessions", &therapist, Some(session)).await;
        if made.status == 201 {
            self.sessions.push((text(&made.body, "sessionId"), number));
        }
        Some(made)
    }

    async fn change_session(&mut self) -> Option<Answer> {
        if self.sessions.is_empty() {
            return None;
        }
        let (session, therapist) = self.random.pick(&self.sessions).clone();
        let change = match self.random.below(6) {
            0 | 1 => json!({"privateNotes": self.words(3)}),
            2 => json!({"sharedNotes": self.words(3), "privateNotes": ""}),
            3 => json!({"status": "AVAILABLE"}),
            4 => json!({"status": "CANCELLED"}),
            _ => self.slot(),
        };
        let therapist = self.therapists[therapist].clone();
        Some(self.ask(Method::PUT, &format!("/sessions/{session}"), &therapist, Some(change)).await)
    }

    async fn delete_session(&mut self) -> Option<Answer> {
        if self.sessions.is_empty() {
            return None;
        }
        let (session, therapist) = self.random.pick(&self.sessions).clone();
        let therapist = self.therapists[therapist].clone();
        Some(self.ask(Method::DELETE, &format!("/sessions/{session}"), &therapist, None).await)
    }

    async fn rename(&mut self) -> Option<Answer> {
        let (client, _) = self.pair();
        let profile = json!({"name": self.words(2), "email": client.email, "pincode": "110001"});
        Some(self.ask(Method::PUT, &format!("/clients/{}", client.id), &client, Some(profile)).await)
    }
}
