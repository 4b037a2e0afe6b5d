//! Fakes of vault and mapping that a test controls.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use kernel::UserId;
use proto::mapping::v1 as mapping;
use proto::mapping::v1::consent_service_server::{ConsentService, ConsentServiceServer};
use proto::mapping::v1::record_contact_response::Outcome;
use proto::vault::v1::vault_service_server::{VaultService, VaultServiceServer};
use proto::vault::v1::{BatchGetDataKeysRequest, BatchGetDataKeysResponse, GetDataKeyRequest, GetDataKeyResponse};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

#[derive(Clone, Default)]
struct State(Arc<Mutex<Facts>>);

#[derive(Default)]
struct Facts {
    related: HashSet<UserId>,
    destroyed: HashSet<UserId>,
}

/// Both fakes on one port; dropping it stops them.
pub(super) struct Peers {
    state: State,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Peers {
    #[allow(clippy::disallowed_methods, reason = "the task ends with the peers")]
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, state) = (listener.local_addr().unwrap(), State::default());
        let serve = Server::builder()
            .add_service(VaultServiceServer::new(state.clone()))
            .add_service(ConsentServiceServer::new(state.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self { state, address, task: tokio::spawn(async move { serve.await.unwrap() }) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes the client agree to every relation.
    pub(super) fn relate(&self, client: UserId) {
        self.state.0.lock().unwrap().related.insert(client);
    }

    /// Destroys the person's key.
    pub(super) fn destroy(&self, person: UserId) {
        self.state.0.lock().unwrap().destroyed.insert(person);
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn key(&self, person: &str) -> GetDataKeyResponse {
        let person: UserId = person.parse().unwrap();
        if self.0.lock().unwrap().destroyed.contains(&person) {
            return GetDataKeyResponse { destroyed: true, key: vec![] };
        }
        GetDataKeyResponse { destroyed: false, key: person.as_bytes().repeat(2) }
    }
}

#[tonic::async_trait]
impl VaultService for State {
    async fn get_data_key(&self, request: Request<GetDataKeyRequest>) -> Result<Response<GetDataKeyResponse>, Status> {
        Ok(Response::new(self.key(&request.into_inner().person_id)))
    }

    async fn batch_get_data_keys(
        &self,
        request: Request<BatchGetDataKeysRequest>,
    ) -> Result<Response<BatchGetDataKeysResponse>, Status> {
        let keys = request.into_inner().person_ids.iter().map(|person| self.key(person)).collect();
        Ok(Response::new(BatchGetDataKeysResponse { keys }))
    }
}

fn unexpected_call<T>() -> Result<T, Status> {
    Err(Status::new(Code::Unimplemented, "sessions doesn't ask this"))
}

#[tonic::async_trait]
impl ConsentService for State {
    async fn check_journal_access(
        &self,
        _: Request<mapping::CheckJournalAccessRequest>,
    ) -> Result<Response<mapping::CheckJournalAccessResponse>, Status> {
        unexpected_call()
    }

    async fn check_relation(
        &self,
        _: Request<mapping::CheckRelationRequest>,
    ) -> Result<Response<mapping::CheckRelationResponse>, Status> {
        unexpected_call()
    }

    async fn list_agreed_clients(
        &self,
        _: Request<mapping::ListAgreedClientsRequest>,
    ) -> Result<Response<mapping::ListAgreedClientsResponse>, Status> {
        unexpected_call()
    }

    async fn record_contact(
        &self,
        request: Request<mapping::RecordContactRequest>,
    ) -> Result<Response<mapping::RecordContactResponse>, Status> {
        let mapping::RecordContactRequest { peer_id, .. } = request.into_inner();
        let related = self.0.lock().unwrap().related.contains(&peer_id.parse().unwrap());
        let outcome = if related { Outcome::Recorded } else { Outcome::NoSuchPeer };
        Ok(Response::new(mapping::RecordContactResponse { outcome: outcome.into(), version: 1 }))
    }
}
