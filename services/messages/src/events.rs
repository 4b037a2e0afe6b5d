//! Handles the events of other services.

use chassis::to_status;
use kernel::{Error, UserId};
use proto::events::v1 as pb;
use proto::events::v1::account_ended::Role;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_server::SubscriberService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::policy;
use crate::service::Messages;

impl Messages {
    async fn handle(&self, request: pb::DeliverRequest) -> kernel::Result<()> {
        // A kind that this version doesn't know decodes as none, and is acknowledged.
        if let Some(Kind::AccountEnded(ended)) = request.event.and_then(|event| event.kind) {
            let invalid = |_| Error::invalid("event.accountEnded.userId", "is not an id");
            let account = ended.user_id.parse().map_err(invalid)?;
            self.0.handle_account_deleted(account, ended.role()).await?;
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl SubscriberService for Messages {
    async fn deliver(&self, request: Request<pb::DeliverRequest>) -> Result<Response<pb::DeliverResponse>, Status> {
        self.handle(request.into_inner()).await.map_err(to_status)?;
        Ok(Response::new(pb::DeliverResponse {}))
    }
}

impl Ops {
    /// Drops the cached key of an ended account, which vault has destroyed by now. A client's conversations are erased;
    /// a therapist's conversations stay, because they belong to the clients.
    ///
    /// Another replica may cache the key until it expires; a message that it adds meanwhile stays, but can't be read
    /// after that.
    pub(crate) async fn handle_account_deleted(&self, account: UserId, role: Role) -> kernel::Result<()> {
        self.keyring.forget(account);
        let Some(permit) = policy::erase(account, role) else { return Ok(()) };
        self.hub.end_threads_of(permit.client());
        self.store.erase(permit).await
    }
}
