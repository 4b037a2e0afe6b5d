//! Notes for search: those of one session for its index, and those that a person found.

use std::collections::BTreeSet;

use chassis::{Context, to_status};
use kernel::{Result as Outcome, SessionId};
use proto::sessions::v1 as pb;
use proto::sessions::v1::notes_text_service_server::NotesTextService;
use tonic::{Request, Response, Status};

use crate::model::NotesText;
use crate::ops::Ops;
use crate::policy::{self, IndexPermit, Side};
use crate::service::Sessions;
use crate::stored::{Seen, Stored};
use crate::wire;

/// Maximum sessions whose notes are asked for at once: two notes of 10,000 characters each must fit an answer of 4 MiB.
const MAX_SESSIONS: usize = 50;

#[tonic::async_trait]
impl NotesTextService for Sessions {
    async fn get_notes_text(
        &self,
        request: Request<pb::GetNotesTextRequest>,
    ) -> Result<Response<pb::GetNotesTextResponse>, Status> {
        let context = Context::of(&request);
        let notes = self.notes_text(&context, &request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::GetNotesTextResponse { notes }))
    }

    async fn batch_get_readable_notes(
        &self,
        request: Request<pb::BatchGetReadableNotesRequest>,
    ) -> Result<Response<pb::BatchGetReadableNotesResponse>, Status> {
        let context = Context::of(&request);
        let notes = self.readable_notes(&context, &request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::BatchGetReadableNotesResponse { notes }))
    }
}

impl Sessions {
    pub(crate) async fn notes_text(
        &self,
        context: &Context,
        pb::GetNotesTextRequest { session_id }: &pb::GetNotesTextRequest,
    ) -> Outcome<Option<pb::NotesText>> {
        // No session has an invalid id.
        let Ok(id) = session_id.parse() else { return Ok(None) };
        Ok(self.0.notes_text(context, IndexPermit::of_search(id)).await?.map(wire::notes_text))
    }

    pub(crate) async fn readable_notes(
        &self,
        context: &Context,
        pb::BatchGetReadableNotesRequest { session_ids }: &pb::BatchGetReadableNotesRequest,
    ) -> Outcome<Vec<pb::NotesText>> {
        let side = policy::side(context.person()?);
        let ids = convert::batch::from_proto("sessionIds", session_ids, MAX_SESSIONS)?;
        Ok(self.0.readable_notes(context, side, ids).await?.into_iter().map(wire::notes_text).collect())
    }
}

impl Ops {
    /// Returns the notes of a session for the index; none if there is no such session.
    pub(crate) async fn notes_text(&self, context: &Context, permit: IndexPermit) -> Outcome<Option<NotesText>> {
        let Some(stored) = self.store.indexed(permit).await? else { return Ok(None) };
        let keys = self.keys(context, stored.readers()).await?;
        stored.notes_text(self.store.table(), &keys).map(Some)
    }

    /// Returns the notes of those of these sessions whose notes the caller may read, in no promised order.
    pub(crate) async fn readable_notes(
        &self,
        context: &Context,
        side: Side,
        ids: BTreeSet<SessionId>,
    ) -> Outcome<Vec<NotesText>> {
        let table = self.store.table();
        match side {
            Side::Therapist(permit) => {
                let stored = self.store.all_own(permit, ids).await?;
                let keys = self.keys(context, stored.iter().flat_map(Stored::readers)).await?;
                stored.iter().map(|stored| stored.notes_text(table, &keys)).collect()
            }
            Side::Client(permit) => {
                let seen = self.store.all_shared(permit, ids).await?;
                let sealed = seen.iter().any(Seen::is_sealed).then_some(permit.client().into());
                let keys = self.keys(context, sealed).await?;
                seen.iter().map(|seen| seen.open(table, keys.of(permit.client())).map(NotesText::from)).collect()
            }
        }
    }
}
