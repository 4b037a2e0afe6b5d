//! Implements the RPCs: converts between protos and use cases.

use std::sync::Arc;

use chassis::{Context, to_status};
use kernel::Error;
use proto::auth::v1 as pb;
use proto::auth::v1::auth_service_server::AuthService;
use proto::auth::v1::login_service_server::LoginService;
use proto::events::v1::subscriber_service_server::SubscriberService;
use proto::events::v1::{DeliverRequest, DeliverResponse};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::model::EndedLoginsQuery;
use crate::ops::{Ops, Tokens};
use crate::wire;

/// Implementation of `AuthService`, for people.
#[derive(Clone)]
pub(crate) struct People(pub(crate) Arc<Ops>);

/// Implementation of `LoginService`, for other services.
#[derive(Clone)]
pub(crate) struct Logins(pub(crate) Arc<Ops>);

/// Implementation of `SubscriberService`, for the events of other services.
#[derive(Clone)]
pub(crate) struct Events(pub(crate) Arc<Ops>);

impl People {
    fn pair(&self, tokens: &Tokens) -> Result<pb::TokenPair, Error> {
        let life = i32::try_from(self.0.config.access_token_life.as_secs()).unwrap_or(i32::MAX);
        wire::token_pair(tokens, life)
    }
}

#[tonic::async_trait]
impl AuthService for People {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Result<Response<pb::User>, Status> {
        let source = Context::of(&request).source;
        let registration = wire::registration(request.into_inner()).map_err(to_status)?;
        let account = self.0.register(registration, source).await.map_err(to_status)?;
        wire::user(&account).map(Response::new).map_err(to_status)
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::TokenPair>, Status> {
        let source = Context::of(&request).source;
        let (email, password) = wire::login(request.into_inner()).map_err(to_status)?;
        let tokens = self.0.login(email, password, source).await.map_err(to_status)?;
        self.pair(&tokens).map(Response::new).map_err(to_status)
    }

    async fn refresh(&self, request: Request<pb::RefreshRequest>) -> Result<Response<pb::TokenPair>, Status> {
        let token = wire::refresh(request.into_inner()).map_err(to_status)?;
        let tokens = self.0.refresh(&token).await.map_err(to_status)?;
        self.pair(&tokens).map(Response::new).map_err(to_status)
    }

    async fn logout(&self, request: Request<pb::LogoutRequest>) -> Result<Response<pb::LogoutResponse>, Status> {
        let person = Context::of(&request).person().map_err(to_status)?;
        let pb::LogoutRequest {} = request.into_inner();
        self.0.logout(person).await.map_err(to_status)?;
        Ok(Response::new(pb::LogoutResponse {}))
    }

    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Result<Response<pb::User>, Status> {
        let person = Context::of(&request).person().map_err(to_status)?;
        let pb::GetMeRequest {} = request.into_inner();
        let account = self.0.me(person).await.map_err(to_status)?;
        wire::user(&account).map(Response::new).map_err(to_status)
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Result<Response<pb::ChangePasswordResponse>, Status> {
        let context = Context::of(&request);
        let person = context.person().map_err(to_status)?;
        let (current, new) = wire::change_password(request.into_inner()).map_err(to_status)?;
        self.0.change_password(person, current, new, context.source).await.map_err(to_status)?;
        Ok(Response::new(pb::ChangePasswordResponse {}))
    }

    async fn get_jwks(&self, request: Request<pb::GetJwksRequest>) -> Result<Response<pb::Jwks>, Status> {
        let pb::GetJwksRequest {} = request.into_inner();
        let keys = self.0.signer.keys.published().await.map_err(to_status)?;
        let mut response = Response::new(pb::Jwks { keys: keys.into_iter().map(wire::jwk).collect() });
        response.metadata_mut().insert("cache-control", MetadataValue::from_static("public, max-age=300"));
        Ok(response)
    }
}

#[tonic::async_trait]
impl LoginService for Logins {
    async fn list_ended_logins(
        &self,
        request: Request<pb::ListEndedLoginsRequest>,
    ) -> Result<Response<pb::ListEndedLoginsResponse>, Status> {
        let EndedLoginsQuery { logins, invalid } = wire::ended_logins_query(request.into_inner()).map_err(to_status)?;
        let ended = self.0.ended_logins(logins).await.map_err(to_status)?;
        let login_ids = ended.into_iter().map(|(_, login)| login.to_string()).chain(invalid).collect();
        Ok(Response::new(pb::ListEndedLoginsResponse { login_ids }))
    }
}

#[tonic::async_trait]
impl SubscriberService for Events {
    async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        let user = wire::account_ended(request.into_inner()).map_err(to_status)?;
        self.0.end_account(user).await.map_err(to_status)?;
        Ok(Response::new(DeliverResponse {}))
    }
}
