//! DynamoDB calls of writes and searches.

use std::collections::BTreeMap;

use kit::engine::Engine;

use super::support::{World, document, everywhere, scope, terms, texts};
use crate::index::DocumentVersion;
use crate::index::find::Search;
use crate::index::scope::Scope;

kit::on_each_engine![
    write_is_one_read_and_a_transaction_of_100,
    entry_of_200_long_words_is_at_most_25_writes,
    new_documents_share_transactions,
    rare_and_common_word_are_three_calls_at_any_size,
    two_common_words_are_two_queries_at_any_size,
    many_scopes_are_one_query_each,
];

fn counted(world: &World) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    for call in world.proxy.take_calls() {
        *counts.entry(call).or_default() += 1;
    }
    counts.into_iter().collect()
}

fn calls(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
    expected.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

async fn write_is_one_read_and_a_transaction_of_100(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(400));
    let put = async |version, range: std::ops::Range<usize>| {
        world.proxied.put(&scope, document(1), version, texts(&all[range])).await.unwrap();
        counted(&world)
    };
    assert_eq!(put(1, 0..400).await, calls(&[("GetItem", 1), ("TransactWriteItems", 5)]));
    assert_eq!(put(1, 0..400).await, calls(&[("GetItem", 1)]), "a repetition");
    assert_eq!(put(2, 2..400).await, calls(&[("GetItem", 1), ("TransactWriteItems", 1)]), "a small change");
    assert_eq!(put(3, 2..400).await, calls(&[("GetItem", 1), ("PutItem", 1)]), "a change of nothing but the version");
    world.proxied.remove(&scope, document(1).id(), 4).await.unwrap();
    assert_eq!(counted(&world), calls(&[("GetItem", 1), ("TransactWriteItems", 5)]));
}

/// No two words share a prefix, and each has all that the index has of a word.
async fn entry_of_200_long_words_is_at_most_25_writes(engine: Engine) {
    let (world, scope) = (World::new(engine).await, scope(1));
    let letter = |number: u8| char::from(b'a' + number);
    let word = |number: u8| format!("{}{}oughtiness", letter(number / 20), letter(number % 20));
    let text = (0..200).map(word).collect::<Vec<_>>().join(" ");
    let terms = crate::text::terms(&text);
    assert_eq!(terms.len(), 200 * 7);
    world.proxied.put(&scope, document(1), 1, terms.iter().map(|term| term.as_str())).await.unwrap();
    let counted = counted(&world);
    assert_eq!(counted, calls(&[("GetItem", 1), ("TransactWriteItems", 15)]));
}

async fn new_documents_share_transactions(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(6));
    let versions = (0..28).map(|number| DocumentVersion { document: document(number), version: 1, terms: &all });
    world.proxied.restore_all(&scope, versions.clone()).await.unwrap();
    assert_eq!(counted(&world), calls(&[("TransactWriteItems", 3)]));
    world.proxied.restore_all(&scope, versions.take(2)).await.unwrap();
    assert_eq!(counted(&world), calls(&[("GetItem", 2), ("TransactWriteItems", 3)]), "documents that are there");
}

/// Documents of a common word, of which every so many-th also has a rare one, and all another common one.
async fn fill(world: &World, scope: &Scope, count: u32, rare: u32) {
    let postings = (0..count).flat_map(|number| {
        let rare = number.is_multiple_of(count / rare).then_some(("wrare", document(number)));
        [("wcommon", document(number)), ("wother", document(number))].into_iter().chain(rare)
    });
    world.fill(scope, postings.collect::<Vec<_>>()).await;
}

async fn find(world: &World, scope: &Scope, terms: &[&str], limit: u16) -> (usize, Vec<(String, usize)>) {
    find_unchecked(world, scope, terms, (limit, 0)).await
}

async fn find_unchecked(
    world: &World,
    scope: &Scope,
    terms: &[&str],
    (limit, unchecked): (u16, u16),
) -> (usize, Vec<(String, usize)>) {
    let scopes = [everywhere(scope)];
    let found = world.proxied.find(&Search { scopes: &scopes, terms, at: None, limit, unchecked }).await.unwrap();
    (found.hits.len(), counted(world))
}

async fn rare_and_common_word_are_three_calls_at_any_size(engine: Engine) {
    let world = World::new(engine).await;
    for (byte, count) in [(1, 1_000), (2, 8_000)] {
        let scope = scope(byte);
        fill(&world, &scope, count, 20).await;
        let found = find(&world, &scope, &["wrare", "wcommon"], 20).await;
        assert_eq!(found, (20, calls(&[("BatchGetItem", 1), ("Query", 2)])), "{count}");
        for unchecked in [20, 50] {
            let found = find_unchecked(&world, &scope, &["wrare", "wcommon"], (20, unchecked)).await;
            assert_eq!(found, (20, calls(&[("Query", 2)])), "{count} {unchecked}");
        }
        let found = find_unchecked(&world, &scope, &["wrare", "wcommon"], (50, 19)).await;
        assert_eq!(found, (20, calls(&[("BatchGetItem", 1), ("Query", 2)])), "too many candidates: {count}");
        let found = find(&world, &scope, &["wrare", "wcommon", "wother"], 20).await;
        assert_eq!(found, (20, calls(&[("BatchGetItem", 1), ("Query", 3)])), "{count}");
        let found = find(&world, &scope, &["wnever", "wcommon"], 20).await;
        assert_eq!(found, (0, calls(&[("Query", 2)])), "{count}");
    }
}

async fn two_common_words_are_two_queries_at_any_size(engine: Engine) {
    let world = World::new(engine).await;
    for (byte, count) in [(1, 1_000), (2, 8_000)] {
        let scope = scope(byte);
        fill(&world, &scope, count, 20).await;
        let found = find(&world, &scope, &["wcommon", "wother"], 50).await;
        assert_eq!(found, (50, calls(&[("Query", 2)])), "{count}");
    }
}

async fn many_scopes_are_one_query_each(engine: Engine) {
    let world = World::new(engine).await;
    let scopes: Vec<_> = (0..30).map(scope).collect();
    for scope in &scopes {
        fill(&world, scope, 60, 3).await;
    }
    let searched: Vec<_> = scopes.iter().map(everywhere).collect();
    // All words in four scopes, the rarest in the others, and one look-up.
    for terms in [&["wrare", "wcommon"][..], &["wcommon", "wother"]] {
        let found =
            world.proxied.find(&Search { scopes: &searched, terms, at: None, limit: 20, unchecked: 0 }).await.unwrap();
        assert_eq!(found.hits.len(), 20);
        assert_eq!(counted(&world), calls(&[("BatchGetItem", 1), ("Query", 34)]), "{terms:?}");
    }
}
