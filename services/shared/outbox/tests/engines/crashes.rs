use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::engine::Engine;
use kit::subscriber::Reaction::{Hang, Take};
use kit::wait::until;

use crate::world::{NAMES, SOON, World};

kit::on_each_engine!(
    crash_before_delivery_is_recovered,
    crash_before_mark_removal_is_recovered,
    concurrent_outboxes_lose_no_event,
);

async fn crash_before_delivery_is_recovered(engine: Engine) {
    for (crashed_at, name) in NAMES.into_iter().enumerate() {
        let crashing = Arc::new(AtomicBool::new(true));
        let hangs = Arc::clone(&crashing);
        let world = World::new(
            engine,
            move |number, _| {
                if number == crashed_at && hangs.load(Ordering::Relaxed) { Hang } else { Take }
            },
        );
        let world = world.await;
        let event = world.write("a").await;
        let outbox = world.outbox();
        // The writing process ends during the call to this subscriber.
        tokio::select! {
            done = world.deliver(&outbox, "a", event.clone()) => panic!("{crashed_at} hangs: {done:?}"),
            () = until("the subscriber is notified", async || world.was_notified(name)) => (),
        }
        assert!(world.is_pending("a").await);
        crashing.store(false, Ordering::Relaxed);
        let recovery = tokio::spawn(world.outbox().recover(SOON));
        until("the event is taken by all", async || !world.is_pending("a").await).await;
        recovery.abort();
        world.assert_finished("a").await;
        for name in NAMES {
            let taken = world.deliveries.taken_by(name);
            assert!(!taken.is_empty() && taken.iter().all(|again| *again == event), "{name}: {taken:?}");
        }
    }
}

async fn crash_before_mark_removal_is_recovered(engine: Engine) {
    let world = World::new(engine, |_, _| Take).await;
    let event = world.write("a").await;
    world.deliver(&world.outbox(), "a", event.clone()).await.unwrap();
    // The same item as it was before the last step.
    world.write_again("a", &event).await;
    let recovery = tokio::spawn(world.outbox().recover(SOON));
    until("the mark is gone", async || !world.is_pending("a").await).await;
    recovery.abort();
    world.assert_finished("a").await;
    assert!(NAMES.iter().all(|name| world.deliveries.taken_by(name) == [event.clone(), event.clone()]));
}

async fn concurrent_outboxes_lose_no_event(engine: Engine) {
    let world = World::new(engine, |_, _| Take).await;
    let names: Vec<String> = (0..150).map(|number| format!("{number:03}")).collect();
    let mut events = Vec::new();
    for name in &names {
        events.push(world.write(name).await);
    }
    let outboxes = [world.outbox(), world.outbox()].map(|outbox| tokio::spawn(outbox.recover(SOON)));
    for name in &names {
        until("the event is taken by all", async || !world.is_pending(name).await).await;
    }
    for outbox in outboxes {
        outbox.abort();
    }
    for name in &names {
        world.assert_finished(name).await;
    }
    for subscriber in NAMES {
        let taken = world.deliveries.taken_by(subscriber);
        let lost: Vec<_> = events.iter().filter(|event| !taken.contains(event)).collect();
        assert!(lost.is_empty(), "{subscriber} never heard of {lost:?}");
        assert!(taken.iter().all(|event| events.contains(event)), "{subscriber} heard of what never was");
    }
}
