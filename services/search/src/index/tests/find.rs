use std::collections::BTreeSet;

use kernel::Kind;
use kit::engine::Engine;

use super::support::{Random, World, all_hits, document, everywhere, scope};
use crate::index::document::Document;
use crate::index::find::{Hit, Position, Search, Searched};
use crate::index::scope::Scope;

kit::on_each_engine![
    words_of_every_frequency_are_found_together,
    words_of_many_scopes_are_found_together,
    bounds_of_time_are_of_each_scope,
    documents_of_one_millisecond_and_of_two_scopes_are_all_found,
    search_of_words_that_never_meet_ends_short,
    search_needs_terms,
];

/// The words of a document, by its number.
type Words = fn(u32) -> Vec<&'static str>;

fn words(number: u32) -> Vec<&'static str> {
    let random = Random::new(number.into());
    let is_old = number < 400;
    let all: [(&str, bool); 10] = [
        ("all", true),
        ("half", random.percent(50)),
        ("other half", random.percent(50)),
        ("tenth", random.percent(10)),
        ("rare", number % 173 == 5),
        ("once", number == 300),
        ("old", is_old),
        ("new", !is_old),
        ("even", number.is_multiple_of(2)),
        ("odd", !number.is_multiple_of(2)),
    ];
    all.into_iter().filter_map(|(word, has)| has.then_some(word)).collect()
}

async fn fill(world: &World, scope: &Scope, numbers: impl Iterator<Item = u32>, words: Words) {
    let postings = numbers.flat_map(|number| words(number).into_iter().map(move |word| (word, document(number))));
    world.fill(scope, postings.collect::<Vec<_>>()).await;
}

async fn words_of_every_frequency_are_found_together(engine: Engine) {
    const COUNT: u32 = 1500;
    let (world, scope) = (World::new(engine).await, scope(1));
    fill(&world, &scope, 0..COUNT, words).await;
    let searches: [&[&str]; 16] = [
        &["all"],
        &["rare"],
        &["never"],
        &["all", "never"],
        &["all", "half"],
        &["half", "other half"],
        &["tenth", "all"],
        &["rare", "all"],
        &["rare", "half", "other half"],
        &["tenth", "half"],
        &["once", "all", "half", "other half", "even", "old"],
        &["old", "new"],
        &["even", "odd"],
        &["old", "tenth"],
        &["new", "rare", "rare"],
        &["all", "half", "other half", "even", "new"],
    ];
    for terms in searches {
        let has = |number: &u32| terms.iter().all(|term| words(*number).contains(term));
        let expected: Vec<_> =
            (0..COUNT).rev().filter(has).map(|number| Hit { scope: 0, document: document(number) }).collect();
        for limit in [7, 50, 200] {
            let (hits, pages) = all_hits(&world.index, &[everywhere(&scope)], terms, limit).await;
            assert_eq!(hits, expected, "{terms:?} {limit}");
            assert!(pages <= expected.len() / usize::from(limit) + 2, "{terms:?} {limit}: {pages} pages");
        }
    }
}

async fn words_of_many_scopes_are_found_together(engine: Engine) {
    const SCOPES: u8 = 24;
    const COUNT: u32 = 60;
    let world = World::new(engine).await;
    let scopes: Vec<_> = (0..SCOPES).map(scope).collect();
    // The documents of the scopes alternate, except that the last scope has the newest.
    let number = |of: u32, n: u32| if of + 1 == u32::from(SCOPES) { 10_000 + n } else { n * u32::from(SCOPES) + of };
    let mut expected = Vec::new();
    for (of, scope) in scopes.iter().enumerate() {
        let of_scope = u32::try_from(of).unwrap();
        let numbers: Vec<_> = (0..COUNT).map(|n| number(of_scope, n)).collect();
        fill(&world, scope, numbers.iter().copied(), words).await;
        expected.extend(numbers.into_iter().map(|number| (number, of)));
    }
    expected.sort_unstable_by(|one, other| other.cmp(one));
    let searched: Vec<_> = scopes.iter().map(everywhere).collect();
    let searches: [&[&str]; 8] = [
        &["all"],
        &["rare", "all"],
        &["half", "all"],
        &["old", "half"],
        &["even", "odd"],
        &["tenth", "half", "other half"],
        &["once", "all", "half"],
        &["never", "all"],
    ];
    for terms in searches {
        let has = |(number, _): &&(u32, usize)| terms.iter().all(|term| words(*number).contains(term));
        let expected: Vec<_> = expected.iter().filter(has).collect();
        for limit in [50, 200] {
            let (hits, _) = all_hits(&world.index, &searched, terms, limit).await;
            let hits: Vec<_> = hits.into_iter().map(|hit| (hit.document, hit.scope)).collect();
            let expected: Vec<_> = expected.iter().map(|(number, of)| (document(*number), *of)).collect();
            assert_eq!(hits, expected, "{terms:?} {limit}");
        }
    }
}

async fn bounds_of_time_are_of_each_scope(engine: Engine) {
    let world = World::new(engine).await;
    let (one, other) = (scope(1), scope(2));
    for scope in [&one, &other] {
        fill(&world, scope, 0..300, words).await;
    }
    let cases = [((10, 20), (15, 15)), ((0, 299), (250, 1000)), ((-7, 0), (20, 10)), ((299, i64::MAX), (400, 500))];
    for (first, second) in cases {
        let searched = [(&one, first), (&other, second)].map(|(scope, (from, to))| Searched { scope, from, to });
        for terms in [&["all"][..], &["all", "even"]] {
            let mut expected: Vec<_> = (0..300_u32)
                .filter(|number| terms.iter().all(|term| words(*number).contains(term)))
                .flat_map(|number| [(number, 0, first), (number, 1, second)])
                .filter(|(number, _, (from, to))| (*from..=*to).contains(&i64::from(*number)))
                .map(|(number, scope, _)| (document(number), searched[scope].scope.partition(), scope))
                .collect();
            expected.sort_unstable_by(|one, other| other.cmp(one));
            let (hits, _) = all_hits(&world.index, &searched, terms, 3).await;
            let expected: Vec<_> = expected.into_iter().map(|(document, _, scope)| Hit { scope, document }).collect();
            assert_eq!(hits, expected, "{first:?} {second:?} {terms:?}");
        }
    }
}

/// The shared and the private notes of one session are two hits, and a page may end between them.
async fn documents_of_one_millisecond_and_of_two_scopes_are_all_found(engine: Engine) {
    let world = World::new(engine).await;
    let scopes = [scope(1), scope(2), scope(3)];
    let documents: Vec<_> = (0..20_u8).map(|id| Document::new(7, [id; 16])).collect();
    for scope in &scopes {
        let both = documents.iter().flat_map(|document| [("one", *document), ("two", *document)]);
        world.fill(scope, both).await;
    }
    let searched = scopes.each_ref().map(everywhere);
    for terms in [&["one"][..], &["one", "two"]] {
        for limit in [1, 2, 7, 59, 60, 61] {
            let (hits, _) = all_hits(&world.index, &searched, terms, limit).await;
            let found: BTreeSet<_> = hits.iter().map(|hit| (hit.document, hit.scope)).collect();
            assert_eq!((hits.len(), found.len()), (60, 60), "{terms:?} {limit}");
            assert!(hits.is_sorted_by(|one, next| one.document >= next.document), "{terms:?} {limit}");
        }
    }
    // The position fits a list of scopes that has changed since.
    let page = world
        .index
        .find(&Search { scopes: &searched, terms: &["one"], at: None, limit: 31, unchecked: 0 })
        .await
        .unwrap();
    let at: Option<Position> = Some(page.next.unwrap().to_string().parse().unwrap());
    let fewer = [searched[2]];
    let rest =
        world.index.find(&Search { scopes: &fewer, terms: &["one"], at, limit: 60, unchecked: 0 }).await.unwrap();
    let seen = page.hits.iter().filter(|hit| hit.scope == 2).count();
    assert_eq!(seen + rest.hits.len(), 20);
}

/// A hit of one scope below an undecided document of another is left to a later page.
async fn search_of_words_that_never_meet_ends_short(engine: Engine) {
    let (world, scopes) = (World::new(engine).await, [scope(1), scope(2)]);
    fn apart(number: u32) -> Vec<&'static str> {
        match number {
            0 => vec!["even", "odd"],
            _ if number.is_multiple_of(2) => vec!["even"],
            _ => vec!["odd"],
        }
    }
    fill(&world, &scopes[0], 0..5000, apart).await;
    fill(&world, &scopes[1], [2, 4, 6].into_iter(), words).await;
    fill(&world, &scopes[1], [2, 4, 6].into_iter(), |_| vec!["odd"]).await;
    let searched = scopes.each_ref().map(everywhere);
    let search = Search { scopes: &searched, terms: &["even", "odd"], at: None, limit: 20, unchecked: 0 };
    let first = world.proxied.find(&search).await.unwrap();
    let calls = world.proxy.take_calls().len();
    assert!(first.hits.is_empty() && first.next.is_some());
    assert!(calls <= 40, "{calls}");
    let (hits, pages) = all_hits(&world.index, &searched, &["even", "odd"], 20).await;
    let expected = [(1, 6), (1, 4), (1, 2), (0, 0)].map(|(scope, number)| Hit { scope, document: document(number) });
    assert_eq!(hits, expected);
    assert!((2..=4).contains(&pages), "{pages}");
}

async fn search_needs_terms(engine: Engine) {
    let (world, scope) = (World::new(engine).await, scope(1));
    let searched = [everywhere(&scope)];
    let many: Vec<_> = (0..17).map(|number| number.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for terms in [&[][..], &many] {
        let error = world
            .index
            .find(&Search { scopes: &searched, terms, at: None, limit: 20, unchecked: 0 })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
    }
    let none =
        world.index.find(&Search { scopes: &[], terms: &many[..16], at: None, limit: 20, unchecked: 0 }).await.unwrap();
    assert_eq!((none.hits, none.next), (Vec::new(), None));
}
