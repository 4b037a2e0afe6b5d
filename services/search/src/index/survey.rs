//! Surveys of a scope, for operators: all that the index has of it.

use std::collections::{BTreeMap, BTreeSet};

use dynamo::{BatchWrite, Key};
use kernel::{Error, Result, UserId};

use crate::index::Index;
use crate::index::document::{Document, DocumentId};
use crate::index::forward::{Forward, Target};
use crate::index::scope::{Scope, Tag, parse_forward, parse_posting};

/// All that the index has of a scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surveyed {
    /// The documents.
    pub documents: BTreeMap<DocumentId, Indexed>,
    /// Documents whose forward item does not open: it was altered, or has a form that this version doesn't know.
    pub broken: BTreeSet<DocumentId>,
}

/// A document as the index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// Its version.
    pub version: u64,
    /// Time of the document in milliseconds since 1970.
    pub millisecond: i64,
    /// True if exactly the postings of this version are there.
    pub is_whole: bool,
    terms: Sum,
}

/// The number and the sum of tags: two sets of them that differ have different sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: usize,
    exclusive_or: u128,
}

impl Sum {
    fn add(&mut self, tag: Tag) {
        self.count += 1;
        self.exclusive_or ^= u128::from_be_bytes(tag.0);
    }

    fn of(tags: impl IntoIterator<Item = Tag>) -> Self {
        let mut sum = Self::default();
        tags.into_iter().for_each(|tag| sum.add(tag));
        sum
    }
}

impl Indexed {
    /// Returns whether the index has a document of this scope and time with these terms, and with no others.
    pub fn has<'a>(&self, scope: &Scope, document: Document, terms: impl IntoIterator<Item = &'a str>) -> bool {
        self.millisecond == document.millisecond()
            && self.terms == Sum::of(terms.into_iter().map(|term| scope.tag(term)))
    }
}

impl Index {
    /// Reads all that the index has of a scope: a Query for each megabyte. Documents that were removed are left out.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn survey(&self, scope: &Scope) -> Result<Surveyed> {
        let query = self.table.query(scope.partition().to_string()).consistent();
        let (mut surveyed, mut postings) = (Surveyed::default(), BTreeMap::<Document, Sum>::new());
        let mut next = Some(query.clone());
        while let Some(page) = next {
            let rows = page.page().await?;
            for item in rows.items {
                let sort = item.text("sk").unwrap_or_default();
                if let Some((tag, document)) = parse_posting(sort) {
                    postings.entry(document).or_default().add(tag);
                } else if let Some(id) = parse_forward(sort) {
                    surveyed.add(id, Forward::open(&self.table, scope, &scope.forward(id), item));
                } else {
                    return Err(Error::internal("an item of the index has another key"));
                }
            }
            next = rows.next.map(|cursor| query.clone().after(cursor));
        }
        for (id, indexed) in &mut surveyed.documents {
            let posted = postings.get(&Document::new(indexed.millisecond, *id)).copied().unwrap_or_default();
            indexed.is_whole &= posted == indexed.terms;
        }
        Ok(surveyed)
    }

    /// Deletes all that a scope has of documents whose forward item does not open, on no condition: until the forward
    /// item is deleted, which goes last, no writer changes such a document.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL.
    pub async fn discard(&self, scope: &Scope, broken: &BTreeSet<DocumentId>) -> Result<()> {
        let partition = scope.partition().to_string();
        let query = self.table.query(&*partition).consistent();
        let mut next = Some(query.clone()).filter(|_| !broken.is_empty());
        while let Some(page) = next {
            let rows = page.page().await?;
            let postings = rows.items.iter().filter_map(|item| {
                let sort = item.text("sk")?;
                let (_, document) = parse_posting(sort)?;
                broken.contains(&document.id()).then(|| BatchWrite::delete(Key::new(&*partition, sort)))
            });
            self.table.batch_write(postings.collect()).await?;
            next = rows.next.map(|cursor| query.clone().after(cursor));
        }
        self.table.batch_write(broken.iter().map(|id| BatchWrite::delete(scope.forward(*id))).collect()).await
    }

    /// Lists the scopes of a person's own under the current secret that are listed under older ones alone, so that the
    /// older ones can be removed. Idempotent.
    ///
    /// # Errors
    /// UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL.
    pub async fn relist(&self, person: UserId) -> Result<()> {
        self.people.relist(&self.table, person, &*self.entropy).await
    }
}

impl Surveyed {
    fn add(&mut self, id: DocumentId, forward: Result<Forward>) {
        let Ok(Forward { target, is_settled, .. }) = forward else {
            self.broken.insert(id);
            return;
        };
        if !target.is_removed {
            let Target { version, is_removed: _, millisecond, tags } = target;
            self.documents.insert(id, Indexed { version, millisecond, is_whole: is_settled, terms: Sum::of(tags) });
        }
    }
}
