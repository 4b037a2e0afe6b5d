//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use dynamo::PageRequest;
use kernel::{TherapistId, zip_violations};
use prost::Message as _;
use proto::therapists::v1 as pb;
use proto::therapists::v1::therapist_name_service_server::TherapistNameService;
use proto::therapists::v1::therapist_service_server::TherapistService;
use tonic::{Request, Response, Status};

use crate::error::no_such_therapist;
use crate::model::ListQuery;
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

#[tonic::async_trait]
impl TherapistService for Therapists {
    async fn list_therapists(
        &self,
        request: Request<pb::ListTherapistsRequest>,
    ) -> Result<Response<pb::ListTherapistsResponse>, Status> {
        let person = Context::of(&request).person().map_err(to_status)?;
        let ListQuery { filter, size, token } = wire::list(request.into_inner()).map_err(to_status)?;
        let request = PageRequest { caller: person.user_id.as_bytes(), token: &token, size, filters: &[] };
        let page = self.0.list(policy::browse(person), filter, request).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::therapists(page), next.as_deref()))
    }

    async fn create_therapist(
        &self,
        request: Request<pb::CreateTherapistRequest>,
    ) -> Result<Response<pb::Therapist>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let permit = policy::own(person).map_err(to_status)?;
        let request = request.into_inner();
        let body = request.encode_to_vec();
        let key = context.idempotency_key.as_deref();
        let claim = self.0.idempotency.claim_if_keyed(key, person.user_id.as_bytes(), CREATE, &body);
        if let Ok(Some(claim)) = &claim
            && let Some(made) = self.0.replayed(permit, claim).await.map_err(to_status)?
        {
            return Ok(Response::new(wire::therapist(made)));
        }
        let account = self.0.accounts.own_address(&context).await.map_err(to_status)?;
        let id = person.user_id.to_string();
        let profile = wire::profile(request.therapist.unwrap_or_default(), &id, account.as_ref());
        let (profile, claim) = zip_violations(profile, claim).map_err(to_status)?;
        let therapist = self.0.create(permit, profile, claim).await.map_err(to_status)?;
        Ok(Response::new(wire::therapist(therapist)))
    }

    async fn get_therapist(
        &self,
        request: Request<pb::GetTherapistRequest>,
    ) -> Result<Response<pb::Therapist>, Status> {
        let person = Context::of(&request).person().map_err(to_status)?;
        let pb::GetTherapistRequest { therapist_id } = request.into_inner();
        let id = therapist_id.parse::<TherapistId>().map_err(|_| to_status(no_such_therapist()))?;
        let therapist = self.0.get(policy::browse(person), id).await.map_err(to_status)?;
        Ok(Response::new(wire::therapist(therapist)))
    }

    async fn update_therapist(
        &self,
        request: Request<pb::UpdateTherapistRequest>,
    ) -> Result<Response<pb::Therapist>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::UpdateTherapistRequest { therapist_id, therapist } = request.into_inner();
        let permit = policy::own_named(person, &therapist_id).map_err(to_status)?;
        let account = self.0.accounts.own_address(&context).await.map_err(to_status)?;
        let replacement = wire::replacement(therapist.unwrap_or_default(), &therapist_id, account.as_ref());
        let (profile, expected) = replacement.map_err(to_status)?;
        let therapist = self.0.replace(permit, profile, expected).await.map_err(to_status)?;
        Ok(Response::new(wire::therapist(therapist)))
    }

    async fn delete_therapist(&self, request: Request<pb::DeleteTherapistRequest>) -> Result<Response<()>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::DeleteTherapistRequest { therapist_id } = request.into_inner();
        let permit = policy::own_named(person, &therapist_id).map_err(to_status)?;
        self.0.end(&context, permit).await.map_err(to_status)?;
        Ok(Response::new(()))
    }
}

#[tonic::async_trait]
impl TherapistNameService for Names {
    async fn batch_get_therapist_names(
        &self,
        request: Request<pb::BatchGetTherapistNamesRequest>,
    ) -> Result<Response<pb::BatchGetTherapistNamesResponse>, Status> {
        let ids = wire::name_ids(request.into_inner()).map_err(to_status)?;
        let found = self.0.names(policy::names(), ids).await.map_err(to_status)?;
        Ok(Response::new(wire::names(found)))
    }
}
