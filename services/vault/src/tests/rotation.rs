//! Tests of the rotation of key-encryption keys: data keys stay what they are.

use std::error::Error as _;

use chassis::Platform;
use dynamo::Update;
use kernel::{Kind, UserId};
use kit::engine::Engine;
use kit::fault::Mode;
use kit::wait::until;

use super::{dynamodb, key_file, person, persons, replica, through_proxy};
use crate::ops::Vault;
use crate::store::{Stored, WRAPPED, key_of};
use crate::{DATA_KEYS, Deps, People, Progress, build, rewrap};

kit::on_each_engine! {
    rewrapped_keys_open_without_old_file,
    interrupted_rewrap_is_finished_by_next,
    key_destroyed_during_rewrap_stays_destroyed,
    concurrent_rewraps_agree,
    lost_response_does_not_fail_rewrap,
    damaged_key_is_reported_and_blocks_no_other,
    missing_key_encryption_key_is_refused_with_remedy,
    people_are_listed_with_their_keys_under_every_key_encryption_key,
}

/// Counts the keys that are wrapped by the current key-encryption key of a replica.
async fn wrapped_by_current(vault: &Vault) -> usize {
    vault.store.wrapped_by(vault.keys.current(), 1000, None).await.unwrap().persons.len()
}

async fn rewrap_all(dynamodb: &dynamo::Client, keys: &[u8]) -> Progress {
    rewrap(dynamodb, &key_file(keys), &Platform::system(), |_| ()).await.unwrap()
}

async fn assert_open(vault: &Vault, persons: &[UserId], keys: &[Option<Vec<u8>>]) {
    assert!(vault.all_bytes(persons).await == keys, "a key is not what it was");
}

async fn rewrapped_keys_open_without_old_file(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (old, people, gone) = (replica(&dynamodb, &[1]).await, persons(130), person());
    let keys = old.all_bytes(&people).await;
    old.bytes(gone).await.unwrap();
    old.destroy(gone).await.unwrap();

    let rotated = replica(&dynamodb, &[2, 1]).await;
    assert_open(&rotated, &people, &keys).await;
    let newcomer = person();
    let new_key = rotated.bytes(newcomer).await;

    let mut reports = Vec::new();
    let done =
        rewrap(&dynamodb, &key_file(&[2, 1]), &Platform::system(), |progress| reports.push(progress)).await.unwrap();
    assert_eq!(done, Progress { rewrapped: 130, settled: 0, failed: 0 });
    assert_eq!(reports.iter().map(|progress| progress.rewrapped).collect::<Vec<_>>(), [100, 130]);
    assert_eq!(done.to_string(), "130 data keys rewrapped, 0 rewrapped or destroyed by others, 0 failed");

    let new = replica(&dynamodb, &[2]).await;
    assert_open(&new, &people, &keys).await;
    assert_eq!(new.bytes(newcomer).await, new_key);
    assert_eq!(new.bytes(gone).await, None);
    assert_eq!(rewrap_all(&dynamodb, &[2]).await, Progress::default());
}

async fn interrupted_rewrap_is_finished_by_next(engine: Engine) {
    let (proxy, proxied, direct) = through_proxy(engine).await;
    let people = persons(20);
    let keys = replica(&direct, &[1]).await.all_bytes(&people).await;
    let new = replica(&direct, &[2, 1]).await;
    proxy.only(|call| call.operation == "UpdateItem");
    for cut in [0, 1, 9] {
        let before = wrapped_by_current(&new).await;
        proxy.next(vec![Mode::Pass; cut]);
        proxy.set(Mode::Hang).await;
        let written = until("some keys are rewrapped", async || wrapped_by_current(&new).await >= before + cut);
        let (secrets, platform) = (key_file(&[2, 1]), Platform::system());
        tokio::select! {
            biased;
            () = async { written.await; proxy.called("UpdateItem").await } => {}
            done = rewrap(&proxied, &secrets, &platform, |_| ()) => panic!("nothing cut it off: {done:?}"),
        }
        assert_open(&new, &people, &keys).await;
        // Requests sent before the crash may still arrive.
        proxy.set(Mode::Pass).await;
    }
    let done = rewrap_all(&proxied, &[2, 1]).await;
    assert!(done.rewrapped + done.settled <= 10, "{done}");
    assert_open(&replica(&direct, &[2]).await, &people, &keys).await;
}

async fn key_destroyed_during_rewrap_stays_destroyed(engine: Engine) {
    let (proxy, proxied, direct) = through_proxy(engine).await;
    let (old, people) = (replica(&direct, &[1]).await, persons(3));
    let keys = old.all_bytes(&people).await;
    proxy.only(|call| call.operation == "UpdateItem");
    proxy.set(Mode::Hang).await;
    let destruction = async {
        proxy.called("UpdateItem").await;
        old.destroy(people[0]).await.unwrap();
        proxy.set(Mode::Pass).await;
    };
    let (done, ()) = tokio::join!(rewrap_all(&proxied, &[2, 1]), destruction);
    assert_eq!(done, Progress { rewrapped: 2, settled: 1, failed: 0 });
    let new = replica(&direct, &[2]).await;
    assert_eq!(new.bytes(people[0]).await, None);
    assert_open(&new, &people[1..], &keys[1..]).await;
}

async fn concurrent_rewraps_agree(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (old, people) = (replica(&dynamodb, &[1]).await, persons(40));
    let mut keys = old.all_bytes(&people).await;
    let destruction = async {
        for person in &people[..10] {
            old.destroy(*person).await.unwrap();
        }
    };
    let (one, other, ()) = tokio::join!(rewrap_all(&dynamodb, &[2, 1]), rewrap_all(&dynamodb, &[2, 1]), destruction);
    assert!(one.rewrapped + other.rewrapped <= 40, "a key was rewrapped twice: {one}; {other}");
    keys[..10].fill(None);
    assert_open(&replica(&dynamodb, &[2]).await, &people, &keys).await;
}

async fn lost_response_does_not_fail_rewrap(engine: Engine) {
    let (proxy, proxied, direct) = through_proxy(engine).await;
    let people = persons(4);
    let keys = replica(&direct, &[1]).await.all_bytes(&people).await;
    proxy.only(|call| call.operation == "UpdateItem");
    proxy.next([Mode::LoseAnswer, Mode::LoseAnswer]);
    assert_eq!(rewrap_all(&proxied, &[2, 1]).await, Progress { rewrapped: 4, settled: 0, failed: 0 });
    assert_open(&replica(&direct, &[2]).await, &people, &keys).await;
}

async fn damaged_key_is_reported_and_blocks_no_other(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (old, people) = (replica(&dynamodb, &[1]).await, persons(3));
    let keys = old.all_bytes(&people).await;
    let Some(Stored::Key(foreign)) = old.store.read(people[1]).await.unwrap() else { panic!("no key") };
    let damaged = dynamodb.table(&DATA_KEYS).update(&key_of(people[0])).set(WRAPPED, &foreign.sealed).run().await;
    assert!(matches!(damaged.unwrap(), Update::Done(_)));
    let error = rewrap(&dynamodb, &key_file(&[2, 1]), &Platform::system(), |_| ()).await.unwrap_err().to_string();
    assert!(error.starts_with("2 data keys rewrapped, 0 rewrapped or destroyed by others, 1 failed"), "{error}");
    assert_open(&replica(&dynamodb, &[2, 1]).await, &people[1..], &keys[1..]).await;
}

async fn missing_key_encryption_key_is_refused_with_remedy(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (old, person) = (replica(&dynamodb, &[1]).await, person());
    // A key-encryption key that wraps nothing is not needed.
    let early = replica(&dynamodb, &[2]).await;
    old.bytes(person).await.unwrap();

    let assert_remedy = |error: &str| {
        assert!(error.contains("MESH_KEY_ENCRYPTION_KEYS_FILE") && error.contains("put its line back"), "{error}")
    };
    let deps = Deps { dynamodb: dynamodb.clone(), key_encryption_keys: key_file(&[2]), platform: Platform::system() };
    let refused = build(deps).await.expect_err("keys that nobody can unwrap");
    assert_remedy(&refused.to_string());
    let refused = rewrap(&dynamodb, &key_file(&[2]), &Platform::system(), |_| ()).await.unwrap_err();
    assert_remedy(&refused.to_string());

    let refused = early.key(person).await.err().expect("a key that nobody can unwrap");
    assert_eq!((refused.kind(), refused.message()), (Kind::Internal, "something went wrong on our side"));
    assert_remedy(&refused.source().expect("a cause").to_string());
    assert!(matches!(early.store.read(person).await.unwrap(), Some(Stored::Key(_))), "the key was touched");
}

async fn people_are_listed_with_their_keys_under_every_key_encryption_key(engine: Engine) {
    let dynamodb = dynamodb(engine).await;
    let (old, gone) = (replica(&dynamodb, &[1]).await, person());
    let (first, second) = (persons(130), persons(3));
    old.all_bytes(&first).await;
    old.bytes(gone).await.unwrap();
    old.destroy(gone).await.unwrap();
    replica(&dynamodb, &[2, 1]).await.all_bytes(&second).await;

    let mut people = People::open(&dynamodb, &key_file(&[2, 1]), &Platform::system()).await.unwrap();
    let mut listed = Vec::new();
    while let Some(page) = people.next_page().await.unwrap() {
        assert!(page.len() <= 100);
        listed.extend(page);
    }
    listed.sort_unstable();
    let mut expected = [first, second].concat();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    assert!(people.key(listed[0]).await.unwrap().is_some());
    for nobody in [gone, person()] {
        assert!(people.key(nobody).await.unwrap().is_none());
    }
}
