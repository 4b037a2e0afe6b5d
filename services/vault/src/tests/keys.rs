//! Tests of data keys: one for each person, and none after its destruction.

use dynamo::Update;
use futures_util::future::join_all;
use kernel::Kind;
use kit::engine::Engine;
use kit::fault::Mode;

use super::{dynamodb, person, persons, replica, through_proxy};
use crate::DATA_KEYS;
use crate::store::{Stored, WRAPPED, key_of};

kit::on_each_engine! {
    concurrent_first_uses_make_one_key,
    persons_have_different_keys,
    destroyed_key_stays_destroyed,
    unknown_person_can_be_destroyed,
    acknowledged_destruction_ends_key_access,
    first_key_after_destruction_is_discarded,
    moved_wrapped_key_does_not_unwrap,
    known_key_costs_one_read,
    batch_returns_keys_in_request_order,
    concurrent_batches_make_one_key_each,
    batch_costs_one_read_per_hundred_keys,
}

async fn concurrent_first_uses_make_one_key(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let replicas = [replica(&dynamodb, &[1]).await, replica(&dynamodb, &[1]).await];
    for _ in 0..5 {
        let person = person();
        let keys = join_all((0..32).map(|at| replicas[at % 2].bytes(person))).await;
        assert_eq!(keys[0].as_ref().map(Vec::len), Some(32));
        assert!(keys.iter().all(|key| *key == keys[0]), "two keys for one person");
        assert_eq!(replicas[0].bytes(person).await, keys[0]);
    }
}

async fn persons_have_different_keys(engine: Engine) {
    let vault = replica(&dynamodb(engine).await, &[1]).await;
    let (one, other) = (vault.bytes(person()).await, vault.bytes(person()).await);
    assert!(one.is_some() && one != other);
}

async fn destroyed_key_stays_destroyed(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (vault, person) = (replica(&dynamodb, &[1]).await, person());
    vault.bytes(person).await.unwrap();
    vault.destroy(person).await.unwrap();
    let tombstone = dynamodb.table(&DATA_KEYS).get_item(&key_of(person), dynamo::Read::Consistent).await.unwrap();
    assert!(!format!("{tombstone:?}").contains(WRAPPED), "something of the key is left: {tombstone:?}");
    assert_eq!(vault.bytes(person).await, None);
    vault.destroy(person).await.unwrap();
    assert_eq!(vault.bytes(person).await, None);
    let again = dynamodb.table(&DATA_KEYS).get_item(&key_of(person), dynamo::Read::Consistent).await.unwrap();
    assert!(again == tombstone, "the second destruction replaced the tombstone");
}

async fn unknown_person_can_be_destroyed(engine: Engine) {
    let (vault, person) = (replica(&dynamodb(engine).await, &[1]).await, person());
    vault.destroy(person).await.unwrap();
    assert_eq!(vault.bytes(person).await, None);
}

async fn acknowledged_destruction_ends_key_access(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (vault, other) = (replica(&dynamodb, &[1]).await, replica(&dynamodb, &[1]).await);
    for round in 0..50 {
        let person = person();
        let known = round % 2 == 0;
        if known {
            vault.bytes(person).await.unwrap();
        }
        let destroyed = async {
            // Each round destroys a bit later, so that each side wins in some rounds.
            for _ in 0..round % 5 {
                vault.store.read(person).await.unwrap();
            }
            vault.destroy(person).await.unwrap();
            // The others are still under way.
            join_all((0..4).map(|_| other.bytes(person))).await
        };
        let ((during, after), more) = tokio::join!(
            async { tokio::join!(join_all((0..4).map(|_| other.bytes(person))), destroyed) },
            join_all((0..4).map(|_| vault.bytes(person))),
        );
        assert!(after.iter().all(Option::is_none), "round {round}: a key after its end");
        let mut keys: Vec<_> = during.into_iter().chain(more).flatten().collect();
        keys.dedup();
        assert!(keys.len() <= 1, "round {round}: two keys for one person");
        assert_eq!(vault.bytes(person).await, None, "round {round}: a key came back");
    }
}

async fn first_key_after_destruction_is_discarded(engine: Engine) {
    let (proxy, proxied, direct) = through_proxy(engine).await;
    let (slow, quick, person) = (replica(&proxied, &[1]).await, replica(&direct, &[1]).await, person());
    drop(proxy.take_calls());
    proxy.only(|call| call.operation == "PutItem");
    proxy.set(Mode::Hang).await;
    let destruction = async {
        proxy.called("PutItem").await;
        quick.destroy(person).await.unwrap();
        proxy.set(Mode::Pass).await;
    };
    let (key, ()) = tokio::join!(slow.bytes(person), destruction);
    assert_eq!(key, None);
    assert_eq!(quick.bytes(person).await, None);
}

async fn moved_wrapped_key_does_not_unwrap(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (vault, one, other) = (replica(&dynamodb, &[1]).await, person(), person());
    vault.bytes(one).await.unwrap();
    vault.bytes(other).await.unwrap();
    let Some(Stored::Key(wrapped)) = vault.store.read(one).await.unwrap() else { panic!("no key") };
    let moved = dynamodb.table(&DATA_KEYS).update(&key_of(other)).set(WRAPPED, &wrapped.sealed).run().await.unwrap();
    assert!(matches!(moved, Update::Done(_)));
    let refused = vault.key(other).await.err().expect("another person's key");
    assert_eq!(refused.kind(), Kind::Internal);
    assert!(vault.bytes(one).await.is_some());
}

async fn known_key_costs_one_read(engine: Engine) {
    let (proxy, dynamodb, _direct) = through_proxy(engine).await;
    let (vault, person) = (replica(&dynamodb, &[1]).await, person());
    drop(proxy.take_calls());
    vault.bytes(person).await.unwrap();
    assert_eq!(proxy.take_calls(), ["GetItem", "PutItem"]);
    vault.bytes(person).await.unwrap();
    assert_eq!(proxy.take_calls(), ["GetItem"]);
    vault.destroy(person).await.unwrap();
    assert_eq!(proxy.take_calls(), ["PutItem"]);
}

async fn batch_returns_keys_in_request_order(engine: Engine) {
    let vault = replica(&dynamodb(engine).await, &[1]).await;
    let mut many = persons(6);
    vault.bytes(many[0]).await.unwrap();
    vault.bytes(many[3]).await.unwrap();
    vault.destroy(many[1]).await.unwrap();
    vault.destroy(many[3]).await.unwrap();
    // Repeated persons, with and without a key.
    many.extend([many[0], many[1], many[2]]);
    let keys = vault.batch_bytes(&many).await;
    assert_eq!(keys, vault.all_bytes(&many).await);
    assert_eq!(
        keys.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true, false, true, true, true, false, true]
    );
    assert!(keys[0] != keys[2] && keys[2] != keys[4]);
    assert_eq!(vault.batch_bytes(&many).await, keys);
    assert!(vault.batch_bytes(&[]).await.is_empty());
}

async fn concurrent_batches_make_one_key_each(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let replicas = [replica(&dynamodb, &[1]).await, replica(&dynamodb, &[1]).await];
    let many = persons(20);
    let keys = join_all((0..8).map(|at| replicas[at % 2].batch_bytes(&many))).await;
    assert!(keys.iter().all(|of_one| *of_one == keys[0]), "two keys for one person");
    assert!(keys[0].iter().all(Option::is_some));
}

/// A first key costs one write more.
async fn batch_costs_one_read_per_hundred_keys(engine: Engine) {
    let (proxy, dynamodb, _direct) = through_proxy(engine).await;
    let (vault, mut many) = (replica(&dynamodb, &[1]).await, persons(100));
    vault.batch_bytes(&many).await;
    drop(proxy.take_calls());
    vault.batch_bytes(&many).await;
    assert_eq!(proxy.take_calls(), ["BatchGetItem"]);
    many.extend(persons(2));
    vault.batch_bytes(&many).await;
    assert_eq!(proxy.take_calls(), ["BatchGetItem", "BatchGetItem", "PutItem", "PutItem"]);
}
