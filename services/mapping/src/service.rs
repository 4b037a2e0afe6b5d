//! Implements the RPCs that people call: authorizes requests and converts between protos and use cases.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use dynamo::Claim;
use kernel::{Error, Page, Timestamp, zip_violations};
use peers::TherapistName;
use prost::Message as _;
use proto::mapping::v1 as pb;
use proto::mapping::v1::mapping_service_server::MappingService;
use tonic::{Request, Response, Status};

use crate::error;
use crate::model::{Intent, Relation, Shown, Wanted};
use crate::ops::Ops;
use crate::policy::{self, Act, Side};
use crate::wire;

/// Paths of the RPCs, which separate the idempotency keys of one from those of others.
const CREATE: &str = "/therapy.mapping.v1.MappingService/CreateMapping";
const MAP: &str = "/therapy.mapping.v1.MappingService/MapClient";
const REQUEST: &str = "/therapy.mapping.v1.MappingService/RequestConsent";

/// The services of the protos.
#[derive(Clone)]
pub(crate) struct Services(pub(crate) Arc<Ops>);

impl Services {
    /// Returns the claim of a request that brought an idempotency key.
    pub(crate) fn claim(&self, context: &Context, rpc: &'static str, body: &[u8]) -> Result<Option<Claim>, Error> {
        let person = context.person()?;
        self.0.idempotency.claim_if_keyed(context.idempotency_key.as_deref(), person.user_id.as_bytes(), rpc, body)
    }

    async fn create(&self, context: Context, mut request: pb::CreateMappingRequest) -> Result<Relation, Error> {
        let own = policy::client(context.person()?, &request.client_id)?;
        convert::id::normalize([&mut request.client_id, &mut request.therapist_id]);
        let claim = self.claim(&context, CREATE, &request.encode_to_vec());
        let (therapist, claim) = zip_violations(wire::therapist_id(&request.therapist_id), claim)?;
        self.0.logins.must_be_open(&context).await?;
        self.0.map(&context, own.towards(therapist), claim.as_ref()).await
    }

    async fn map(&self, context: Context, mut request: pb::MapClientRequest) -> Result<Relation, Error> {
        let person = context.person()?;
        convert::id::normalize([&mut request.client_id, &mut request.therapist_id]);
        let claim = self.claim(&context, MAP, &request.encode_to_vec());
        let pb::MapClientRequest { client_id, therapist_id } = &request;
        match policy::side(person) {
            Side::Client(own) => {
                let own = if client_id.is_empty() { own } else { policy::client(person, client_id)? };
                let (therapist, claim) = zip_violations(wire::therapist_id(therapist_id), claim)?;
                self.0.logins.must_be_open(&context).await?;
                self.0.map(&context, own.towards(therapist), claim.as_ref()).await
            }
            Side::Therapist(own) => {
                let own = if therapist_id.is_empty() { own } else { policy::therapist(person, therapist_id)? };
                let (client, claim) = zip_violations(wire::client_id(client_id), claim)?;
                self.0.logins.must_be_open(&context).await?;
                self.0.request_mapping(&context, own.towards(client), claim.as_ref()).await
            }
        }
    }

    async fn request(&self, context: Context, mut request: pb::RequestConsentRequest) -> Result<Relation, Error> {
        let person = context.person()?;
        convert::id::normalize([&mut request.client_id, &mut request.therapist_id]);
        let pb::RequestConsentRequest { client_id, therapist_id, request_type } = &request;
        let own = match policy::side(person) {
            Side::Therapist(own) if therapist_id.is_empty() => own,
            Side::Therapist(_) | Side::Client(_) => policy::therapist(person, therapist_id)?,
        };
        let claim = self.claim(&context, REQUEST, &request.encode_to_vec());
        let (asked, claim) = zip_violations(wire::request_type(*request_type), claim)?;
        self.0.logins.must_be_open(&context).await?;
        let for_mapping = asked == pb::RequestType::Mapping;
        let missing = if for_mapping { error::no_client } else { error::no_relation };
        let permit = own.towards(client_id.parse().map_err(|_| missing())?);
        if for_mapping {
            self.0.request_mapping(&context, permit, claim.as_ref()).await
        } else {
            self.0.request_access(permit, claim.as_ref()).await
        }
    }

    async fn answer(&self, context: Context, request: pb::AnswerMappingRequestRequest) -> Result<Relation, Error> {
        let pb::AnswerMappingRequestRequest { client_id, therapist_id, answer } = request;
        let own = policy::client(context.person()?, &client_id)?;
        let (therapist, intent) = wire::answer(&therapist_id, answer)?;
        self.answer_with(&context, own.towards(therapist), intent).await
    }

    async fn end(&self, context: Context, request: pb::EndMappingRequest) -> Result<Relation, Error> {
        let pb::EndMappingRequest { client_id, therapist_id } = request;
        let permit = end_permit(&context, &client_id, &therapist_id)?;
        self.0.end(&context, permit).await
    }

    async fn end_access(&self, context: Context, request: pb::EndJournalAccessRequest) -> Result<Relation, Error> {
        let pb::EndJournalAccessRequest { client_id, therapist_id } = request;
        let own = policy::client(context.person()?, &client_id)?;
        let permit = own.towards(wire::therapist_id(&therapist_id)?);
        self.0.act(permit, Intent::RevokeAccess, None).await
    }

    async fn change_access(
        &self,
        context: Context,
        request: pb::UpdateJournalAccessRequest,
    ) -> Result<Relation, Error> {
        let pb::UpdateJournalAccessRequest { client_id, therapist_id, change } = request;
        let own = policy::client(context.person()?, &client_id)?;
        let (therapist, intent) = wire::access_change(&therapist_id, change, self.0.now())?;
        self.answer_with(&context, own.towards(therapist), intent).await
    }

    /// Applies an intent that grants or ends. Only granting requires a login that is still open.
    async fn answer_with(&self, context: &Context, permit: Act, intent: Intent) -> Result<Relation, Error> {
        if matches!(intent, Intent::Accept | Intent::Grant(_)) {
            self.0.logins.must_be_open(context).await?;
        }
        self.0.act(permit, intent, None).await
    }

    fn shown(&self, relation: Result<Relation, Error>) -> Result<Response<pb::Relation>, Status> {
        relation.map(|relation| Response::new(wire::relation(&relation, self.0.now()))).map_err(to_status)
    }

    /// Lists relations of a client, each with the name of its therapist, empty without a profile.
    async fn list_of_client<T>(
        &self,
        context: &Context,
        asked: Asked,
        which: Shown,
        show: impl Fn(&Relation, TherapistName, Timestamp) -> T,
    ) -> Result<Page<T>, Error> {
        let own = policy::client(context.person()?, &asked.person_id)?;
        let page = self.0.of_client(own, which, asked.wanted()?).await?;
        let names = self.0.names_of_therapists(context, &page).await?;
        let now = self.0.now();
        let name = |relation: &Relation| names.get(&relation.therapist_id).cloned().unwrap_or_default();
        Ok(page.map(|relation| show(&relation, name(&relation), now)))
    }

    /// Lists the pending requests. Turns invitations into requests before the first page is read.
    async fn list_requests(&self, context: &Context, asked: Asked) -> Result<Page<pb::ConsentRequest>, Error> {
        let own = policy::client(context.person()?, &asked.person_id)?;
        if asked.page_token.is_empty() {
            self.0.invitations.receive(context, own, self.0.now()).await?;
        }
        self.list_of_client(context, asked, Shown::Waiting, wire::consent_request).await
    }

    async fn list_of_therapist(&self, context: &Context, asked: Asked) -> Result<Page<pb::ClientRelation>, Error> {
        let own = policy::therapist(context.person()?, &asked.person_id)?;
        let page = self.0.of_therapist(own, asked.wanted()?).await?;
        let names = self.0.names_of_clients(context, &page).await?;
        let now = self.0.now();
        let name = |relation: &Relation| names.get(&relation.client_id).cloned().unwrap_or_default();
        Ok(page.map(|relation| wire::client_relation(&relation, name(&relation), now)))
    }
}

/// Parameters of a list request: the person and the page.
struct Asked {
    person_id: String,
    page_size: i32,
    page_token: String,
}

impl Asked {
    fn wanted(&self) -> Result<Wanted<'_>, Error> {
        wire::wanted(self.page_size, &self.page_token)
    }
}

/// Returns the permit to end a relation. Either side may end it, under its own id.
fn end_permit(context: &Context, client_id: &str, therapist_id: &str) -> Result<Act, Error> {
    let person = context.person()?;
    match policy::side(person) {
        Side::Client(_) => Ok(policy::client(person, client_id)?.towards(wire::therapist_id(therapist_id)?)),
        Side::Therapist(_) => {
            if therapist_id.is_empty() {
                wire::therapist_id(therapist_id)?;
            }
            let own = policy::therapist(person, therapist_id)?;
            Ok(own.towards(client_id.parse().map_err(|_| error::no_relation())?))
        }
    }
}

#[tonic::async_trait]
impl MappingService for Services {
    async fn create_mapping(
        &self,
        request: Request<pb::CreateMappingRequest>,
    ) -> Result<Response<pb::Relation>, Status> {
        let context = Context::of(&request);
        self.shown(self.create(context, request.into_inner()).await)
    }

    async fn map_client(&self, request: Request<pb::MapClientRequest>) -> Result<Response<pb::Relation>, Status> {
        let context = Context::of(&request);
        self.shown(self.map(context, request.into_inner()).await)
    }

    async fn request_consent(
        &self,
        request: Request<pb::RequestConsentRequest>,
    ) -> Result<Response<pb::Relation>, Status> {
        let context = Context::of(&request);
        self.shown(self.request(context, request.into_inner()).await)
    }

    async fn answer_mapping_request(
        &self,
        request: Request<pb::AnswerMappingRequestRequest>,
    ) -> Result<Response<pb::Relation>, Status> {
        let context = Context::of(&request);
        self.shown(self.answer(context, request.into_inner()).await)
    }

    async fn end_mapping(&self, request: Request<pb::EndMappingRequest>) -> Result<Response<pb::Relation>, Status> {
        let context = Context::of(&request);
        self.shown(self.end(context, request.into_inner()).await)
    }

    async fn end_journal_access(
        &self,
        request: Request<pb::EndJournalAccessRequest>,
    ) -> Result<Response<pb::Relation>, Status> {
        let context = Context::of(&request);
        self.shown(self.end_access(context, request.into_inner()).await)
    }

    async fn update_journal_access(
        &self,
        request: Request<pb::UpdateJournalAccessRequest>,
    ) -> Result<Response<pb::Relation>, Status> {
        let context = Context::of(&request);
        self.shown(self.change_access(context, request.into_inner()).await)
    }

    async fn list_mappings(
        &self,
        request: Request<pb::ListMappingsRequest>,
    ) -> Result<Response<pb::ListMappingsResponse>, Status> {
        let context = Context::of(&request);
        let pb::ListMappingsRequest { client_id: person_id, journal_access, page_size, page_token } =
            request.into_inner();
        let asked = Asked { person_id, page_size, page_token };
        let page = self
            .list_of_client(&context, asked, Shown::Mapped(journal_access), wire::therapist_relation)
            .await
            .map_err(to_status)?;
        Ok(listed(page, |mappings, next_page_token| pb::ListMappingsResponse { mappings, next_page_token }))
    }

    async fn list_consent_requests(
        &self,
        request: Request<pb::ListConsentRequestsRequest>,
    ) -> Result<Response<pb::ListConsentRequestsResponse>, Status> {
        let context = Context::of(&request);
        let pb::ListConsentRequestsRequest { client_id: person_id, page_size, page_token } = request.into_inner();
        let asked = Asked { person_id, page_size, page_token };
        let page = self.list_requests(&context, asked).await.map_err(to_status)?;
        Ok(listed(page, |requests, next_page_token| pb::ListConsentRequestsResponse { requests, next_page_token }))
    }

    async fn list_related_therapists(
        &self,
        request: Request<pb::ListRelatedTherapistsRequest>,
    ) -> Result<Response<pb::ListRelatedTherapistsResponse>, Status> {
        let context = Context::of(&request);
        let pb::ListRelatedTherapistsRequest { client_id: person_id, page_size, page_token } = request.into_inner();
        let asked = Asked { person_id, page_size, page_token };
        let page =
            self.list_of_client(&context, asked, Shown::All, wire::therapist_relation).await.map_err(to_status)?;
        Ok(listed(page, |therapists, next_page_token| pb::ListRelatedTherapistsResponse {
            therapists,
            next_page_token,
        }))
    }

    async fn list_related_clients(
        &self,
        request: Request<pb::ListRelatedClientsRequest>,
    ) -> Result<Response<pb::ListRelatedClientsResponse>, Status> {
        let context = Context::of(&request);
        let pb::ListRelatedClientsRequest { therapist_id: person_id, page_size, page_token } = request.into_inner();
        let asked = Asked { person_id, page_size, page_token };
        let page = self.list_of_therapist(&context, asked).await.map_err(to_status)?;
        Ok(listed(page, |clients, next_page_token| pb::ListRelatedClientsResponse { clients, next_page_token }))
    }
}

/// Returns the response of a page, with the page token in its metadata too.
fn listed<T, R>(page: Page<T>, answer: impl FnOnce(Vec<T>, String) -> R) -> Response<R> {
    let next = page.next.clone();
    let (items, next_page_token) = convert::page::to_proto(page);
    paged(answer(items, next_page_token), next.as_deref())
}
