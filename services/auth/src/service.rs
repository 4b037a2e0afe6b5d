//! Implements the RPCs: converts between protos and use cases.

use std::sync::Arc;

use chassis::{Context, to_status};
use kernel::{Error, FieldError, FieldReason};
use proto::auth::v1 as pb;
use proto::auth::v1::auth_service_server::AuthService;
use proto::auth::v1::login_service_server::LoginService;
use subscriber::{AccountDeletionPermit, EventHandler};
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

/// Handler of the events of other services.
#[derive(Clone)]
pub(crate) struct Events(pub(crate) Arc<Ops>);

impl People {
    fn pair(&self, tokens: &Tokens) -> Result<pb::TokenPair, Error> {
        let life = convert::count::to_proto(self.0.config.access_token_life.as_secs());
        wire::token_pair(tokens, life)
    }

    async fn register(&self, context: Context, request: pb::RegisterRequest) -> Result<pb::User, Error> {
        let account = self.0.register(wire::registration(request)?, context.source).await?;
        wire::user(&account)
    }

    async fn login(&self, context: Context, request: pb::LoginRequest) -> Result<pb::TokenPair, Error> {
        let (email, password) = wire::login(request)?;
        self.pair(&self.0.login(email, password, context.source).await?)
    }

    async fn refresh(&self, request: pb::RefreshRequest) -> Result<pb::TokenPair, Error> {
        self.pair(&self.0.refresh(&wire::refresh(request)?).await?)
    }

    async fn logout(&self, context: Context) -> Result<pb::LogoutResponse, Error> {
        self.0.logout(context.person()?).await?;
        Ok(pb::LogoutResponse {})
    }

    async fn me(&self, context: Context) -> Result<pb::User, Error> {
        wire::user(&self.0.me(context.person()?).await?)
    }

    async fn change_password(
        &self,
        context: Context,
        request: pb::ChangePasswordRequest,
    ) -> Result<pb::ChangePasswordResponse, Error> {
        let person = context.person()?;
        let (current, new) = wire::change_password(request)?;
        self.0.change_password(person, current, new, context.source).await?;
        Ok(pb::ChangePasswordResponse {})
    }

    async fn jwks(&self) -> Result<pb::Jwks, Error> {
        let keys = self.0.signer.keys.published().await?;
        Ok(pb::Jwks { keys: keys.into_iter().map(wire::jwk).collect() })
    }
}

#[tonic::async_trait]
impl AuthService for People {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Result<Response<pb::User>, Status> {
        let registered = Self::register(self, Context::of(&request), request.into_inner()).await;
        registered.map(Response::new).map_err(to_status)
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::TokenPair>, Status> {
        let pair = Self::login(self, Context::of(&request), request.into_inner()).await;
        pair.map(Response::new).map_err(to_status)
    }

    async fn refresh(&self, request: Request<pb::RefreshRequest>) -> Result<Response<pb::TokenPair>, Status> {
        Self::refresh(self, request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    async fn logout(&self, request: Request<pb::LogoutRequest>) -> Result<Response<pb::LogoutResponse>, Status> {
        let context = Context::of(&request);
        let pb::LogoutRequest {} = request.into_inner();
        Self::logout(self, context).await.map(Response::new).map_err(to_status)
    }

    async fn get_me(&self, request: Request<pb::GetMeRequest>) -> Result<Response<pb::User>, Status> {
        let context = Context::of(&request);
        let pb::GetMeRequest {} = request.into_inner();
        self.me(context).await.map(Response::new).map_err(to_status)
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Result<Response<pb::ChangePasswordResponse>, Status> {
        let changed = Self::change_password(self, Context::of(&request), request.into_inner()).await;
        changed.map(Response::new).map_err(to_status)
    }

    async fn get_jwks(&self, request: Request<pb::GetJwksRequest>) -> Result<Response<pb::Jwks>, Status> {
        let pb::GetJwksRequest {} = request.into_inner();
        let mut response = self.jwks().await.map(Response::new).map_err(to_status)?;
        response.metadata_mut().insert("cache-control", MetadataValue::from_static("public, max-age=300"));
        Ok(response)
    }
}

impl Logins {
    async fn ended(&self, request: pb::ListEndedLoginsRequest) -> Result<pb::ListEndedLoginsResponse, Error> {
        let EndedLoginsQuery { logins, invalid } = wire::ended_logins_query(request)?;
        let ended = self.0.ended_logins(logins).await?;
        let login_ids = ended.into_iter().map(|(_, login)| login.to_string()).chain(invalid).collect();
        Ok(pb::ListEndedLoginsResponse { login_ids })
    }
}

impl EventHandler for Events {
    async fn account_deleted(&self, _: &Context, permit: AccountDeletionPermit) -> Result<(), Error> {
        self.0.end_account(permit.id()).await
    }

    /// Refuses the event, so that the outbox keeps it.
    fn other(&self) -> Result<(), Error> {
        Err(Error::invalid("event", FieldError::new(FieldReason::UnknownValue, "is of no kind that is known here")))
    }
}

#[tonic::async_trait]
impl LoginService for Logins {
    async fn list_ended_logins(
        &self,
        request: Request<pb::ListEndedLoginsRequest>,
    ) -> Result<Response<pb::ListEndedLoginsResponse>, Status> {
        self.ended(request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}
