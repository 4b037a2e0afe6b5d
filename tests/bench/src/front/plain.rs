//! Upper bound: the same answers by axum handlers and serde, without a service behind them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use proto::journals::v1::JournalEntry;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use super::upstream::Journal;

pub(super) fn router() -> Router {
    Router::new()
        .route("/journal/{client_id}", get(list).post(create))
        .route("/journal/{client_id}/entries/{entry_id}", get(one))
        .with_state(Journal::new())
}

async fn one(State(journal): State<Journal>) -> Json<Entry> {
    Json(Entry(journal.one()))
}

async fn list(State(journal): State<Journal>) -> Json<Vec<Entry>> {
    Json(journal.list().into_iter().map(Entry).collect())
}

async fn create(State(journal): State<Journal>, Json(sent): Json<NewEntry>) -> (StatusCode, Json<Entry>) {
    let JournalEntry { emotion, intensity, timestamp, note, .. } = sent.into();
    (StatusCode::CREATED, Json(Entry(JournalEntry { emotion, intensity, timestamp, note, ..journal.one() })))
}

#[derive(Deserialize)]
pub(super) struct NewEntry {
    emotion: Option<String>,
    intensity: Option<i32>,
    timestamp: Option<Timestamp>,
    note: Option<String>,
}

impl From<NewEntry> for JournalEntry {
    fn from(new: NewEntry) -> Self {
        let NewEntry { emotion, intensity, timestamp, note } = new;
        let timestamp =
            timestamp.map(|at| prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() });
        Self { emotion, intensity, timestamp, note, ..Self::default() }
    }
}

pub(super) struct Entry(pub(super) JournalEntry);

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(entry) = self;
        let at = |at: &Option<prost_types::Timestamp>| at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
        let mut members = serializer.serialize_struct("Entry", 11)?;
        members.serialize_field("entryId", &entry.entry_id)?;
        members.serialize_field("clientId", &entry.client_id)?;
        members.serialize_field("emotion", &entry.emotion)?;
        members.serialize_field("intensity", &entry.intensity)?;
        members.serialize_field("timestamp", &at(&entry.timestamp))?;
        members.serialize_field("note", &entry.note)?;
        members.serialize_field("family", &entry.family)?;
        members.serialize_field("visibility", entry.visibility().as_str_name())?;
        members.serialize_field("createdAt", &at(&entry.created_at))?;
        members.serialize_field("updatedAt", &at(&entry.updated_at))?;
        members.serialize_field("etag", &entry.etag)?;
        members.end()
    }
}
