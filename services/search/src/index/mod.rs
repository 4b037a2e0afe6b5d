//! The index of words: finds the documents of a scope that have all of some terms, and holds no readable term.
//!
//! A **scope** ([`ScopeId`]) is what one permission covers, such as the shared entries of one client. A **term** is any
//! text, such as the stem of a word or a prefix of it. The index finds candidates: who may read what, and whether a
//! document really has the words, is decided where it is opened.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | pseudonym of the scope | tag ‖ time ‖ document id | a posting: the document has the term. No attributes |
//! | pseudonym of the scope | `DOC#` ‖ document id | the forward item of a document: its version, and the keys of its postings, sealed |
//! | pseudonym of a person | `SCOPE#` ‖ pseudonym | a scope that the person reads, sealed |
//! | pseudonym of a person | `ENDED` | marker of an ended account, in whose scopes no document begins any more |
//!
//! Pseudonym and tags of a scope are MACs under a key of the scope alone, which is derived from its owner's data key;
//! pseudonyms of people are MACs under the service's secret. Bytes in keys are base32, so that a tag's postings are
//! ordered by time.
//!
//! # Writes
//!
//! Each change of a document is one transaction of its forward item and its postings. A change of more than 99
//! postings is several transactions: the first replaces the forward item, on condition that it is the one that was
//! read, and names all postings that are or may be written from then on; each later one is made on condition that the
//! forward item is still the first one's; and the last one declares that exactly the postings of its version are
//! written. So
//!
//! - a posting exists only while its document's forward item names it: a writer that is overtaken, or that crashed and
//!   whose last request arrives late, can neither add nor delete one any more;
//! - whoever writes next, of the same or of a newer version, knows every posting that may be left over and deletes it;
//! - the first write of a document also lists the scope for the people who read it, and is made on condition that its
//!   owner's account has not ended;
//! - versions only grow. A removal leaves a forward item without postings for a day, so that no late writer undoes it.
//!
//! Batches of unconditional writes would cost half the write units. But no order of them is sound: a batch that
//! arrives after a newer version was written may delete a posting of it, and nothing would ever find that out. A single
//! writer at a time, by a lease, is sound only as far as clocks and delays are bounded, and makes whoever comes after a
//! crash wait. The time speaks for transactions too: the embedded engine commits each write of a batch by itself, so that
//! 400 postings take 32 ms in transactions and 1.3 s in batches (DynamoDB Local: 170 ms and 130 ms).
//!
//! # Searches
//!
//! See [`Index::find`].

mod base32;
mod document;
mod end;
mod find;
mod forward;
mod people;
mod scope;
mod survey;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use dynamo::secret::Secrets;
use dynamo::{EXPIRES_AT, KeyDef, Table, TableDef};
use kernel::{Clock, Entropy, Result};

pub use document::{Document, DocumentId};
pub use find::{Found, Hit, ParsePositionError, Position, Search, Searched};
pub use scope::{ParsePartitionError, Partition, Scope, ScopeId};
pub use survey::{Indexed, Surveyed};
pub use write::{DocumentVersion, Write};

use crate::index::people::People;

/// The table of the index.
pub static SEARCH_INDEX: TableDef =
    TableDef { name: "SearchIndex", key: KeyDef::PK_SK, indexes: &[], ttl: Some(EXPIRES_AT) };

/// The handle of the index.
#[derive(Clone)]
pub struct Index {
    table: Table,
    people: Arc<People>,
    /// Maximum postings that a forward item names.
    max_listed: usize,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Index {
    /// Creates the handle of the index in this table, which is [`SEARCH_INDEX`].
    ///
    /// # Errors
    /// INTERNAL when keys can't be derived from the secrets.
    pub fn new(table: Table, secrets: &Secrets, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        Ok(Self { table, people: Arc::new(People::new(secrets)?), max_listed: write::MAX_LISTED, clock, entropy })
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}
