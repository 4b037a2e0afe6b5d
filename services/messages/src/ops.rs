//! What the two of a conversation can do with it. Lists are in `lists`, and watching in `watch`.

use std::sync::Arc;

use chassis::{Context, Platform};
use dynamo::seal::SealingKey;
use dynamo::{Claim, Idempotency, PageTokens};
use kernel::{Error, Kind, Result};
use keyring::Keyring;
use logins::Logins;
use retry::Policy;

use crate::hub::Hub;
use crate::model::{Message, MessageId, Side, Text};
use crate::people::{Contact, People};
use crate::policy::Member;
use crate::store::Store;
use crate::writers::{Job, Stored, Writers};

/// The use cases and what they need.
pub(crate) struct Ops {
    pub(crate) store: Arc<Store>,
    pub(crate) writers: Writers,
    pub(crate) hub: Hub,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) keyring: Keyring,
    pub(crate) people: People,
    pub(crate) logins: Logins,
    pub(crate) platform: Platform,
}

/// Up to where somebody has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) message_id: String,
    /// How many messages of the other one come after it.
    pub(crate) unread: u64,
}

impl Ops {
    /// Sends a message, with the request's idempotency key and its claim on it if it brought one.
    ///
    /// Mapping reads once whether the two are in contact, and then it is one write: the conversation is read when this
    /// process has not written in it for a while.
    pub(crate) async fn send(
        &self,
        context: &Context,
        permit: Member,
        text: Text,
        claim: Option<(String, Claim)>,
    ) -> Result<Message> {
        match self.people.contact(context, permit).await? {
            Contact::Recorded => {}
            Contact::NoSuchPeer => return Err(no_receiver()),
            Contact::CallerEnded => return Err(account_ended()),
        }
        let Some(key) = self.key(context, permit).await? else {
            return Err(match permit.side() {
                Side::Client => account_ended(),
                Side::Therapist => no_receiver(),
            });
        };
        let job = Job { permit, text: text.clone(), key: key.clone(), claim, deadline: context.deadline };
        match self.writers.append(job).await? {
            Stored::New(id) => Ok(Message { id, sender: permit.side(), text }),
            Stored::Before(id) => {
                let row = self.store.row(permit, id).await?.ok_or_else(no_message)?;
                self.store.open(permit, &key, row)
            }
        }
    }

    /// Notes that the caller has read up to a message.
    pub(crate) async fn mark_read(&self, permit: Member, id: MessageId) -> Result<Read> {
        let row = self.store.row(permit, id).await?.ok_or_else(no_message)?;
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        let head = loop {
            match self.store.mark(permit, id, &row).await {
                // Messages are being stored in the conversation: a mark can be made again.
                Err(error) if error.kind() == Kind::Aborted && attempts.next().await => {}
                marked => break marked?.ok_or_else(no_message)?,
            }
        };
        let message_id = head.read(permit.side()).unwrap_or_default().to_owned();
        Ok(Read { message_id, unread: head.unread(permit.side()) })
    }

    /// The key of a conversation, which is its client's; none when it was destroyed with the account.
    pub(crate) async fn key(&self, context: &Context, permit: Member) -> Result<Option<SealingKey>> {
        self.keyring.key(context, permit.pair().client.into()).await
    }
}

/// The answer to somebody whose access token has outlived the account.
pub(crate) fn account_ended() -> Error {
    Error::new(Kind::Unauthenticated, "ACCOUNT_ENDED", "this account has been ended")
}

fn no_receiver() -> Error {
    Error::not_found("receiver")
}

fn no_message() -> Error {
    Error::not_found("message")
}
