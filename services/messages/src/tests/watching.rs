use std::sync::Arc;
use std::time::Duration;

use kernel::Kind;
use kit::engine::Engine;
use kit::fault::Proxy;
use kit::wait;
use proto::events::v1::account_ended::Role;

use super::{TOKEN_LIFE, World, member, reason, turn};
use crate::config::Config;
use crate::model::{Message, MessageId, Pair, Position, Side};
use crate::ops::Ops;
use crate::watch::Watching;

kit::on_each_engine!(
    a_watcher_sees_each_message_once_in_order_whoever_stored_it,
    a_watcher_goes_on_after_any_message,
    a_watcher_goes_on_after_a_message_of_the_conversation_alone,
    a_slow_reader_holds_back_nobody_else,
    a_watcher_ends_with_the_token,
    a_watcher_ends_with_the_login,
    a_watcher_ends_when_nobody_says_whether_logins_have_ended,
    a_watcher_ends_with_the_client_on_every_replica,
    no_more_watch_than_there_is_room_for,
    nothing_is_left_of_a_watcher_who_goes_away,
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

async fn a_watcher_sees_each_message_once_in_order_whoever_stored_it(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.strangers());
    world.send(&replicas[0], pair, Side::Client, "before").await.unwrap();
    let (mut near, mut far) = (
        watch(&world, &replicas[0], pair, Side::Client, None).await,
        watch(&world, &replicas[1], pair, Side::Therapist, None).await,
    );
    let send = async {
        for number in 0..60 {
            let text = format!("message {number}");
            while world.send(&replicas[number % 2], pair, turn(number), &text).await.is_err() {}
        }
    };
    let (near, far, ()) = tokio::join!(take(&mut near, 60), take(&mut far, 60), send);
    let mut all = world.oldest_first(&replicas[0], pair, Side::Client).await;
    assert_eq!(all.remove(0).text.as_str(), "before");
    assert_eq!((&near, &far), (&all, &all));
}

async fn a_watcher_goes_on_after_any_message(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    for number in 0..120 {
        world.send(&ops, pair, turn(number), &format!("message {number}")).await.unwrap();
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

async fn a_watcher_goes_on_after_a_message_of_the_conversation_alone(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
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

async fn a_slow_reader_holds_back_nobody_else(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let mut slow = watch(&world, &ops, pair, Side::Client, None).await;
    let mut quick = watch(&world, &ops, pair, Side::Therapist, None).await;
    for number in 0..120 {
        let sent = world.send(&ops, pair, turn(number), &format!("message {number}")).await.unwrap();
        assert_eq!(take(&mut quick, 1).await, [sent]);
    }
    assert_eq!(take(&mut slow, 120).await, world.oldest_first(&ops, pair, Side::Client).await);
}

/// Why it ends, once it does.
async fn ending(watching: &mut Watching) -> &'static str {
    let next = tokio::time::timeout(Duration::from_secs(60), watching.next()).await;
    reason(&next.expect("it ends"))
}

async fn a_watcher_ends_with_the_token(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    world.clock.advance(TOKEN_LIFE - Duration::from_millis(1));
    let mut later = watch(&world, &ops, pair, Side::Client, None).await;
    let sent = world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    assert_eq!((take(&mut watching, 1).await, take(&mut later, 1).await), (vec![sent.clone()], vec![sent]));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(ending(&mut watching).await, "TOKEN_EXPIRED");
    // The other one has a newer token. Nothing is shown to the first, also if it is there before anybody looks.
    let mut expired = watch(&world, &ops, pair, Side::Therapist, None).await;
    let sent = world.send(&ops, pair, Side::Client, "again").await.unwrap();
    world.clock.advance(TOKEN_LIFE - Duration::from_millis(1));
    assert_eq!(ending(&mut later).await, "TOKEN_EXPIRED");
    assert_eq!(take(&mut expired, 1).await, [sent]);
    world.clock.advance(Duration::from_millis(1));
    world.send(&ops, pair, Side::Client, "too late").await.unwrap();
    assert_eq!(ending(&mut expired).await, "TOKEN_EXPIRED");
}

async fn a_watcher_ends_with_the_login(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let mut ended = watch(&world, &ops, pair, Side::Client, None).await;
    let mut stays = watch(&world, &ops, pair, Side::Therapist, None).await;
    world.others.known().logged_out.insert(pair.client.to_string());
    assert_eq!(ending(&mut ended).await, "LOGIN_ENDED");
    let again = ops.watch(world.context(pair, Side::Client), member(pair, Side::Client), None).await;
    assert_eq!(reason(&again), "LOGIN_ENDED", "and is not let in again");
    let sent = world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    assert_eq!(take(&mut stays, 1).await, [sent]);
}

async fn a_watcher_ends_when_nobody_says_whether_logins_have_ended(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    world.others.known().is_auth_deaf = true;
    assert_eq!(ending(&mut watching).await, "UNAVAILABLE");
}

async fn a_watcher_ends_with_the_client_on_every_replica(engine: Engine) {
    let world = World::new(engine).await;
    let (replicas, pair) = ([world.replica().await, world.replica().await], world.strangers());
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
    // The second replica has looked, and knows that the conversation has begun.
    wait::until("it is seen", async || replicas[1].hub.threads().get(&pair) == Some(&Position(1))).await;
    world.others.end(pair.client.into());
    replicas[0].handle_account_deleted(pair.client.into(), Role::Client).await.unwrap();
    for (mut watching, side) in ended {
        let expected = if side == Side::Client { "ACCOUNT_ENDED" } else { "NOT_FOUND" };
        assert_eq!(ending(&mut watching).await, expected);
    }
    let sent = world.send(&replicas[0], other, Side::Client, "still here").await.unwrap();
    assert_eq!(take(&mut stays, 1).await, [sent]);
}

async fn no_more_watch_than_there_is_room_for(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.strangers());
    let of = async |pair: Pair| ops.watch(world.context(pair, Side::Client), member(pair, Side::Client), None).await;
    let mut watching = Vec::new();
    for _ in 0..16 {
        let pair = Pair { therapist: world.user().into(), ..pair };
        watching.push(of(pair).await.unwrap());
    }
    assert_eq!(reason(&of(pair).await), "TOO_MANY_WATCHERS");
    // There is room for others: 40 in all.
    for _ in 16..40 {
        watching.push(of(world.strangers()).await.unwrap());
    }
    assert_eq!(reason(&of(world.strangers()).await), "TOO_MANY_WATCHERS");
    drop(watching.remove(0));
    watching.push(of(pair).await.unwrap());
    assert_eq!(reason(&of(pair).await), "TOO_MANY_WATCHERS");
    // Who must stop leaves room, also without reading that it must.
    world.clock.advance(TOKEN_LIFE);
    wait::until("the tokens are found to have expired", async || ops.hub.logins().is_empty()).await;
    assert!(of(pair).await.is_ok());
    for mut ended in watching {
        assert_eq!(ending(&mut ended).await, "TOKEN_EXPIRED");
    }
}

async fn nothing_is_left_of_a_watcher_who_goes_away(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let interval = Duration::from_millis(20);
    let config = Config { watch_poll_interval: interval, login_check_interval: interval, max_watchers: 40 };
    let dynamodb = dynamo::Config { endpoint: Some(proxy.endpoint()), ..world.engine.clone() };
    let (ops, pair) = (world.replica_of(dynamodb, &world.clock, config).await, world.strangers());
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    proxy.called("BatchGetItem").await;
    let waits = tokio::time::timeout(Duration::from_millis(100), watching.next()).await;
    assert!(waits.is_err(), "there is nothing to see");
    drop(watching);
    assert!(ops.hub.threads().is_empty() && ops.hub.logins().is_empty());
    // At most the look that was under way is left; then nobody looks, though ten times as long goes by.
    tokio::time::sleep(interval * 10).await;
    let _ = proxy.take_calls();
    tokio::time::sleep(interval * 10).await;
    assert!(proxy.take_calls().is_empty());
    // The next one is served all the same.
    let mut watching = watch(&world, &ops, pair, Side::Client, None).await;
    proxy.called("BatchGetItem").await;
    let sent = world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    assert_eq!(take(&mut watching, 1).await, [sent]);
}
