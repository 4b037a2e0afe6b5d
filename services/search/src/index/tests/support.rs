use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dynamo::seal::SealingKey;
use dynamo::secret::{Secret, Secrets};
use dynamo::{BatchWrite, Table};
use kernel::{ClientId, Entropy as _, ManualClock, Timestamp};
use kit::engine::Engine;
use kit::entropy::SeededEntropy;
use kit::fault::{Mode, Proxy};

use crate::index::document::{Document, DocumentId};
use crate::index::find::{Hit, Position, Search, Searched};
use crate::index::forward::Forward;
use crate::index::scope::{Scope, ScopeId, Tag, parse_forward, parse_posting};
use crate::index::{Index, SEARCH_INDEX};

pub(super) const NOW: i64 = 1_800_000_000_000;

/// An index, and another handle of it whose calls pass a proxy and are made once.
pub(super) struct World {
    pub(super) table: Table,
    pub(super) index: Index,
    pub(super) proxied: Index,
    pub(super) proxy: Proxy,
}

/// All items of a scope.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    pub(super) postings: BTreeSet<(Tag, Document)>,
    pub(super) forwards: BTreeMap<DocumentId, Forward>,
}

impl World {
    pub(super) async fn new(engine: Engine) -> Self {
        let config = engine.config().await;
        let client = config.connect(kit::entropy::seeded()).await;
        client.create_or_verify(&[&SEARCH_INDEX]).await.unwrap();
        let proxy = Proxy::start(&engine.endpoint().await);
        let once = dynamo::Config { endpoint: Some(proxy.endpoint()), max_attempts: 1, ..config };
        let table = client.table(&SEARCH_INDEX);
        let proxied = once.connect(kit::entropy::seeded()).await.table(&SEARCH_INDEX);
        Self { index: index(table.clone()), proxied: index(proxied), table, proxy }
    }

    /// Lets this many calls pass, and treats all later ones by this mode. Returns the number of calls as it grows.
    pub(super) async fn fail_after(&self, calls: usize, mode: Mode) -> Arc<AtomicUsize> {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        self.proxy.only(move |_| counted.fetch_add(1, Ordering::SeqCst) >= calls);
        self.proxy.set(mode).await;
        made
    }

    /// Reads a whole partition.
    pub(super) async fn contents(&self, scope: &Scope) -> Contents {
        let (mut contents, mut after) = (Contents::default(), None);
        loop {
            let query = self.table.query(scope.partition().to_string()).consistent();
            let rows = if let Some(cursor) = after { query.after(cursor) } else { query }.page().await.unwrap();
            for item in rows.items {
                let sort = item.text("sk").unwrap().to_owned();
                if let Some(id) = parse_forward(&sort) {
                    let forward = Forward::open(&self.table, scope, &scope.forward(id), item).unwrap();
                    contents.forwards.insert(id, forward);
                } else {
                    contents.postings.insert(parse_posting(&sort).unwrap());
                }
            }
            after = rows.next;
            if after.is_none() {
                return contents;
            }
        }
    }

    /// Fills the index with postings alone.
    pub(super) async fn fill(&self, scope: &Scope, postings: impl IntoIterator<Item = (&str, Document)>) {
        let put = |(term, document)| {
            BatchWrite::put(scope.posting(scope.tag(term), document), &BTreeMap::<String, String>::new()).unwrap()
        };
        self.table.batch_write(postings.into_iter().map(put).collect()).await.unwrap();
    }
}

fn index(table: Table) -> Index {
    let clock = ManualClock::new(Timestamp::from_millisecond(NOW).unwrap());
    let secrets = Secrets::new(Secret::new([7; 32]), Vec::new());
    Index::new(table, &secrets, Arc::new(clock), kit::entropy::seeded()).unwrap()
}

pub(super) fn key(byte: u8) -> SealingKey {
    SealingKey::new(&[byte; 32]).unwrap()
}

pub(super) fn scope(byte: u8) -> Scope {
    Scope::new(ScopeId::SharedJournal(ClientId::from_bytes([byte; 16])), &key(byte)).unwrap()
}

/// Returns a document whose number is its time and its id.
pub(super) fn document(number: u32) -> Document {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    Document::new(i64::from(number), id)
}

/// Returns this many terms.
pub(super) fn terms(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("wterm{number}")).collect()
}

pub(super) fn texts(terms: &[String]) -> impl Iterator<Item = &str> {
    terms.iter().map(String::as_str)
}

/// Returns a search of all times.
pub(super) fn everywhere(scope: &Scope) -> Searched<'_> {
    Searched { scope, from: i64::MIN, to: i64::MAX }
}

/// Finds all hits, page by page, and the number of pages.
pub(super) async fn all_hits(index: &Index, scopes: &[Searched<'_>], terms: &[&str], limit: u16) -> (Vec<Hit>, usize) {
    let (mut hits, mut pages, mut at) = (Vec::new(), 0, None);
    loop {
        let page = index.find(&Search { scopes, terms, at, limit, unchecked: 0 }).await.unwrap();
        assert!(page.hits.len() <= usize::from(limit), "{} hits of {limit}", page.hits.len());
        hits.extend(page.hits);
        pages += 1;
        let Some(next) = page.next else { return (hits, pages) };
        assert!(at.is_none_or(|at: Position| next < at), "a page goes on below the one before");
        at = Some(next);
    }
}

/// Random numbers of a printed seed.
pub(super) struct Random(SeededEntropy);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// Returns a number below this one.
    pub(super) fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % bound as u64).unwrap()
    }

    /// Returns true with this probability, in percent.
    pub(super) fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
