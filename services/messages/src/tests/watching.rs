use std::sync::Arc;
use std::time::Duration;

use kernel::{Kind, Role};
use kit::engine::Engine;
use kit::fault::Proxy;
use kit::wait;

use super::{TOKEN_LIFE, World, deleted, member, person, reason, side_of};
use crate::config::Config;
use crate::model::{Message, MessageId, Pair, Position, Side};
use crate::ops::Ops;
use crate::watch::Watching;

kit::on_each_engine!(
    watcher_sees_each_message_once_in_order,
    watch_resumes_after_any_message,
    watch_after_foreign_message_is_rejected,
    slow_reader_blocks_no_other_watcher,
    token_expiry_ends_watch,
    login_end_ends_watch,
    unavailable_auth_ends_watch,
    client_deletion_ends_watches_on_every_replica,
    watchers_over_limit_are_refused,
    dropped_watch_leaves_no_state_and_no_polls,
);

async fn watch(world: &World, ops: &Arc<Ops>, pair: Pair, side: Side, after: Option<MessageId>) -> Watching {
    ops.watch(world.context(pair, side), member(pair, side), after).await.unwrap()
}

async fn take(watching: &mut Watching, count: usize) -> Vec<Message> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(Duration::from_secs(60), watching.next()).await;
        taken.push(next.expect("a message comes").unwrap());
    }
    taken
}

/// It doesn't matter which replica stored the message.
async fn watcher_sees_each_message_once_in_order(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.new_pair());
    world.send(&replicas[0], pair, Side::Client, "before").await.unwrap();
    let (mut near, mut far) = (
        watch(&world, &replicas[0], pair, Side::Client, None).await,
        watch(&world, &replicas[1], pair, Side::Therapist, None).await,
    );
    let send = async {
        for number in 0..60 {
            let text = format!("message {number}");
            while world.send(&replicas[number % 2], pair, side_of(number), &text).await.is_err() {}
        }
    };
    let (near, far, ()) = tokio::join!(take(&mut near, 60), take(&mut far, 60), send);
    let mut all = world.oldest_first(&replicas[0], pair, Side::Client).await;
    assert_eq!(all.remove(0).text.as_str(), "before");
    assert_eq!((&near, &far), (&all, &all));
}

async fn watch_resumes_after_any_message(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    for number in 0..120 {
        world.send(&ops, pair, side_of(number), &format!("message {number}")).await.unwrap();
    }
    let all = world.oldest_first(&ops, pair, Side::Client).await;
    for seen in [0, 1, 49, 50, 69, 70, 118] {
        let mut watching = watch(&world, &ops, pair, Side::Therapist, Some(all[seen].id)).await;
        assert_eq!(take(&mut watching, 119 - seen).await, all[seen + 1..], "{seen}");
        if seen == 118 {
            let next = world.send(&ops, pair, Side::Client, "next").await.unwrap();
            assert_eq!(take(&mut watching, 1).await, [next]);
        }
    }
}

async fn watch_after_foreign_message_is_rejected(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let other = Pair { therapist: world.user().into(), ..pair };
    world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    let foreign = world.send(&ops, other, Side::Client, "hello").await.unwrap().id;
    let made_up = MessageId::generate(foreign.at(), Position(9), &chassis::SystemEntropy);
    for after in [foreign, made_up] {
        let refused = ops.watch(world.context(pair, Side::Client), member(pair, Side::Client), Some(after)).await;
        let error = refused.err().unwrap();
        assert_eq!((error.kind(), &*error.violations()[0].field), (Kind::InvalidArgument, "after"));
    }
    assert!(ops.hub.threads().is_empty());
}

async fn slow_reader_blocks_no_other_watcher(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let mut slow = watch(&world, &ops, pair, Side::Client, None).await;
    let mut quick = watch(&world, &ops, pair, Side::Therapist, None).await;
    for number in 0..120 {
        let sent = world.send(&ops, pair, side_of(number), &format!("message {number}")).await.unwrap();
        assert_eq!(take(&mut quick, 1).await, [sent]);
    }
    assert_eq!(take(&mut slow, 120).await, world.oldest_first(&ops, pair, Side::Client).await);
}

/// Waits for the end of a watch, and returns its reason.
async fn end_reason(watching: &mut Watching) -> &'static str {
    let next = tokio::time::timeout(Duration::from_secs(60), watching.next()).await;
    reason(&next.expect("it ends"))
}

async fn token_expiry_ends_watch(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    world.clock.advance(TOKEN_LIFE - Duration::from_millis(1));
    let mut later = watch(&world, &ops, pair, Side::Client, None).await;
    let sent = world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    assert_eq!((take(&mut watching, 1).await, take(&mut later, 1).await), (vec![sent.clone()], vec![sent]));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(end_reason(&mut watching).await, "TOKEN_EXPIRED");
    // The next watcher has a newer token. After its expiry it is shown nothing, not even a message stored before the
    // check.
    let mut expired = watch(&world, &ops, pair, Side::Therapist, None).await;
    let sent = world.send(&ops, pair, Side::Client, "again").await.unwrap();
    world.clock.advance(TOKEN_LIFE - Duration::from_millis(1));
    assert_eq!(end_reason(&mut later).await, "TOKEN_EXPIRED");
    assert_eq!(take(&mut expired, 1).await, [sent]);
    world.clock.advance(Duration::from_millis(1));
    world.send(&ops, pair, Side::Client, "too late").await.unwrap();
    assert_eq!(end_reason(&mut expired).await, "TOKEN_EXPIRED");
}

async fn login_end_ends_watch(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let mut ended = watch(&world, &ops, pair, Side::Client, None).await;
    let mut stays = watch(&world, &ops, pair, Side::Therapist, None).await;
    world.peers.state().ended_logins.insert(person(pair, Side::Client).login_id);
    assert_eq!(end_reason(&mut ended).await, "LOGIN_ENDED");
    let again = ops.watch(world.context(pair, Side::Client), member(pair, Side::Client), None).await;
    assert_eq!(reason(&again), "LOGIN_ENDED", "and is not let in again");
    let sent = world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    assert_eq!(take(&mut stays, 1).await, [sent]);
}

async fn unavailable_auth_ends_watch(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    world.peers.state().is_auth_failing = true;
    assert_eq!(end_reason(&mut watching).await, "UNAVAILABLE");
}

async fn client_deletion_ends_watches_on_every_replica(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.new_pair());
    let other = Pair { client: world.user().into(), ..pair };
    for pair in [pair, other] {
        world.send(&replicas[0], pair, Side::Client, "hello").await.unwrap();
    }
    let mut stays = watch(&world, &replicas[1], other, Side::Therapist, None).await;
    let mut ended = Vec::new();
    for (ops, side) in [(0, Side::Client), (0, Side::Therapist), (1, Side::Client), (1, Side::Therapist)]
        .map(|(at, side)| (&replicas[at], side))
    {
        ended.push((watch(&world, ops, pair, side, None).await, side));
    }
    // The second replica has polled, and knows that the conversation has a message.
    wait::until("it is seen", async || replicas[1].hub.threads().get(&pair) == Some(&Position(1))).await;
    world.peers.end(pair.client.into());
    replicas[0].handle_account_deleted(deleted(Role::Client, pair.client.into())).await.unwrap();
    for (mut watching, side) in ended {
        let expected = if side == Side::Client { "ACCOUNT_ENDED" } else { "NOT_FOUND" };
        assert_eq!(end_reason(&mut watching).await, expected);
    }
    let sent = world.send(&replicas[0], other, Side::Client, "still here").await.unwrap();
    assert_eq!(take(&mut stays, 1).await, [sent]);
}

async fn watchers_over_limit_are_refused(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let of = async |pair: Pair| ops.watch(world.context(pair, Side::Client), member(pair, Side::Client), None).await;
    let mut watching = Vec::new();
    for _ in 0..16 {
        let pair = Pair { therapist: world.user().into(), ..pair };
        watching.push(of(pair).await.unwrap());
    }
    assert_eq!(reason(&of(pair).await), "TOO_MANY_WATCHERS");
    // Other accounts may watch: 40 in all.
    for _ in 16..40 {
        watching.push(of(world.new_pair()).await.unwrap());
    }
    assert_eq!(reason(&of(world.new_pair()).await), "TOO_MANY_WATCHERS");
    drop(watching.remove(0));
    watching.push(of(pair).await.unwrap());
    assert_eq!(reason(&of(pair).await), "TOO_MANY_WATCHERS");
    // An ended watcher frees its slot, even if it doesn't read the end.
    world.clock.advance(TOKEN_LIFE);
    wait::until("the tokens are found to have expired", async || ops.hub.logins().is_empty()).await;
    assert!(of(pair).await.is_ok());
    for mut ended in watching {
        assert_eq!(end_reason(&mut ended).await, "TOKEN_EXPIRED");
    }
}

async fn dropped_watch_leaves_no_state_and_no_polls(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let interval = Duration::from_millis(20);
    let config = Config { watch_poll_interval: interval, login_check_interval: interval, max_watchers: 40 };
    let dynamodb = dynamo::Config { endpoint: Some(proxy.endpoint()), ..world.engine.clone() };
    let (ops, pair) = (world.replica_of(dynamodb, &world.clock, config).await, world.new_pair());
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    proxy.called("BatchGetItem").await;
    let waits = tokio::time::timeout(Duration::from_millis(100), watching.next()).await;
    assert!(waits.is_err(), "there is nothing to see");
    drop(watching);
    assert!(ops.hub.threads().is_empty() && ops.hub.logins().is_empty());
    // At most the current poll finishes; then there is none for ten intervals.
    tokio::time::sleep(interval * 10).await;
    let _ = proxy.take_calls();
    tokio::time::sleep(interval * 10).await;
    assert!(proxy.take_calls().is_empty());
    // The next watcher is served.
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    proxy.called("BatchGetItem").await;
    let sent = world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    assert_eq!(take(&mut watching, 1).await, [sent]);
}
