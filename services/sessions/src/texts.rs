//! RPCs that give search the notes of sessions.

use chassis::{Context, to_status};
use kernel::Result as Outcome;
use proto::sessions::v1 as pb;
use proto::sessions::v1::notes_text_service_server::NotesTextService;
use tonic::{Request, Response, Status};

use crate::policy::{self, IndexPermit};
use crate::service::Sessions;
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
        Ok(self.0.notes_text(context, IndexPermit::of_search(), id).await?.map(wire::notes_text))
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
