use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use kit::engine::Engine;
use kit::fault::Mode;

use super::support::{World, document, scope, terms, texts};
use crate::index::scope::Scope;
use crate::index::write::Write;

kit::on_each_engine![
    concurrent_writers_leave_the_newest_version,
    writers_and_removers_leave_the_newest_version,
    concurrent_deliveries_of_one_version_complete_it,
    overtaken_writer_changes_nothing_more,
    writer_overtaken_by_the_end_of_the_account_writes_nothing_more,
    newer_version_deletes_what_a_crashed_writer_left,
];

/// Writes a version, and repeats that as an outbox does until it succeeds.
async fn deliver(world: &World, scope: &Scope, version: u64, is_removed: bool, terms: &[String]) {
    for _ in 0..50 {
        let written = if is_removed {
            world.index.remove(scope, document(1).id(), version).await
        } else {
            world.index.put(scope, document(1), version, texts(terms)).await
        };
        if written.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("version {version} is never written");
}

/// Waits for the call after this many, which hangs.
async fn held(made: &AtomicUsize, calls: usize) {
    kit::wait::until("the call that hangs", async || made.load(Ordering::SeqCst) > calls).await;
}

async fn concurrent_writers_leave_the_newest_version(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(300));
    let of = |version: u64| {
        let start = usize::try_from(version * 17).unwrap();
        &all[start..start + 140]
    };
    join_all((1..=8).rev().map(|version| deliver(&world, &scope, version, false, of(version)))).await;
    let contents = world.contents(&scope).await;
    let expected = texts(of(8)).map(|term| (scope.tag(term), document(1))).collect();
    assert_eq!(contents.postings, expected);
    let forward = &contents.forwards[&document(1).id()];
    assert!(forward.is_settled && forward.target.version == 8);
}

async fn writers_and_removers_leave_the_newest_version(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(140));
    for (last_is_removed, expected) in [(true, 0), (false, 140)] {
        let base = if last_is_removed { 10 } else { 20 };
        let deliveries = (1..=6).map(|number| deliver(&world, &scope, base + number, number % 2 == 0, &all));
        let last = deliver(&world, &scope, base + 7, last_is_removed, &all);
        join(join_all(deliveries), last).await;
        let contents = world.contents(&scope).await;
        assert_eq!(contents.postings.len(), expected);
        let forward = &contents.forwards[&document(1).id()];
        assert_eq!(forward.target.rank(), (base + 7, last_is_removed));
    }
}

async fn concurrent_deliveries_of_one_version_complete_it(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(250));
    join_all((0..4).map(|_| deliver(&world, &scope, 1, false, &all))).await;
    let contents = world.contents(&scope).await;
    assert_eq!(contents.postings.len(), 250);
    assert!(contents.forwards[&document(1).id()].is_settled);
}

/// The requests of a writer that are still under way when another has finished.
async fn overtaken_writer_changes_nothing_more(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(600));
    for (calls, version) in (1..=3).zip([1, 11, 21]) {
        world.index.put(&scope, document(1), version, texts(&all[100..450])).await.unwrap();
        let made = world.fail_after(calls, Mode::Hang).await;
        let slow = world.proxied.put(&scope, document(1), version + 1, texts(&all[..350]));
        let fast = async {
            held(&made, calls).await;
            world.index.put(&scope, document(1), version + 2, texts(&all[400..600])).await.unwrap();
            let contents = world.contents(&scope).await;
            world.proxy.set(Mode::Pass).await;
            contents
        };
        let (slow, contents) = Box::pin(join(slow, fast)).await;
        assert_eq!(slow.unwrap(), Write::Stale);
        assert_eq!(world.contents(&scope).await, contents);
        let expected = texts(&all[400..600]).map(|term| (scope.tag(term), document(1))).collect();
        assert_eq!(contents.postings, expected);
    }
}

async fn writer_overtaken_by_the_end_of_the_account_writes_nothing_more(engine: Engine) {
    let (world, all) = (World::new(engine).await, terms(350));
    for (byte, calls) in (1..).zip([1, 2, 3, 4]) {
        let scope = scope(byte);
        let made = world.fail_after(calls, Mode::Hang).await;
        let slow = world.proxied.put(&scope, document(1), 1, texts(&all));
        let end = async {
            held(&made, calls).await;
            world.index.end(scope.id().owner()).await.unwrap();
            world.proxy.set(Mode::Pass).await;
        };
        let (slow, ()) = Box::pin(join(slow, end)).await;
        assert_eq!(slow.unwrap(), if calls == 1 { Write::Ended } else { Write::Stale }, "{calls}");
        assert_eq!(world.contents(&scope).await, super::support::Contents::default());
        assert_eq!(world.index.scopes_of(scope.id().owner()).await.unwrap(), BTreeSet::new());
    }
}

/// A newer version with fewer terms, after a crash at every step of a writer.
async fn newer_version_deletes_what_a_crashed_writer_left(engine: Engine) {
    /// One read and five transactions.
    const CALLS: usize = 6;
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(500));
    for (number, (mode, step)) in
        (0..).zip([Mode::Throttle, Mode::LoseAnswer].iter().flat_map(|mode| (0..=CALLS).map(move |step| (mode, step))))
    {
        let document = document(number);
        world.index.put(&scope, document, 1, texts(&all[300..])).await.unwrap();
        world.fail_after(step, mode.clone()).await;
        let crashed = world.proxied.put(&scope, document, 2, texts(&all[..400])).await;
        assert_eq!(crashed.is_ok(), step == CALLS, "{mode:?} {step}");
        world.index.put(&scope, document, 3, texts(&all[..2])).await.unwrap();
        let contents = world.contents(&scope).await;
        let left = contents.postings.iter().filter(|(_, posted)| *posted == document);
        assert_eq!(left.count(), 2, "{mode:?} {step}");
        assert!(contents.forwards[&document.id()].is_settled);
    }
}
