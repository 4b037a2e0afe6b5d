use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chassis::Tasks;
use kit::engine::Engine;
use kit::subscriber::Reaction::{Hang, Take};
use kit::wait::until;
use outbox::Courier;

use crate::world::{NAMES, SOON, World, key};

kit::on_each_engine!(event_beyond_the_capacity_is_recovered);

/// Deliveries that a courier makes concurrently.
const CONCURRENT: usize = 4;

async fn event_beyond_the_capacity_is_recovered(engine: Engine) {
    let is_slow = Arc::new(AtomicBool::new(true));
    let hangs = Arc::clone(&is_slow);
    let world = World::new(engine, move |_, _| if hangs.load(Ordering::Relaxed) { Hang } else { Take }).await;
    let courier = Courier::start(world.outbox(), &Tasks::default());
    let (first, beyond, last) = (world.write("a").await, world.write("b").await, world.write("c").await);
    // The same event again and again fills the queue too.
    let deliver = |count| (0..count).for_each(|_| courier.deliver(key("a"), first.clone()));
    deliver(CONCURRENT);
    until("the deliveries hang", async || world.deliveries.all().len() == CONCURRENT).await;
    deliver(Courier::CAPACITY);
    courier.deliver(key("b"), beyond.clone());
    is_slow.store(false, Ordering::Relaxed);
    world.deliveries.release();
    let taken = || world.deliveries.taken_by(NAMES[2]);
    until("the queue is empty", async || taken().len() >= Courier::CAPACITY + CONCURRENT).await;
    courier.deliver(key("c"), last);
    until("there is room again", async || !world.is_pending("c").await).await;
    assert!(world.is_pending("b").await);
    assert!(!taken().contains(&beyond), "the event beyond the capacity is left to recovery");
    let recovery = tokio::spawn(world.outbox().recover(SOON));
    until("the event is taken by all", async || !world.is_pending("b").await).await;
    recovery.abort();
    world.assert_finished("b").await;
    assert!(taken().contains(&beyond));
}
