use std::sync::Arc;

use futures_util::future::join_all;
use kernel::Kind;
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{World, reason, turn};
use crate::model::Side;

kit::on_each_engine!(
    what_is_acknowledged_is_there_once_whatever_fails,
    a_batch_whose_answers_get_lost_is_stored_once,
    a_used_key_decides_its_own_message_alone,
    one_key_at_once_is_one_message,
);

/// How many send at once, and how much each.
const SENDERS: usize = 6;
const MESSAGES: usize = 12;

async fn what_is_acknowledged_is_there_once_whatever_fails(engine: Engine) {
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
    let pair = world.strangers();
    let sender = |sender: usize| {
        let (world, replicas) = (&world, &replicas);
        async move {
            for number in 0..MESSAGES {
                let text = format!("{sender}: {number}");
                let mut attempt = sender;
                // The next try may come to another replica.
                loop {
                    let ops = &replicas[attempt % 2];
                    match world.send_keyed(ops, pair, turn(sender), &text, Some(&text)).await {
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
    world.is_whole(&ops, pair, texts).await;
}

async fn a_batch_whose_answers_get_lost_is_stored_once(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.strangers());
    proxy.only(|call| call.operation == "TransactWriteItems");
    for lost in 1..=8 {
        // More than the SDK's own attempts, too: then the store alone knows what became of the batch.
        proxy.next((0..lost).map(|_| Mode::LoseAnswer));
        let one = |number: usize| {
            let (world, ops) = (&world, &ops);
            async move { world.send(ops, pair, turn(number), &format!("{lost}: {number}")).await }
        };
        let sent = join_all((0..5).map(one)).await;
        assert!(sent.iter().all(Result::is_ok), "{lost}: {:?}", sent.iter().find(|sent| sent.is_err()));
    }
    let texts = (1..=8).flat_map(|lost| (0..5).map(move |number| format!("{lost}: {number}")));
    world.is_whole(&ops, pair, texts).await;
}

async fn a_used_key_decides_its_own_message_alone(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let (world, ops) = (&world, &ops);
    let send = |side, text: &'static str, key: &'static str| async move {
        world.send_keyed(ops, pair, side, text, Some(key).filter(|key| !key.is_empty())).await
    };
    let first = send(Side::Client, "one", "a").await.unwrap();
    // All of it waits together: it is one batch but for what shares a key.
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
    world.is_whole(ops, pair, ["one", "two", "three", "four"].map(str::to_owned)).await;
}

async fn one_key_at_once_is_one_message(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.strangers());
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
    world.is_whole(&replicas[0], pair, ["once".to_owned()]).await;
}
