//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, tagged, to_status};
use kernel::{Error, Page, zip_violations};
use prost::Message as _;
use proto::clients::v1 as pb;
use proto::clients::v1::client_name_service_server::ClientNameService;
use proto::clients::v1::client_service_server::ClientService;
use tonic::{Request, Response, Status};

use crate::model::{Client, Listed};
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

impl Clients {
    async fn list(&self, context: Context, request: pb::ListClientsRequest) -> Result<Page<Listed>, Error> {
        let by_email = !request.email.is_empty();
        let which = policy::list(context.person()?, by_email)?;
        let query = wire::list(request, by_email || matches!(which, List::Own(_)))?;
        self.0.list(&context, which, query).await
    }

    async fn create(&self, context: Context, mut request: pb::CreateClientRequest) -> Result<Client, Error> {
        let person = context.person()?;
        let permit = policy::own(person)?;
        if let Some(client) = &mut request.client {
            convert::id::normalize([&mut client.client_id]);
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
        let profile = wire::profile(request.client.unwrap_or_default(), permit.id(), account.as_ref());
        let (profile, claim) = zip_violations(profile, claim)?;
        self.0.create(permit, profile, claim).await
    }

    async fn get(&self, context: Context, request: pb::GetClientRequest) -> Result<Client, Error> {
        let pb::GetClientRequest { client_id } = request;
        self.0.get(&context, policy::read_scope(context.person()?, &client_id)?).await
    }

    async fn update(&self, context: Context, request: pb::UpdateClientRequest) -> Result<Client, Error> {
        let pb::UpdateClientRequest { client_id, client } = request;
        let permit = policy::own_named(context.person()?, &client_id)?;
        let account = self.0.accounts.own_address(&context).await?;
        let client = client.unwrap_or_default();
        let expected = context.expected.and_etag(&client.etag);
        let profile = wire::profile(client, permit.id(), account.as_ref());
        let (profile, expected) = zip_violations(profile, expected)?;
        self.0.replace(permit, profile, &expected).await
    }

    async fn delete(&self, context: Context, request: pb::DeleteClientRequest) -> Result<(), Error> {
        let pb::DeleteClientRequest { client_id } = request;
        self.0.end(&context, policy::own_named(context.person()?, &client_id)?).await
    }
}

#[tonic::async_trait]
impl ClientService for Clients {
    async fn list_clients(
        &self,
        request: Request<pb::ListClientsRequest>,
    ) -> Result<Response<pb::ListClientsResponse>, Status> {
        let page = self.list(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::clients(page), next.as_deref()))
    }

    async fn create_client(&self, request: Request<pb::CreateClientRequest>) -> Result<Response<pb::Client>, Status> {
        respond(self.create(Context::of(&request), request.into_inner()).await)
    }

    async fn get_client(&self, request: Request<pb::GetClientRequest>) -> Result<Response<pb::Client>, Status> {
        respond(self.get(Context::of(&request), request.into_inner()).await)
    }

    async fn update_client(&self, request: Request<pb::UpdateClientRequest>) -> Result<Response<pb::Client>, Status> {
        respond(self.update(Context::of(&request), request.into_inner()).await)
    }

    async fn delete_client(&self, request: Request<pb::DeleteClientRequest>) -> Result<Response<()>, Status> {
        self.delete(Context::of(&request), request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}

fn respond(client: Result<Client, Error>) -> Result<Response<pb::Client>, Status> {
    client.map(wire::client).map(tagged).map_err(to_status)
}

impl Names {
    async fn names(&self, request: pb::BatchGetClientNamesRequest) -> Result<pb::BatchGetClientNamesResponse, Error> {
        self.0.names(policy::names(), wire::name_ids(request)?).await.map(wire::names)
    }
}

#[tonic::async_trait]
impl ClientNameService for Names {
    async fn batch_get_client_names(
        &self,
        request: Request<pb::BatchGetClientNamesRequest>,
    ) -> Result<Response<pb::BatchGetClientNamesResponse>, Status> {
        self.names(request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}
