//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use kernel::{
    ClientId, FieldError, FieldReason, Result as Outcome, SessionId, TherapistId, Timestamp, UserId, Violations,
};
use proto::events::v1::{EntryChanged, NotesChanged};
use proto::journals::v1::EntryName;
use proto::search::v1 as pb;
use proto::search::v1::search_service_server::SearchService;
use subscriber::{AccountDeletionPermit, EventHandler};
use tonic::{Request, Response, Status};

use crate::index::ScopeId;
use crate::indexer::Feed;
use crate::ops::Ops;
use crate::writers::{TIMEOUT, Writers};
use crate::{owners, wire};

/// The service of the proto, and the subscriber.
#[derive(Clone)]
pub(crate) struct Searches {
    pub(crate) ops: Arc<Ops>,
    pub(crate) feed: Feed,
    pub(crate) writers: Writers,
}

impl Searches {
    async fn search(&self, context: Context, request: pb::SearchRequest) -> Outcome<pb::SearchResponse> {
        let (side, request) = wire::request(context.person()?, request)?;
        self.ops.search(&context, side, request).await.map(wire::response)
    }
}

#[tonic::async_trait]
impl SearchService for Searches {
    async fn search(&self, request: Request<pb::SearchRequest>) -> Result<Response<pb::SearchResponse>, Status> {
        let page = Self::search(self, Context::of(&request), request.into_inner()).await.map_err(to_status)?;
        let next = convert::page::token_from_proto(page.next_page_token.clone());
        Ok(paged(page, next.as_deref()))
    }
}

impl EventHandler for Searches {
    async fn account_deleted(&self, _: &Context, permit: AccountDeletionPermit) -> Outcome<()> {
        self.feed.account_ended(permit.id()).await
    }

    async fn entry_changed(
        &self,
        _: &Context,
        event: EntryChanged,
        time: Option<prost_types::Timestamp>,
    ) -> Outcome<()> {
        let EntryChanged { client_id, entry_id } = event;
        let mut bad = Violations::default();
        let name = owners::from_proto(&EntryName { client_id, entry_id })
            .ok_or(FieldError::new(FieldReason::Malformed, "must be the ids of an entry"));
        let (Some(name), Some(time)) = (bad.check("event.entryChanged", name), changed(&mut bad, time)) else {
            return Err(bad.into_error());
        };
        let feed = self.feed.clone();
        let write = async move {
            feed.entry_changed(&Context::background(TIMEOUT), name).await?;
            feed.record_lag(time);
            Ok(())
        };
        self.writers.run(name.client.into(), name.document().id(), write).await
    }

    async fn notes_changed(
        &self,
        _: &Context,
        event: NotesChanged,
        time: Option<prost_types::Timestamp>,
    ) -> Outcome<()> {
        let NotesChanged { session_id, therapist_id, client_id } = event;
        let mut bad = Violations::default();
        let session = bad.check("event.notesChanged.sessionId", session_id.parse::<SessionId>());
        let therapist = bad.check("event.notesChanged.therapistId", therapist_id.parse::<TherapistId>());
        let client = Some(client_id).filter(|id| !id.is_empty()).map(|id| id.parse::<ClientId>()).transpose();
        let client = bad.check("event.notesChanged.clientId", client);
        let time = changed(&mut bad, time);
        let (Some(session), Some(therapist), Some(client), Some(time)) = (session, therapist, client, time) else {
            return Err(bad.into_error());
        };
        let scopes = match client {
            Some(client) => vec![ScopeId::SharedNotes(client, therapist)],
            None => vec![ScopeId::PrivateNotes(therapist), ScopeId::DraftNotes(therapist)],
        };
        let owner = client.map_or(therapist.into(), UserId::from);
        let feed = self.feed.clone();
        let write = async move {
            feed.notes_changed(&Context::background(TIMEOUT), session, &scopes).await?;
            feed.record_lag(time);
            Ok(())
        };
        self.writers.run(owner, *session.as_bytes(), write).await
    }
}

/// Converts the time of an event.
fn changed(bad: &mut Violations, time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    bad.check("event.time", time.ok_or(FieldError::REQUIRED).and_then(convert::time::from_proto))
}
