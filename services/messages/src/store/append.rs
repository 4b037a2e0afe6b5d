//! Appends messages to a conversation: each batch by one transaction, all of it or nothing.

use dynamo::seal::SealingKey;
use dynamo::{Action, Claim, Condition, Item, Read, Transact, Verdict};
use kernel::{Error, Result, Timestamp};

use super::{ACTIVE, Head, NewRow, Store, head_key, message_key};
use crate::content;
use crate::model::{MessageId, Pair, Side, Tally, Text};
use crate::policy::Member;

/// End of a conversation, after which the next message is appended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tail {
    pub(crate) tally: Tally,
    /// Time of the last message.
    pub(crate) at: Timestamp,
}

/// Messages to append after a tail, in order.
pub(crate) struct Batch<'a> {
    /// Permit of one of the members.
    pub(crate) permit: Member,
    pub(crate) from: Tally,
    /// At least one.
    pub(crate) messages: Vec<New<'a>>,
}

/// Message to append.
pub(crate) struct New<'a> {
    pub(crate) id: MessageId,
    pub(crate) sender: Side,
    pub(crate) text: &'a Text,
    /// The client's key.
    pub(crate) key: &'a SealingKey,
    /// The request's claim on its idempotency key. No two messages of a batch may share a key.
    pub(crate) claim: Option<&'a Claim>,
    /// Number of messages up to and including this one.
    pub(crate) tally: Tally,
}

/// Outcome of appending a batch.
pub(crate) enum Appended {
    /// Stored, by this call or by an earlier attempt.
    Done,
    /// Nothing is stored: the conversation doesn't end where the batch begins.
    Moved,
    /// Nothing is stored: the messages at these indexes of the batch have idempotency keys that were used before. With
    /// each index is the message that the same request has created, or the error if another request used the key.
    Claimed(Vec<(usize, Result<MessageId>)>),
}

impl Batch<'_> {
    /// Returns the tail after the batch is stored.
    pub(crate) fn tail(&self) -> Tail {
        let end = self.messages.last().map(|last| Tail { tally: last.tally, at: last.id.at() });
        end.unwrap_or(Tail { tally: self.from, at: Timestamp::default() })
    }
}

impl Store {
    /// Reads the end of a conversation consistently.
    pub(crate) async fn tail(&self, permit: Member) -> Result<Tail> {
        let head: Option<Head> = self.table.get(&head_key(permit.pair()), Read::Consistent).await?;
        Ok(head.map(|head| Tail { tally: head.tally(), at: head.at }).unwrap_or_default())
    }

    /// Appends a batch. Idempotent: after an error with an unknown outcome, the same batch can be appended again.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL with an unknown outcome; ABORTED (`CONFLICT`) when nothing is stored because others keep
    /// writing.
    pub(crate) async fn append(&self, batch: &Batch<'_>) -> Result<Appended> {
        let Batch { permit, from, messages } = batch;
        let pair = permit.pair();
        let mut actions = messages.iter().map(|new| self.put(pair, new)).collect::<Result<Vec<_>>>()?;
        let at = actions.len();
        actions.push(self.advance(batch));
        actions.extend(messages.iter().filter_map(|new| new.claim.map(|claim| claim.action(&new.id.to_string()))));
        let Transact::Failed(verdicts) = self.table.transact(actions).await? else { return Ok(Appended::Done) };
        // It may have failed because an earlier attempt, whose response was lost, has stored the batch.
        let Some(first) = messages.first() else { return Ok(Appended::Done) };
        let there = match verdicts.first() {
            Some(Verdict::ConditionFailed(Some(item))) => Some(item.clone()),
            Some(Verdict::ConditionFailed(None) | Verdict::Fine) | None => {
                self.table.get_item(&message_key(pair, from.last.after(1)), Read::Consistent).await?
            }
        };
        if there.as_ref().and_then(|item: &Item| item.text("message_id")) == Some(&first.id.to_string()) {
            return Ok(Appended::Done);
        }
        let claimed = claimed(messages, verdicts.get(at + 1..).unwrap_or_default());
        Ok(if claimed.is_empty() { Appended::Moved } else { Appended::Claimed(claimed) })
    }

    fn put(&self, pair: Pair, new: &New<'_>) -> Result<Action> {
        let home = message_key(pair, new.tally.last);
        let content = &self.seal(&home, new.key, &content::encode(new.sender, new.text))?;
        let message_id = new.id.to_string();
        let row = NewRow { message_id, content, format: content::FORMAT, by_client: new.tally.by_client };
        Ok(self.table.put(&home, &row).when(Condition::absent()).into())
    }

    /// Returns the update that moves the head to the end of the batch, if the conversation still ends where the batch
    /// begins.
    fn advance(&self, batch: &Batch<'_>) -> Action {
        let Batch { permit, from, messages: _ } = batch;
        let pair = permit.pair();
        let Tail { tally, at } = batch.tail();
        let unmoved = if from.last.0 == 0 { Condition::absent() } else { Condition::eq("last", from.last) };
        self.table
            .update(&head_key(pair))
            .set("client_id", pair.client)
            .set("therapist_id", pair.therapist)
            .set("last", tally.last)
            .set("by_client", tally.by_client)
            .set("at", at)
            .set(ACTIVE, format!("{:020}", at.as_millisecond()))
            .when(unmoved)
            .into()
    }
}

/// Returns the messages whose keys were used before, from the verdicts on their claims.
fn claimed(messages: &[New<'_>], verdicts: &[Verdict]) -> Vec<(usize, Result<MessageId>)> {
    let claims = messages.iter().enumerate().filter_map(|(at, new)| new.claim.map(|claim| (at, claim)));
    let lost = |((at, claim), verdict): ((usize, &dynamo::Claim), &Verdict)| match claim.lost(verdict) {
        Ok(None) => None,
        Ok(Some(id)) => Some((at, id.parse().map_err(|_| Error::internal("a record names no message")))),
        Err(error) => Some((at, Err(error))),
    };
    claims.zip(verdicts).filter_map(lost).collect()
}
