//! Implements the RPCs that give search the texts of entries.

use chassis::{Context, to_status};
use kernel::Error;
use proto::journals::v1 as pb;
use proto::journals::v1::entry_text_service_server::EntryTextService;
use tonic::{Request, Response, Status};

use crate::policy::{self, Index};
use crate::service::Journals;
use crate::wire;

impl Journals {
    pub(crate) async fn text(
        &self,
        context: Context,
        request: pb::GetEntryTextRequest,
    ) -> Result<pb::GetEntryTextResponse, Error> {
        let pb::GetEntryTextRequest { name } = request;
        let Some((client, id)) = wire::entry_name(&name.unwrap_or_default()) else {
            return Ok(pb::GetEntryTextResponse::default());
        };
        let entry = self.0.indexed(&context, Index::of_search(client), id).await?;
        Ok(pb::GetEntryTextResponse { entry: entry.map(|entry| wire::entry_text(client, entry)) })
    }

    pub(crate) async fn readable(
        &self,
        context: Context,
        request: pb::BatchGetReadableEntriesRequest,
    ) -> Result<pb::BatchGetReadableEntriesResponse, Error> {
        let person = context.person()?;
        let ids = wire::entry_names(request)?;
        let readings = policy::read_several(person, ids.keys().copied());
        Ok(wire::readable_entries(self.0.readable(&context, readings, ids).await?))
    }
}

#[tonic::async_trait]
impl EntryTextService for Journals {
    async fn get_entry_text(
        &self,
        request: Request<pb::GetEntryTextRequest>,
    ) -> Result<Response<pb::GetEntryTextResponse>, Status> {
        self.text(Context::of(&request), request.into_inner()).await.map(Response::new).map_err(to_status)
    }

    /// Makes no record in the access log: search makes it for what it shows, before it answers.
    async fn batch_get_readable_entries(
        &self,
        request: Request<pb::BatchGetReadableEntriesRequest>,
    ) -> Result<Response<pb::BatchGetReadableEntriesResponse>, Status> {
        self.readable(Context::of(&request), request.into_inner()).await.map(Response::new).map_err(to_status)
    }
}
