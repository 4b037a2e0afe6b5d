//! The forward item of a document: the version that the index has of it, and the keys of all its postings.

use std::collections::BTreeSet;

use dynamo::seal::{Place, Sealed};
use dynamo::{Item, Key, Table};
use kernel::{Entropy, Error, Result};
use serde::{Deserialize, Serialize};

use crate::index::document::{Document, DocumentId};
use crate::index::scope::{Scope, Tag};

/// Version of the form of the sealed content.
const FORMAT: u8 = 1;
/// The sealed attribute.
const CONTENT: &str = "content";
/// The attribute that each write of a forward item changes.
pub(super) const ATTEMPT: &str = "attempt";

/// A posting, without its document's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting {
    /// Time of the document.
    pub(super) millisecond: i64,
    pub(super) tag: Tag,
}

/// The version of a document that the index has or is about to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) version: u64,
    pub(super) is_removed: bool,
    /// Time of the document; 0 when it is removed.
    pub(super) millisecond: i64,
    /// Its tags; none when it is removed.
    pub(super) tags: BTreeSet<Tag>,
}

/// A forward item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forward {
    pub(super) target: Target,
    /// True if the postings of the target are all written, and no others.
    pub(super) is_settled: bool,
    /// Postings beyond those of the target that may be written.
    pub(super) surplus: BTreeSet<Posting>,
    /// A number that no other write of the item has.
    pub(super) attempt: u64,
}

#[derive(Serialize, Deserialize)]
struct Row {
    version: u64,
    state: State,
    attempt: u64,
    content: Sealed,
    format: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum State {
    Writing,
    Written,
    Removing,
    Removed,
}

impl Target {
    /// Returns the target of a document with these terms.
    pub(super) fn new(
        scope: &Scope,
        document: Document,
        version: u64,
        terms: impl IntoIterator<Item: AsRef<str>>,
    ) -> Self {
        let tags = terms.into_iter().map(|term| scope.tag(term.as_ref())).collect();
        Self { version, is_removed: false, millisecond: document.millisecond(), tags }
    }

    /// Returns the order of versions: removal comes last, because an owner deletes without counting on.
    pub(super) const fn rank(&self) -> (u64, bool) {
        (self.version, self.is_removed)
    }

    pub(super) fn postings(&self) -> BTreeSet<Posting> {
        self.tags.iter().map(|tag| Posting { millisecond: self.millisecond, tag: *tag }).collect()
    }
}

impl Posting {
    pub(super) fn key(self, scope: &Scope, id: DocumentId) -> Key {
        scope.posting(self.tag, Document::new(self.millisecond, id))
    }
}

impl Forward {
    /// Returns all postings that may be written.
    pub(super) fn possible(&self) -> BTreeSet<Posting> {
        self.target.postings().union(&self.surplus).copied().collect()
    }

    /// Returns the postings that are certainly written.
    pub(super) fn certain(&self) -> BTreeSet<Posting> {
        if self.is_settled { self.target.postings() } else { BTreeSet::new() }
    }

    /// Returns the stored form, which expires at this time unless there is none.
    pub(super) fn to_row(
        &self,
        table: &Table,
        scope: &Scope,
        key: &Key,
        expires_at: Option<i64>,
        entropy: &dyn Entropy,
    ) -> Result<impl Serialize> {
        let Self { target, is_settled, surplus, attempt } = self;
        let state = match (target.is_removed, is_settled) {
            (false, false) => State::Writing,
            (false, true) => State::Written,
            (true, false) => State::Removing,
            (true, true) => State::Removed,
        };
        let place = Place { table, key, attribute: CONTENT, version: FORMAT };
        let content = scope.sealing.seal(&place, &encode(target, surplus), entropy)?;
        Ok(Row { version: target.version, state, attempt: *attempt, content, format: FORMAT, expires_at })
    }

    /// Opens a stored forward item.
    pub(super) fn open(table: &Table, scope: &Scope, key: &Key, item: Item) -> Result<Self> {
        let Row { version, state, attempt, content, format, expires_at: _ } = item.parse()?;
        let place = Place { table, key, attribute: CONTENT, version: format };
        let content = scope.sealing.open(&place, &content)?;
        let groups = if format == FORMAT { decode(&content) } else { None };
        let mut groups = groups.ok_or_else(|| Error::internal("the content of a forward item has another form"))?;
        let is_removed = matches!(state, State::Removing | State::Removed);
        let (millisecond, tags) = groups.next().unwrap_or_default();
        let surplus =
            groups.flat_map(|(millisecond, tags)| tags.into_iter().map(move |tag| Posting { millisecond, tag }));
        Ok(Self {
            surplus: surplus.collect(),
            target: Target { version, is_removed, millisecond, tags },
            is_settled: matches!(state, State::Written | State::Removed),
            attempt,
        })
    }
}

/// The time and the tags of postings.
type Group = (i64, BTreeSet<Tag>);

/// Encodes the target's group and then those of the surplus: each is its time, the number of its tags, and the tags.
fn encode(target: &Target, surplus: &BTreeSet<Posting>) -> Vec<u8> {
    let mut groups: Vec<Group> = vec![(target.millisecond, target.tags.clone())];
    for (position, posting) in surplus.iter().enumerate() {
        match groups.last_mut() {
            Some((millisecond, tags)) if position > 0 && *millisecond == posting.millisecond => {
                tags.insert(posting.tag);
            }
            _ => groups.push((posting.millisecond, BTreeSet::from([posting.tag]))),
        }
    }
    let mut content = Vec::new();
    for (millisecond, tags) in groups {
        content.extend_from_slice(&millisecond.to_be_bytes());
        content.extend_from_slice(&(tags.len() as u64).to_be_bytes());
        tags.iter().for_each(|tag| content.extend_from_slice(&tag.0));
    }
    content
}

fn decode(mut content: &[u8]) -> Option<std::vec::IntoIter<Group>> {
    let mut groups = Vec::new();
    while !content.is_empty() {
        let (millisecond, rest) = content.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*count)).ok()?.checked_mul(16)?;
        let (tags, rest) = rest.split_at_checked(length)?;
        let (tags, _) = tags.as_chunks::<16>();
        groups.push((i64::from_be_bytes(*millisecond), tags.iter().map(|tag| Tag(*tag)).collect()));
        content = rest;
    }
    Some(groups.into_iter())
}
