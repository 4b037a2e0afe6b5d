//! A constant journal: no store, no checks, no work.

use std::sync::Arc;

use chassis::{HTTP_BODY_FIELD, HTTP_CODE};
use prost_types::Timestamp;
use proto::journals::v1::journal_service_server::JournalService;
use proto::journals::v1::{
    CreateEntryRequest, DeleteEntryRequest, DeleteEntryResponse, GetEntryRequest, GetInsightsRequest,
    GetVocabularyRequest, Insights, JournalEntry, ListEntriesRequest, ListEntriesResponse, UpdateEntryRequest,
    Visibility, Vocabulary,
};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

pub(super) const CLIENT: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";
pub(super) const NOTE: &str =
    "A long day, and nobody asked how it was. The walk home along the river helped, a little; I counted boats.";
pub(super) const LIST: i32 = 100;

/// Returns entry `number`. Entries are a minute apart.
pub(super) fn entry(number: u32) -> JournalEntry {
    let at = |nanos| Some(Timestamp { seconds: 1_700_000_000 + i64::from(number) * 60, nanos });
    JournalEntry {
        entry_id: format!("01HF7YAT00{number:016}"),
        client_id: CLIENT.to_owned(),
        emotion: Some("lonely".to_owned()),
        intensity: Some(3),
        timestamp: at(0),
        note: Some(NOTE.to_owned()),
        family: "sadness".to_owned(),
        visibility: Visibility::Shared.into(),
        created_at: at(123_456_000),
        updated_at: at(654_321_000),
        etag: "1".to_owned(),
    }
}

/// Fixed answers of the service and of the plain handlers.
#[derive(Debug, Clone)]
pub(super) struct Journal(Arc<[JournalEntry]>);

impl Journal {
    pub(super) fn new() -> Self {
        Self((0..LIST.unsigned_abs()).map(entry).collect())
    }

    pub(super) fn one(&self) -> JournalEntry {
        self.0.first().cloned().unwrap_or_default()
    }

    pub(super) fn list(&self) -> Vec<JournalEntry> {
        self.0.to_vec()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl JournalService for Journal {
    async fn list_entries(&self, _: Request<ListEntriesRequest>) -> Answer<ListEntriesResponse> {
        let mut response = Response::new(ListEntriesResponse { entries: self.list(), next_page_token: String::new() });
        // As every service of the mesh does for the fronts.
        response.metadata_mut().insert(HTTP_BODY_FIELD, MetadataValue::from_static("entries"));
        Ok(response)
    }

    async fn create_entry(&self, request: Request<CreateEntryRequest>) -> Answer<JournalEntry> {
        let sent = request.into_inner().entry.unwrap_or_default();
        let JournalEntry { emotion, intensity, timestamp, note, .. } = sent;
        let mut response = Response::new(JournalEntry { emotion, intensity, timestamp, note, ..self.one() });
        response.metadata_mut().insert(HTTP_CODE, MetadataValue::from(201));
        Ok(response)
    }

    async fn get_entry(&self, _: Request<GetEntryRequest>) -> Answer<JournalEntry> {
        Ok(Response::new(self.one()))
    }

    async fn update_entry(&self, _: Request<UpdateEntryRequest>) -> Answer<JournalEntry> {
        Err(not_served())
    }

    async fn delete_entry(&self, _: Request<DeleteEntryRequest>) -> Answer<DeleteEntryResponse> {
        Err(not_served())
    }

    async fn get_insights(&self, _: Request<GetInsightsRequest>) -> Answer<Insights> {
        Err(not_served())
    }

    async fn get_vocabulary(&self, _: Request<GetVocabularyRequest>) -> Answer<Vocabulary> {
        Err(not_served())
    }
}

fn not_served() -> Status {
    Status::unimplemented("nothing here asks for it")
}
