//! Searches of many scopes at once.

mod list;
mod position;
mod walk;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use dynamo::{Key, Read, Rows, Sort};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{Error, Result};

use crate::index::Index;
use crate::index::document::Document;
use crate::index::find::position::Place;
use crate::index::find::walk::{Checks, Need, Walk};
use crate::index::scope::{Scope, Tag, parse_posting, posting};

pub use position::{ParsePositionError, Position};

/// Maximum terms of a search.
const MAX_TERMS: usize = 16;

/// Maximum postings that the first Query of a term reads.
const FIRST_PAGE: u16 = 101;
/// Postings that the first Queries of a search of many scopes read, and the fewest that one of them reads.
const SPREAD: (u16, u16) = (2000, 10);

/// Maximum Queries that read all terms of the first scopes, by which the rarest term is found.
const SAMPLE: usize = 16;
/// Scopes that are sampled when there are more than can be.
const SAMPLED_SCOPES: usize = 4;

/// Maximum keys in one BatchGetItem.
const MAX_KEYS: usize = 100;
/// Maximum Queries of one round after the first, and those that run at a time.
const READS: (usize, usize) = (64, 16);

/// A search.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The scopes.
    pub scopes: &'a [Searched<'a>],
    /// The terms, of which a document must have all: 1 to 16.
    pub terms: &'a [&'a str],
    /// The position of the page; none for the first.
    pub at: Option<Position>,
    /// Maximum hits.
    pub limit: u16,
    /// Maximum hits that need not be looked up: few candidates are returned without it, and whoever opens them decides.
    pub unchecked: u16,
}

/// A scope that is searched, and the bounds of time within it.
#[derive(Debug, Clone, Copy)]
pub struct Searched<'a> {
    /// The scope.
    pub scope: &'a Scope,
    /// First time, in milliseconds since 1970.
    pub from: i64,
    /// Last time, in milliseconds since 1970.
    pub to: i64,
}

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The hits, newest first.
    pub hits: Vec<Hit>,
    /// The position of the next page; none at the end. May be set though nothing follows, and though the page is short.
    pub next: Option<Position>,
}

/// A document that has all terms, or one of few candidates ([`Search::unchecked`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The number of its scope in the search.
    pub scope: usize,
    /// The document.
    pub document: Document,
}

struct Finder<'a> {
    index: &'a Index,
    limit: usize,
    unchecked: usize,
    first_page: u16,
    walks: Vec<Walk<'a>>,
    /// Documents that have all terms, with the numbers of their scopes.
    hits: Vec<(Place, usize)>,
    checks: Vec<Checks>,
    /// Number of calls that may still be made.
    calls: usize,
}

/// A Query for the postings of a term in a scope, from a document down.
#[derive(Clone, Copy)]
struct PageRead {
    walk: usize,
    term: usize,
    top: Document,
}

impl Index {
    /// Finds the documents that have all terms, newest first over all scopes.
    ///
    /// The postings of a term are a list in descending order of time, and the hits are what the lists of a scope have in
    /// common.
    ///
    /// 1. In a search of few scopes, the first page of each list is read, all at a time. In one of many scopes that is
    ///    done for a few of them, and the other scopes are first searched for the term that was rarest there.
    /// 2. In each scope the list that reaches down farthest, which is the rarest one, gives candidates. Where the others
    ///    were read as well, the candidates that they have are hits.
    /// 3. Candidates below what was read of another list are looked up in it by the keys of their postings, newest first
    ///    over all scopes and a hundred to a call: one rare word needs two calls to find its documents in a list of
    ///    any length. A list that turns out to have most candidates is read on instead, from the next candidate down,
    ///    because two common words have most of a page in common. So is a list that turns out to have few of them,
    ///    because it is the rarer one.
    ///    If all candidates that are left are few ([`Search::unchecked`]), they are returned without a look-up.
    /// 4. The search ends when enough hits are known above the highest document that isn't decided yet.
    ///
    /// After 2,000 postings of a term in a scope, or 64 calls and one for each scope, the page ends short, with the
    /// position at which the search goes on.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL, also when there are no terms or more than 16.
    pub async fn find(&self, search: &Search<'_>) -> Result<Found> {
        let Search { scopes, terms, at, limit, unchecked } = *search;
        let terms: BTreeSet<&str> = terms.iter().copied().collect();
        if terms.is_empty() || terms.len() > MAX_TERMS {
            return Err(Error::internal("a search has 1 to 16 terms"));
        }
        let begin = |(number, searched)| begin(number, searched, &terms, at);
        let walks: Vec<_> = scopes.iter().enumerate().filter_map(begin).collect();
        let mut finder = Finder {
            index: self,
            limit: usize::from(limit),
            unchecked: usize::from(unchecked.min(limit)),
            first_page: first_page(walks.len(), terms.len(), limit),
            calls: 0,
            walks,
            hits: Vec::new(),
            checks: vec![Checks::default(); terms.len()],
        };
        let lengths: Vec<_> = terms.iter().map(|term| term.len()).collect();
        finder.start(&lengths).await?;
        finder.calls = READS.0 + finder.walks.len();
        finder.run().await
    }
}

/// Begins the search of a scope; none if the bounds of time or the position leave nothing of it.
fn begin<'a>(number: usize, searched: &Searched<'a>, terms: &BTreeSet<&str>, at: Option<Position>) -> Option<Walk<'a>> {
    let Searched { scope, from, to } = *searched;
    let (first, last) = (Document::first(from), Document::last(to));
    let top = match at {
        Some(Position(place)) => place.top(scope.partition())?.min(last),
        None => last,
    };
    // Times before 1970 count as 1970, so that an empty range may look like one that isn't.
    let is_empty = from > to || top < first;
    (!is_empty).then(|| Walk::new(number, scope, first, top, terms.iter().map(|term| scope.tag(term))))
}

/// Returns the number of postings that the first Query of a list reads.
fn first_page(scopes: usize, terms: usize, limit: u16) -> u16 {
    let wanted = if terms == 1 { limit.saturating_add(1) } else { FIRST_PAGE.max(limit.saturating_mul(2)) };
    let scopes = u16::try_from(scopes).unwrap_or(u16::MAX).max(1);
    wanted.min((SPREAD.0 / scopes).max(SPREAD.1))
}

impl Finder<'_> {
    /// Reads the first pages: of all terms in few scopes, and of the rarest in the others.
    async fn start(&mut self, lengths: &[usize]) -> Result<()> {
        let sampled = if self.walks.len() * lengths.len() <= SAMPLE { self.walks.len() } else { SAMPLED_SCOPES };
        let (sampled, terms) = (sampled.min(self.walks.len()), lengths.len());
        let all = (0..sampled).flat_map(|walk| (0..terms).map(move |term| (walk, term)));
        self.read(self.first_reads(all)).await?;
        // Of terms that are equally rare, the longest is likely the rarest elsewhere.
        let rarity = |term: &usize| {
            let lists = || self.walks[..sampled].iter().map(|walk| &walk.lists[*term]);
            let unread = lists().filter(|list| list.next.is_some()).count();
            (unread, lists().map(|list| list.loaded.len()).sum::<usize>(), Reverse(lengths[*term]))
        };
        let rarest = (0..terms).min_by_key(rarity).unwrap_or_default();
        let others = (sampled..self.walks.len()).map(|walk| (walk, rarest));
        self.read(self.first_reads(others)).await
    }

    fn first_reads(&self, lists: impl Iterator<Item = (usize, usize)>) -> Vec<PageRead> {
        let read = |(walk, term): (usize, usize)| {
            let top = self.walks[walk].lists[term].next?;
            Some(PageRead { walk, term, top })
        };
        lists.filter_map(read).collect()
    }

    async fn run(mut self) -> Result<Found> {
        loop {
            for walk in &mut self.walks {
                walk.advance(&mut self.hits);
            }
            let undecided = self.walks.iter().filter_map(|walk| Some((walk.place()?, walk.is_exhausted()))).max();
            let Some((place, is_exhausted)) = undecided else { return Ok(self.found(None)) };
            let known = self.hits.iter().filter(|(hit, _)| *hit > place).count();
            if known >= self.limit || is_exhausted || self.calls == 0 {
                return Ok(self.found(Some(place)));
            }
            if let Some(candidates) = self.few_candidates() {
                self.hits.extend(candidates);
                return Ok(self.found(None));
            }
            self.round().await?;
        }
    }

    /// Returns all candidates that are left, if they are known and few.
    fn few_candidates(&self) -> Option<Vec<(Place, usize)>> {
        let mut candidates = Vec::new();
        for walk in &self.walks {
            candidates.extend(walk.candidates()?.map(|document| (walk.place_of(document), walk.number)));
            if self.hits.len() + candidates.len() > self.unchecked {
                return None;
            }
        }
        Some(candidates)
    }

    /// Returns the hits above the highest document that isn't decided.
    fn found(mut self, undecided: Option<Place>) -> Found {
        self.hits.retain(|(hit, _)| undecided.is_none_or(|undecided| *hit > undecided));
        self.hits.sort_unstable_by_key(|(hit, _)| Reverse(*hit));
        let more = self.hits.len() > self.limit;
        self.hits.truncate(self.limit);
        let next = if more { self.hits.last().and_then(|(last, _)| last.before()) } else { undecided };
        let hits = self.hits.into_iter().map(|(place, scope)| Hit { scope, document: place.document });
        Found { hits: hits.collect(), next: next.map(Position) }
    }

    /// Does what decides the highest undecided documents: Queries of some lists, and one look-up of keys.
    async fn round(&mut self) -> Result<()> {
        let mut undecided: Vec<_> = (0..self.walks.len()).filter(|walk| self.walks[*walk].place().is_some()).collect();
        undecided.sort_unstable_by_key(|walk| Reverse(self.walks[*walk].place()));
        let (mut reads, mut candidates) = (Vec::new(), Vec::new());
        for number in undecided {
            let walk = &self.walks[number];
            if walk.is_exhausted() {
                continue;
            }
            match walk.need(&self.checks) {
                Need::Reads(lists) if reads.len() < READS.0 => {
                    reads.extend(lists.into_iter().map(|(term, top)| PageRead { walk: number, term, top }));
                }
                Need::Reads(_) => {}
                Need::Checks(found) => candidates
                    .extend(found.into_iter().map(|(document, terms)| (walk.place_of(document), number, terms))),
            }
        }
        candidates.sort_unstable_by_key(|(place, _, _)| Reverse(*place));
        let mut keys = 0;
        let fits = |(_, _, terms): &(Place, usize, Vec<usize>)| {
            keys += terms.len();
            keys <= MAX_KEYS
        };
        let candidates: Vec<_> = candidates.into_iter().take_while(fits).collect();
        self.check(candidates).await?;
        self.read(reads).await
    }

    /// Looks candidates up in the lists of terms.
    async fn check(&mut self, candidates: Vec<(Place, usize, Vec<usize>)>) -> Result<()> {
        if candidates.is_empty() {
            return Ok(());
        }
        let wanted: Vec<_> = candidates
            .into_iter()
            .flat_map(|(place, walk, terms)| terms.into_iter().map(move |term| (walk, term, place.document)))
            .collect();
        let key = |(walk, term, document): &(usize, usize, Document)| {
            let Walk { scope, lists, .. } = &self.walks[*walk];
            scope.posting(lists[*term].tag, *document)
        };
        let keys: Vec<Key> = wanted.iter().map(key).collect();
        self.calls = self.calls.saturating_sub(1);
        let items = self.index.table.batch_get(keys, Read::Eventual).await?;
        let found = items.iter().map(|item| item.text("sk").and_then(parse_posting));
        // Tags of two scopes never are the same.
        let found: Option<HashSet<(Tag, Document)>> = found.collect();
        let found = found.ok_or_else(foreign_key)?;
        for (walk, term, document) in wanted {
            let list = &mut self.walks[walk].lists[term];
            let has = found.contains(&(list.tag, document));
            list.add_check(document, has);
            self.checks[term].made += 1;
            self.checks[term].found += usize::from(has);
        }
        Ok(())
    }

    /// Reads a page of each of these lists.
    async fn read(&mut self, reads: Vec<PageRead>) -> Result<()> {
        self.calls = self.calls.saturating_sub(reads.len());
        let pages: Vec<_> = reads.into_iter().map(|read| self.page(read)).collect();
        let pages: Vec<_> = stream::iter(pages).buffer_unordered(READS.1).try_collect().await?;
        for (PageRead { walk, term, top }, size, rows) in pages {
            let documents = rows.items.iter().map(|item| item.text("sk").and_then(parse_posting));
            let documents: Option<Vec<_>> = documents.map(|posting| posting.map(|(_, document)| document)).collect();
            let documents = documents.ok_or_else(foreign_key)?;
            self.walks[walk].lists[term].add_page(size, top, &documents, rows.next.is_none());
        }
        Ok(())
    }

    fn page(&self, read: PageRead) -> impl Future<Output = Result<(PageRead, u16, Rows)>> + use<> {
        let Walk { scope, lists, .. } = &self.walks[read.walk];
        let list = &lists[read.term];
        let size = list.page_size(self.first_page);
        let sort = Sort::Between(posting(list.tag, list.first), posting(list.tag, read.top));
        let query = self.index.table.query(scope.partition().to_string()).sort(sort).descending().limit(size);
        async move { Ok((read, size, query.page().await?)) }
    }
}

fn foreign_key() -> Error {
    Error::internal("a posting has another key")
}
