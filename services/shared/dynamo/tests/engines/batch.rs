use std::collections::BTreeSet;

use dynamo::{BatchWrite, Key, Read, Table};
use kernel::{Entropy, Kind};
use kit::engine::Engine;
use kit::entropy::SeededEntropy;
use kit::fault::{Mode, Proxy};

use crate::support::{THINGS, Thing, key, made, thing};

kit::on_each_engine![
    batch_get_returns_existing_items,
    oversized_batch_get_is_complete,
    batch_write_puts_and_deletes,
    batch_write_is_one_call_for_25_writes,
    unprocessed_writes_are_repeated_then_unavailable,
    throttled_batch_write_is_unavailable,
];

async fn batch_get_returns_existing_items(engine: Engine) {
    let table = crate::support::table(engine).await;
    let entropy: &dyn Entropy = &SeededEntropy::default();
    let mut expected = Vec::new();
    for number in 0..130 {
        let thing = thing(&format!("thing {number} {:?}", entropy.array::<4>()), number);
        let _ = table.put_new(&key(&format!("{number:03}")), &thing).await.unwrap();
        expected.push(thing);
    }
    let keys = || (0..150).map(|number| key(&format!("{number:03}"))).collect::<Vec<_>>();
    for read in [Read::Consistent, Read::Eventual] {
        let twice = keys().into_iter().chain(keys()).collect();
        let items = table.batch_get(twice, read).await.unwrap();
        let mut things: Vec<Thing> = items.into_iter().map(|item| item.parse().unwrap()).collect();
        things.sort_by_key(|thing| thing.size);
        assert_eq!(things, expected);
    }
    assert!(table.batch_get(Vec::new(), Read::Consistent).await.unwrap().is_empty());
}

async fn oversized_batch_get_is_complete(engine: Engine) {
    let config = engine.config().await;
    let table = made(&config.connect(kit::entropy::seeded()).await).await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let proxied = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config }.connect(kit::entropy::seeded()).await;
    let keys: Vec<_> = (0..60).map(|number| key(&format!("{number:02}"))).collect();
    // 20 MB: one answer holds 16.
    let name = "n".repeat(350_000);
    for key in &keys {
        let _ = table.put_new(key, &thing(&name, 1)).await.unwrap();
    }
    let items = proxied.table(&THINGS).batch_get(keys, Read::Consistent).await.unwrap();
    let found: BTreeSet<_> = items.iter().filter_map(|item| item.text("sk")).collect();
    assert_eq!((items.len(), found.len()), (60, 60));
    let calls = proxy.take_calls();
    assert!(calls.len() > 1 && calls.iter().all(|call| call == "BatchGetItem"), "{calls:?}");
}

struct World {
    proxy: Proxy,
    table: Table,
}

/// A table behind a proxy.
async fn world(engine: Engine) -> World {
    let config = engine.config().await;
    made(&config.connect(kit::entropy::seeded()).await).await;
    let proxy = Proxy::start(&engine.endpoint().await);
    let client = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config }.connect(kit::entropy::seeded()).await;
    World { proxy, table: client.table(&THINGS) }
}

fn keys(count: u64) -> Vec<Key> {
    (0..count).map(|number| key(&format!("{number:03}"))).collect()
}

fn puts(count: u64) -> Vec<BatchWrite> {
    (0..).zip(keys(count)).map(|(number, key)| BatchWrite::put(key, &thing("new", number)).unwrap()).collect()
}

async fn stored(table: &Table) -> Vec<Thing> {
    table.query("THINGS").consistent().page().await.unwrap().parse().unwrap()
}

async fn batch_write_puts_and_deletes(engine: Engine) {
    let World { proxy: _proxy, table } = world(engine).await;
    table.batch_write(Vec::new()).await.unwrap();
    for replaced_or_deleted in ["001", "200", "201"] {
        let _ = table.put_new(&key(replaced_or_deleted), &thing("old", 9)).await.unwrap();
    }
    let deletions = ["200", "201", "202"].map(|gone_or_missing| BatchWrite::delete(key(gone_or_missing)));
    table.batch_write(puts(130).into_iter().chain(deletions).collect()).await.unwrap();
    let expected: Vec<_> = (0..130).map(|number| thing("new", number)).collect();
    assert_eq!(stored(&table).await, expected);

    table.batch_write(keys(130).into_iter().map(BatchWrite::delete).collect()).await.unwrap();
    assert_eq!(stored(&table).await, []);
}

async fn batch_write_is_one_call_for_25_writes(engine: Engine) {
    let World { proxy, table } = world(engine).await;
    for (writes, calls) in [(0, 0), (1, 1), (25, 1), (26, 2), (400, 16)] {
        table.batch_write(puts(writes)).await.unwrap();
        assert_eq!(proxy.take_calls(), vec!["BatchWriteItem"; calls], "{writes}");
    }
}

async fn unprocessed_writes_are_repeated_then_unavailable(engine: Engine) {
    let World { proxy, table } = world(engine).await;
    proxy.next([Mode::LeaveUnprocessed, Mode::LeaveUnprocessed]);
    table.batch_write(puts(30)).await.unwrap();
    assert_eq!(proxy.take_calls(), ["BatchWriteItem"; 4]);
    assert_eq!(stored(&table).await.len(), 30);

    proxy.set(Mode::LeaveUnprocessed).await;
    let error = table.batch_write(keys(1).into_iter().map(BatchWrite::delete).collect()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    let error = table.batch_get(keys(1), Read::Consistent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    proxy.set(Mode::Pass).await;
    assert_eq!(stored(&table).await.len(), 30);
}

async fn throttled_batch_write_is_unavailable(engine: Engine) {
    let World { proxy, table } = world(engine).await;
    proxy.set(Mode::Throttle).await;
    let error = table.batch_write(puts(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Unavailable, "the service can't answer right now; try again"));
}
