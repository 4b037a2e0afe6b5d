//! Random worlds in which each search finds, page by page, what a brute-force filter finds in what its caller may read.

use std::env;

use chassis::SystemEntropy;
use kernel::Entropy;
use kit::engine::Engine;
use kit::mesh::{Someone, TestMesh};

use super::hits::{all_is_indexed, next};
use super::oracle::{Query, Text, readable};
use super::world::World;
use crate::model::random::Random;

kit::on_each_engine!(finds_equal_filter_over_readable_texts);

/// Variable with the seed of all choices, to repeat a soak.
const SEED: &str = "SEARCH_SEED";
/// Seed of the choices for a change.
const CHANGE_SEED: u64 = 13;
/// Number of times that changes stop until the index has them all.
const ROUNDS: usize = 4;
/// Number of changes before each.
const CHANGES: usize = 40;
/// Number of searches by each person while the index lags behind, and after it has caught up.
const QUERIES: (usize, usize) = (2, 8);

async fn finds_equal_filter_over_readable_texts(engine: Engine) {
    play(engine, CHANGE_SEED, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: .ci/soak"]
async fn soak_search() {
    let given = env::var(SEED).ok().map(|text| text.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| u64::from_be_bytes((&SystemEntropy as &dyn Entropy).array()) >> 16);
    for engine in [Engine::Embedded, Engine::DynamoDbLocal] {
        play(engine, seed, 30).await;
    }
}

async fn play(engine: Engine, seed: u64, worlds: u64) {
    println!("{SEED}={seed} repeats this run");
    let mut found = 0;
    for world in 0..worlds {
        // Tokens live for 15 minutes of each mesh.
        let mesh = TestMesh::start(engine).await;
        found += play_world(&mesh, seed.wrapping_add(world)).await;
        mesh.stop().await;
    }
    println!("{found} hits");
    assert!(found > 0);
}

/// Returns the number of hits.
async fn play_world(mesh: &TestMesh, seed: u64) -> usize {
    let mut world = World::new(mesh, Random::new(seed)).await;
    let mut found = 0;
    for round in 1..=ROUNDS {
        for _ in 0..CHANGES {
            world.change().await;
        }
        if round == ROUNDS {
            world.end_account().await;
        }
        search_all(&mut world, QUERIES.0, |query, expected, found| {
            // Nothing is found any more that was taken away before the search.
            let unread = found.iter().find(|text| !expected.contains(text));
            assert_eq!(unread, None, "seed {seed}, round {round}: {}", query.path());
        })
        .await;
        all_is_indexed(mesh).await;
        found += search_all(&mut world, QUERIES.1, |query, expected, found| {
            assert_eq!(found, expected, "seed {seed}, round {round}: {}", query.path());
        })
        .await;
    }
    found
}

/// Compares random searches by each person with what they should find. Returns the number of hits.
async fn search_all(world: &mut World<'_>, queries: usize, check: impl Fn(&Query, &[Text], &[Text])) -> usize {
    let people: Vec<_> = world.people().map(|(who, is_client)| (who.clone(), is_client)).collect();
    let mut count = 0;
    for (who, is_client) in people {
        let readable = readable(world, &who, is_client).await;
        for _ in 0..queries {
            let query = Query::random(world, is_client, &who.id);
            let size = *world.random.pick(&[1, 2, 3, 7, 50]);
            let found = search(world.mesh, &who, &query.path(), size).await;
            check(&query, &query.filter(&readable), &found);
            count += found.len();
        }
    }
    count
}

/// Reads all pages of a search. Returns the hits, those of one time in a fixed order.
async fn search(mesh: &TestMesh, who: &Someone, path: &str, size: usize) -> Vec<Text> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = mesh.get(&format!("{path}&pageSize={size}&pageToken={token}"), who).await;
        let next = next(&page);
        let hits = page.expect(200);
        let hits = hits.as_array().unwrap();
        assert!(hits.len() <= size, "{path}: {hits:?}");
        found.extend(hits.iter().map(Text::of_hit));
        match next {
            Some(next) => token = next,
            None => break,
        }
    }
    assert!(found.is_sorted_by(|one, next| one.time >= next.time), "{path}: {found:?}");
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}
