use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use chassis::client::Upstream;
use dynamo::{Item, Key, Read, Table, UpdateRequest};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{StreamExt as _, stream};
use kernel::Result;
use proto::events::v1::subscriber_service_client::SubscriberServiceClient;
use proto::events::v1::{DeliverRequest, Event};
use tokio::time::Instant;

use crate::mark::{Topic, find, is_of, key_of, remove};
use crate::metrics;

/// Timeout of the background task for the subscribers of one stage.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum keys of pending items that a background task holds in memory.
const PAGE_SIZE: u16 = 100;
/// Maximum events that one background task delivers concurrently: few, so that it doesn't slow down requests of people.
pub(crate) const MAX_CONCURRENT: usize = 4;

/// A service that receives events.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its name, for the log.
    pub name: &'static str,
    /// Its upstream.
    pub upstream: Upstream,
}

/// Reads and completes the pending events of an owner's items.
pub trait Events: Send + Sync + 'static {
    /// Returns the event that is pending in an item, or none if none is any more.
    ///
    /// # Errors
    /// INTERNAL when the item can't be read.
    fn pending(&self, item: Item) -> Result<Option<Event>>;

    /// Returns the topic of the events: marks of other topics are left to other outboxes.
    fn topic(&self) -> Topic {
        Topic::Event
    }

    /// Returns whether an item stays when its event is acknowledged; if not, it is deleted.
    fn keeps(&self, _key: &Key) -> bool {
        true
    }

    /// Runs after all subscribers have acknowledged an event, before the event is no longer pending. Must be
    /// idempotent.
    ///
    /// # Errors
    /// UNAVAILABLE when it can't be done now.
    fn settle(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Adds the item's other changes to the update that removes the mark of an acknowledged event.
    ///
    /// # Errors
    /// INTERNAL when the changes can't be made.
    fn taken(&self, update: UpdateRequest) -> Result<UpdateRequest> {
        Ok(update)
    }
}

/// Delivers the events that are pending in one table.
#[derive(Clone)]
pub struct Outbox {
    table: Table,
    /// The subscribers in stages: those of one stage concurrently, stage after stage.
    stages: Arc<[Vec<Subscriber>]>,
    events: Arc<dyn Events>,
}

impl Outbox {
    /// Creates the outbox of a table that has the index [`pending`](crate::pending). The subscribers are notified
    /// concurrently.
    #[must_use]
    pub fn new(table: Table, subscribers: Vec<Subscriber>, events: impl Events) -> Self {
        Self::in_stages(table, vec![subscribers], events)
    }

    /// Creates an outbox for subscribers whose order matters: those of one stage are notified concurrently, and those
    /// of the next when each of them has acknowledged the event or failed.
    #[must_use]
    pub fn in_stages(table: Table, stages: Vec<Vec<Subscriber>>, events: impl Events) -> Self {
        Self { table, stages: stages.into(), events: Arc::new(events) }
    }

    /// Delivers the event of the item with this key, within a context. It can be repeated. The calls carry the
    /// service's own identity, not the person's token.
    ///
    /// # Errors
    /// Those of the first subscriber that has not acknowledged it, as [`Upstream::call`]; or UNAVAILABLE, ABORTED
    /// (`CONFLICT`) or INTERNAL of the table. The event stays pending: it will be delivered again.
    pub async fn deliver(&self, context: &Context, key: &Key, event: Event) -> Result<()> {
        let remaining = || context.deadline.saturating_duration_since(Instant::now());
        self.deliver_to_all(remaining, key, event).await
    }

    /// Delivers periodically the events that a crash or an outage left pending.
    pub async fn recover(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            if let Err(error) = self.deliver_pending().await {
                tracing::warn!(%error, cause = error.source(), "the events that are pending can't be read");
            }
        }
    }

    /// Counts an event that is left to recovery, because the queue for its first delivery is full.
    pub(crate) fn record_dropped(&self) {
        metrics::record_dropped(self.table.name(), self.events.topic());
    }

    /// Tries to deliver each pending event once. An event that fails blocks no other, and is retried in the next round.
    async fn deliver_pending(&self) -> Result<()> {
        let mut pending: u64 = 0;
        let first = find(&self.table, self.events.topic()).limit(PAGE_SIZE);
        let mut page = first.clone().page().await?;
        loop {
            pending = pending.saturating_add(page.items.len() as u64);
            stream::iter(page.items).for_each_concurrent(MAX_CONCURRENT, |shown| self.retry(shown)).await;
            let Some(cursor) = page.next else {
                metrics::record_backlog(self.table.name(), self.events.topic(), pending);
                return Ok(());
            };
            page = first.clone().after(cursor).page().await?;
        }
    }

    async fn retry(&self, shown: Item) {
        if let Err(error) = self.redeliver(&shown).await {
            tracing::warn!(%error, cause = error.source(), "an event waits for the next round");
        }
    }

    /// Delivers the event of an item that the index shows. The index lags behind, so the item is read for its event.
    async fn redeliver(&self, shown: &Item) -> Result<()> {
        let key = key_of(shown)?;
        let Some(item) = self.table.get_item(&key, Read::Consistent).await? else { return Ok(()) };
        let Some(event) = self.events.pending(item)? else { return Ok(()) };
        self.deliver_to_all(|| TIMEOUT, &key, event).await
    }

    /// Delivers to every subscriber, also after one has failed, and removes the mark when all have acknowledged the
    /// event.
    async fn deliver_to_all(&self, timeout: impl Fn() -> Duration, key: &Key, event: Event) -> Result<()> {
        let mut first = Ok(());
        for stage in &*self.stages {
            let context = Context::background(timeout());
            let results = join_all(stage.iter().map(|subscriber| deliver_to(subscriber, &context, &event))).await;
            first = results.into_iter().fold(first, Result::and);
        }
        first?;
        self.events.settle().await?;
        // A failed condition means that another delivery has removed the mark.
        if self.events.keeps(key) {
            let finished = self.events.taken(remove(self.table.update(key), &event))?;
            finished.run().await.map(drop)
        } else {
            self.table.delete(key).when(is_of(&event)).run().await.map(drop)
        }
    }
}

async fn deliver_to(Subscriber { name, upstream }: &Subscriber, context: &Context, event: &Event) -> Result<()> {
    let request = DeliverRequest { event: Some(event.clone()) };
    let deliver = |transport, request| async move { SubscriberServiceClient::new(transport).deliver(request).await };
    let answer = upstream.call(context, request, deliver).await;
    answer.map(drop).inspect_err(|error| {
        tracing::warn!(subscriber = name, event = event.id, %error, cause = error.source(), "an event was not taken");
    })
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("stages", &self.stages).finish_non_exhaustive()
    }
}
