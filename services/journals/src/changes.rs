//! Tells search of entries that were added, corrected or removed.

use chassis::Platform;
use dynamo::{Item, Key};
use kernel::{ClientId, Result};
use outbox::{Courier, Events, Mark, Topic};
use proto::events::v1::event::Kind;
use proto::events::v1::{EntryChanged, Event};

use crate::model::EntryId;
use crate::policy::Write;
use crate::store::{is_removed, key_of, named, removed_key_of};

/// Outbox events of entries. An event names the entry and holds none of its text.
pub(crate) struct EntryEvents;

/// Delivers the changes of entries in the background: the writer doesn't wait.
pub(crate) struct Changes {
    pub(crate) courier: Courier,
    pub(crate) platform: Platform,
}

impl Events for EntryEvents {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        let Some(mark) = Mark::of(&item)? else { return Ok(None) };
        let (client, id) = named(&item)?;
        Ok(Some(event(mark, client, id)))
    }

    fn topic(&self) -> Topic {
        Topic::Text
    }

    /// An entry stays; the item of a removal has served its purpose.
    fn keeps(&self, key: &Key) -> bool {
        !is_removed(key)
    }
}

impl Changes {
    /// Returns the mark of a change that happens now.
    pub(crate) fn mark(&self) -> Mark {
        Mark::of_topic(Topic::Text, &*self.platform.clock, &*self.platform.entropy)
    }

    /// Tells of an entry that was added or corrected with this mark.
    pub(crate) fn written(&self, permit: Write, id: EntryId, mark: Mark) {
        self.courier.deliver(key_of(permit.client(), id), event(mark, permit.client(), id));
    }

    /// Tells of an entry that was removed with this mark.
    pub(crate) fn removed(&self, permit: Write, id: EntryId, mark: Mark) {
        self.courier.deliver(removed_key_of(permit.client(), id), event(mark, permit.client(), id));
    }
}

fn event(mark: Mark, client: ClientId, id: EntryId) -> Event {
    mark.event(Kind::EntryChanged(EntryChanged { client_id: client.to_string(), entry_id: id.to_string() }))
}
