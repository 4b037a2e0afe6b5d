//! Tells search of changed notes.
//!
//! search has up to two documents of a session: of the notes that only the therapist reads, which are the private ones
//! and, while no client has the session, the shared ones; and of the shared notes that a client reads. A write that
//! changes one of them puts an item with a mark for it in the same transaction. The outbox deletes the item when search
//! has acknowledged the event.

use std::collections::BTreeSet;
use std::sync::Arc;

use chassis::Platform;
use dynamo::seal::Sealed;
use dynamo::{Action, Item, Key, Table};
use kernel::{ClientId, Clock, Entropy, Result, SessionId, TherapistId, Timestamp};
use outbox::{Courier, Mark, Topic};
use proto::events::v1::event::Kind;
use proto::events::v1::{Event, NotesChanged};
use serde::{Deserialize, Serialize};

use crate::key::text_key;
use crate::stored::Stored;

/// Makes the items of changed notes, and has their events delivered.
pub(crate) struct TextMarks {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    courier: Courier,
}

/// Item of notes that search must read again.
///
/// It has no `starts`, so that it is in none of the indexes of sessions.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangedNotes {
    session_id: SessionId,
    therapist_id: TherapistId,
    /// Client who reads them; none for those that only the therapist reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<ClientId>,
    #[serde(flatten)]
    mark: Mark,
}

impl TextMarks {
    pub(crate) fn new(courier: Courier, platform: &Platform) -> Self {
        Self { clock: Arc::clone(&platform.clock), entropy: Arc::clone(&platform.entropy), courier }
    }

    /// Returns the items that a write must put: it creates the session if there is no old one, and deletes it if there
    /// is no new one.
    pub(crate) fn of(&self, old: Option<&Stored>, new: Option<&Stored>) -> Vec<ChangedNotes> {
        let Some(session) = old.or(new).map(Stored::session) else { return Vec::new() };
        let item = |client_id| ChangedNotes {
            session_id: session.id,
            therapist_id: session.therapist,
            client_id,
            mark: Mark::of_topic(Topic::Text, &*self.clock, &*self.entropy),
        };
        changed(old, new).into_iter().map(item).collect()
    }

    /// Delivers the events of stored items soon, without waiting for it.
    pub(crate) fn deliver(&self, stored: Vec<ChangedNotes>) {
        for changed in stored {
            self.courier.deliver(changed.key(), changed.event());
        }
    }
}

impl ChangedNotes {
    fn key(&self) -> Key {
        text_key(self.session_id, self.client_id)
    }

    /// Returns the put of the item. It replaces one whose event is still pending, as both say the same.
    pub(crate) fn put(&self, table: &Table) -> Action {
        table.put(&self.key(), self).into()
    }

    fn event(&self) -> Event {
        let Self { session_id, therapist_id, client_id, mark } = self;
        mark.event(Kind::NotesChanged(NotesChanged {
            session_id: session_id.to_string(),
            therapist_id: therapist_id.to_string(),
            client_id: client_id.map(|client| client.to_string()).unwrap_or_default(),
        }))
    }
}

/// Returns the clients whose documents a write changes; `None` stands for the therapist's document.
fn changed(old: Option<&Stored>, new: Option<&Stored>) -> BTreeSet<Option<ClientId>> {
    let therapists = old.and_then(of_therapist) != new.and_then(of_therapist);
    let (before, after) = (old.and_then(of_client), new.and_then(of_client));
    let clients = [before, after].into_iter().flatten().filter(|_| before != after);
    clients.map(|(client, ..)| Some(client)).chain(therapists.then_some(None)).collect()
}

/// Start and client of a session, and its sealed notes that only the therapist reads: the private ones, and the shared
/// ones that have no reader yet. Sealed notes are equal if they are unchanged, because a write clones what it keeps.
type TherapistNotes<'a> = (Timestamp, Option<ClientId>, Option<&'a Sealed>, Option<&'a Sealed>);

/// Returns the notes that only the therapist reads, if there are any.
fn of_therapist(stored: &Stored) -> Option<TherapistNotes<'_>> {
    let (notes, client) = (stored.sealed_notes(), stored.session().state.client());
    let drafts = notes.shared.as_ref().filter(|_| client.is_none());
    let has_any = notes.private.is_some() || drafts.is_some();
    has_any.then(|| (stored.session().slot.start(), client, notes.private.as_ref(), drafts))
}

/// Returns the client who reads the shared notes, the start of the session, and the notes, if there are any.
fn of_client(stored: &Stored) -> Option<(ClientId, Timestamp, &Sealed)> {
    let client = stored.session().state.client()?;
    Some((client, stored.session().slot.start(), stored.sealed_notes().shared.as_ref()?))
}

/// Outbox events of changed notes.
#[derive(Debug)]
pub(crate) struct Texts;

impl outbox::Events for Texts {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        item.parse().map(|changed: ChangedNotes| Some(changed.event()))
    }

    fn topic(&self) -> Topic {
        Topic::Text
    }

    fn keeps(&self, _: &Key) -> bool {
        false
    }
}
