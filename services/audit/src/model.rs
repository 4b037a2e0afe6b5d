//! Defines the record of an access to a journal, and the part of it that is chained.

use std::fmt;

use kernel::{Entropy, TherapistId, Timestamp, uuid_v7};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use uuid::Uuid;

/// Length of the salt of a record's digests in bytes: it keeps their values from being guessed.
pub(crate) const SALT_LEN: usize = 16;

/// The id of a record (UUIDv7, RFC 9562): records sort by the time of their creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessId(Uuid);

impl AccessId {
    /// Generates the id of a record created now.
    pub(crate) fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self(uuid_v7(now, entropy))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).map(Self).ok().filter(|id| id.to_string() == text)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for AccessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AccessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessId({})", self.0)
    }
}

/// The kind of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Action {
    List,
    Entry,
    Insight,
    Search,
    Export,
}

impl Action {
    /// Returns the name in the store and in digests.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::List => "LIST",
            Self::Entry => "ENTRY",
            Self::Insight => "INSIGHT",
            Self::Search => "SEARCH",
            Self::Export => "EXPORT",
        }
    }
}

/// An access to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) action: Action,
    pub(crate) entry_count: u32,
    /// Empty unless one entry was read.
    pub(crate) entry_id: String,
    pub(crate) grant_id: String,
}

/// The personal data of a record. An erasure may remove it as a whole; the chain verifies without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Personal {
    pub(crate) therapist: TherapistId,
    pub(crate) entry_id: String,
    pub(crate) grant_id: String,
    pub(crate) salt: [u8; SALT_LEN],
}

/// Salted digests of the personal data in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct People {
    pub(crate) client: Digest,
    pub(crate) therapist: Digest,
    pub(crate) entry: Digest,
    pub(crate) grant: Digest,
}

/// The chained part of a record: none of it names a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) id: AccessId,
    pub(crate) time: Timestamp,
    pub(crate) action: Action,
    pub(crate) entry_count: u32,
    pub(crate) people: People,
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Digest(ByteArray<32>);

impl Digest {
    /// The predecessor of a chain's first record.
    pub(crate) const NONE: Self = Self::new([0; 32]);

    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(ByteArray::new(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Formats the digest in hexadecimal.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The place of a record in the chain of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// 1 for the first.
    pub(crate) seq: u64,
    /// The digest of the record before; [`Digest::NONE`] for the first.
    pub(crate) previous: Digest,
    /// The digest of this record in this place.
    pub(crate) digest: Digest,
}

/// The end of a client's chain, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) digest: Digest,
    /// Time of the signature.
    pub(crate) time: Timestamp,
    /// Id of the key that signed it.
    pub(crate) key_id: String,
    pub(crate) signature: Vec<u8>,
}
