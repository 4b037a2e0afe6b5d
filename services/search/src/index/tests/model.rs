//! Random histories of documents against a model of them.

use std::collections::{BTreeMap, BTreeSet};

use kit::engine::Engine;
use kit::fault::Mode;

use super::support::{Random, World, all_hits, scope};
use crate::index::document::{Document, DocumentId};
use crate::index::find::Searched;
use crate::index::scope::Scope;

kit::on_each_engine![random_histories_end_in_the_newest_versions];

const SEEDS: std::ops::Range<u64> = 0..8;
const STEPS: usize = 60;
const DOCUMENTS: usize = 5;
const VERSIONS: usize = 6;

/// An event of a document: a version that its owner has, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    scope: usize,
    id: DocumentId,
    version: u64,
    is_removed: bool,
}

/// The content of a version, which is the same in each delivery.
fn content(seed: u64, event: Event) -> (Document, BTreeSet<String>) {
    let number = u64::from(event.id[0]) << 16 | event.version << 8 | event.scope as u64;
    let random = Random::new(seed << 32 | number);
    let time = i64::try_from(random.below(20)).unwrap();
    let terms = (0..12).filter(|_| random.percent(40)).map(|number| format!("w{number}"));
    let many = if random.percent(30) { 60 + random.below(250) } else { 0 };
    (Document::new(time, event.id), terms.chain((0..many).map(|number| format!("p{number}"))).collect())
}

async fn random_histories_end_in_the_newest_versions(engine: Engine) {
    let world = World::new(engine).await;
    for seed in SEEDS {
        println!("seed {seed}");
        let byte = u8::try_from(seed).unwrap() * 2;
        history(&world, seed, &[scope(byte), scope(byte + 1)]).await;
    }
}

async fn history(world: &World, seed: u64, scopes: &[Scope]) {
    let random = Random::new(seed);
    let mut newest: BTreeMap<(usize, DocumentId), (u64, bool)> = BTreeMap::new();
    // Events that an outbox delivers again.
    let mut failed: Vec<Event> = Vec::new();
    for _ in 0..STEPS {
        let event = if !failed.is_empty() && random.percent(30) {
            failed.swap_remove(random.below(failed.len()))
        } else {
            Event {
                scope: random.below(scopes.len()),
                id: [u8::try_from(random.below(DOCUMENTS)).unwrap(); 16],
                version: random.below(VERSIONS) as u64,
                is_removed: random.percent(15),
            }
        };
        let crash = random.percent(40).then(|| (random.below(6), random.pick(&[Mode::Throttle, Mode::LoseAnswer])));
        if let Some((calls, mode)) = crash {
            world.fail_after(calls, mode.clone()).await;
        }
        let known = newest.entry((event.scope, event.id)).or_default();
        *known = (*known).max((event.version, event.is_removed));
        if !deliver(world, seed, scopes, event).await {
            failed.push(event);
        }
        world.proxy.set(Mode::Pass).await;
    }
    for event in failed {
        assert!(deliver(world, seed, scopes, event).await);
    }
    let of = |((scope, id), (version, is_removed)): (&(usize, DocumentId), &(u64, bool))| {
        let event = Event { scope: *scope, id: *id, version: *version, is_removed: *is_removed };
        let (document, terms) = content(seed, event);
        (*scope, document, if *is_removed { BTreeSet::new() } else { terms })
    };
    let documents: Vec<_> = newest.iter().map(of).collect();
    for (number, scope) in scopes.iter().enumerate() {
        let contents = world.contents(scope).await;
        let own = || documents.iter().filter(|(scope, _, _)| *scope == number);
        let postings = own().flat_map(|(_, document, terms)| terms.iter().map(|term| (scope.tag(term), *document)));
        assert_eq!(contents.postings, postings.collect());
        let ranks: BTreeMap<_, _> =
            contents.forwards.iter().map(|(id, forward)| ((number, *id), forward.target.rank())).collect();
        assert!(ranks.iter().all(|(key, rank)| newest.get(key) == Some(rank)));
        assert_eq!(ranks.len(), own().count());
        assert!(contents.forwards.values().all(|forward| forward.is_settled && forward.surplus.is_empty()));
    }
    for _ in 0..20 {
        search(world, &random, scopes, &documents).await;
    }
}

async fn deliver(world: &World, seed: u64, scopes: &[Scope], event: Event) -> bool {
    let scope = &scopes[event.scope];
    let written = if event.is_removed {
        world.proxied.remove(scope, event.id, event.version).await
    } else {
        let (document, terms) = content(seed, event);
        world.proxied.put(scope, document, event.version, terms.iter().map(String::as_str)).await
    };
    written.is_ok()
}

/// Compares a random search with a filter over the model.
async fn search(world: &World, random: &Random, scopes: &[Scope], documents: &[(usize, Document, BTreeSet<String>)]) {
    let terms: Vec<_> = (0..=random.below(3)).map(|_| format!("w{}", random.below(12))).collect();
    let terms: Vec<_> = terms.iter().map(String::as_str).collect();
    let searched: Vec<_> = scopes
        .iter()
        .map(|scope| {
            let time = || i64::try_from(random.below(24)).unwrap() - 2;
            Searched { scope, from: time() / 2, to: time() + 5 }
        })
        .collect();
    let mut expected: Vec<_> = documents
        .iter()
        .filter(|(scope, document, has)| {
            let Searched { from, to, .. } = searched[*scope];
            (from..=to).contains(&document.millisecond()) && terms.iter().all(|term| has.contains(*term))
        })
        .map(|(scope, document, _)| (*document, scopes[*scope].partition(), *scope))
        .collect();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    let limit = u16::try_from(1 + random.below(6)).unwrap();
    let (hits, _) = all_hits(&world.index, &searched, &terms, limit).await;
    let hits: Vec<_> = hits.into_iter().map(|hit| (hit.document, scopes[hit.scope].partition(), hit.scope)).collect();
    assert_eq!(hits, expected, "{terms:?} {limit}");
}
