use crate::index::document::Document;
use crate::index::find::list::List;
use crate::index::find::position::Place;
use crate::index::scope::{Scope, Tag};

/// Maximum candidates of a scope that one round looks up.
const MAX_CANDIDATES: usize = 100;

/// Number of look-ups after which a term is known to be rare, if fewer than a quarter of them found it.
const ENOUGH_CHECKS: usize = 50;

/// Number of documents that were looked up for a term, and of those that have it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Checks {
    pub(super) made: usize,
    pub(super) found: usize,
}

/// The search of one scope, from the newest document down.
pub(super) struct Walk<'a> {
    /// The number of the scope in the search.
    pub(super) number: usize,
    pub(super) scope: &'a Scope,
    /// Highest document that isn't decided; none at the end.
    cursor: Option<Document>,
    /// One list for each term.
    pub(super) lists: Vec<List>,
}

/// The step that decides the highest undecided document.
pub(super) enum Need {
    /// Reading these lists, from these documents down.
    Reads(Vec<(usize, Document)>),
    /// Looking these candidates up in these lists, the newest first.
    Checks(Vec<(Document, Vec<usize>)>),
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        number: usize,
        scope: &'a Scope,
        first: Document,
        top: Document,
        tags: impl Iterator<Item = Tag>,
    ) -> Self {
        Self { number, scope, cursor: Some(top), lists: tags.map(|tag| List::new(tag, first, top)).collect() }
    }

    /// Returns the place of the highest undecided document; none at the end.
    pub(super) fn place(&self) -> Option<Place> {
        self.cursor.map(|document| self.place_of(document))
    }

    pub(super) const fn place_of(&self, document: Document) -> Place {
        Place { document, partition: self.scope.partition() }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.lists.iter().any(List::is_exhausted)
    }

    /// Decides all documents that what was read decides, and adds those that all lists have to the hits.
    pub(super) fn advance(&mut self, hits: &mut Vec<(Place, usize)>) {
        while let Some(cursor) = self.cursor {
            let (_, list) = self.lowest();
            let Some(candidate) = list.newest(cursor) else {
                self.cursor = list.next.map(|next| next.min(cursor));
                return;
            };
            self.cursor = Some(candidate);
            let has: Vec<_> = self.lists.iter().map(|list| list.has(candidate)).collect();
            if has.iter().all(|has| *has == Some(true)) {
                hits.push((self.place_of(candidate), self.number));
            } else if !has.contains(&Some(false)) {
                return;
            }
            self.cursor = candidate.before();
        }
    }

    /// Returns what decides the highest undecided document, after [`advance`](Self::advance).
    pub(super) fn need(&self, checks: &[Checks]) -> Need {
        let (number, lowest) = self.lowest();
        let Some(cursor) = self.cursor else { return Need::Reads(Vec::new()) };
        let Some(candidate) = lowest.newest(cursor) else { return Need::Reads(vec![(number, cursor)]) };
        let unknown = |document| (0..self.lists.len()).filter(move |term| self.lists[*term].has(document).is_none());

        let rare = |term: &usize| {
            let Checks { made, found } = checks[*term];
            !self.lists[*term].is_begun() && made >= ENOUGH_CHECKS && found * 4 < made
        };
        let rare: Vec<_> = unknown(candidate).filter(rare).map(|term| (term, candidate)).collect();
        if !rare.is_empty() {
            return Need::Reads(rare);
        }
        let common = |term: &usize| self.lists[*term].keeps_pace_with(lowest);
        let mut common: Vec<_> = unknown(candidate).filter(common).map(|term| (term, candidate)).collect();
        if !common.is_empty() {
            common.extend(lowest.next.map(|next| (number, next)));
            return Need::Reads(common);
        }
        let undecided = lowest.loaded.range(..=candidate).rev().filter(|document| !self.is_ruled_out(**document));
        Need::Checks(undecided.take(MAX_CANDIDATES).map(|document| (*document, unknown(*document).collect())).collect())
    }

    /// Returns the undecided documents; none if they are not all known.
    pub(super) fn candidates(&self) -> Option<impl Iterator<Item = Document>> {
        let (_, lowest) = self.lowest();
        let undecided = self.cursor.map(|cursor| lowest.loaded.range(..=cursor).rev().copied());
        let candidates = undecided.into_iter().flatten().filter(|document| !self.is_ruled_out(*document));
        lowest.next.is_none().then_some(candidates)
    }

    fn is_ruled_out(&self, document: Document) -> bool {
        self.lists.iter().any(|list| list.has(document) == Some(false))
    }

    /// Returns the list that was read down farthest, with its number: it is the rarest one as far as is known.
    fn lowest(&self) -> (usize, &List) {
        let reach = |term: &usize| (self.lists[*term].next, self.lists[*term].loaded.len());
        let lowest = (0..self.lists.len()).min_by_key(reach).unwrap_or_default();
        (lowest, &self.lists[lowest])
    }
}
