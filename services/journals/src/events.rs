//! Handles the events of other services.

use chassis::to_status;
use kernel::{Error, UserId};
use proto::events::v1 as pb;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_server::SubscriberService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::policy::Erase;
use crate::service::Journals;

#[tonic::async_trait]
impl SubscriberService for Journals {
    async fn deliver(&self, request: Request<pb::DeliverRequest>) -> Result<Response<pb::DeliverResponse>, Status> {
        let pb::DeliverRequest { event } = request.into_inner();
        // A kind that this version doesn't know decodes as none, and is acknowledged.
        if let Some(Kind::AccountEnded(pb::AccountEnded { user_id, role: _ })) = event.and_then(|event| event.kind) {
            let invalid = |_| to_status(Error::invalid("event.accountEnded.userId", "is not an id"));
            self.0.handle_account_deleted(user_id.parse().map_err(invalid)?).await.map_err(to_status)?;
        }
        Ok(Response::new(pb::DeliverResponse {}))
    }
}

impl Ops {
    /// Drops the cached key of an ended account, which vault has destroyed by now, and removes the entries. Another
    /// replica may cache the key until it expires; an entry that it adds meanwhile stays, but can't be read after that.
    async fn handle_account_deleted(&self, account: UserId) -> kernel::Result<()> {
        self.keyring.forget(account);
        self.pages.store.erase(Erase::of_ended(account)).await
    }
}
