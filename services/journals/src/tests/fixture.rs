//! The service over a separate table, with fakes of vault, mapping and search that a test controls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::Issuer;
use chassis::{Context, Platform};
use dynamo::secret::{Secret, Secrets};
use dynamo::{Item, Key, Read, Table};
use kernel::{ClientId, Expected, FreeText, Person, SystemClock};
use kit::engine::Engine;
use kit::peers::Peers;
use kit::subscriber::{Deliveries, Reaction, Subscriber};
use outbox::Outbox;
use proto::events::v1::Event;
use proto::events::v1::event::Kind;

use super::{NOW, Write};
use crate::model::{Change, Content, Draft, Entry, FeltAt, Intensity, Visibility};
use crate::service::Journals;
use crate::{Deps, JOURNALS, ops, outbox};

pub(super) struct Fixture {
    pub(super) journals: Journals,
    pub(super) outbox: Outbox,
    pub(super) dynamodb: dynamo::Client,
    pub(super) table: Table,
    pub(super) peers: Peers,
    deliveries: Deliveries,
    reaction: Arc<Mutex<Reaction>>,
    _search: Subscriber,
}

impl Fixture {
    pub(super) async fn new(engine: Engine) -> Self {
        let dynamodb = engine.client().await;
        dynamodb.create_or_verify(&[&JOURNALS]).await.unwrap();
        let tokens = Arc::new(Issuer::generate(Arc::new(SystemClock)).unwrap()).workload("journals").tokens;
        let upstream = |url: &str| Upstream::new(url, tokens.clone(), kit::entropy::seeded()).unwrap();
        let peers = Peers::start().await;
        let (deliveries, reaction) = (Deliveries::default(), Arc::new(Mutex::new(Reaction::Take)));
        let react = Arc::clone(&reaction);
        let search = deliveries.subscriber("search", move |_| *react.lock().unwrap()).await;
        let deps = Deps {
            dynamodb: dynamodb.clone(),
            secrets: Secrets::new(Secret::new([7; 32]), vec![]),
            vault: upstream(&peers.url()),
            keyring: keyring::Config { data_key_life: Duration::from_secs(30) },
            mapping: upstream(&peers.url()),
            audit: upstream("http://127.0.0.1:9"),
            search: upstream(&search.url()),
            events: outbox::Config { recovery_interval: Duration::from_secs(10) },
            platform: Platform::system(),
        };
        let outbox = outbox(&deps);
        let journals = Journals(Arc::new(ops(deps, outbox.clone()).unwrap()));
        let table = dynamodb.table(&JOURNALS);
        Self { journals, outbox, dynamodb, table, peers, deliveries, reaction, _search: search }
    }

    /// Sets the reaction of search to events.
    pub(super) fn search(&self, reaction: Reaction) {
        *self.reaction.lock().unwrap() = reaction;
    }

    /// Returns the events that were delivered to search, taken or not.
    pub(super) fn delivered(&self) -> Vec<Event> {
        self.deliveries.all().into_iter().map(|delivery| delivery.event).collect()
    }

    /// Returns the client's id and the entry's id of each event that search has taken.
    pub(super) fn taken(&self) -> Vec<(String, String)> {
        let named = |event: Event| match event.kind {
            Some(Kind::EntryChanged(changed)) => (changed.client_id, changed.entry_id),
            other => panic!("an event of another kind: {other:?}"),
        };
        self.deliveries.taken_by("search").into_iter().map(named).collect()
    }

    pub(super) async fn add(&self, permit: Write, millisecond: i64, visibility: Visibility) -> Entry {
        let content = Content {
            emotion: "calm".parse().unwrap(),
            intensity: Intensity::try_from(3).unwrap(),
            note: note("by the sea"),
            visibility,
        };
        let felt_at = FeltAt::new(millisecond, kernel::Timestamp::from_millisecond(NOW).unwrap()).unwrap();
        self.journals.0.create(&context(None), permit, Draft { felt_at, content }, None).await.unwrap()
    }

    pub(super) async fn correct(&self, permit: Write, entry: &Entry, change: Change) -> Entry {
        self.journals.0.update(&context(None), permit, entry.id, change, &Expected::Anything).await.unwrap()
    }

    /// Returns the item of this entry, or of its removal.
    pub(super) async fn item(&self, key: &Key) -> Option<Item> {
        self.table.get_item(key, Read::Consistent).await.unwrap()
    }

    /// Returns the number of items under the client's id.
    pub(super) async fn items(&self, client: ClientId) -> usize {
        let query = self.table.query(format!("CLIENT#{client}")).consistent();
        query.page().await.unwrap().items.len()
    }
}

pub(super) fn note(text: &str) -> FreeText {
    text.to_owned().try_into().unwrap()
}

/// Returns the context of a call of a service, on behalf of a person if there is one.
pub(super) fn context(person: Option<Person>) -> Context {
    let mut context = Context::background(Duration::from_secs(60));
    context.caller.person = person;
    context
}
