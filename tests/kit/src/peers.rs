//! Fakes of the services that others call: auth, clients, mapping, therapists and vault.
#![allow(clippy::expect_used, reason = "a test service that cannot start has failed")]

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::{LoginId, UserId};
use proto::auth::v1::login_service_server::{LoginService, LoginServiceServer};
use proto::auth::v1::{ListEndedLoginsRequest, ListEndedLoginsResponse};
use proto::clients::v1::client_name_service_server::{ClientNameService, ClientNameServiceServer};
use proto::clients::v1::{BatchGetClientNamesRequest, BatchGetClientNamesResponse, ClientName};
use proto::mapping::v1 as mapping;
use proto::mapping::v1::consent_service_server::{ConsentService, ConsentServiceServer};
use proto::mapping::v1::record_contact_response::Outcome;
use proto::therapists::v1::therapist_name_service_server::{TherapistNameService, TherapistNameServiceServer};
use proto::therapists::v1::{BatchGetTherapistNamesRequest, BatchGetTherapistNamesResponse, TherapistName};
use proto::vault::v1::vault_service_server::{VaultService, VaultServiceServer};
use proto::vault::v1::{BatchGetDataKeysRequest, BatchGetDataKeysResponse, GetDataKeyRequest, GetDataKeyResponse};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// Specialty of every therapist.
pub const SPECIALTY: &str = "Grief";

/// The fakes, on one port. They stop when dropped.
#[derive(Debug)]
pub struct Peers {
    fakes: Fakes,
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// Answers of the fakes, and the calls that they got.
#[derive(Debug)]
pub struct State {
    /// People whose account has ended: they have no key and no name.
    pub gone: HashSet<UserId>,
    /// Outcome of recording contact.
    pub contact: Outcome,
    /// Version of every relation.
    pub relation: u32,
    /// Ended logins.
    pub ended_logins: HashSet<LoginId>,
    /// True if auth fails.
    pub is_auth_failing: bool,
    /// Grants of clients to the therapist who calls.
    pub grants: Vec<mapping::JournalGrant>,
    /// Clients of each call for several grants.
    pub grant_calls: Vec<Vec<String>>,
    /// Ids of the people that contact was recorded with, in order.
    pub contacts: Vec<String>,
    /// Ids of each call for names.
    pub name_calls: Vec<Vec<String>>,
    /// Number of calls for several keys.
    pub key_calls: usize,
}

#[derive(Debug, Clone)]
struct Fakes(Arc<Mutex<State>>);

impl Peers {
    /// Starts the fakes. Everybody has an account, each contact is recorded, and nothing is granted.
    ///
    /// # Panics
    /// If no port is free.
    #[allow(clippy::disallowed_methods, reason = "the task ends with the fakes")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("the port is known");
        let fakes = Fakes(Arc::new(Mutex::new(State {
            gone: HashSet::new(),
            contact: Outcome::Recorded,
            relation: 1,
            ended_logins: HashSet::new(),
            is_auth_failing: false,
            grants: Vec::new(),
            grant_calls: Vec::new(),
            contacts: Vec::new(),
            name_calls: Vec::new(),
            key_calls: 0,
        })));
        let serve = Server::builder()
            .add_service(LoginServiceServer::new(fakes.clone()))
            .add_service(ClientNameServiceServer::new(fakes.clone()))
            .add_service(ConsentServiceServer::new(fakes.clone()))
            .add_service(TherapistNameServiceServer::new(fakes.clone()))
            .add_service(VaultServiceServer::new(fakes.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self { fakes, address, task: tokio::spawn(async move { serve.await.expect("the fakes serve") }) }
    }

    /// Returns the address as `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the state, which a test may change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.fakes.state()
    }

    /// Ends a person's account.
    pub fn end(&self, person: UserId) {
        self.state().gone.insert(person);
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn is_gone(&self, person: &str) -> bool {
        person.parse().is_ok_and(|person| self.gone.contains(&person))
    }

    /// Returns the key of a person, derived from the id.
    fn key(&self, person: &str) -> GetDataKeyResponse {
        let destroyed = self.is_gone(person);
        let mut key: Vec<u8> = person.bytes().rev().take(32).collect();
        key.resize(32, 0);
        GetDataKeyResponse { destroyed, key: if destroyed { vec![] } else { key } }
    }

    /// Records a call for names, and returns the ids of those who have one, with their names.
    fn names(&mut self, ids: Vec<String>) -> Vec<(String, String)> {
        self.name_calls.push(ids.clone());
        let named = |id: String| (!self.is_gone(&id)).then(|| (id.clone(), format!("name of {id}")));
        ids.into_iter().filter_map(named).collect()
    }
}

impl Fakes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl LoginService for Fakes {
    async fn list_ended_logins(
        &self,
        request: Request<ListEndedLoginsRequest>,
    ) -> Result<Response<ListEndedLoginsResponse>, Status> {
        let state = self.state();
        if state.is_auth_failing {
            return Err(Status::new(Code::Unknown, "the test says so"));
        }
        let is_ended = |id: &String| id.parse().is_ok_and(|id| state.ended_logins.contains(&id));
        let login_ids = request.into_inner().logins.into_iter().map(|login| login.login_id).filter(is_ended).collect();
        Ok(Response::new(ListEndedLoginsResponse { login_ids }))
    }
}

#[tonic::async_trait]
impl ClientNameService for Fakes {
    async fn batch_get_client_names(
        &self,
        request: Request<BatchGetClientNamesRequest>,
    ) -> Result<Response<BatchGetClientNamesResponse>, Status> {
        let names = self.state().names(request.into_inner().client_ids).into_iter();
        let names = names.map(|(client_id, name)| ClientName { client_id, name }).collect();
        Ok(Response::new(BatchGetClientNamesResponse { names }))
    }
}

#[tonic::async_trait]
impl TherapistNameService for Fakes {
    async fn batch_get_therapist_names(
        &self,
        request: Request<BatchGetTherapistNamesRequest>,
    ) -> Result<Response<BatchGetTherapistNamesResponse>, Status> {
        let names = self.state().names(request.into_inner().therapist_ids).into_iter();
        let name = |(therapist_id, name)| TherapistName { therapist_id, name, specialty: SPECIALTY.to_owned() };
        Ok(Response::new(BatchGetTherapistNamesResponse { names: names.map(name).collect() }))
    }
}

#[tonic::async_trait]
impl VaultService for Fakes {
    async fn get_data_key(&self, request: Request<GetDataKeyRequest>) -> Result<Response<GetDataKeyResponse>, Status> {
        Ok(Response::new(self.state().key(&request.into_inner().person_id)))
    }

    async fn batch_get_data_keys(
        &self,
        request: Request<BatchGetDataKeysRequest>,
    ) -> Result<Response<BatchGetDataKeysResponse>, Status> {
        let mut state = self.state();
        state.key_calls += 1;
        let keys = request.into_inner().person_ids.iter().map(|person| state.key(person)).collect();
        Ok(Response::new(BatchGetDataKeysResponse { keys }))
    }
}

/// Answers a call that none of the tests makes.
fn not_called<T>() -> Result<T, Status> {
    Err(Status::new(Code::Unimplemented, "the fakes don't answer this"))
}

#[tonic::async_trait]
impl ConsentService for Fakes {
    async fn check_journal_access(
        &self,
        _: Request<mapping::CheckJournalAccessRequest>,
    ) -> Result<Response<mapping::CheckJournalAccessResponse>, Status> {
        not_called()
    }

    async fn batch_check_journal_access(
        &self,
        request: Request<mapping::BatchCheckJournalAccessRequest>,
    ) -> Result<Response<mapping::BatchCheckJournalAccessResponse>, Status> {
        let mut state = self.state();
        let asked = request.into_inner().client_ids;
        let grants = state.grants.iter().filter(|grant| asked.contains(&grant.client_id)).cloned().collect();
        state.grant_calls.push(asked);
        Ok(Response::new(mapping::BatchCheckJournalAccessResponse { grants }))
    }

    async fn list_searchable_clients(
        &self,
        _: Request<mapping::ListSearchableClientsRequest>,
    ) -> Result<Response<mapping::ListSearchableClientsResponse>, Status> {
        not_called()
    }

    async fn check_relation(
        &self,
        _: Request<mapping::CheckRelationRequest>,
    ) -> Result<Response<mapping::CheckRelationResponse>, Status> {
        not_called()
    }

    async fn list_agreed_clients(
        &self,
        _: Request<mapping::ListAgreedClientsRequest>,
    ) -> Result<Response<mapping::ListAgreedClientsResponse>, Status> {
        not_called()
    }

    async fn record_contact(
        &self,
        request: Request<mapping::RecordContactRequest>,
    ) -> Result<Response<mapping::RecordContactResponse>, Status> {
        let mut state = self.state();
        let peer = request.into_inner().peer_id;
        let (outcome, version) = (state.contact.into(), state.relation);
        state.contacts.push(peer);
        Ok(Response::new(mapping::RecordContactResponse { outcome, version }))
    }
}
