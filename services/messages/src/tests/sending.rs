use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kernel::{Kind, ManualClock, Role, Timestamp};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use kit::wait;
use proto::mapping::v1::record_contact_response::Outcome;

use super::{World, deleted, member, reason, side_of, text_of};
use crate::model::Side;
use crate::writers::{Job, Writers};

kit::on_each_engine!(
    concurrent_messages_are_numbered_1_to_1000,
    concurrent_replicas_leave_no_gap,
    further_message_costs_one_write,
    slow_clock_keeps_message_times_in_order,
    idle_task_ends_without_message_loss,
    full_queue_refuses_messages,
    abandoned_send_stores_nothing,
    refused_contact_stores_nothing,
    repeated_key_returns_same_message_despite_changes,
    repeated_key_after_peers_end_finds_what_is_left,
);

fn texts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("message {number}"))
}

async fn concurrent_messages_are_numbered_1_to_1000(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let (world, ops) = (&world, &ops);
    let send = |(number, text): (usize, String)| async move { world.send(ops, pair, side_of(number), &text).await };
    let sent = join_all(texts(1000).enumerate().map(send)).await;
    assert!(sent.iter().all(Result::is_ok), "{:?}", sent.iter().find(|sent| sent.is_err()));
    world.assert_complete(ops, pair, texts(1000)).await;
}

async fn concurrent_replicas_leave_no_gap(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.new_pair());
    let writer = |writer: usize| {
        let (world, ops) = (&world, &replicas[writer % 2]);
        async move {
            for number in 0..20 {
                let text = format!("{writer} says {number}");
                // A sender with too many conflicts gets UNAVAILABLE, and tries again.
                while let Err(error) = world.send(ops, pair, side_of(writer), &text).await {
                    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
                }
            }
        }
    };
    join_all((0..8).map(writer)).await;
    let texts = (0..8).flat_map(|writer| (0..20).map(move |number| format!("{writer} says {number}")));
    world.assert_complete(&replicas[0], pair, texts).await;
    // A writer's messages keep their order.
    let all = world.oldest_first(&replicas[1], pair, Side::Client).await;
    for writer in 0..8 {
        let prefix = format!("{writer} says ");
        let own = all.iter().filter_map(|message| message.text.as_str().strip_prefix(&prefix));
        let numbers: Vec<u32> = own.map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    }
}

async fn further_message_costs_one_write(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.new_pair());
    world.send(&ops, pair, Side::Client, "first").await.unwrap();
    assert_eq!(proxy.take_calls(), ["GetItem", "TransactWriteItems"]);
    let contacts = world.peers.state().contacts.len();
    world.send(&ops, pair, Side::Therapist, "second").await.unwrap();
    world.send_keyed(&ops, pair, Side::Client, "third", Some("key")).await.unwrap();
    // The record of a request with a key is read first.
    assert_eq!(proxy.take_calls(), ["TransactWriteItems", "GetItem", "TransactWriteItems"]);
    assert_eq!(world.peers.state().contacts.len(), contacts + 2);
    let again = world.send_keyed(&ops, pair, Side::Client, "third", Some("key")).await.unwrap();
    assert_eq!((again.id.position().0, again.text.as_str()), (3, "third"));
    assert_eq!(proxy.take_calls(), ["GetItem", "GetItem"]);
}

/// A replica whose clock is behind stores no message older than the one before.
async fn slow_clock_keeps_message_times_in_order(engine: Engine) {
    let world = World::new(engine).await;
    let behind = ManualClock::new(Timestamp::from_second(4_000_000_000).unwrap());
    let slow = world.replica_by(&behind, &world.engine.endpoint.clone().unwrap()).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    for round in 0..3 {
        world.clock.advance(Duration::from_millis(round));
        let one = world.send(&ops, pair, Side::Client, &format!("on time {round}")).await.unwrap();
        let next = world.send(&slow, pair, Side::Therapist, &format!("behind {round}")).await.unwrap();
        assert_eq!(next.id.at(), one.id.at());
    }
    world.assert_complete(&ops, pair, (0..3).flat_map(|it| [format!("on time {it}"), format!("behind {it}")])).await;
}

async fn idle_task_ends_without_message_loss(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let idle =
        Writers::with_idle_timeout(Arc::clone(&ops.store), ops.hub.clone(), ops.platform.clone(), Duration::ZERO);
    let key = ops.key(&world.context(pair, Side::Client), member(pair, Side::Client)).await.unwrap().unwrap();
    let writer = |writer: usize| {
        let (world, idle, key) = (&world, &idle, &key);
        async move {
            for number in 0..25 {
                let (permit, text) = (member(pair, side_of(writer)), text_of(&format!("{writer}: {number}")));
                let deadline = world.context(pair, Side::Client).deadline;
                let job = Job { permit, text, key: key.clone(), claim: None, deadline };
                idle.append(job).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    };
    join_all((0..4).map(writer)).await;
    wait::until("the task has ended", async || idle.tasks() == 0).await;
    let texts = (0..4).flat_map(|writer| (0..25).map(move |number| format!("{writer}: {number}")));
    world.assert_complete(&ops, pair, texts).await;
}

async fn full_queue_refuses_messages(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.new_pair());
    world.send(&ops, pair, Side::Client, "first").await.unwrap();
    proxy.set(Mode::Hang).await;
    let sending = join_all((0..1100).map(|_| world.send(&ops, pair, Side::Client, "more")));
    // All messages are queued or refused before the store answers.
    let release = async {
        wait::until("the queue is full", async || ops.writers.is_full(pair)).await;
        proxy.set(Mode::Pass).await;
    };
    let (sent, ()) = tokio::join!(sending, release);
    let refused = sent.iter().filter(|sent| sent.is_err()).count();
    assert!(sent.iter().all(|sent| ["", "TOO_MANY_MESSAGES"].contains(&reason(sent))));
    assert!((1..=100).contains(&refused), "{refused}");
    let stored = world.history(&ops, pair, Side::Client, 200).await.len();
    assert_eq!(stored, 1101 - refused);
}

/// A sender that hangs up, or whose deadline passes, before the write sends nothing.
async fn abandoned_send_stores_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.new_pair());
    let permit = member(pair, Side::Client);
    world.send(&ops, pair, Side::Client, "first").await.unwrap();
    let _ = proxy.take_calls();
    proxy.set(Mode::Hang).await;
    let hang_up = async {
        proxy.called("TransactWriteItems").await;
        // Behind the hanging write, one sender hangs up, and the deadline of another passes.
        let context = world.context(pair, Side::Client);
        let waiting = ops.send(&context, permit, text_of("hung up"), None);
        assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
        let mut late = world.context(pair, Side::Client);
        late.deadline = tokio::time::Instant::now() + Duration::from_millis(200);
        let expires = tokio::time::sleep_until(late.deadline);
        let late = ops.send(&late, permit, text_of("late"), None);
        let pass = async {
            expires.await;
            proxy.set(Mode::Pass).await;
        };
        let (late, ()) = tokio::join!(late, pass);
        assert!(late.is_err());
    };
    let (second, ()) = tokio::join!(world.send(&ops, pair, Side::Client, "second"), hang_up);
    second.unwrap();
    world.assert_complete(&ops, pair, ["first", "second"].map(str::to_owned)).await;
}

async fn refused_contact_stores_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    for (contact, side, expected) in [
        (Outcome::NoSuchPeer, Side::Client, "NOT_FOUND"),
        (Outcome::NoSuchPeer, Side::Therapist, "NOT_FOUND"),
        (Outcome::CallerEnded, Side::Client, "ACCOUNT_ENDED"),
        (Outcome::CallerWithoutProfile, Side::Client, "PROFILE_MISSING"),
        (Outcome::CallerEnded, Side::Therapist, "ACCOUNT_ENDED"),
    ] {
        world.peers.state().contact = contact;
        assert_eq!(reason(&world.send(&ops, pair, side, "hello").await), expected);
    }
    world.peers.state().contact = Outcome::Recorded;
    world.peers.end(pair.client.into());
    for (side, expected) in [(Side::Client, "ACCOUNT_ENDED"), (Side::Therapist, "NOT_FOUND")] {
        assert_eq!(reason(&world.send(&ops, pair, side, "hello").await), expected);
    }
    assert!(world.history(&ops, pair, Side::Therapist, 50).await.is_empty());
}

/// A repeated request is judged by nothing but the sender's own account.
async fn repeated_key_returns_same_message_despite_changes(engine: Engine) {
    let world = World::new(engine).await;
    for side in [Side::Client, Side::Therapist] {
        let (ops, pair) = (world.replica().await, world.new_pair());
        let send = async |text| world.send_keyed(&ops, pair, side, text, Some("k")).await;
        world.peers.state().contact = Outcome::Recorded;
        let sent = send("hello").await.unwrap();
        let contacts = world.peers.state().contacts.len();
        for outcome in [Outcome::NoSuchPeer, Outcome::CallerEnded] {
            world.peers.state().contact = outcome;
            assert_eq!(send("hello").await.unwrap(), sent, "{side:?}");
        }
        assert_eq!(reason(&send("hello?").await), "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(world.peers.state().contacts.len(), contacts, "a repeated request makes no contact");
        world.peers.end(pair.of(side));
        ops.keyring.forget(pair.of(side));
        assert_eq!(reason(&send("hello").await), "ACCOUNT_ENDED", "{side:?}");
    }
}

/// A client's conversations are removed with the account, and a therapist's stay.
async fn repeated_key_after_peers_end_finds_what_is_left(engine: Engine) {
    let world = World::new(engine).await;
    for (side, role, expected) in [(Side::Client, Role::Therapist, ""), (Side::Therapist, Role::Client, "NOT_FOUND")] {
        let (ops, pair) = (world.replica().await, world.new_pair());
        let send = async || world.send_keyed(&ops, pair, side, "hello", Some("k")).await;
        send().await.unwrap();
        let peer = pair.of(side.other());
        world.peers.end(peer);
        ops.handle_account_deleted(deleted(role, peer)).await.unwrap();
        assert_eq!(reason(&send().await), expected, "{side:?}");
    }
}
