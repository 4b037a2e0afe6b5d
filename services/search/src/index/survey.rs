//! Surveys of a scope, for operators: all that the index has of it.

use std::collections::BTreeMap;

use kernel::{Error, Result, UserId};

use crate::index::Index;
use crate::index::document::{Document, DocumentId};
use crate::index::forward::Forward;
use crate::index::scope::{Scope, Tag, parse_forward, parse_posting};

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
    pub async fn survey(&self, scope: &Scope) -> Result<BTreeMap<DocumentId, Indexed>> {
        let query = self.table.query(scope.partition().to_string()).consistent();
        let (mut forwards, mut postings) = (BTreeMap::new(), BTreeMap::<Document, Sum>::new());
        let mut next = Some(query.clone());
        while let Some(page) = next {
            let rows = page.page().await?;
            for item in rows.items {
                let sort = item.text("sk").unwrap_or_default();
                if let Some((tag, document)) = parse_posting(sort) {
                    postings.entry(document).or_default().add(tag);
                } else if let Some(id) = parse_forward(sort) {
                    forwards.insert(id, Forward::open(&self.table, scope, &scope.forward(id), item)?);
                } else {
                    return Err(Error::internal("an item of the index has another key"));
                }
            }
            next = rows.next.map(|cursor| query.clone().after(cursor));
        }
        let present = forwards.into_iter().filter(|(_, forward)| !forward.target.is_removed);
        Ok(present.map(|(id, forward)| (id, indexed(id, &forward, &postings))).collect())
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

fn indexed(id: DocumentId, forward: &Forward, postings: &BTreeMap<Document, Sum>) -> Indexed {
    let Forward { target, is_settled, .. } = forward;
    let terms = Sum::of(target.tags.iter().copied());
    let posted = postings.get(&Document::new(target.millisecond, id)).copied().unwrap_or_default();
    Indexed {
        version: target.version,
        millisecond: target.millisecond,
        is_whole: *is_settled && posted == terms,
        terms,
    }
}
