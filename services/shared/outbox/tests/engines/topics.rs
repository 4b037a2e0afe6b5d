use kit::engine::Engine;
use kit::subscriber::Reaction::Take;
use kit::wait::until;
use outbox::Topic;

use crate::world::{NAMES, Notes, SOON, World};

kit::on_each_engine!(acknowledgement_deletes_an_item_that_is_not_kept, outbox_recovers_its_own_topic_alone);

async fn acknowledgement_deletes_an_item_that_is_not_kept(engine: Engine) {
    let world = World::new(engine, |_, _| Take).await;
    let outbox = world.outbox_of(Notes { topic: Topic::Event, keeps: false });
    let (first, second) = (world.write("a").await, world.write("a").await);
    world.deliver(&outbox, "a", first).await.unwrap();
    assert!(world.is_pending("a").await, "the end of the first took the mark of the second away");
    // The second delivery is a repetition.
    for _ in 0..2 {
        world.deliver(&outbox, "a", second.clone()).await.unwrap();
        assert!(world.find("a").await.is_none());
    }
    world.write("b").await;
    let recovery = tokio::spawn(outbox.recover(SOON));
    until("the event is taken by all", async || world.find("b").await.is_none()).await;
    recovery.abort();
}

async fn outbox_recovers_its_own_topic_alone(engine: Engine) {
    let topics = [(Topic::Event, "event"), (Topic::Text, "text")];
    for (number, (topic, own)) in topics.into_iter().enumerate() {
        let (other_topic, other) = topics[1 - number];
        let world = World::new(engine, |_, _| Take).await;
        world.write_of(other_topic, other).await;
        let mut expected = Vec::new();
        let recovery = tokio::spawn(world.outbox_of(Notes { topic, keeps: true }).recover(SOON));
        // The second event is taken in a later round than the first, so that at least one round is over.
        for _ in 0..2 {
            expected.push(world.write_of(topic, own).await);
            until("the event is taken by all", async || !world.is_pending(own).await).await;
        }
        recovery.abort();
        world.assert_finished(own).await;
        assert!(world.is_pending(other).await);
        assert_eq!(world.deliveries.taken_by(NAMES[2]), expected, "{topic:?}");
    }
}
