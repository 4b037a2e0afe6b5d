use std::fmt;
use std::str::FromStr;

use dynamo::Key;
use dynamo::seal::{MacKey, SealingKey};
use kernel::{ClientId, Result, TherapistId, UserId};

use crate::index::base32;
use crate::index::document::{Document, DocumentId, TEXT_LEN};

/// The documents that one permission covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeId {
    /// The entries of a client's journal that therapists may be allowed to read.
    SharedJournal(ClientId),
    /// The entries of a client's journal that nobody else reads.
    PrivateJournal(ClientId),
    /// The notes that a therapist shares with a client.
    SharedNotes(ClientId, TherapistId),
    /// The notes that a therapist shares with nobody.
    PrivateNotes(TherapistId),
    /// The notes that a therapist shares with the client who will have the slot: nobody has it yet.
    DraftNotes(TherapistId),
}

/// A scope with its keys, which are derived from the data key of its owner.
///
/// Each scope has a MAC key of its own. The tags of a word and the partitions of two scopes so have nothing in common,
/// and a search of one scope can't touch another.
#[derive(Debug, Clone)]
pub struct Scope {
    id: ScopeId,
    /// The owner's data key.
    pub(super) sealing: SealingKey,
    mac: MacKey,
    partition: Partition,
}

/// The pseudonym of a scope: the partition of the table that holds its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition([u8; 16]);

/// The form of a term in the index: a MAC of it. Its 16 bytes are never shortened, because a collision would merge a
/// rare word with a common one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag(pub(super) [u8; 16]);

/// Prefix of the sort keys of forward items. No posting's key has it: `#` is no symbol of base32.
pub(super) const FORWARD: &str = "DOC#";

impl ScopeId {
    /// Returns the person whose data key the scope's keys are derived from.
    #[must_use]
    pub fn owner(self) -> UserId {
        match self {
            Self::SharedJournal(client) | Self::PrivateJournal(client) | Self::SharedNotes(client, _) => client.into(),
            Self::PrivateNotes(therapist) | Self::DraftNotes(therapist) => therapist.into(),
        }
    }

    fn derive(self, key: &SealingKey) -> Result<MacKey> {
        const PURPOSE: &[u8] = b"search/v1";
        match self {
            Self::SharedJournal(client) => key.derive(&[PURPOSE, b"shared journal", client.as_bytes()]),
            Self::PrivateJournal(client) => key.derive(&[PURPOSE, b"private journal", client.as_bytes()]),
            Self::SharedNotes(client, therapist) => {
                key.derive(&[PURPOSE, b"shared notes", client.as_bytes(), therapist.as_bytes()])
            }
            Self::PrivateNotes(therapist) => key.derive(&[PURPOSE, b"private notes", therapist.as_bytes()]),
            Self::DraftNotes(therapist) => key.derive(&[PURPOSE, b"draft notes", therapist.as_bytes()]),
        }
    }
}

impl Scope {
    /// Creates a scope from the data key of its [owner](ScopeId::owner).
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn new(id: ScopeId, key: &SealingKey) -> Result<Self> {
        let mac = id.derive(key)?;
        let partition = Partition(shortened(mac.mac(&[b"partition"])));
        Ok(Self { id, sealing: key.clone(), mac, partition })
    }

    /// Returns the documents that the scope is for.
    #[must_use]
    pub const fn id(&self) -> ScopeId {
        self.id
    }

    /// Returns the scope's pseudonym.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    pub(super) fn tag(&self, term: &str) -> Tag {
        Tag(shortened(self.mac.mac(&[b"term", term.as_bytes()])))
    }

    /// Returns the key of the posting of a document under a tag.
    pub(super) fn posting(&self, tag: Tag, document: Document) -> Key {
        Key::new(self.partition.to_string(), posting(tag, document))
    }

    /// Returns the key of the forward item of a document.
    pub(super) fn forward(&self, id: DocumentId) -> Key {
        Key::new(self.partition.to_string(), forward(id))
    }
}

/// Returns the sort key of a posting.
pub(super) fn posting(tag: Tag, document: Document) -> String {
    base32::encode(&tag.0) + &document.to_text()
}

/// Returns the tag and the document of a posting's sort key.
pub(super) fn parse_posting(sort: &str) -> Option<(Tag, Document)> {
    let (tag, document) = sort.split_at_checked(sort.len().checked_sub(TEXT_LEN)?)?;
    Some((Tag(base32::decode(tag)?), Document::from_text(document)?))
}

/// Returns the sort key of a forward item.
pub(super) fn forward(id: DocumentId) -> String {
    FORWARD.to_owned() + &base32::encode(&id)
}

/// Returns the id of a forward item's document.
pub(super) fn parse_forward(sort: &str) -> Option<DocumentId> {
    base32::decode(sort.strip_prefix(FORWARD)?)
}

fn shortened(mac: [u8; 32]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&mac[..16]);
    short
}

impl Partition {
    pub(super) const LAST: Self = Self([0xff; 16]);

    /// Returns the possible pseudonym right before this one; none before the first.
    pub(super) fn before(self) -> Option<Self> {
        u128::from_be_bytes(self.0).checked_sub(1).map(|number| Self(number.to_be_bytes()))
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

/// Error of a text that is no partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsePartitionError;

impl FromStr for Partition {
    type Err = ParsePartitionError;

    fn from_str(text: &str) -> std::result::Result<Self, ParsePartitionError> {
        base32::decode(text).map(Self).ok_or(ParsePartitionError)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn scopes_share_neither_tags_nor_partitions() {
        let keys = [SealingKey::new(&[1; 32]).unwrap(), SealingKey::new(&[2; 32]).unwrap()];
        let (client, therapist) = (ClientId::from_bytes([3; 16]), TherapistId::from_bytes([3; 16]));
        let other = TherapistId::from_bytes([4; 16]);
        let ids = [
            ScopeId::SharedJournal(client),
            ScopeId::PrivateJournal(client),
            ScopeId::SharedNotes(client, therapist),
            ScopeId::SharedNotes(client, other),
            ScopeId::PrivateNotes(therapist),
            ScopeId::DraftNotes(therapist),
        ];
        let scopes: Vec<_> = keys.iter().flat_map(|key| ids.map(|id| Scope::new(id, key).unwrap())).collect();
        let pseudonyms = scopes.iter().flat_map(|scope| [scope.partition.0, scope.tag("partition").0]);
        let tags = scopes.iter().flat_map(|scope| ["wcalm", "pcal", ""].map(|term| scope.tag(term).0));
        let all: Vec<_> = pseudonyms.chain(tags).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        let again = Scope::new(ids[0], &keys[0]).unwrap();
        assert_eq!((again.partition, again.tag("wcalm")), (scopes[0].partition, scopes[0].tag("wcalm")));
    }

    #[test]
    fn keys_of_postings_and_forward_items_are_told_apart() {
        let scope = Scope::new(ScopeId::PrivateNotes(TherapistId::from_bytes([1; 16])), &key()).unwrap();
        let (tag, document) = (scope.tag("wcalm"), Document::new(1_800_000_000_000, [9; 16]));
        let sort = posting(tag, document);
        assert_eq!(parse_posting(&sort), Some((tag, document)));
        assert_eq!(parse_forward(&sort), None);
        let sort = forward(document.id());
        assert_eq!(parse_forward(&sort), Some(document.id()));
        assert_eq!(parse_posting(&sort), None);
        let text = scope.partition.to_string();
        assert_eq!(text.parse(), Ok(scope.partition));
        assert_eq!(text[1..].parse::<Partition>(), Err(ParsePartitionError));
    }

    fn key() -> SealingKey {
        SealingKey::new(&[1; 32]).unwrap()
    }
}
