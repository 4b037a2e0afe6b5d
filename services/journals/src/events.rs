//! What journals hears of from others.

use chassis::status;
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
        // A kind that is newer than this service is none here, and nothing that it has to hear of.
        if let Some(Kind::AccountEnded(pb::AccountEnded { user_id, role: _ })) = event.and_then(|event| event.kind) {
            let invalid = |_| status::of(Error::invalid("event.accountEnded.userId", "is not an id"));
            self.0.bury(user_id.parse().map_err(invalid)?).await.map_err(status::of)?;
        }
        Ok(Response::new(pb::DeliverResponse {}))
    }
}

impl Ops {
    /// Lets go of the key of an ended account, which vault has destroyed by now, and removes what it sealed. Another replica
    /// may hold the key until its life is over, and an entry that it adds meanwhile stays: unreadable then.
    async fn bury(&self, account: UserId) -> kernel::Result<()> {
        self.keyring.forget(account);
        self.pages.store.erase(Erase::of_ended(account)).await
    }
}
