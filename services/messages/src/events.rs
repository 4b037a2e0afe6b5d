//! Handles the events of other services.

use chassis::to_status;
use dynamo::{Item, Key};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{Error, UserId};
use proto::events::v1 as pb;
use proto::events::v1::account_ended::Role;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_server::SubscriberService;
use tonic::{Request, Response, Status};

use crate::ops::Ops;
use crate::policy::{self, Erase};
use crate::service::Messages;
use crate::store::{Head, Store, head_key, heads, thread};

/// Erasure of conversations: maximum items of one read, and of messages removed concurrently.
const ERASED_AT_ONCE: (u16, usize) = (200, 8);

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

impl Store {
    /// Removes every conversation of a client. Idempotent: a repetition resumes after an interruption, because a head
    /// is removed after its messages.
    pub(crate) async fn erase(&self, permit: Erase) -> kernel::Result<()> {
        loop {
            let query = self.table.query(heads(permit.client())).consistent().limit(ERASED_AT_ONCE.0);
            let rows = query.page().await?;
            let is_last = rows.next.is_none();
            for head in rows.parse::<Head>()? {
                self.erase_messages(&thread(head.pair())).await?;
                self.table.delete(&head_key(head.pair())).run().await.map(drop)?;
                // Nothing is appended to a conversation whose head is gone, but something may have been just before.
                self.erase_messages(&thread(head.pair())).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn erase_messages(&self, partition: &str) -> kernel::Result<()> {
        loop {
            let rows = self.table.query(partition).consistent().limit(ERASED_AT_ONCE.0).page().await?;
            let remove = async |item: Item| {
                let sort = item.text("sk").ok_or_else(|| Error::internal("a stored message has no key"))?;
                self.table.delete(&Key::new(partition, sort)).run().await.map(drop)
            };
            let removed = stream::iter(rows.items).map(remove).buffer_unordered(ERASED_AT_ONCE.1);
            removed.try_collect::<()>().await?;
            if rows.next.is_none() {
                return Ok(());
            }
        }
    }
}
