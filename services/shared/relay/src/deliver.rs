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

use crate::mark::{find, key_of, remove};

/// How long the background task waits for the subscribers of one stage.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many keys of pending items it holds in memory.
const BATCH: u16 = 100;
/// How many events it delivers at a time: few, so that it takes nothing from people who wait.
const AT_ONCE: usize = 4;

/// A service that is told of events.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its name, for the log.
    pub name: &'static str,
    /// Where it is.
    pub upstream: Upstream,
}

/// What the owner of the items knows of their events.
pub trait Events: Send + Sync + 'static {
    /// The event that is pending in an item, or none if none is any more.
    ///
    /// # Errors
    /// INTERNAL when the item can't be read.
    fn pending(&self, item: Item) -> Result<Option<Event>>;

    /// What has to be done when all have taken an event, before the event is no longer pending. It can be repeated.
    ///
    /// # Errors
    /// UNAVAILABLE when it can't be done now.
    fn settle(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// What else changes in the item when its event has been taken by all.
    ///
    /// # Errors
    /// INTERNAL when it can't be said.
    fn taken(&self, update: UpdateRequest) -> Result<UpdateRequest> {
        Ok(update)
    }
}

/// Delivers the events that are pending in one table.
#[derive(Clone)]
pub struct Relay {
    table: Table,
    /// Who is told at once, and after them who is told next.
    stages: Arc<[Vec<Subscriber>]>,
    events: Arc<dyn Events>,
}

impl Relay {
    /// The relay of a table that has the index [`pending`](crate::pending). The subscribers are told at once.
    #[must_use]
    pub fn new(table: Table, subscribers: Vec<Subscriber>, events: impl Events) -> Self {
        Self::in_stages(table, vec![subscribers], events)
    }

    /// The same for subscribers whose order matters: those of one stage are told at once, and those of the next when each of
    /// them has taken the event or failed.
    #[must_use]
    pub fn in_stages(table: Table, stages: Vec<Vec<Subscriber>>, events: impl Events) -> Self {
        Self { table, stages: stages.into(), events: Arc::new(events) }
    }

    /// Delivers the event of the item with this key, within a context. It can be repeated. The relay speaks for itself: the
    /// person's token doesn't go along.
    ///
    /// # Errors
    /// Of the first subscriber that has not taken it, as [`Upstream::call`]; or UNAVAILABLE, ABORTED (`CONFLICT`) or INTERNAL
    /// of the table. The event stays pending: it will be delivered again.
    pub async fn deliver(&self, context: &Context, key: &Key, event: Event) -> Result<()> {
        let rest = || context.deadline.saturating_duration_since(Instant::now());
        self.carry_out(rest, key, event).await
    }

    /// Delivers, again and again, what a crash or an outage left.
    pub async fn recover(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            if let Err(error) = self.deliver_pending().await {
                tracing::warn!(%error, cause = error.source(), "the events that are pending can't be read");
            }
        }
    }

    /// Tries everything that is pending once. An event that fails holds up no other, and is tried again in the next round.
    async fn deliver_pending(&self) -> Result<()> {
        let first = find(&self.table).limit(BATCH);
        let mut page = first.clone().page().await?;
        loop {
            stream::iter(page.items).for_each_concurrent(AT_ONCE, |shown| self.retry(shown)).await;
            let Some(cursor) = page.next else { return Ok(()) };
            page = first.clone().after(cursor).page().await?;
        }
    }

    async fn retry(&self, shown: Item) {
        if let Err(error) = self.redeliver(&shown).await {
            tracing::warn!(%error, cause = error.source(), "an event waits for the next round");
        }
    }

    /// The index lags behind: the item itself says whether its event is still pending, and which it is.
    async fn redeliver(&self, shown: &Item) -> Result<()> {
        let key = key_of(shown)?;
        let Some(item) = self.table.get_item(&key, Read::Consistent).await? else { return Ok(()) };
        let Some(event) = self.events.pending(item)? else { return Ok(()) };
        self.carry_out(|| PATIENCE, &key, event).await
    }

    /// Tells every subscriber, also past one that fails, and removes the mark when all have taken the event.
    async fn carry_out(&self, patience: impl Fn() -> Duration, key: &Key, event: Event) -> Result<()> {
        let mut first = Ok(());
        for stage in &*self.stages {
            let context = Context::background(patience());
            let told = join_all(stage.iter().map(|subscriber| tell(subscriber, &context, &event))).await;
            first = told.into_iter().fold(first, Result::and);
        }
        first?;
        self.events.settle().await?;
        let finished = self.events.taken(remove(self.table.update(key), &event))?;
        // What is not pending any more was finished by somebody else.
        finished.run().await.map(|_| ())
    }
}

async fn tell(Subscriber { name, upstream }: &Subscriber, context: &Context, event: &Event) -> Result<()> {
    let request = DeliverRequest { event: Some(event.clone()) };
    let deliver = |transport, request| async move { SubscriberServiceClient::new(transport).deliver(request).await };
    let told = upstream.call(context, request, deliver).await;
    told.map(drop).inspect_err(|error| {
        tracing::warn!(subscriber = name, event = event.id, %error, cause = error.source(), "an event was not taken");
    })
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("stages", &self.stages).finish_non_exhaustive()
    }
}
