//! Defines the stored form of the items.

use dynamo::Item;
use kernel::{Error, Result, TherapistId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use super::{CHAINED, client_of, id_of, shard};
use crate::model::{AccessId, Action, Digest, Facts, Head, Link, People, Personal, SALT_LEN};

/// The chained part of a record without its id, which is in the key.
#[derive(Serialize, Deserialize)]
struct FactsRow {
    time: Timestamp,
    action: Action,
    entry_count: u32,
    client_digest: Digest,
    therapist_digest: Digest,
    entry_digest: Digest,
    grant_digest: Digest,
}

impl FactsRow {
    const fn new(facts: &Facts) -> Self {
        let Facts { id: _, time, action, entry_count, people } = *facts;
        let People { client, therapist, entry, grant } = people;
        Self {
            time,
            action,
            entry_count,
            client_digest: client,
            therapist_digest: therapist,
            entry_digest: entry,
            grant_digest: grant,
        }
    }

    const fn into_facts(self, id: AccessId) -> Facts {
        let Self { time, action, entry_count, client_digest, therapist_digest, entry_digest, grant_digest } = self;
        let people =
            People { client: client_digest, therapist: therapist_digest, entry: entry_digest, grant: grant_digest };
        Facts { id, time, action, entry_count, people }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    facts: FactsRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    therapist_id: Option<TherapistId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<ByteArray<SALT_LEN>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unlinked: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
}

impl Row {
    /// Builds the row of an unlinked record.
    pub(super) fn new(facts: &Facts, personal: Personal, shard: String) -> Self {
        let Personal { therapist, entry_id, grant_id, salt } = personal;
        Self {
            facts: FactsRow::new(facts),
            therapist_id: Some(therapist),
            entry_id: Some(entry_id),
            grant_id: Some(grant_id),
            salt: Some(ByteArray::new(salt)),
            unlinked: Some(shard),
            chain: None,
            seq: None,
            previous: None,
            digest: None,
        }
    }
}

/// A stored record.
pub(crate) struct Record {
    pub(crate) facts: Facts,
    /// `None` once it is erased.
    pub(crate) personal: Option<Personal>,
    pub(crate) place: Place,
}

/// The place of a record: unlinked, or in its chain.
pub(crate) enum Place {
    /// The record is not linked yet.
    Waiting,
    /// The record is linked.
    Linked(Link),
    /// The attributes of the place contradict each other.
    Contradictory,
}

impl TryFrom<Item> for Record {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        let (id, shard) = (id_of(&item)?, shard(client_of(&item)?));
        let row: Row = item.parse()?;
        let facts = row.facts.into_facts(id);
        let personal = match (row.therapist_id, row.entry_id, row.grant_id, row.salt) {
            (Some(therapist), Some(entry_id), Some(grant_id), Some(salt)) => {
                Some(Personal { therapist, entry_id, grant_id, salt: salt.into_array() })
            }
            (None, None, None, None) => None,
            _ => return Err(Error::internal("a record of the access log is erased in part")),
        };
        let place = match (row.unlinked, row.seq, row.previous, row.digest, row.chain.as_deref()) {
            (Some(mark), None, None, None, None) if mark == shard => Place::Waiting,
            (None, Some(seq @ 1), Some(previous), Some(digest), Some(CHAINED)) => {
                Place::Linked(Link { seq, previous, digest })
            }
            (None, Some(seq @ 2..), Some(previous), Some(digest), None) => {
                Place::Linked(Link { seq, previous, digest })
            }
            _ => Place::Contradictory,
        };
        Ok(Self { facts, personal, place })
    }
}

/// An unlinked record, as projected by the index.
pub(crate) struct Waiting {
    pub(crate) facts: Facts,
}

#[derive(Deserialize)]
struct WaitingRow {
    #[serde(flatten)]
    facts: FactsRow,
    seq: Option<u64>,
}

impl TryFrom<Item> for Waiting {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        let id = id_of(&item)?;
        let row: WaitingRow = item.parse()?;
        if row.seq.is_some() {
            return Err(Error::internal("a record of the access log that is linked is marked as waiting"));
        }
        Ok(Self { facts: row.facts.into_facts(id) })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeadRow {
    seq: u64,
    digest: Digest,
    time: Timestamp,
    key_id: String,
    signature: ByteBuf,
    chain: String,
}

impl HeadRow {
    pub(super) fn new(head: Head) -> Self {
        let Head { seq, digest, time, key_id, signature } = head;
        Self { seq, digest, time, key_id, signature: ByteBuf::from(signature), chain: CHAINED.to_owned() }
    }

    pub(super) fn into_head(self) -> Result<Head> {
        let Self { seq, digest, time, key_id, signature, chain } = self;
        if chain != CHAINED {
            return Err(Error::internal("a head of the access log is not marked as one"));
        }
        Ok(Head { seq, digest, time, key_id, signature: signature.into_vec() })
    }
}
