//! Writes of journal entries, compared with the model.

use reqwest::Method;
use serde_json::{Value, json};

use crate::model::journal::{Entry, Reader, time_of};
use crate::model::world::{Who, World, at, own};
use crate::model::{DAY, NOT_FOUND, Refusal};

const BAD: Refusal = (400, "INVALID_FIELDS");

/// Emotions outside the vocabulary.
pub(crate) const OWN_WORDS: [&str; 3] = ["verklempt", "Sunday blues", "außer mir"];

impl World<'_> {
    /// Adds an entry of the last 60 days, sometimes of the same millisecond as another one.
    pub(crate) async fn add(&mut self) {
        let (client, _) = self.pair();
        let caller = self.caller(Who::Client(client));
        let (now, emotion, intensity) = (self.now(), self.emotion(), self.random.between(1, 6));
        let felt_at = match self.journals[client].last() {
            Some(last) if self.random.percent(15) => last.felt_at,
            _ => now - self.random.between(0, 60 * DAY),
        };
        let mut body = json!({"emotion": emotion, "intensity": intensity, "timestamp": at(felt_at)});
        let note =
            if self.random.percent(70) { format!("note {}", self.random.below(1_000_000)) } else { String::new() };
        if !note.is_empty() {
            body["note"] = note.as_str().into();
        }
        let visibility = *self.random.pick(&[None, Some("SHARED"), Some("PRIVATE")]);
        if let Some(visibility) = visibility {
            body["visibility"] = visibility.into();
        }
        let bad = self.random.percent(5);
        if bad {
            let (field, value) = self.random.pick(&BAD_FIELDS);
            body[*field] = serde_json::from_str(value).unwrap();
        }
        let path = if self.random.percent(80) { "/journal/{}" } else { "/clients/{}/journals" };
        let path = path.replace("{}", &self.client_id(client));
        let expected = own(caller, client).and(if bad { Err(BAD) } else { Ok(()) });
        let answer = self.ask(caller, Method::POST, &path, Some(body)).await;
        self.hold(&answer, expected.map(|()| 201));
        if expected.is_err() {
            return;
        }
        let text = |field: &str| answer.body[field].as_str().unwrap_or_default().to_owned();
        let entry = Entry {
            id: text("entryId"),
            felt_at,
            emotion,
            intensity,
            note,
            private: visibility == Some("PRIVATE"),
            created_at: now,
            updated_at: now,
            shared_since: now,
            etag: text("etag"),
        };
        self.same("the entry", &answer.body, &self.shown(client, &entry, None));
        if time_of(&entry.id) != felt_at || entry.etag.is_empty() {
            self.fail("an entry's id has the time of the emotion, and an entry has a version");
        }
        self.journals[client].push(entry);
    }

    /// Returns an entry as the reader sees it: a therapist sees it as created when last made SHARED, without an etag.
    pub(crate) fn shown(&self, client: usize, entry: &Entry, reader: Reader<'_>) -> Value {
        let (created_at, etag) = match reader {
            None => (entry.created_at, entry.etag.as_str()),
            Some(_) => (entry.shared_since, ""),
        };
        json!({
            "entryId": entry.id,
            "clientId": self.client_id(client),
            "emotion": entry.emotion,
            "intensity": entry.intensity,
            "timestamp": at(entry.felt_at),
            "note": entry.note,
            "family": self.words.family_of(&entry.emotion),
            "visibility": if entry.private { "PRIVATE" } else { "SHARED" },
            "createdAt": at(created_at),
            "updatedAt": at(entry.updated_at),
            "etag": etag,
        })
    }

    /// Corrects some fields of an entry, with a current, stale or missing etag.
    pub(crate) async fn correct(&mut self) {
        let (client, _) = self.pair();
        let caller = self.caller(Who::Client(client));
        let id = self.some_entry(client);
        let now = self.now();
        let place = self.journals[client].iter().position(|entry| entry.id == id);
        let old = place.map(|place| self.journals[client][place].clone());
        let (mut body, mut new, mut refusal) = (json!({}), old.clone(), None);
        let mut change = Entry { updated_at: now, ..old.clone().unwrap_or_default() };
        if self.random.percent(40) {
            change.emotion = self.emotion();
            body["emotion"] = change.emotion.as_str().into();
        }
        if self.random.percent(40) {
            change.intensity = self.random.between(1, 6);
            body["intensity"] = change.intensity.into();
        }
        if self.random.percent(40) {
            change.note = if self.random.percent(20) { String::new() } else { format!("corrected at {now}") };
            body["note"] = change.note.as_str().into();
        }
        if self.random.percent(40) {
            change.private = self.random.percent(50);
            if old.as_ref().is_some_and(|old| old.private) && !change.private {
                change.shared_since = now;
            }
            body["visibility"] = if change.private { "PRIVATE" } else { "SHARED" }.into();
        }
        if let Some(old) = &old {
            match self.random.below(10) {
                0 => {
                    body["timestamp"] = at(old.felt_at + 1).into();
                    refusal = Some(BAD);
                }
                1 => body["timestamp"] = at(old.felt_at).into(),
                2 => {
                    body["etag"] = self.other_etag(client, old).into();
                    refusal = Some((409, "STALE_ETAG"));
                }
                3 => body["etag"] = old.etag.as_str().into(),
                _ => {}
            }
            new = Some(change);
        }
        let expected = own(caller, client).and_then(|()| new.ok_or(NOT_FOUND));
        let expected = expected.and_then(|entry| refusal.map_or(Ok(entry), Err));
        let path = format!("/journal/{}/entries/{id}", self.client_id(client));
        let answer = self.ask(caller, Method::PUT, &path, Some(body)).await;
        self.hold(&answer, expected.as_ref().map(|_| 200).map_err(|refusal| *refusal));
        let (Ok(mut entry), Some(place)) = (expected, place) else { return };
        let etag = answer.body["etag"].as_str().unwrap_or_default();
        if etag == entry.etag || etag.is_empty() {
            self.fail("a correction makes a new version");
        }
        etag.clone_into(&mut entry.etag);
        self.same("the corrected entry", &answer.body, &self.shown(client, &entry, None));
        self.journals[client][place] = entry;
    }

    /// Picks an etag of another entry or an invalid one.
    fn other_etag(&mut self, client: usize, entry: &Entry) -> String {
        let others: Vec<_> =
            self.journals[client].iter().map(|it| it.etag.clone()).filter(|etag| *etag != entry.etag).collect();
        if others.is_empty() { "no version".to_owned() } else { self.random.pick(&others).clone() }
    }

    /// Removes an existing or missing entry.
    pub(crate) async fn remove(&mut self) {
        let (client, _) = self.pair();
        let caller = self.caller(Who::Client(client));
        let id = self.some_entry(client);
        let place = self.journals[client].iter().position(|entry| entry.id == id);
        let expected = own(caller, client).and(place.ok_or(NOT_FOUND));
        let path = format!("/journal/{}?entryId={id}", self.client_id(client));
        let answer = self.ask(caller, Method::DELETE, &path, None).await;
        self.hold(&answer, expected.map(|_| 200));
        if let Ok(place) = expected {
            self.journals[client].swap_remove(place);
            self.removed[client].push(id);
        }
    }

    /// Picks the id of an entry of this client, sometimes of a removed one, of another client or of none.
    pub(crate) fn some_entry(&mut self, client: usize) -> String {
        let own: Vec<_> = self.journals[client].iter().map(|entry| entry.id.clone()).collect();
        let others: Vec<_> = self.journals.iter().flatten().map(|entry| entry.id.clone()).collect();
        match self.random.below(12) {
            0 if !self.removed[client].is_empty() => self.random.pick(&self.removed[client]).clone(),
            1 if !others.is_empty() => self.random.pick(&others).clone(),
            2 => "nothing".to_owned(),
            _ if own.is_empty() => "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            _ => self.random.pick(&own).clone(),
        }
    }

    pub(crate) fn emotion(&mut self) -> String {
        if self.random.percent(15) {
            return (*self.random.pick(&OWN_WORDS)).to_owned();
        }
        let words: Vec<_> = self.words.family.keys().collect();
        let word = (*self.random.pick(&words)).clone();
        if self.random.percent(10) { word.to_uppercase() } else { word }
    }
}

/// Invalid fields of an entry, as JSON.
const BAD_FIELDS: [(&str, &str); 8] = [
    ("intensity", "0"),
    ("intensity", "6"),
    ("intensity", "-1"),
    ("emotion", "\"\""),
    ("emotion", "\" \\t\""),
    ("timestamp", "\"2999-01-01T00:00:00Z\""),
    ("timestamp", "\"1969-12-31T23:59:59Z\""),
    ("clientId", "\"somebody else\""),
];
