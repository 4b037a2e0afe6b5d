//! The table Messages: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<client id>` | `THREAD#<therapist id>` | the head of a conversation: its length and the read marks |
//! | `THREAD#<client id>#<therapist id>` | position, 20 digits | a message, whose content is one sealed attribute |
//! | `IDEM#<digest>` | `IDEM` | the record of an idempotent request |
//!
//! The heads of a client are one partition of the table, so that erasing finds them all. The lists of conversations,
//! newest first, are the indexes `by_client` and `by_therapist`, which usually lag by milliseconds.

mod append;
mod erase;

use std::sync::Arc;

use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{
    Condition, Cursor, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Sort, Table, TableDef, Update,
};
use kernel::{ClientId, Entropy, Error, Result, TherapistId, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use append::{Appended, Batch, New, Tail};

use crate::content;
use crate::model::{Message, MessageId, Pair, Position, Side, Tally};
use crate::policy::{Member, Own, Poll};

const BY_CLIENT: IndexDef = index("by_client", "client_id");
const BY_THERAPIST: IndexDef = index("by_therapist", "therapist_id");

/// The table of messages.
pub static MESSAGES: TableDef =
    TableDef { name: "Messages", key: KeyDef::PK_SK, indexes: &[BY_CLIENT, BY_THERAPIST], ttl: Some(EXPIRES_AT) };

/// Defines an index of a person's conversations by the time of the last message. All attributes are projected: a page
/// is one Query.
const fn index(name: &'static str, partition: &'static str) -> IndexDef {
    IndexDef { name, key: KeyDef { partition, sort: Some(ACTIVE) }, projection: Projection::All }
}

/// The sealed attribute.
const CONTENT: &str = "content";
/// The attribute that orders conversations.
const ACTIVE: &str = "active";

/// The handle of the table.
pub(crate) struct Store {
    table: Table,
    entropy: Arc<dyn Entropy>,
}

/// The head of a conversation.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Head {
    client_id: ClientId,
    therapist_id: TherapistId,
    last: Position,
    by_client: u64,
    /// Time of the last message.
    at: Timestamp,
    #[serde(default)]
    client_read: Option<Mark>,
    #[serde(default)]
    therapist_read: Option<Mark>,
    active: String,
}

/// Read mark of a side.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The last message that is read.
    id: String,
    /// Number of the other side's messages up to it.
    seen: u64,
}

/// A message to store, without its key.
#[derive(Serialize)]
struct NewRow<'a> {
    message_id: String,
    content: &'a Sealed,
    format: u8,
    /// Number of the client's messages up to this one.
    by_client: u64,
}

/// A message as it is read.
#[derive(Deserialize)]
pub(crate) struct Row {
    sk: String,
    message_id: String,
    content: Sealed,
    format: u8,
    by_client: u64,
}

impl Head {
    pub(crate) const fn pair(&self) -> Pair {
        Pair { client: self.client_id, therapist: self.therapist_id }
    }

    pub(crate) const fn tally(&self) -> Tally {
        Tally { last: self.last, by_client: self.by_client }
    }

    /// Returns the last message that a side has read.
    pub(crate) fn read(&self, side: Side) -> Option<&str> {
        self.mark(side).map(|mark| mark.id.as_str())
    }

    /// Returns the number of the other side's messages that a side has not read.
    pub(crate) fn unread(&self, side: Side) -> u64 {
        let seen = self.mark(side).map_or(0, |mark| mark.seen);
        self.tally().by(side.other()).saturating_sub(seen)
    }

    const fn mark(&self, side: Side) -> Option<&Mark> {
        match side {
            Side::Client => self.client_read.as_ref(),
            Side::Therapist => self.therapist_read.as_ref(),
        }
    }
}

pub(crate) fn heads(client: ClientId) -> String {
    format!("CLIENT#{client}")
}

fn head_key(pair: Pair) -> Key {
    Key::new(heads(pair.client), format!("THREAD#{}", pair.therapist))
}

pub(crate) fn thread(pair: Pair) -> String {
    format!("THREAD#{}#{}", pair.client, pair.therapist)
}

fn sort(position: Position) -> String {
    format!("{:020}", position.0)
}

fn message_key(pair: Pair, position: Position) -> Key {
    Key::new(thread(pair), sort(position))
}

/// Returns the attributes of a side's read mark and of its position, which conditions compare.
const fn marks(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Client => ("client_read", "client_position"),
        Side::Therapist => ("therapist_read", "therapist_position"),
    }
}

impl Store {
    pub(crate) const fn new(table: Table, entropy: Arc<dyn Entropy>) -> Self {
        Self { table, entropy }
    }

    #[cfg(test)]
    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// Reads the head of a conversation consistently; `None` before the first message.
    pub(crate) async fn head(&self, _permit: Poll, pair: Pair) -> Result<Option<Head>> {
        self.table.get(&head_key(pair), Read::Consistent).await
    }

    /// Reads the heads of conversations with eventual consistency; missing ones are left out.
    pub(crate) async fn heads(&self, _permit: Poll, pairs: impl Iterator<Item = Pair>) -> Result<Vec<Head>> {
        let items = self.table.batch_get(pairs.map(head_key).collect(), Read::Eventual).await?;
        items.into_iter().map(Item::parse).collect()
    }

    /// Reads the message with this id, still sealed, if it is in the conversation.
    pub(crate) async fn row(&self, permit: Member, id: MessageId) -> Result<Option<Row>> {
        let key = message_key(permit.pair(), id.position());
        let row: Option<Row> = self.table.get(&key, Read::Consistent).await?;
        Ok(row.filter(|row| row.message_id == id.to_string()))
    }

    /// Reads the last message, still sealed, if there is one.
    pub(crate) async fn last(&self, permit: Member) -> Result<Option<Row>> {
        Ok(self.history(permit).limit(1).page().await?.parse::<Row>()?.pop())
    }

    /// Returns the query of the whole conversation, newest first.
    pub(crate) fn history(&self, permit: Member) -> Query {
        self.table.query(thread(permit.pair())).descending().consistent()
    }

    /// Returns the query of the messages after a position, oldest first.
    pub(crate) fn since(&self, permit: Member, position: Position) -> Query {
        self.table.query(thread(permit.pair())).sort(Sort::After(sort(position))).consistent()
    }

    /// Returns the query of the caller's conversations, those with the newest messages first.
    pub(crate) fn conversations(&self, permit: Own) -> Query {
        let index = match permit.side() {
            Side::Client => &BY_CLIENT,
            Side::Therapist => &BY_THERAPIST,
        };
        self.table.query_index(index, permit.id().to_string()).descending()
    }

    /// Reads the newest messages of these conversations, still sealed, in no specified order.
    pub(crate) async fn newest(&self, _permit: Own, heads: &[Head]) -> Result<Vec<Item>> {
        let keys = heads.iter().map(|head| message_key(head.pair(), head.last)).collect();
        self.table.batch_get(keys, Read::Consistent).await
    }

    /// Marks the messages up to this one as read by the caller, unless more is read already. Returns the head; `None`
    /// when the conversation is gone.
    pub(crate) async fn mark(&self, permit: Member, id: MessageId, row: &Row) -> Result<Option<Head>> {
        let (mark, position) = marks(permit.side());
        let seen = row.tally()?.by(permit.side().other());
        let further = Condition::lacks(position).or(Condition::lt(position, id.position()));
        let update = self
            .table
            .update(&head_key(permit.pair()))
            .set(mark, Mark { id: id.to_string(), seen })
            .set(position, id.position())
            .when(Condition::exists().and(further));
        match update.run().await? {
            Update::Done(head) | Update::ConditionFailed(Some(head)) => head.parse().map(Some),
            Update::ConditionFailed(None) => Ok(None),
        }
    }

    /// Opens a message. Every message read from the table passes here.
    pub(crate) fn open(&self, permit: Member, key: &SealingKey, row: Row) -> Result<Message> {
        let Row { sk, message_id, content: sealed, format, by_client: _ } = row;
        let id = parse_id(&message_id)?;
        let home = Key::new(thread(permit.pair()), sk);
        let place = Place { table: &self.table, key: &home, attribute: CONTENT, version: format };
        let (sender, text) = content::decode(format, &key.open(&place, &sealed)?)?;
        Ok(Message { id, sender, text })
    }

    /// Seals the content of a message for its key in the table.
    fn seal(&self, home: &Key, key: &SealingKey, content: &[u8]) -> Result<Sealed> {
        let place = Place { table: &self.table, key: home, attribute: CONTENT, version: content::FORMAT };
        key.seal(&place, content, &*self.entropy)
    }
}

impl Row {
    pub(crate) fn id(&self) -> Result<MessageId> {
        parse_id(&self.message_id)
    }

    pub(crate) fn position(&self) -> Result<Position> {
        self.sk.parse().map(Position).map_err(|_| Error::internal("a stored message has no position"))
    }

    /// Returns the number of messages up to this one.
    pub(crate) fn tally(&self) -> Result<Tally> {
        Ok(Tally { last: self.position()?, by_client: self.by_client })
    }
}

fn parse_id(message_id: &str) -> Result<MessageId> {
    message_id.parse().map_err(|_| Error::internal("a stored message has no id"))
}

/// Returns the cursor of a conversation in a member's list.
pub(crate) fn cursor_of(head: &Head, side: Side) -> Cursor {
    let pair = head.pair();
    let (partition, id) = match side {
        Side::Client => ("client_id", pair.client.to_string()),
        Side::Therapist => ("therapist_id", pair.therapist.to_string()),
    };
    Cursor::new([
        ("pk".to_owned(), heads(pair.client)),
        ("sk".to_owned(), format!("THREAD#{}", pair.therapist)),
        (partition.to_owned(), id),
        (ACTIVE.to_owned(), head.active.clone()),
    ])
}
