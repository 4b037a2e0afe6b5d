//! Use cases of a conversation's members: sending and read marks. Lists are in `lists`, and watching in `watch`.

use std::sync::Arc;

use chassis::{Context, Platform};
use dynamo::seal::SealingKey;
use dynamo::{Claim, Idempotency, PageTokens};
use kernel::{Error, Kind, Result};
use keyring::Keyring;
use peers::{Channel, ClientNames, Contacts, Logins, TherapistNames};
use retry::Policy;

use crate::error::{no_message, no_receiver};
use crate::hub::Hub;
use crate::model::{Message, MessageId, Side, Text};
use crate::policy::Member;
use crate::store::Store;
use crate::writers::{Job, Stored, Writers};

/// Use cases with their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Arc<Store>,
    pub(crate) writers: Writers,
    pub(crate) hub: Hub,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) keyring: Keyring,
    pub(crate) contacts: Contacts,
    pub(crate) clients: ClientNames,
    pub(crate) therapists: TherapistNames,
    pub(crate) logins: Logins,
    pub(crate) platform: Platform,
}

/// Read mark of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) message_id: String,
    /// Number of the other member's messages after it.
    pub(crate) unread: u64,
}

impl Ops {
    /// Sends a message. `claim` is the request's idempotency key, if any, with the claim on it.
    ///
    /// Costs one read by mapping, for the contact of the two, and one write. The conversation is read only when this
    /// process has not written to it for a while.
    pub(crate) async fn send(
        &self,
        context: &Context,
        permit: Member,
        text: Text,
        claim: Option<(String, Claim)>,
    ) -> Result<Message> {
        let contact = self.contacts.record(context, permit.peer(), Channel::Message).await?;
        contact.ok_or_else(no_receiver)?;
        let Some(key) = self.key(context, permit).await? else {
            return Err(match permit.side() {
                Side::Client => Error::account_ended(),
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

    /// Marks the messages up to this one as read by the caller.
    pub(crate) async fn mark_read(&self, permit: Member, id: MessageId) -> Result<Read> {
        let row = self.store.row(permit, id).await?.ok_or_else(no_message)?;
        let mut retries = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        let head = loop {
            match self.store.mark(permit, id, &row).await {
                // The mark conflicts with messages that are being stored. It is idempotent, so it is retried.
                Err(error) if error.kind() == Kind::Aborted && retries.next().await => {}
                marked => break marked?.ok_or_else(no_message)?,
            }
        };
        let message_id = head.read(permit.side()).unwrap_or_default().to_owned();
        Ok(Read { message_id, unread: head.unread(permit.side()) })
    }

    /// Returns the key of a conversation, which is its client's; `None` when it was destroyed with the account.
    pub(crate) async fn key(&self, context: &Context, permit: Member) -> Result<Option<SealingKey>> {
        self.keyring.key(context, permit.pair().client.into()).await
    }
}
