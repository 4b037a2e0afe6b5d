use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::{Issuer, WorkloadTokens};
use chassis::{Context, SystemEntropy};
use dynamo::{EXPIRES_AT, Item, Key, KeyDef, Projection, Read, Table, TableDef, UpdateRequest};
use kernel::{Clock as _, ManualClock, Result, Timestamp};
use kit::engine::Engine;
use kit::subscriber::{Deliveries, Reaction, Subscriber};
use outbox::{Events, Mark, Outbox, Topic};
use proto::events::v1::event::Kind;
use proto::events::v1::{AccountEnded, Event, account_ended::Role};
use serde::Serialize;

pub(crate) static NOTES: TableDef = TableDef {
    name: "Notes",
    key: KeyDef::PK_SK,
    indexes: &[outbox::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

pub(crate) const NAMES: [&str; 3] = ["first", "second", "third"];
pub(crate) const SOON: Duration = Duration::from_millis(20);

/// A table whose items have events, and three subscribers.
pub(crate) struct World {
    pub(crate) table: Table,
    pub(crate) deliveries: Deliveries,
    clock: ManualClock,
    tokens: WorkloadTokens,
    subscribers: Vec<Subscriber>,
}

/// An item: a note on an account that has ended.
#[derive(Serialize)]
struct Note<'a> {
    subject: &'a str,
    #[serde(flatten)]
    mark: Mark,
}

/// Events of the items.
pub(crate) struct Notes {
    pub(crate) topic: Topic,
    /// False if an item is deleted when its event is acknowledged.
    pub(crate) keeps: bool,
}

impl Events for Notes {
    fn topic(&self) -> Topic {
        self.topic
    }

    fn keeps(&self, _: &Key) -> bool {
        self.keeps
    }

    fn pending(&self, item: Item) -> Result<Option<Event>> {
        let subject = item.text("subject").unwrap_or_default().to_owned();
        Ok(Mark::of(&item)?.map(|mark| mark.event(ended(&subject))))
    }

    fn taken(&self, update: UpdateRequest) -> Result<UpdateRequest> {
        Ok(update.set("taken", true))
    }
}

fn ended(subject: &str) -> Kind {
    Kind::AccountEnded(AccountEnded { user_id: subject.to_owned(), role: Role::Client.into() })
}

pub(crate) fn subject(event: &Event) -> &str {
    let Some(Kind::AccountEnded(ended)) = &event.kind else { return "" };
    &ended.user_id
}

pub(crate) fn key(name: &str) -> Key {
    Key::new("NOTES", name)
}

impl World {
    /// Creates subscribers, each of which reacts to its number and the event.
    pub(crate) async fn new<F>(engine: Engine, react: F) -> Self
    where
        F: Fn(usize, &Event) -> Reaction + Send + Sync + Clone + 'static,
    {
        let client = engine.client().await;
        client.create_or_verify(&[&NOTES]).await.unwrap();
        let clock = ManualClock::new(Timestamp::from_second(4_102_444_800).unwrap());
        let tokens = Arc::new(Issuer::generate(Arc::new(clock.clone())).unwrap()).workload("notes").tokens;
        let (deliveries, mut subscribers) = (Deliveries::default(), Vec::new());
        for (number, name) in NAMES.into_iter().enumerate() {
            let react = react.clone();
            subscribers.push(deliveries.subscriber(name, move |event| react(number, event)).await);
        }
        Self { table: client.table(&NOTES), deliveries, clock, tokens, subscribers }
    }

    /// Returns an outbox that notifies the first subscriber before the other two, which it notifies concurrently.
    pub(crate) fn outbox(&self) -> Outbox {
        self.outbox_of(Notes { topic: Topic::Event, keeps: true })
    }

    /// Returns an outbox for these events, which notifies the subscribers in the same order.
    pub(crate) fn outbox_of(&self, events: Notes) -> Outbox {
        let mut named = NAMES.into_iter().zip(&self.subscribers).map(|(name, subscriber)| outbox::Subscriber {
            name,
            upstream: Upstream::new(&subscriber.url(), self.tokens.clone(), kit::entropy::seeded()).unwrap(),
        });
        let first = named.by_ref().take(1).collect();
        Outbox::in_stages(self.table.clone(), vec![first, named.collect()], events)
    }

    /// Writes an item with its event, without delivering it.
    pub(crate) async fn write(&self, name: &str) -> Event {
        self.write_of(Topic::Event, name).await
    }

    /// Writes an item with its event of this topic, without delivering it.
    pub(crate) async fn write_of(&self, topic: Topic, name: &str) -> Event {
        self.clock.advance(Duration::from_nanos(1_000_001));
        let mark = Mark::of_topic(topic, &self.clock, &SystemEntropy);
        let note = Note { subject: name, mark };
        let _ = self.table.put(&key(name), &note).run().await.unwrap();
        mark.event(ended(name))
    }

    /// Puts the mark of an event back, as if it had not been removed yet.
    pub(crate) async fn write_again(&self, name: &str, event: &Event) {
        let (id, time) = (&event.id, self.clock.now());
        let marked = self.table.update(&key(name)).set("pending", "EVENT").set("event_id", id);
        let _ = marked.set("event_time", time).remove("taken").run().await.unwrap();
    }

    pub(crate) async fn deliver(&self, outbox: &Outbox, name: &str, event: Event) -> Result<()> {
        outbox.deliver(&Context::background(Duration::from_secs(20)), &key(name), event).await
    }

    pub(crate) fn was_notified(&self, name: &str) -> bool {
        self.deliveries.all().iter().any(|it| it.to == name)
    }

    pub(crate) async fn find(&self, name: &str) -> Option<Item> {
        self.table.get_item(&key(name), Read::Consistent).await.unwrap()
    }

    pub(crate) async fn item(&self, name: &str) -> Item {
        self.find(name).await.expect("the item is there")
    }

    pub(crate) async fn is_pending(&self, name: &str) -> bool {
        Mark::of(&self.item(name).await).unwrap().is_some()
    }

    /// Asserts that the mark is gone with its attributes, and that the owner's change is stored.
    pub(crate) async fn assert_finished(&self, name: &str) {
        let item = format!("{:?}", self.item(name).await);
        assert!(!item.contains("pending") && !item.contains("event_"), "{item}");
        assert!(item.contains("taken"), "{item}");
        let shown = self.table.query_index(&NOTES.indexes[0], "EVENT").page().await.unwrap();
        assert!(shown.items.iter().all(|item| item.text("sk") != Some(name)), "the index shows it no more");
    }
}
