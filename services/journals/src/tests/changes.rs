//! Tests of telling search of changed entries.

use std::sync::Arc;
use std::time::Duration;

use dynamo::seal::SealingKey;
use dynamo::{Condition, Key, Update};
use kernel::{ClientId, Entropy, Error, Expected, Role, Version};
use kit::engine::Engine;
use kit::subscriber::{Reaction, account_ended};
use kit::wait::until;
use outbox::{Events as _, Topic};
use proto::events::v1::EntryChanged;
use proto::events::v1::event::Kind;
use subscriber::AccountDeletionPermit;

use super::fixture::{Fixture, context, note};
use super::{NOW, World, write};
use crate::JOURNALS;
use crate::changes::EntryEvents;
use crate::insights::{Bucket, Plan};
use crate::model::{Change, Entry, EntryId, Range, Visibility};
use crate::store::{Added, Store, cursor};

kit::on_each_engine!(
    written_entry_is_told_to_search_and_loses_its_mark,
    removed_entry_leaves_marked_item_until_search_has_taken_it,
    removal_of_missing_entry_writes_nothing,
    stale_removal_is_rejected,
    untaken_changes_of_an_entry_are_redelivered_as_one,
    hanging_search_delays_no_writer,
    marks_of_removals_are_in_no_list,
    account_deletion_erases_marks_of_removals,
    write_whose_answer_got_lost_is_recognized_without_its_mark,
);

fn key_of(client: ClientId, id: EntryId) -> Key {
    Key::new(format!("CLIENT#{client}"), format!("ENTRY#{id}"))
}

fn removed_key_of(client: ClientId, id: EntryId) -> Key {
    Key::new(format!("CLIENT#{client}"), format!("REMOVED#{id}"))
}

/// Returns the event that is pending in the item with this key.
async fn pending(fixture: &Fixture, key: &Key) -> Option<proto::events::v1::Event> {
    EntryEvents.pending(fixture.item(key).await?).unwrap()
}

async fn is_taken(fixture: &Fixture, times: usize) {
    until("search has taken the events", async || fixture.taken().len() == times).await;
}

/// Runs the recovery until a condition holds.
async fn recover_until(fixture: &Fixture, what: &str, so: impl AsyncFn() -> bool) {
    let recovery = fixture.outbox.clone().recover(Duration::from_millis(20));
    tokio::select! {
        () = recovery => panic!("recovery ended"),
        () = until(what, so) => {}
    }
}

async fn written_entry_is_told_to_search_and_loses_its_mark(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let permit = write(1);
    let entry = fixture.add(permit, NOW, Visibility::Private).await;
    let key = key_of(permit.client(), entry.id);
    let unmarked = async || pending(&fixture, &key).await.is_none();
    is_taken(&fixture, 1).await;
    until("the mark is gone", unmarked).await;
    let corrected = fixture.correct(permit, &entry, Change { note: Some(note("more")), ..Change::default() }).await;
    is_taken(&fixture, 2).await;
    until("the mark is gone", unmarked).await;
    let named = (permit.client().to_string(), entry.id.to_string());
    assert_eq!(fixture.taken(), [named.clone(), named]);
    let events = fixture.delivered();
    assert_ne!(events[0].id, events[1].id, "each change is an event of its own");
    let world = World::over(&fixture.dynamodb);
    let key = fixture.journals.0.key(&context(None), permit.client()).await.unwrap().unwrap();
    let stored = world.pages.store.entry(&permit.read(), &key, entry.id).await.unwrap();
    assert_eq!(stored, Some(corrected), "the mark is all that the outbox removes");
}

async fn removed_entry_leaves_marked_item_until_search_has_taken_it(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let permit = write(1);
    let entry = fixture.add(permit, NOW, Visibility::Shared).await;
    is_taken(&fixture, 1).await;
    fixture.search(Reaction::Fail);
    fixture.journals.0.delete(permit, entry.id, &Expected::Anything).await.unwrap();
    until("the removal is delivered", async || fixture.delivered().len() == 2).await;
    let (home, removed) = (key_of(permit.client(), entry.id), removed_key_of(permit.client(), entry.id));
    assert!(fixture.item(&home).await.is_none());
    let event = pending(&fixture, &removed).await.unwrap();
    let changed = EntryChanged { client_id: permit.client().to_string(), entry_id: entry.id.to_string() };
    assert_eq!(event.kind, Some(Kind::EntryChanged(changed)));
    assert_eq!(fixture.delivered()[1], event);

    fixture.search(Reaction::Take);
    recover_until(&fixture, "the item is deleted", async || fixture.item(&removed).await.is_none()).await;
    assert_eq!(fixture.delivered().pop(), Some(event), "an event is the same each time");
    assert_eq!(fixture.items(permit.client()).await, 0);
}

async fn removal_of_missing_entry_writes_nothing(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let permit = write(1);
    let entry = World::entry(NOW, "calm", 3, Visibility::Shared);
    let refused = fixture.journals.0.delete(permit, entry.id, &Expected::Anything).await.unwrap_err();
    assert_eq!(refused.message(), crate::error::no_entry().message());
    assert_eq!(fixture.items(permit.client()).await, 0);
    assert_eq!(fixture.delivered(), []);
}

async fn stale_removal_is_rejected(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let permit = write(1);
    let entry = fixture.add(permit, NOW, Visibility::Shared).await;
    let remove = async |etags: &[&[u8]]| {
        let expected = Expected::OneOf(etags.iter().map(|etag| etag.to_vec()).collect());
        fixture.journals.0.delete(permit, entry.id, &expected).await.as_ref().map_err(Error::reason).copied()
    };
    assert_eq!(remove(&[b"2"]).await, Err("STALE_ETAG"));
    let corrected = fixture.correct(permit, &entry, Change { note: Some(note("more")), ..Change::default() }).await;
    for stale in [&[b"1" as &[u8]] as &[&[u8]], &[b"1", b"3"], &[b"02"], &[]] {
        assert_eq!(remove(stale).await, Err("STALE_ETAG"));
    }
    let world = World::over(&fixture.dynamodb);
    // Another correction between the check and the write.
    let mark = World::mark();
    assert!(!world.pages.store.remove(permit, entry.id, Some(entry.version), mark).await.unwrap());
    assert_eq!(corrected.version, Version::FIRST.next());
    assert_eq!(remove(&[b"1", b"2"]).await, Ok(()));
    assert_eq!(remove(&[b"2"]).await, Err("NOT_FOUND"));
}

/// A later change replaces the mark of an earlier one: search asks for the text as it is now.
async fn untaken_changes_of_an_entry_are_redelivered_as_one(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let permit = write(1);
    fixture.search(Reaction::Fail);
    let entry = fixture.add(permit, NOW, Visibility::Shared).await;
    let key = key_of(permit.client(), entry.id);
    let first = pending(&fixture, &key).await.unwrap();
    fixture.correct(permit, &entry, Change { visibility: Some(Visibility::Private), ..Change::default() }).await;
    let second = pending(&fixture, &key).await.unwrap();
    assert_ne!(first.id, second.id);
    until("both are delivered", async || fixture.delivered().len() == 2).await;
    fixture.search(Reaction::Take);
    recover_until(&fixture, "the mark is gone", async || pending(&fixture, &key).await.is_none()).await;
    assert_eq!(fixture.taken().len(), 1);
    assert_eq!(fixture.delivered().pop(), Some(second));
}

async fn hanging_search_delays_no_writer(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    fixture.search(Reaction::Hang);
    let permit = write(1);
    for number in 0..10 {
        let entry = fixture.add(permit, NOW - number, Visibility::Shared).await;
        fixture.journals.0.delete(permit, entry.id, &Expected::Anything).await.unwrap();
    }
    // A few deliveries hang, and the others wait for them.
    assert!(fixture.delivered().len() < 20);
}

async fn marks_of_removals_are_in_no_list(engine: Engine) {
    let world = World::new(engine).await;
    let mut entries = Vec::new();
    for number in 0..6 {
        entries.push(world.add(NOW - number, "calm", 3, Visibility::Shared).await);
    }
    for entry in entries.iter().step_by(2) {
        assert!(world.pages.store.remove(world.permit, entry.id, None, World::mark()).await.unwrap());
    }
    entries = entries.into_iter().skip(1).step_by(2).collect();
    for permit in [world.permit.read(), world.granted("g", i64::MIN)] {
        for filter in [("", 0), ("calm", 0)] {
            assert_eq!(world.all(&permit, Range::ALL, filter, 2).await.concat(), entries, "{filter:?}");
        }
        let plan = Plan::new(jiff::tz::TimeZone::UTC, Bucket::Day, Range { from: NOW - 9, to: NOW + 9 }).unwrap();
        let (_, count) = crate::reads::sum(&world.pages.store, &permit, &world.key, plan, 10).await.unwrap();
        assert_eq!(count, entries.len());
    }
    // A page ends at a place where an entry was, too.
    let query = world.pages.store.query(&world.permit.read(), Range::ALL).unwrap();
    let after = query.after(cursor(world.client(), entries[1].id));
    let rest = world.pages.store.chunk(&world.permit.read(), &world.key, after, 10).await.unwrap();
    assert_eq!(rest.looked_at.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [entries[2].id]);
}

async fn account_deletion_erases_marks_of_removals(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    fixture.search(Reaction::Fail);
    let (permit, other) = (write(1), write(2));
    for permit in [permit, other] {
        let entry = fixture.add(permit, NOW, Visibility::Shared).await;
        fixture.add(permit, NOW, Visibility::Shared).await;
        fixture.journals.0.delete(permit, entry.id, &Expected::Anything).await.unwrap();
        assert_eq!(fixture.items(permit.client()).await, 2);
    }
    let event = account_ended(Role::Client, permit.client().into());
    let deletion = AccountDeletionPermit::from_proto(&event, None).unwrap();
    fixture.journals.0.pages.store.erase(deletion).await.unwrap();
    assert_eq!((fixture.items(permit.client()).await, fixture.items(other.client()).await), (0, 2));
    // The outbox finds nothing left of the account, and brings nothing back.
    fixture.search(Reaction::Take);
    let settled = async || {
        let left = fixture.table.query_index(&JOURNALS.indexes[0], "TEXT").page().await.unwrap();
        left.items.is_empty()
    };
    recover_until(&fixture, "no mark is left", settled).await;
    assert_eq!((fixture.items(permit.client()).await, fixture.items(other.client()).await), (0, 1));
}

/// The same random bytes each time, so that a repeated write seals the same.
struct Repeated;

impl Entropy for Repeated {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

async fn write_whose_answer_got_lost_is_recognized_without_its_mark(engine: Engine) {
    let world = World::new(engine).await;
    let store = Store::new(world.table.clone(), Arc::new(Repeated));
    let entry = World::entry(NOW, "calm", 3, Visibility::Shared);
    let new = entry.clone().changed(Change { note: Some(note("more")), ..Change::default() }, entry.updated_at);
    let key = key_of(world.client(), entry.id);
    let acknowledge = async || {
        let update = world.table.update(&key).remove("pending").remove("event_id").remove("event_time");
        assert!(matches!(update.when(Condition::exists()).run().await.unwrap(), Update::Done(_)));
    };
    let add = async |entry: &Entry| store.add(world.permit, &world.key, entry, World::mark(), None).await;
    for _ in 0..2 {
        assert!(matches!(add(&entry).await.unwrap(), Added::Done));
        acknowledge().await;
    }
    assert!(add(&new).await.is_err(), "another content under the same id");
    let replace = async |key: &SealingKey, old: Version| {
        store.replace(world.permit, key, old, &new, World::mark()).await.unwrap()
    };
    for _ in 0..2 {
        assert!(replace(&world.key, Version::FIRST).await);
        acknowledge().await;
    }
    let another = SealingKey::new(&[3; 32]).unwrap();
    assert!(!replace(&another, Version::FIRST).await, "the entry has another content meanwhile");
}

#[test]
fn only_items_of_removals_are_deleted_with_their_event() {
    let (client, id) = (write(1).client(), EntryId::last(5));
    assert!(EntryEvents.keeps(&key_of(client, id)));
    assert!(!EntryEvents.keeps(&removed_key_of(client, id)));
    assert_eq!(EntryEvents.topic(), Topic::Text);
}
