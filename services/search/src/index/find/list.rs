use std::collections::{BTreeSet, HashMap};

use crate::index::document::Document;
use crate::index::scope::Tag;

/// Maximum postings of a list that one search reads or looks up.
const MAX_POSTINGS: usize = 2000;

/// Number by which each further page is longer, and the longest one.
const GROWTH: (u16, u16) = (4, 1000);

/// The postings of one term in one scope, as far as they are known.
pub(super) struct List {
    pub(super) tag: Tag,
    /// The last document that may be found.
    pub(super) first: Document,
    /// The known documents, from the newest down to `next`.
    pub(super) loaded: BTreeSet<Document>,
    /// Highest document that was not read; none when there is none.
    pub(super) next: Option<Document>,
    /// Documents that were looked up.
    checked: HashMap<Document, bool>,
    /// Size of the last page and its highest document; none if nothing was read.
    last_page: Option<(u16, Document)>,
    /// Number of postings that were read or looked up.
    spent: usize,
}

impl List {
    /// Creates a list of which nothing is known between two documents, both included.
    pub(super) fn new(tag: Tag, first: Document, top: Document) -> Self {
        let (loaded, checked) = (BTreeSet::new(), HashMap::new());
        Self { tag, first, loaded, next: Some(top), checked, last_page: None, spent: 0 }
    }

    /// Returns whether the list has a document, if that is known.
    pub(super) fn has(&self, document: Document) -> Option<bool> {
        if self.next.is_none_or(|next| document > next) {
            Some(self.loaded.contains(&document))
        } else {
            self.checked.get(&document).copied()
        }
    }

    /// Returns the newest known document that is not after this one.
    pub(super) fn newest(&self, top: Document) -> Option<Document> {
        self.loaded.range(..=top).next_back().copied()
    }

    pub(super) const fn is_begun(&self) -> bool {
        self.last_page.is_some()
    }

    pub(super) const fn is_exhausted(&self) -> bool {
        self.spent >= MAX_POSTINGS
    }

    /// Returns the size of the next page.
    pub(super) fn page_size(&self, first: u16) -> u16 {
        let size = self.last_page.map_or(first, |(size, _)| size.saturating_mul(GROWTH.0).min(GROWTH.1));
        let left = MAX_POSTINGS.saturating_sub(self.spent).max(1);
        u16::try_from(left).map_or(size, |left| size.min(left))
    }

    /// Returns true if the last page had so many of another list's documents, which are candidates, that reading the next
    /// page decides more of them than looking them up does.
    pub(super) fn keeps_pace_with(&self, other: &Self) -> bool {
        let (Some((size, top)), Some(last)) = (self.last_page, self.loaded.first()) else { return false };
        other.loaded.range(last..).take_while(|document| **document <= top).count() * 4 >= usize::from(size)
    }

    /// Adds a page from `top` down.
    pub(super) fn add_page(&mut self, size: u16, top: Document, documents: &[Document], is_last: bool) {
        self.spent += documents.len();
        self.last_page = Some((size, top));
        self.loaded.extend(documents);
        self.next = documents.last().filter(|_| !is_last).and_then(|last| last.before());
        self.next = self.next.filter(|next| *next >= self.first);
    }

    /// Adds the result of a look-up.
    pub(super) fn add_check(&mut self, document: Document, has: bool) {
        self.spent += 1;
        self.checked.insert(document, has);
    }
}
