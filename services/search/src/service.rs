//! Implements the RPCs: converts a request, calls the use case, and converts its answer.

use std::sync::Arc;

use chassis::{Context, paged, to_status};
use kernel::{Result as Outcome, Timestamp, Violations};
use proto::events::v1::{EntryChanged, NotesChanged};
use proto::journals::v1::EntryName;
use proto::search::v1 as pb;
use proto::search::v1::search_service_server::SearchService;
use subscriber::{AccountDeletionPermit, EventHandler};
use tonic::{Request, Response, Status};

use crate::indexer::Feed;
use crate::ops::Ops;
use crate::{owners, wire};

/// The service of the proto, and the subscriber.
#[derive(Clone)]
pub(crate) struct Searches {
    pub(crate) ops: Arc<Ops>,
    pub(crate) feed: Feed,
}

impl Searches {
    async fn search(&self, context: Context, request: pb::SearchRequest) -> Outcome<pb::SearchResponse> {
        let (side, request) = wire::request(context.person()?, request)?;
        self.ops.search(&context, side, &request).await.map(wire::response)
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
        context: &Context,
        event: EntryChanged,
        time: Option<prost_types::Timestamp>,
    ) -> Outcome<()> {
        let EntryChanged { client_id, entry_id } = event;
        let mut bad = Violations::default();
        let name = owners::from_proto(&EntryName { client_id, entry_id }).ok_or("must be the ids of an entry");
        let (Some(name), Some(time)) = (bad.check("event.entryChanged", name), changed(&mut bad, time)) else {
            return Err(bad.into_error());
        };
        self.feed.entry_changed(context, name).await?;
        self.feed.record_lag(time);
        Ok(())
    }

    async fn notes_changed(
        &self,
        context: &Context,
        event: NotesChanged,
        time: Option<prost_types::Timestamp>,
    ) -> Outcome<()> {
        let NotesChanged { session_id, therapist_id, client_id } = event;
        let mut bad = Violations::default();
        let session = bad.check("event.notesChanged.sessionId", session_id.parse());
        let therapist = bad.check("event.notesChanged.therapistId", therapist_id.parse());
        let client = Some(client_id).filter(|id| !id.is_empty()).map(|id| id.parse()).transpose();
        let client = bad.check("event.notesChanged.clientId", client);
        let time = changed(&mut bad, time);
        let (Some(session), Some(therapist), Some(client), Some(time)) = (session, therapist, client, time) else {
            return Err(bad.into_error());
        };
        match client {
            Some(client) => self.feed.shared_notes_changed(context, session, therapist, client).await?,
            None => self.feed.own_notes_changed(context, session, therapist).await?,
        }
        self.feed.record_lag(time);
        Ok(())
    }
}

/// Converts the time of an event.
fn changed(bad: &mut Violations, time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    bad.check("event.time", time.ok_or(convert::REQUIRED).and_then(convert::time::from_proto))
}
