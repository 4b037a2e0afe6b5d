//! Public RPCs: converts requests, calls the use cases and converts their results.

use std::sync::Arc;

use chassis::{Context, paged, tagged, to_status};
use kernel::{Error, Page, zip_violations};
use prost::Message as _;
use proto::sessions::v1 as pb;
use proto::sessions::v1::session_service_server::SessionService;
use tonic::{Request, Response, Status};

use crate::model::List;
use crate::ops::Ops;
use crate::policy::{self, Side};
use crate::wire;

/// RPC name that scopes idempotency keys.
const CREATE: &str = "/therapy.sessions.v1.SessionService/CreateSession";

/// Implementation of the gRPC services.
#[derive(Clone)]
pub(crate) struct Sessions(pub(crate) Arc<Ops>);

impl Sessions {
    async fn list(&self, context: Context, request: pb::ListSessionsRequest) -> Result<Page<pb::Session>, Error> {
        let side = policy::side_of(context.person()?, &request.therapist_id, &request.client_id)?;
        let List { therapist, client, query } = wire::list(request)?;
        match side {
            Side::Therapist(own) => Ok(self.0.list_own(&context, own, client, &query).await?.map(wire::own)),
            Side::Client(permit) => {
                Ok(self.0.list_seen(&context, permit, therapist, client, &query).await?.map(wire::seen))
            }
        }
    }

    async fn create(&self, context: Context, mut request: pb::CreateSessionRequest) -> Result<pb::Session, Error> {
        let person = context.person()?;
        if let Some(session) = &mut request.session {
            convert::id::normalize([&mut session.session_id, &mut session.therapist_id, &mut session.client_id]);
        }
        let body = request.encode_to_vec();
        let session = request.session.unwrap_or_default();
        let permit = policy::own(person, &session.therapist_id)?;
        let key = context.idempotency_key.as_deref();
        let claim = self.0.idempotency.claim_if_keyed(key, person.user_id.as_bytes(), CREATE, &body);
        // The replay is looked up before validation: the start of a session created before may be in the past by now.
        if let Ok(claim) = &claim
            && let Some(made) = self.0.replayed(&context, permit, claim.as_ref()).await?
        {
            return Ok(wire::own(made));
        }
        let (draft, claim) = zip_violations(wire::draft(session, self.0.now()), claim)?;
        self.0.create(&context, permit, draft, claim.as_ref()).await.map(wire::own)
    }

    async fn get(&self, context: Context, request: pb::GetSessionRequest) -> Result<pb::Session, Error> {
        let id = wire::session_id(&request.session_id)?;
        match policy::side(context.person()?) {
            Side::Therapist(own) => self.0.own(&context, own, id).await.map(wire::own),
            Side::Client(permit) => self.0.seen(&context, permit, id).await.map(wire::seen),
        }
    }

    async fn update(&self, context: Context, request: pb::UpdateSessionRequest) -> Result<pb::Session, Error> {
        let pb::UpdateSessionRequest { session_id, session } = request;
        let session = session.unwrap_or_default();
        let permit = policy::own(context.person()?, &session.therapist_id)?;
        let id = wire::session_id(&session_id)?;
        let change = wire::change(session, id, &context.expected)?;
        self.0.update(&context, permit, id, &change).await.map(wire::own)
    }

    async fn update_notes(&self, context: Context, request: pb::UpdateNotesRequest) -> Result<pb::Session, Error> {
        let pb::UpdateNotesRequest { session_id, notes } = request;
        let permit = policy::own(context.person()?, "")?;
        let id = wire::session_id(&session_id)?;
        let change = wire::notes(notes.unwrap_or_default(), &context.expected)?;
        self.0.update(&context, permit, id, &change).await.map(wire::own)
    }

    async fn delete(&self, context: Context, request: pb::DeleteSessionRequest) -> Result<(), Error> {
        let permit = policy::own(context.person()?, "")?;
        let id = wire::session_id(&request.session_id)?;
        self.0.delete(&context, permit, id).await
    }
}

#[tonic::async_trait]
impl SessionService for Sessions {
    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let page = self.list(Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        let next = page.next.clone();
        Ok(paged(wire::page(page), next.as_deref()))
    }

    async fn create_session(
        &self,
        request: Request<pb::CreateSessionRequest>,
    ) -> Result<Response<pb::Session>, Status> {
        let created = self.create(Context::of(&request), request.into_inner()).await;
        created.map(tagged).map_err(to_status)
    }

    async fn get_session(&self, request: Request<pb::GetSessionRequest>) -> Result<Response<pb::Session>, Status> {
        self.get(Context::of(&request), request.into_inner()).await.map(tagged).map_err(to_status)
    }

    async fn update_session(
        &self,
        request: Request<pb::UpdateSessionRequest>,
    ) -> Result<Response<pb::Session>, Status> {
        let updated = self.update(Context::of(&request), request.into_inner()).await;
        updated.map(tagged).map_err(to_status)
    }

    async fn update_notes(&self, request: Request<pb::UpdateNotesRequest>) -> Result<Response<pb::Session>, Status> {
        let updated = Self::update_notes(self, Context::of(&request), request.into_inner()).await;
        updated.map(tagged).map_err(to_status)
    }

    async fn delete_session(&self, request: Request<pb::DeleteSessionRequest>) -> Result<Response<()>, Status> {
        self.delete(Context::of(&request), request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}
