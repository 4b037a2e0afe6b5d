//! Implements the RPCs: authorizes requests and converts between protos and use cases.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use kernel::zip_violations;
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

#[tonic::async_trait]
impl JournalService for Journals {
    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let request = request.into_inner();
        let client = request.client_id.clone();
        let reading = policy::read(person, &client, no_journal).map_err(to_status)?;
        let query = wire::entry_query(request).map_err(to_status)?;
        let page = self.0.list(&context, reading, query).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::entries(page, &client), next.as_deref()))
    }

    async fn create_entry(
        &self,
        request: Request<pb::CreateEntryRequest>,
    ) -> Result<Response<pb::JournalEntry>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let request = request.into_inner();
        let permit = policy::write(person, &request.client_id).map_err(to_status)?;
        let body = request.encode_to_vec();
        let key = context.idempotency_key.as_deref();
        let claim = self.0.idempotency.claim_if_keyed(key, person.user_id.as_bytes(), CREATE, &body);
        let pb::CreateEntryRequest { client_id, entry } = request;
        let draft = wire::draft(entry.unwrap_or_default(), permit, self.0.now());
        let (draft, claim) = zip_violations(draft, claim).map_err(to_status)?;
        let entry = self.0.create(&context, permit, draft, claim).await.map_err(to_status)?;
        Ok(Response::new(wire::entry(permit.read().view(entry), client_id)))
    }

    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Result<Response<pb::JournalEntry>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::GetEntryRequest { client_id, entry_id } = request.into_inner();
        let reading = policy::read(person, &client_id, no_entry).map_err(to_status)?;
        let entry = self.0.get(&context, reading, entry_id.parse().ok()).await.map_err(to_status)?;
        Ok(Response::new(wire::entry(entry, client_id)))
    }

    async fn update_entry(
        &self,
        request: Request<pb::UpdateEntryRequest>,
    ) -> Result<Response<pb::JournalEntry>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::UpdateEntryRequest { client_id, entry_id, entry } = request.into_inner();
        let permit = policy::write(person, &client_id).map_err(to_status)?;
        let id = entry_id.parse::<EntryId>().map_err(|_| to_status(no_entry()))?;
        let (change, expected) = wire::change(entry.unwrap_or_default(), permit, id).map_err(to_status)?;
        let entry = self.0.update(&context, permit, id, change, expected).await.map_err(to_status)?;
        Ok(Response::new(wire::entry(permit.read().view(entry), client_id)))
    }

    async fn delete_entry(
        &self,
        request: Request<pb::DeleteEntryRequest>,
    ) -> Result<Response<pb::DeleteEntryResponse>, Status> {
        let person = Context::of(&request).person().map_err(to_status)?;
        let pb::DeleteEntryRequest { client_id, entry_id } = request.into_inner();
        let permit = policy::write(person, &client_id).map_err(to_status)?;
        let id = wire::to_remove(&entry_id).and_then(|id| id.ok_or_else(no_entry)).map_err(to_status)?;
        self.0.delete(permit, id).await.map_err(to_status)?;
        Ok(Response::new(pb::DeleteEntryResponse {}))
    }

    async fn get_insights(&self, request: Request<pb::GetInsightsRequest>) -> Result<Response<pb::Insights>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let request = request.into_inner();
        let reading = policy::read(person, &request.client_id, no_journal).map_err(to_status)?;
        let plan = wire::plan(request, self.0.now()).map_err(to_status)?;
        let sums = self.0.insights(&context, reading, plan).await.map_err(to_status)?;
        Ok(Response::new(wire::insights(&sums)))
    }

    async fn get_vocabulary(
        &self,
        _request: Request<pb::GetVocabularyRequest>,
    ) -> Result<Response<pb::Vocabulary>, Status> {
        Ok(Response::new(wire::vocabulary()))
    }
}
