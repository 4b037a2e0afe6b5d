//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use kernel::zip_violations;
use prost::Message as _;
use proto::clients::v1 as pb;
use proto::clients::v1::client_name_service_server::ClientNameService;
use proto::clients::v1::client_service_server::ClientService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::policy::{self, List};
use crate::wire;

/// The scope of idempotency keys of this RPC.
const CREATE: &str = "/therapy.clients.v1.ClientService/CreateClient";

/// The service for people.
#[derive(Clone)]
pub(crate) struct Clients(pub(crate) Arc<Ops>);

/// The service for other services.
#[derive(Clone)]
pub(crate) struct Names(pub(crate) Arc<Ops>);

#[tonic::async_trait]
impl ClientService for Clients {
    async fn list_clients(
        &self,
        request: Request<pb::ListClientsRequest>,
    ) -> Result<Response<pb::ListClientsResponse>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let request = request.into_inner();
        let by_email = !request.email.is_empty();
        let which = policy::list(person, by_email).map_err(to_status)?;
        let query = wire::list(request, by_email || matches!(which, List::Own(_))).map_err(to_status)?;
        let page = self.0.list(&context, which, query).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::clients(page), next.as_deref()))
    }

    async fn create_client(&self, request: Request<pb::CreateClientRequest>) -> Result<Response<pb::Client>, Status> {
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
            return Ok(Response::new(wire::client(made)));
        }
        let account = self.0.accounts.own_address(&context).await.map_err(to_status)?;
        let id = person.user_id.to_string();
        let profile = wire::profile(request.client.unwrap_or_default(), &id, account.as_ref());
        let (profile, claim) = zip_violations(profile, claim).map_err(to_status)?;
        let client = self.0.create(permit, profile, claim).await.map_err(to_status)?;
        Ok(Response::new(wire::client(client)))
    }

    async fn get_client(&self, request: Request<pb::GetClientRequest>) -> Result<Response<pb::Client>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::GetClientRequest { client_id } = request.into_inner();
        let read_scope = policy::read_scope(person, &client_id).map_err(to_status)?;
        let client = self.0.get(&context, read_scope).await.map_err(to_status)?;
        Ok(Response::new(wire::client(client)))
    }

    async fn update_client(&self, request: Request<pb::UpdateClientRequest>) -> Result<Response<pb::Client>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::UpdateClientRequest { client_id, client } = request.into_inner();
        let permit = policy::own_named(person, &client_id).map_err(to_status)?;
        let account = self.0.accounts.own_address(&context).await.map_err(to_status)?;
        let replacement = wire::replacement(client.unwrap_or_default(), &client_id, account.as_ref());
        let (profile, expected) = replacement.map_err(to_status)?;
        let client = self.0.replace(permit, profile, expected).await.map_err(to_status)?;
        Ok(Response::new(wire::client(client)))
    }

    async fn delete_client(&self, request: Request<pb::DeleteClientRequest>) -> Result<Response<()>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let pb::DeleteClientRequest { client_id } = request.into_inner();
        let permit = policy::own_named(person, &client_id).map_err(to_status)?;
        self.0.end(&context, permit).await.map_err(to_status)?;
        Ok(Response::new(()))
    }
}

#[tonic::async_trait]
impl ClientNameService for Names {
    async fn batch_get_client_names(
        &self,
        request: Request<pb::BatchGetClientNamesRequest>,
    ) -> Result<Response<pb::BatchGetClientNamesResponse>, Status> {
        let ids = wire::name_ids(request.into_inner()).map_err(to_status)?;
        let found = self.0.names(policy::names(), ids).await.map_err(to_status)?;
        Ok(Response::new(wire::names(found)))
    }
}
