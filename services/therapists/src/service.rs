//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, tagged, to_status};
use dynamo::PageRequest;
use kernel::{Error, Page, zip_violations};
use prost::Message as _;
use proto::therapists::v1 as pb;
use proto::therapists::v1::therapist_name_service_server::TherapistNameService;
use proto::therapists::v1::therapist_service_server::TherapistService;
use tonic::{Request, Response, Status};

use crate::error::no_such_therapist;
use crate::model::{ListQuery, Therapist};
use crate::ops::Ops;
use crate::policy;
use crate::wire;

/// The scope of idempotency keys of this RPC.
const CREATE: &str = "/therapy.therapists.v1.TherapistService/CreateTherapist";

/// The service for people.
#[derive(Clone)]
pub(crate) struct Therapists(pub(crate) Arc<Ops>);

/// The service for other services.
#[derive(Clone)]
pub(crate) struct Names(pub(crate) Arc<Ops>);

impl Therapists {
    async fn list(&self, context: Context, request: pb::ListTherapistsRequest) -> Result<Page<Therapist>, Error> {
        let person = context.person()?;
        let ListQuery { filter, size, token } = wire::list(request)?;
        let request = PageRequest { caller: person.user_id.as_bytes(), token: &token, size, filters: &[] };
        self.0.list(policy::browse(person), filter, request).await
    }

    async fn create(&self, context: Context, mut request: pb::CreateTherapistRequest) -> Result<Therapist, Error> {
        let person = context.person()?;
        let permit = policy::own(person)?;
        if let Some(therapist) = &mut request.therapist {
            convert::id::normalize([&mut therapist.therapist_id]);
        }
        let body = request.encode_to_vec();
        let key = context.idempotency_key.as_deref();
        let claim = self.0.idempotency.claim_if_keyed(key, person.user_id.as_bytes(), CREATE, &body);
        if let Ok(claim) = &claim
            && let Some(made) = self.0.replayed(permit, claim.as_ref()).await?
        {
            return Ok(made);
        }
        let account = self.0.accounts.own_address(&context).await?;
        let profile = wire::profile(request.therapist.unwrap_or_default(), permit.id(), account.as_ref());
        let (profile, claim) = zip_violations(profile, claim)?;
        self.0.create(permit, profile, claim).await
    }

    async fn get(&self, context: Context, request: pb::GetTherapistRequest) -> Result<Therapist, Error> {
        let person = context.person()?;
        let pb::GetTherapistRequest { therapist_id } = request;
        let id = therapist_id.parse().map_err(|_| no_such_therapist())?;
        self.0.get(policy::browse(person), id).await
    }

    async fn update(&self, context: Context, request: pb::UpdateTherapistRequest) -> Result<Therapist, Error> {
        let pb::UpdateTherapistRequest { therapist_id, therapist } = request;
        let permit = policy::own_named(context.person()?, &therapist_id)?;
        let account = self.0.accounts.own_address(&context).await?;
        let therapist = therapist.unwrap_or_default();
        let expected = context.expected.and_etag(&therapist.etag);
        let profile = wire::profile(therapist, permit.id(), account.as_ref());
        let (profile, expected) = zip_violations(profile, expected)?;
        self.0.replace(permit, profile, &expected).await
    }

    async fn delete(&self, context: Context, request: pb::DeleteTherapistRequest) -> Result<(), Error> {
        let pb::DeleteTherapistRequest { therapist_id } = request;
        self.0.end(&context, policy::own_named(context.person()?, &therapist_id)?).await
    }
}

#[tonic::async_trait]
impl TherapistService for Therapists {
    async fn list_therapists(
        &self,
        request: Request<pb::ListTherapistsRequest>,
    ) -> Result<Response<pb::ListTherapistsResponse>, Status> {
        let page = self.list(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::therapists(page), next.as_deref()))
    }

    async fn create_therapist(
        &self,
        request: Request<pb::CreateTherapistRequest>,
    ) -> Result<Response<pb::Therapist>, Status> {
        respond(self.create(Context::of(&request), request.into_inner()).await)
    }

    async fn get_therapist(
        &self,
        request: Request<pb::GetTherapistRequest>,
    ) -> Result<Response<pb::Therapist>, Status> {
        respond(self.get(Context::of(&request), request.into_inner()).await)
    }

    async fn update_therapist(
        &self,
        request: Request<pb::UpdateTherapistRequest>,
    ) -> Result<Response<pb::Therapist>, Status> {
        respond(self.update(Context::of(&request), request.into_inner()).await)
    }

    async fn delete_therapist(&self, request: Request<pb::DeleteTherapistRequest>) -> Result<Response<()>, Status> {
        self.delete(Context::of(&request), request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}

fn respond(therapist: Result<Therapist, Error>) -> Result<Response<pb::Therapist>, Status> {
    therapist.map(wire::therapist).map(tagged).map_err(to_status)
}

impl Names {
    async fn names(
        &self,
        request: pb::BatchGetTherapistNamesRequest,
    ) -> Result<pb::BatchGetTherapistNamesResponse, Error> {
        self.0.names(policy::names(), wire::name_ids(request)?).await.map(wire::names)
    }
}

#[tonic::async_trait]
impl TherapistNameService for Names {
    async fn batch_get_therapist_names(
        &self,
        request: Request<pb::BatchGetTherapistNamesRequest>,
    ) -> Result<Response<pb::BatchGetTherapistNamesResponse>, Status> {
        self.names(request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}
