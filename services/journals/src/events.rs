//! Handles the events of other services.

use chassis::to_status;
use kernel::Error;
use proto::events::v1 as pb;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_server::SubscriberService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::policy::{self, Erase};
use crate::service::Journals;

impl Journals {
    async fn handle(&self, request: pb::DeliverRequest) -> Result<(), Error> {
        // A kind that this version doesn't know decodes as none, and is acknowledged.
        if let Some(Kind::AccountEnded(ended)) = request.event.and_then(|event| event.kind) {
            self.0.handle_account_deleted(policy::erase(&ended)?).await?;
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl SubscriberService for Journals {
    async fn deliver(&self, request: Request<pb::DeliverRequest>) -> Result<Response<pb::DeliverResponse>, Status> {
        self.handle(request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::DeliverResponse {}))
    }
}

impl Ops {
    /// Drops the cached key of an ended account, which vault has destroyed by now, and removes the entries. Another
    /// replica may cache the key until it expires; an entry that it adds meanwhile stays, but can't be read after that.
    async fn handle_account_deleted(&self, permit: Erase) -> Result<(), Error> {
        self.keyring.forget(permit.client().into());
        self.pages.store.erase(permit).await
    }
}
