use dynamo::{Condition, IndexDef, Item, Key, KeyDef, Projection, UpdateRequest};
use kernel::{Clock, Entropy, Error, EventId, Result, Timestamp};
use proto::events::v1::Event;
use proto::events::v1::event::Kind;
use serde::{Deserialize, Serialize};

const PENDING: &str = "pending";
const EVENT_ID: &str = "event_id";
const EVENT_TIME: &str = "event_time";

/// Returns the index of the items with a pending event, for the definition of a table with the key [`KeyDef::PK_SK`].
/// The outbox needs nothing projected: it reads the item itself.
#[must_use]
pub const fn pending(projection: Projection) -> IndexDef {
    IndexDef { name: "pending", key: KeyDef { partition: PENDING, sort: Some("pk") }, projection }
}

/// The index as the outbox reads it.
static INDEX: IndexDef = pending(Projection::KeysOnly);

/// The kind of an event. A table may have an outbox for each, which delivers the events of its own topic alone.
///
/// It is the value of the attribute `pending`, and so the partition of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Topic {
    /// Events on which other services act.
    Event,
    /// Changes of texts, for search.
    Text,
}

/// The attributes of an item with a pending event, to be flattened into the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pending: Topic,
    event_id: EventId,
    event_time: Timestamp,
}

impl Mark {
    /// Creates the mark of an event that happens now.
    #[must_use]
    pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        Self::of_topic(Topic::Event, clock, entropy)
    }

    /// Creates the mark of an event of this topic that happens now.
    #[must_use]
    pub fn of_topic(topic: Topic, clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        Self { pending: topic, event_id: EventId::generate(clock, entropy), event_time: clock.now() }
    }

    /// Returns the mark of an item, if an event is pending in it.
    ///
    /// # Errors
    /// INTERNAL when the mark is incomplete.
    pub fn of(item: &Item) -> Result<Option<Self>> {
        if item.text(PENDING).is_none() { Ok(None) } else { item.clone().parse().map(Some) }
    }

    /// Returns the event of this kind.
    #[must_use]
    pub fn event(self, kind: Kind) -> Event {
        let Self { pending: _, event_id, event_time } = self;
        Event { id: event_id.to_string(), time: Some(convert::time::to_proto(event_time)), kind: Some(kind) }
    }
}

impl Topic {
    /// Returns the name, which is the value of the attribute.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Event => "EVENT",
            Self::Text => "TEXT",
        }
    }
}

/// Returns the query for the keys of the items that have a mark of this topic.
pub(crate) fn find(table: &dynamo::Table, topic: Topic) -> dynamo::Query {
    table.query_index(&INDEX, topic.name())
}

/// Returns the key of an item that the index shows.
pub(crate) fn key_of(item: &Item) -> Result<Key> {
    let part = |name| item.text(name).ok_or_else(|| Error::internal(format!("an index shows an item without {name}")));
    Ok(Key::new(part("pk")?, part("sk")?))
}

/// Removes the mark of this event, on the condition that no other event was written meanwhile.
pub(crate) fn remove(update: UpdateRequest, event: &Event) -> UpdateRequest {
    update.remove(PENDING).remove(EVENT_ID).remove(EVENT_TIME).when(is_of(event))
}

/// Returns the condition that an item has the mark of this event.
pub(crate) fn is_of(event: &Event) -> Condition {
    Condition::eq(EVENT_ID, &event.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_topic_is_its_attribute() {
        for topic in [Topic::Event, Topic::Text] {
            assert_eq!(serde_json::to_value(topic).unwrap(), topic.name());
        }
    }
}
