//! The table Messages: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<client id>` | `THREAD#<therapist id>` | the head of a conversation: how long it is, and who has read up to where |
//! | `THREAD#<client id>#<therapist id>` | position, 20 digits | a message: what was written is one sealed attribute |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |
//!
//! The heads of a client are one partition of the table, so that erasing finds them all. The lists of conversations, newest
//! first, are the indexes `by_client` and `by_therapist`, which lag behind by milliseconds as a rule.

use std::sync::Arc;

use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{
    Condition, Cursor, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Sort, Table, TableDef, Update,
};
use kernel::{ClientId, Entropy, Error, Result, TherapistId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::content;
use crate::model::{Message, MessageId, Pair, Position, Side, Tally};
use crate::policy::{Member, Own};

const BY_CLIENT: IndexDef = index("by_client", "client_id");
const BY_THERAPIST: IndexDef = index("by_therapist", "therapist_id");

/// The table of messages.
pub static MESSAGES: TableDef =
    TableDef { name: "Messages", key: KeyDef::PK_SK, indexes: &[BY_CLIENT, BY_THERAPIST], ttl: Some(EXPIRES_AT) };

/// The conversations of somebody, by when they were last written in. Everything is projected: a page is one Query.
const fn index(name: &'static str, partition: &'static str) -> IndexDef {
    IndexDef { name, key: KeyDef { partition, sort: Some(ACTIVE) }, projection: Projection::All }
}

/// The attribute that is sealed.
const CONTENT: &str = "content";
/// The attribute that orders conversations.
pub(crate) const ACTIVE: &str = "active";

/// The handle of the table.
pub(crate) struct Store {
    pub(crate) table: Table,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// The head of a conversation.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Head {
    client_id: ClientId,
    therapist_id: TherapistId,
    last: Position,
    by_client: u64,
    /// When it was last written in.
    pub(crate) at: Timestamp,
    #[serde(default)]
    client_read: Option<Mark>,
    #[serde(default)]
    therapist_read: Option<Mark>,
    active: String,
}

/// Up to where a side has read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The message.
    id: String,
    /// How many messages of the other side there are up to it.
    seen: u64,
}

/// A message as it is stored, beside its key.
#[derive(Serialize)]
pub(crate) struct NewRow<'a> {
    pub(crate) message_id: String,
    pub(crate) content: &'a Sealed,
    pub(crate) format: u8,
    /// How many messages of the conversation, up to this one, are the client's.
    pub(crate) by_client: u64,
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

    /// The last message that a side has read.
    pub(crate) fn read(&self, side: Side) -> Option<&str> {
        self.mark(side).map(|mark| mark.id.as_str())
    }

    /// How many messages of the other one a side has not read.
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

pub(crate) fn head_key(pair: Pair) -> Key {
    Key::new(heads(pair.client), format!("THREAD#{}", pair.therapist))
}

pub(crate) fn thread(pair: Pair) -> String {
    format!("THREAD#{}#{}", pair.client, pair.therapist)
}

fn sort(position: Position) -> String {
    format!("{:020}", position.0)
}

pub(crate) fn message_key(pair: Pair, position: Position) -> Key {
    Key::new(thread(pair), sort(position))
}

/// The attribute with the mark of a side, and the one with its position, by which it is compared.
const fn marks(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Client => ("client_read", "client_position"),
        Side::Therapist => ("therapist_read", "therapist_position"),
    }
}

impl Store {
    /// The head of a conversation, as it is right now; nothing before the first message.
    pub(crate) async fn head(&self, pair: Pair) -> Result<Option<Head>> {
        self.table.get(&head_key(pair), Read::Consistent).await
    }

    /// The heads of conversations, perhaps as they were a moment ago; those that are not there are left out.
    pub(crate) async fn heads(&self, pairs: impl Iterator<Item = Pair>) -> Result<Vec<Head>> {
        let items = self.table.batch_get(pairs.map(head_key).collect(), Read::Eventual).await?;
        items.into_iter().map(Item::parse).collect()
    }

    /// The message with this id, as it is stored, if it is one of the conversation.
    pub(crate) async fn row(&self, permit: Member, id: MessageId) -> Result<Option<Row>> {
        let key = message_key(permit.pair(), id.position());
        let row: Option<Row> = self.table.get(&key, Read::Consistent).await?;
        Ok(row.filter(|row| row.message_id == id.to_string()))
    }

    /// The whole conversation, newest first.
    pub(crate) fn history(&self, permit: Member) -> Query {
        self.table.query(thread(permit.pair())).descending().consistent()
    }

    /// What comes after a position, oldest first.
    pub(crate) fn since(&self, permit: Member, position: Position) -> Query {
        self.table.query(thread(permit.pair())).sort(Sort::After(sort(position))).consistent()
    }

    /// The conversations of the caller, those with the newest messages first.
    pub(crate) fn conversations(&self, permit: Own) -> Query {
        let index = match permit.side() {
            Side::Client => &BY_CLIENT,
            Side::Therapist => &BY_THERAPIST,
        };
        self.table.query_index(index, permit.id().to_string()).descending()
    }

    /// The newest messages of these conversations, as they are stored, in no promised order.
    pub(crate) async fn newest(&self, heads: &[Head]) -> Result<Vec<Item>> {
        let keys = heads.iter().map(|head| message_key(head.pair(), head.last)).collect();
        self.table.batch_get(keys, Read::Consistent).await
    }

    /// Notes that the caller has read up to a message, unless more is read already. Answers the head; nothing when the
    /// conversation is gone.
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

    /// The one way from the table to a message.
    pub(crate) fn open(&self, permit: Member, key: &SealingKey, row: Row) -> Result<Message> {
        let Row { sk, message_id, content: sealed, format, by_client: _ } = row;
        let id = message_id.parse().map_err(|_| Error::internal("a stored message has no id"))?;
        let home = Key::new(thread(permit.pair()), sk);
        let place = Place { table: &self.table, key: &home, attribute: CONTENT, version: format };
        let (sender, text) = content::decode(format, &key.open(&place, &sealed)?)?;
        Ok(Message { id, sender, text })
    }

    /// What a message says, sealed for its place.
    pub(crate) fn seal(&self, home: &Key, key: &SealingKey, content: &[u8]) -> Result<Sealed> {
        let place = Place { table: &self.table, key: home, attribute: CONTENT, version: content::FORMAT };
        key.seal(&place, content, &*self.entropy)
    }
}

impl Row {
    pub(crate) fn position(&self) -> Result<Position> {
        self.sk.parse().map(Position).map_err(|_| Error::internal("a stored message has no position"))
    }

    /// How many messages there are up to this one.
    pub(crate) fn tally(&self) -> Result<Tally> {
        Ok(Tally { last: self.position()?, by_client: self.by_client })
    }
}

/// Where a conversation is in the list of one of its two.
pub(crate) fn place_of(head: &Head, side: Side) -> Cursor {
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
