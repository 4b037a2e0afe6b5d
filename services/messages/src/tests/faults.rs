use std::sync::Arc;

use futures_util::future::join_all;
use kernel::Kind;
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{World, reason, side_of};
use crate::model::Side;

kit::on_each_engine!(
    acknowledged_message_is_stored_once_despite_faults,
    batch_with_lost_responses_is_stored_once,
    reused_key_affects_only_its_message,
    concurrent_sends_with_one_key_create_one_message,
);

/// Number of concurrent senders.
const SENDERS: usize = 6;
/// Number of messages of each sender.
const MESSAGES: usize = 12;

async fn acknowledged_message_is_stored_once_despite_faults(engine: Engine) {
    let world = World::new(engine).await;
    let mut runner = TestRunner::default();
    println!("seed: {:?}", runner.rng());
    let mut draw = |most: usize| (0..most).new_tree(&mut runner).unwrap().current();
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let modes = [Mode::LoseAnswer, Mode::Throttle, Mode::Conflict, Mode::Pass, Mode::Pass, Mode::Pass];
    proxy.only(|call| matches!(call.operation, "TransactWriteItems" | "GetItem"));
    proxy.next((0..400).map(|_| modes[draw(modes.len())].clone()));
    let replicas = [
        world.replica_by(&world.clock, &proxy.endpoint()).await,
        world.replica_by(&world.clock, &proxy.endpoint()).await,
    ];
    let pair = world.new_pair();
    let sender = |sender: usize| {
        let (world, replicas) = (&world, &replicas);
        async move {
            for number in 0..MESSAGES {
                let text = format!("{sender}: {number}");
                let mut attempt = sender;
                // The next attempt goes to the other replica.
                loop {
                    let ops = &replicas[attempt % 2];
                    match world.send_keyed(ops, pair, side_of(sender), &text, Some(&text)).await {
                        Ok(message) => break assert_eq!(message.text.as_str(), text),
                        Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error:?}"),
                    }
                    attempt += 1;
                }
            }
        }
    };
    join_all((0..SENDERS).map(sender)).await;
    let texts = (0..SENDERS).flat_map(|sender| (0..MESSAGES).map(move |number| format!("{sender}: {number}")));
    let ops = world.replica().await;
    world.assert_complete(&ops, pair, texts).await;
}

async fn batch_with_lost_responses_is_stored_once(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.new_pair());
    proxy.only(|call| call.operation == "TransactWriteItems");
    for lost in 1..=8 {
        // Also more than the SDK's own attempts: then only the store knows the outcome of the batch.
        proxy.next((0..lost).map(|_| Mode::LoseAnswer));
        let one = |number: usize| {
            let (world, ops) = (&world, &ops);
            async move { world.send(ops, pair, side_of(number), &format!("{lost}: {number}")).await }
        };
        let sent = join_all((0..5).map(one)).await;
        assert!(sent.iter().all(Result::is_ok), "{lost}: {:?}", sent.iter().find(|sent| sent.is_err()));
    }
    let texts = (1..=8).flat_map(|lost| (0..5).map(move |number| format!("{lost}: {number}")));
    world.assert_complete(&ops, pair, texts).await;
}

async fn reused_key_affects_only_its_message(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let (world, ops) = (&world, &ops);
    let send = |side, text: &'static str, key: &'static str| async move {
        world.send_keyed(ops, pair, side, text, Some(key).filter(|key| !key.is_empty())).await
    };
    let first = send(Side::Client, "one", "a").await.unwrap();
    // All messages are queued together: they are one batch, except for those that share a key.
    let sent = join_all([
        send(Side::Client, "two", ""),
        send(Side::Client, "one", "a"),
        send(Side::Client, "not one", "a"),
        send(Side::Therapist, "three", "a"),
        send(Side::Client, "four", "b"),
    ])
    .await;
    assert_eq!(sent[1].as_ref().unwrap(), &first);
    assert_eq!(reason(&sent[2]), "IDEMPOTENCY_KEY_REUSED");
    assert!([0, 3, 4].into_iter().all(|at| sent[at].is_ok()), "{sent:?}");
    world.assert_complete(ops, pair, ["one", "two", "three", "four"].map(str::to_owned)).await;
}

async fn concurrent_sends_with_one_key_create_one_message(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.new_pair());
    let send = |number: usize| {
        let (world, ops) = (&world, Arc::clone(&replicas[number % 2]));
        async move {
            loop {
                match world.send_keyed(&ops, pair, Side::Client, "once", Some("key")).await {
                    Ok(message) => return message,
                    Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error:?}"),
                }
            }
        }
    };
    let sent = join_all((0..16).map(send)).await;
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]));
    world.assert_complete(&replicas[0], pair, ["once".to_owned()]).await;
}
