//! Delivers events right after the writes that caused them, without making the writers wait.

use chassis::{Context, Tasks};
use dynamo::Key;
use futures_util::{StreamExt as _, stream};
use proto::events::v1::Event;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::deliver::{MAX_CONCURRENT, Outbox, TIMEOUT};

/// Delivers events in the background. Cheap to clone.
///
/// It holds a bounded number of events. What it has no room for, or what fails, is delivered by [`Outbox::recover`].
#[derive(Debug, Clone)]
pub struct Courier {
    queue: mpsc::Sender<(Key, Event)>,
    outbox: Outbox,
}

impl Courier {
    /// Maximum events that wait for their first delivery.
    pub const CAPACITY: usize = 1_000;

    /// Starts the background task that delivers the events of an outbox.
    #[must_use]
    pub fn start(outbox: Outbox, tasks: &Tasks) -> Self {
        let (queue, events) = mpsc::channel(Self::CAPACITY);
        tasks.spawn(deliver_all(outbox.clone(), events));
        Self { queue, outbox }
    }

    /// Delivers the event of the item with this key soon, if there is room.
    pub fn deliver(&self, key: Key, event: Event) {
        // A full queue means that the subscribers are slow or away. It is closed only while the process ends.
        if let Err(TrySendError::Full(_)) = self.queue.try_send((key, event)) {
            self.outbox.record_dropped();
        }
    }
}

async fn deliver_all(outbox: Outbox, events: mpsc::Receiver<(Key, Event)>) {
    let events = stream::unfold(events, async |mut events| Some((events.recv().await?, events)));
    let deliver = async |(key, event): (Key, Event)| {
        // A failed delivery is logged already.
        drop(outbox.deliver(&Context::background(TIMEOUT), &key, event).await);
    };
    events.for_each_concurrent(MAX_CONCURRENT, deliver).await;
}
