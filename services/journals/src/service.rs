//! Implements the RPCs: authorizes requests and converts between protos and use cases.

use std::sync::Arc;

use chassis::{Context, paged, tagged, to_status};
use kernel::{Error, zip_violations};
use prost::Message as _;
use proto::journals::v1 as pb;
use proto::journals::v1::journal_service_server::JournalService;
use tonic::{Request, Response, Status};

use crate::error::{no_entry, no_journal};
use crate::model::EntryId;
use crate::ops::Ops;
use crate::policy;
use crate::wire;

/// Path of this RPC, which separates its idempotency keys from those of others.
const CREATE: &str = "/therapy.journals.v1.JournalService/CreateEntry";

/// The service of the proto.
#[derive(Clone)]
pub(crate) struct Journals(pub(crate) Arc<Ops>);

impl Journals {
    async fn list(&self, context: Context, request: pb::ListEntriesRequest) -> Result<pb::ListEntriesResponse, Error> {
        let reading = policy::read(context.person()?, &request.client_id, no_journal)?;
        let client = reading.client();
        let query = wire::entry_query(request)?;
        Ok(wire::entries(self.0.list(&context, reading, query).await?, client))
    }

    async fn create(&self, context: Context, mut request: pb::CreateEntryRequest) -> Result<pb::JournalEntry, Error> {
        let person = context.person()?;
        let permit = policy::write(person, &request.client_id)?;
        convert::id::normalize([&mut request.client_id]);
        if let Some(entry) = &mut request.entry {
            convert::id::normalize([&mut entry.client_id]);
        }
        let body = request.encode_to_vec();
        let key = context.idempotency_key.as_deref();
        let claim = self.0.idempotency.claim_if_keyed(key, person.user_id.as_bytes(), CREATE, &body);
        let pb::CreateEntryRequest { client_id: _, entry } = request;
        let draft = wire::draft(entry.unwrap_or_default(), permit, self.0.now());
        let (draft, claim) = zip_violations(draft, claim)?;
        let entry = self.0.create(&context, permit, draft, claim).await?;
        Ok(wire::entry(permit.read().view(entry), permit.client()))
    }

    async fn get(&self, context: Context, request: pb::GetEntryRequest) -> Result<pb::JournalEntry, Error> {
        let pb::GetEntryRequest { client_id, entry_id } = request;
        let reading = policy::read(context.person()?, &client_id, no_entry)?;
        let client = reading.client();
        let entry = self.0.get(&context, reading, entry_id.parse().ok()).await?;
        Ok(wire::entry(entry, client))
    }

    async fn update(&self, context: Context, request: pb::UpdateEntryRequest) -> Result<pb::JournalEntry, Error> {
        let pb::UpdateEntryRequest { client_id, entry_id, entry } = request;
        let permit = policy::write(context.person()?, &client_id)?;
        let id = entry_id.parse::<EntryId>().map_err(|_| no_entry())?;
        let entry = entry.unwrap_or_default();
        let expected = context.expected.and_etag(&entry.etag);
        let (change, expected) = zip_violations(wire::change(entry, permit, id), expected)?;
        let entry = self.0.update(&context, permit, id, change, &expected).await?;
        Ok(wire::entry(permit.read().view(entry), permit.client()))
    }

    async fn delete(&self, context: Context, request: pb::DeleteEntryRequest) -> Result<(), Error> {
        let pb::DeleteEntryRequest { client_id, entry_id } = request;
        let permit = policy::write(context.person()?, &client_id)?;
        let id = wire::to_remove(&entry_id)?.ok_or_else(no_entry)?;
        self.0.delete(permit, id, &context.expected).await
    }

    async fn insights(&self, context: Context, request: pb::GetInsightsRequest) -> Result<pb::Insights, Error> {
        let reading = policy::read(context.person()?, &request.client_id, no_journal)?;
        let plan = wire::plan(request, self.0.now())?;
        self.0.insights(&context, reading, plan).await.map(|sums| wire::insights(&sums))
    }
}

#[tonic::async_trait]
impl JournalService for Journals {
    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let page = self.list(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        let next = convert::page::token_from_proto(page.next_page_token.clone());
        Ok(paged(page, next.as_deref()))
    }

    async fn create_entry(
        &self,
        request: Request<pb::CreateEntryRequest>,
    ) -> Result<Response<pb::JournalEntry>, Status> {
        self.create(Context::of(&request), request.into_inner()).await.map(tagged).map_err(to_status)
    }

    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Result<Response<pb::JournalEntry>, Status> {
        self.get(Context::of(&request), request.into_inner()).await.map(tagged).map_err(to_status)
    }

    async fn update_entry(
        &self,
        request: Request<pb::UpdateEntryRequest>,
    ) -> Result<Response<pb::JournalEntry>, Status> {
        self.update(Context::of(&request), request.into_inner()).await.map(tagged).map_err(to_status)
    }

    async fn delete_entry(
        &self,
        request: Request<pb::DeleteEntryRequest>,
    ) -> Result<Response<pb::DeleteEntryResponse>, Status> {
        self.delete(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::DeleteEntryResponse {}))
    }

    async fn get_insights(&self, request: Request<pb::GetInsightsRequest>) -> Result<Response<pb::Insights>, Status> {
        self.insights(Context::of(&request), request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    async fn get_vocabulary(
        &self,
        _request: Request<pb::GetVocabularyRequest>,
    ) -> Result<Response<pb::Vocabulary>, Status> {
        Ok(Response::new(wire::vocabulary()))
    }
}
