use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dynamo::Key;
use kernel::Kind;
use kit::engine::Engine;
use kit::subscriber::Delivery;
use kit::subscriber::Reaction::{Fail, Hang, Take};
use kit::wait::until;
use serde::Serialize;

use crate::world::{NAMES, SOON, World, subject};

kit::on_each_engine!(
    delivered_event_loses_its_mark,
    stages_are_sequential_and_concurrent_within,
    failing_subscriber_is_retried_with_same_event,
    failing_subscriber_does_not_block_others,
    failing_event_does_not_block_others,
    event_written_during_delivery_is_delivered,
);

async fn delivered_event_loses_its_mark(engine: Engine) {
    let world = World::new(engine, |_, _| Take).await;
    let event = world.write("a").await;
    assert!(world.is_pending("a").await);
    world.deliver(&world.outbox(), "a", event.clone()).await.unwrap();
    let mut deliveries = world.deliveries.all();
    // The last two are notified concurrently.
    deliveries.sort_by_key(|it| NAMES.iter().position(|name| *name == it.to));
    assert_eq!(deliveries, NAMES.map(|to| Delivery { to, event: event.clone(), reaction: Take }));
    world.assert_finished("a").await;
}

async fn stages_are_sequential_and_concurrent_within(engine: Engine) {
    for slow in 0..NAMES.len() {
        let world = World::new(engine, move |number, _| if number == slow { Hang } else { Take }).await;
        let (event, outbox) = (world.write("a").await, world.outbox());
        let expected: &[&str] = if slow == 0 { &NAMES[..1] } else { &NAMES };
        tokio::select! {
            done = world.deliver(&outbox, "a", event) => panic!("{slow} hangs: {done:?}"),
            () = until("they are notified", async || expected.iter().all(|name| world.was_notified(name))) => (),
        }
        let deliveries: Vec<_> = world.deliveries.all().into_iter().map(|it| it.to).collect();
        assert_eq!(deliveries.len(), expected.len(), "{deliveries:?}");
        assert_eq!(deliveries.first(), NAMES.first());
        assert!(world.is_pending("a").await);
    }
}

async fn failing_subscriber_is_retried_with_same_event(engine: Engine) {
    let failures = Arc::new(AtomicU32::new(0));
    let world =
        World::new(
            engine,
            move |number, _| {
                if number == 1 && failures.fetch_add(1, Ordering::Relaxed) < 2 { Fail } else { Take }
            },
        );
    let world = world.await;
    let (outbox, event) = (world.outbox(), world.write("a").await);
    assert_eq!(world.deliver(&outbox, "a", event.clone()).await.unwrap_err().kind(), Kind::Internal);
    assert!(world.is_pending("a").await);
    let recovery = tokio::spawn(outbox.recover(SOON));
    until("the event is taken by all", async || !world.is_pending("a").await).await;
    recovery.abort();
    world.assert_finished("a").await;
    let deliveries = world.deliveries.all();
    assert!(deliveries.iter().all(|it| it.event == event), "{deliveries:?}");
    let of_second: Vec<_> = deliveries.iter().filter(|it| it.to == NAMES[1]).map(|it| it.reaction).collect();
    assert_eq!(of_second, [Fail, Fail, Take]);
}

async fn failing_subscriber_does_not_block_others(engine: Engine) {
    let world = World::new(engine, |number, _| if number == 0 { Fail } else { Take }).await;
    let event = world.write("a").await;
    world.deliver(&world.outbox(), "a", event).await.unwrap_err();
    let mut reactions: Vec<_> = world.deliveries.all().into_iter().map(|it| (it.to, it.reaction)).collect();
    reactions.sort_by_key(|(to, _)| NAMES.iter().position(|name| name == to));
    assert_eq!(reactions, [(NAMES[0], Fail), (NAMES[1], Take), (NAMES[2], Take)]);
    assert!(world.is_pending("a").await);
}

async fn failing_event_does_not_block_others(engine: Engine) {
    #[derive(Serialize)]
    struct Unreadable {
        pending: &'static str,
        event_id: &'static str,
    }
    let world = World::new(engine, |_, event| if subject(event) == "m" { Fail } else { Take }).await;
    // More than one page of them, and before the others in the order of the index.
    for number in 0..120 {
        let unreadable = Unreadable { pending: "EVENT", event_id: "of nothing" };
        let _ = world.table.put(&Key::new("A", format!("{number:03}")), &unreadable).run().await.unwrap();
    }
    for name in ["m", "z"] {
        world.write(name).await;
    }
    let recovery = tokio::spawn(world.outbox().recover(SOON));
    until("the event behind the others is taken", async || !world.is_pending("z").await).await;
    recovery.abort();
    world.assert_finished("z").await;
    assert!(world.is_pending("m").await);
}

async fn event_written_during_delivery_is_delivered(engine: Engine) {
    let world = World::new(engine, |_, _| Take).await;
    let outbox = world.outbox();
    let (first, second) = (world.write("a").await, world.write("a").await);
    assert!(first.id < second.id);
    // A delivery of the first comes to its end late.
    world.deliver(&outbox, "a", first.clone()).await.unwrap();
    assert!(world.is_pending("a").await, "the end of the first took the mark of the second away");
    let recovery = tokio::spawn(outbox.recover(SOON));
    until("the second is taken", async || !world.is_pending("a").await).await;
    recovery.abort();
    world.assert_finished("a").await;
    assert_eq!(world.deliveries.taken_by(NAMES[2]), [first, second]);
}
