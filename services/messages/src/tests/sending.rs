use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kernel::{Kind, ManualClock, Timestamp};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use kit::wait;
use proto::mapping::v1::record_contact_response::Outcome;

use super::{World, member, reason, say, turn};
use crate::model::Side;
use crate::writers::{Job, Writers};

kit::on_each_engine!(
    a_thousand_messages_at_once_are_numbered_from_1_to_1000,
    two_replicas_that_write_at_once_leave_no_gap,
    who_goes_on_writing_costs_one_write,
    a_clock_that_is_behind_makes_no_message_older_than_the_one_before,
    a_task_that_ends_loses_nothing_that_is_handed_over,
    no_more_wait_than_there_is_room_for,
    who_has_given_up_before_the_write_sends_nothing,
    contact_that_may_not_be_made_stores_nothing,
);

fn texts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("message {number}"))
}

async fn a_thousand_messages_at_once_are_numbered_from_1_to_1000(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let (world, ops) = (&world, &ops);
    let send = |(number, text): (usize, String)| async move { world.send(ops, pair, turn(number), &text).await };
    let sent = join_all(texts(1000).enumerate().map(send)).await;
    assert!(sent.iter().all(Result::is_ok), "{:?}", sent.iter().find(|sent| sent.is_err()));
    world.is_whole(ops, pair, texts(1000)).await;
}

async fn two_replicas_that_write_at_once_leave_no_gap(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.strangers());
    let writer = |writer: usize| {
        let (world, ops) = (&world, &replicas[writer % 2]);
        async move {
            for number in 0..20 {
                let text = format!("{writer} says {number}");
                // Who collides too often is told so, and tries again.
                while let Err(error) = world.send(ops, pair, turn(writer), &text).await {
                    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
                }
            }
        }
    };
    join_all((0..8).map(writer)).await;
    let texts = (0..8).flat_map(|writer| (0..20).map(move |number| format!("{writer} says {number}")));
    world.is_whole(&replicas[0], pair, texts).await;
    // Each of a writer's messages comes after the one before.
    let all = world.oldest_first(&replicas[1], pair, Side::Client).await;
    for writer in 0..8 {
        let prefix = format!("{writer} says ");
        let own = all.iter().filter_map(|message| message.text.as_str().strip_prefix(&prefix));
        let numbers: Vec<u32> = own.map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    }
}

async fn who_goes_on_writing_costs_one_write(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.strangers());
    world.send(&ops, pair, Side::Client, "first").await.unwrap();
    assert_eq!(proxy.take_calls(), ["GetItem", "TransactWriteItems"]);
    let contacts = world.others.known().asked.0;
    world.send(&ops, pair, Side::Therapist, "second").await.unwrap();
    world.send_keyed(&ops, pair, Side::Client, "third", Some("key")).await.unwrap();
    assert_eq!(proxy.take_calls(), ["TransactWriteItems", "TransactWriteItems"]);
    assert_eq!(world.others.known().asked.0, contacts + 2);
    let again = world.send_keyed(&ops, pair, Side::Client, "third", Some("key")).await.unwrap();
    assert_eq!((again.id.position().0, again.text.as_str()), (3, "third"));
}

async fn a_clock_that_is_behind_makes_no_message_older_than_the_one_before(engine: Engine) {
    let world = World::new(engine).await;
    let behind = ManualClock::new(Timestamp::from_second(4_000_000_000).unwrap());
    let slow = world.replica_by(&behind, &world.engine.endpoint.clone().unwrap()).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    for round in 0..3 {
        world.clock.advance(Duration::from_millis(round));
        let one = world.send(&ops, pair, Side::Client, &format!("on time {round}")).await.unwrap();
        let next = world.send(&slow, pair, Side::Therapist, &format!("behind {round}")).await.unwrap();
        assert_eq!(next.id.at(), one.id.at());
    }
    world.is_whole(&ops, pair, (0..3).flat_map(|it| [format!("on time {it}"), format!("behind {it}")])).await;
}

async fn a_task_that_ends_loses_nothing_that_is_handed_over(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let idle = Writers::idling(Arc::clone(&ops.store), ops.hub.clone(), ops.platform.clone(), Duration::ZERO);
    let key = ops.key(&world.context(pair, Side::Client), member(pair, Side::Client)).await.unwrap().unwrap();
    let writer = |writer: usize| {
        let (world, idle, key) = (&world, &idle, &key);
        async move {
            for number in 0..25 {
                let (permit, text) = (member(pair, turn(writer)), say(&format!("{writer}: {number}")));
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
    world.is_whole(&ops, pair, texts).await;
}

async fn no_more_wait_than_there_is_room_for(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.strangers());
    world.send(&ops, pair, Side::Client, "first").await.unwrap();
    proxy.set(Mode::Hang).await;
    let sending = join_all((0..1100).map(|_| world.send(&ops, pair, Side::Client, "more")));
    // All have been handed over or refused before the store answers.
    let release = async {
        wait::until("the queue is full", async || ops.writers.refused(pair)).await;
        proxy.set(Mode::Pass).await;
    };
    let (sent, ()) = tokio::join!(sending, release);
    let refused = sent.iter().filter(|sent| sent.is_err()).count();
    assert!(sent.iter().all(|sent| ["", "TOO_MANY_MESSAGES"].contains(&reason(sent))));
    assert!((1..=100).contains(&refused), "{refused}");
    let stored = world.history(&ops, pair, Side::Client, 200).await.len();
    assert_eq!(stored, 1101 - refused);
}

async fn who_has_given_up_before_the_write_sends_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, pair) = (world.replica_by(&world.clock, &proxy.endpoint()).await, world.strangers());
    let permit = member(pair, Side::Client);
    world.send(&ops, pair, Side::Client, "first").await.unwrap();
    let _ = proxy.take_calls();
    proxy.set(Mode::Hang).await;
    let hang_up = async {
        proxy.called("TransactWriteItems").await;
        // One waits behind what hangs, and hangs up; the time of another one is over.
        let context = world.context(pair, Side::Client);
        let waiting = ops.send(&context, permit, say("hung up"), None);
        assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
        let mut late = world.context(pair, Side::Client);
        late.deadline = tokio::time::Instant::now() + Duration::from_millis(200);
        let expires = tokio::time::sleep_until(late.deadline);
        let late = ops.send(&late, permit, say("late"), None);
        let pass = async {
            expires.await;
            proxy.set(Mode::Pass).await;
        };
        let (late, ()) = tokio::join!(late, pass);
        assert!(late.is_err());
    };
    let (second, ()) = tokio::join!(world.send(&ops, pair, Side::Client, "second"), hang_up);
    second.unwrap();
    world.is_whole(&ops, pair, ["first", "second"].map(str::to_owned)).await;
}

async fn contact_that_may_not_be_made_stores_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    for (contact, side, expected) in [
        (Outcome::NoSuchPeer, Side::Client, "NOT_FOUND"),
        (Outcome::NoSuchPeer, Side::Therapist, "NOT_FOUND"),
        (Outcome::CallerEnded, Side::Client, "ACCOUNT_ENDED"),
        (Outcome::CallerEnded, Side::Therapist, "ACCOUNT_ENDED"),
    ] {
        world.others.known().contact = Some(contact);
        assert_eq!(reason(&world.send(&ops, pair, side, "hello").await), expected);
    }
    world.others.known().contact = None;
    world.others.end(pair.client.into());
    for (side, expected) in [(Side::Client, "ACCOUNT_ENDED"), (Side::Therapist, "NOT_FOUND")] {
        assert_eq!(reason(&world.send(&ops, pair, side, "hello").await), expected);
    }
    assert!(world.history(&ops, pair, Side::Therapist, 50).await.is_empty());
}
