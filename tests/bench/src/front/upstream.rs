//! A constant journal: no store, no checks, no work.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chassis::{HTTP_BODY_FIELD, HTTP_CODE};
use prost::Message;
use prost_types::Timestamp;
use proto::journals::v1::{
    CreateEntryRequest, GetEntryRequest, JournalEntry, ListEntriesRequest, ListEntriesResponse, Visibility,
};
use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

/// Paths of the RPCs that the load calls.
pub(super) const GET: &str = "/therapy.journals.v1.JournalService/GetEntry";
pub(super) const LIST: &str = "/therapy.journals.v1.JournalService/ListEntries";
pub(super) const CREATE: &str = "/therapy.journals.v1.JournalService/CreateEntry";

pub(super) const CLIENT: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";
pub(super) const NOTE: &str =
    "A long day, and nobody asked how it was. The walk home along the river helped, a little; I counted boats.";
/// Number of entries.
pub(super) const LENGTH: i32 = 100;

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
        Self((0..LENGTH.unsigned_abs()).map(entry).collect())
    }

    pub(super) fn one(&self) -> JournalEntry {
        self.0.first().cloned().unwrap_or_default()
    }

    pub(super) fn list(&self) -> Vec<JournalEntry> {
        self.0.to_vec()
    }
}

/// Answers by the path of the call, so that the service's other RPCs don't concern it.
impl Service<http::Request<Body>> for Journal {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let journal = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                GET => unary(request, move |_: GetEntryRequest| Response::new(journal.one())).await,
                LIST => unary(request, move |_: ListEntriesRequest| journal.answer_list()).await,
                CREATE => unary(request, move |sent| journal.answer_create(sent)).await,
                _ => Status::unimplemented("nothing here asks for it").into_http(),
            })
        })
    }
}

impl NamedService for Journal {
    const NAME: &'static str = "therapy.journals.v1.JournalService";
}

impl Journal {
    fn answer_list(&self) -> Response<ListEntriesResponse> {
        let mut response = Response::new(ListEntriesResponse { entries: self.list(), next_page_token: String::new() });
        // As every service of the mesh does for the fronts.
        response.metadata_mut().insert(HTTP_BODY_FIELD, MetadataValue::from_static("entries"));
        response
    }

    fn answer_create(&self, sent: CreateEntryRequest) -> Response<JournalEntry> {
        let JournalEntry { emotion, intensity, timestamp, note, .. } = sent.entry.unwrap_or_default();
        let mut response = Response::new(JournalEntry { emotion, intensity, timestamp, note, ..self.one() });
        response.metadata_mut().insert(HTTP_CODE, MetadataValue::from(201));
        response
    }
}

/// Answers a unary call with the result of a function.
async fn unary<Q, A>(
    request: http::Request<Body>,
    answer: impl Fn(Q) -> Response<A> + Send + Sync,
) -> http::Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    let service = tower::service_fn(|request: Request<Q>| ready(Ok::<_, Status>(answer(request.into_inner()))));
    Grpc::new(ProstCodec::<A, Q>::default()).unary(service, request).await
}

#[cfg(test)]
mod tests {
    use proto::journals::v1::GetVocabularyRequest;
    use proto::journals::v1::journal_service_client::JournalServiceClient;
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn calls_of_the_load_are_answered_and_others_are_not() {
        let mut client = JournalServiceClient::new(Journal::new());
        assert_eq!(client.get_entry(GetEntryRequest::default()).await.unwrap().into_inner(), entry(0));
        let list = client.list_entries(ListEntriesRequest::default()).await.unwrap();
        assert_eq!(list.metadata().get(HTTP_BODY_FIELD).unwrap(), "entries");
        assert_eq!(list.into_inner().entries.len(), 100);
        let sent = JournalEntry { note: Some("new".to_owned()), ..JournalEntry::default() };
        let request = CreateEntryRequest { client_id: CLIENT.to_owned(), entry: Some(sent) };
        let created = client.create_entry(request).await.unwrap();
        assert_eq!(created.metadata().get(HTTP_CODE).unwrap(), "201");
        assert_eq!(created.into_inner().note.as_deref(), Some("new"));
        let other = client.get_vocabulary(GetVocabularyRequest::default()).await.unwrap_err();
        assert_eq!(other.code(), Code::Unimplemented);
    }
}
