//! Fakes of the other services: vault, mapping, auth, clients and therapists, on one port.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use kernel::UserId;
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
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Fake services with shared state.
#[derive(Clone, Default)]
pub(super) struct Others(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    /// People whose key is destroyed, and who have no name any more.
    pub(super) gone: HashSet<String>,
    /// Outcome of recording contact; recorded if `None`.
    pub(super) contact: Option<Outcome>,
    /// Number of calls for contact, for keys and for names.
    pub(super) calls: (usize, usize, usize),
    /// People whose logins have ended.
    pub(super) logged_out: HashSet<String>,
    /// True if auth fails.
    pub(super) is_auth_failing: bool,
}

impl Others {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn end(&self, person: UserId) {
        self.state().gone.insert(person.to_string());
    }

    /// Starts the fakes on a port of their own. Returns their address.
    #[allow(clippy::disallowed_methods, reason = "it ends with the runtime of the test")]
    pub(super) async fn serve(&self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serve = Server::builder()
            .add_service(VaultServiceServer::new(self.clone()))
            .add_service(ConsentServiceServer::new(self.clone()))
            .add_service(LoginServiceServer::new(self.clone()))
            .add_service(ClientNameServiceServer::new(self.clone()))
            .add_service(TherapistNameServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serve);
        address
    }

    fn key(&self, person: &str) -> GetDataKeyResponse {
        let mut key: Vec<u8> = person.bytes().rev().take(32).collect();
        key.resize(32, 0);
        let destroyed = self.state().gone.contains(person);
        GetDataKeyResponse { destroyed, key: if destroyed { vec![] } else { key } }
    }
}

#[tonic::async_trait]
impl VaultService for Others {
    async fn get_data_key(&self, request: Request<GetDataKeyRequest>) -> Result<Response<GetDataKeyResponse>, Status> {
        Ok(Response::new(self.key(&request.into_inner().person_id)))
    }

    async fn batch_get_data_keys(
        &self,
        request: Request<BatchGetDataKeysRequest>,
    ) -> Result<Response<BatchGetDataKeysResponse>, Status> {
        self.state().calls.1 += 1;
        let keys = request.into_inner().person_ids.iter().map(|person| self.key(person)).collect();
        Ok(Response::new(BatchGetDataKeysResponse { keys }))
    }
}

#[tonic::async_trait]
impl ConsentService for Others {
    async fn check_journal_access(
        &self,
        _: Request<mapping::CheckJournalAccessRequest>,
    ) -> Result<Response<mapping::CheckJournalAccessResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn check_relation(
        &self,
        _: Request<mapping::CheckRelationRequest>,
    ) -> Result<Response<mapping::CheckRelationResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn list_agreed_clients(
        &self,
        _: Request<mapping::ListAgreedClientsRequest>,
    ) -> Result<Response<mapping::ListAgreedClientsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn record_contact(
        &self,
        _: Request<mapping::RecordContactRequest>,
    ) -> Result<Response<mapping::RecordContactResponse>, Status> {
        let mut state = self.state();
        state.calls.0 += 1;
        let outcome = state.contact.unwrap_or(Outcome::Recorded).into();
        Ok(Response::new(mapping::RecordContactResponse { outcome, version: 1 }))
    }
}

#[tonic::async_trait]
impl LoginService for Others {
    async fn list_ended_logins(
        &self,
        request: Request<ListEndedLoginsRequest>,
    ) -> Result<Response<ListEndedLoginsResponse>, Status> {
        let state = self.state();
        if state.is_auth_failing {
            return Err(Status::unknown("deaf"));
        }
        let logins = request.into_inner().logins.into_iter();
        let ended = logins.filter(|login| state.logged_out.contains(&login.user_id)).map(|login| login.login_id);
        Ok(Response::new(ListEndedLoginsResponse { login_ids: ended.collect() }))
    }
}

#[tonic::async_trait]
impl ClientNameService for Others {
    async fn batch_get_client_names(
        &self,
        request: Request<BatchGetClientNamesRequest>,
    ) -> Result<Response<BatchGetClientNamesResponse>, Status> {
        let mut state = self.state();
        state.calls.2 += 1;
        let ids = request.into_inner().client_ids.into_iter().filter(|id| !state.gone.contains(id));
        let names = ids.map(|id| ClientName { name: format!("name of {id}"), client_id: id }).collect();
        Ok(Response::new(BatchGetClientNamesResponse { names }))
    }
}

#[tonic::async_trait]
impl TherapistNameService for Others {
    async fn batch_get_therapist_names(
        &self,
        request: Request<BatchGetTherapistNamesRequest>,
    ) -> Result<Response<BatchGetTherapistNamesResponse>, Status> {
        let mut state = self.state();
        state.calls.2 += 1;
        let ids = request.into_inner().therapist_ids.into_iter().filter(|id| !state.gone.contains(id));
        let name = |id| TherapistName { name: format!("name of {id}"), therapist_id: id, specialty: String::new() };
        Ok(Response::new(BatchGetTherapistNamesResponse { names: ids.map(name).collect() }))
    }
}
