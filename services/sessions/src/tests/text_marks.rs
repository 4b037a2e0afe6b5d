//! Tests of the items by which writes tell search of changed notes.

use std::collections::BTreeSet;
use std::time::Duration;

use dynamo::{Key, Read, Sort};
use kernel::{Role, SessionId};
use kit::engine::Engine;
use kit::subscriber::Reaction;
use kit::wait::until;
use outbox::Events as _;
use proto::events::v1::event::Kind;
use proto::events::v1::{Event, NotesChanged};

use super::{World, at, context, deleted, draft, noted, slot};
use crate::key::text_key;
use crate::model::{Change, OwnSession, Status};
use crate::policy::{ClientPermit, Own, SlotPermit};
use crate::text_marks::Texts;

kit::on_each_engine!(
    write_marks_documents_that_it_changes,
    mark_is_event_and_is_in_no_list,
    acknowledgement_deletes_its_own_mark_alone,
    write_delivers_its_marks,
    each_outbox_recovers_its_own_topic,
);

/// A write of a session.
#[derive(Debug, Clone, Copy)]
enum Write {
    /// Replaces the shared and the private notes, if there are new ones.
    Notes(Option<&'static str>, Option<&'static str>),
    Start,
    End,
    Book,
    Release,
    Cancel,
    Reopen,
    /// Makes it available with these shared notes.
    ReopenWith(&'static str),
    Delete,
    Begin,
    EndClient,
    EndTherapist,
}

/// Row of the table below: shared and private notes of a session, whether it is for a client, and the marked documents
/// after its creation and each of these writes.
type Row = ((&'static str, &'static str), bool, &'static str, &'static [(Write, &'static str)]);

/// Session of a row.
struct Case<'a> {
    world: &'a World,
    therapist: Own,
    client: ClientPermit,
    session: OwnSession,
    /// Minute at which the session starts.
    minute: i64,
}

impl Case<'_> {
    async fn run(&mut self, write: Write) {
        let (id, world) = (self.session.session.id, self.world);
        let change = match write {
            Write::Notes(shared, private) => noted(shared, private),
            Write::Start => {
                self.minute += 60;
                at(slot(self.minute, 30))
            }
            Write::End => at(slot(self.minute, 45)),
            Write::Cancel => Change { status: Some(Status::Cancelled), ..Change::default() },
            Write::Reopen => Change { status: Some(Status::Available), ..Change::default() },
            Write::ReopenWith(shared) => Change { status: Some(Status::Available), ..noted(Some(shared), None) },
            Write::Book => {
                self.session = world.read(self.therapist, &self.session).await.unwrap();
                world.book(&self.session, self.client).await;
                return;
            }
            Write::Release => {
                let now = world.read(self.therapist, &self.session).await.unwrap();
                return world.release(&now, now.session.state.appointment().unwrap()).await;
            }
            Write::Delete => return world.ops.delete(&context(), self.therapist, id).await.unwrap(),
            Write::Begin => return world.clock.advance(Duration::from_secs(7 * 24 * 3600)),
            Write::EndClient => return end(world, Role::Client, self.client.client().into()).await,
            Write::EndTherapist => return end(world, Role::Therapist, self.therapist.therapist().into()).await,
        };
        world.update(self.therapist, id, change).await.unwrap();
    }

    /// Returns the marked documents, T for the therapist's and C for the client's, and deletes the marks.
    async fn marked(&self) -> String {
        let id = self.session.session.id;
        let (therapist, client) = (text_key(id, None), text_key(id, Some(self.client.client())));
        let (mut marked, keys) = (String::new(), marks(self.world, id).await);
        for (name, key) in [("T", &therapist), ("C", &client)].into_iter().filter(|(_, key)| keys.contains(key)) {
            marked.push_str(name);
            let _ = self.world.table.delete(key).run().await.unwrap();
        }
        assert_eq!(marked.len(), keys.len(), "others hear of nothing");
        marked
    }
}

async fn end(world: &World, role: Role, id: kernel::UserId) {
    world.ops.handle_account_deleted(&context(), deleted(role, id)).await.unwrap();
}

/// Returns the keys of the marks of a session.
async fn marks(world: &World, id: SessionId) -> BTreeSet<Key> {
    let items = world.table.query(format!("SESSION#{id}")).sort(Sort::BeginsWith("TEXT#".to_owned())).consistent();
    let keys = items.page().await.unwrap().items.into_iter();
    keys.map(|item| Key::new(item.text("pk").unwrap(), item.text("sk").unwrap())).collect()
}

/// Returns the event of a mark.
async fn event(world: &World, key: &Key) -> Event {
    let item = world.table.get_item(key, Read::Consistent).await.unwrap().unwrap();
    Texts.pending(item).unwrap().unwrap()
}

async fn prepared(world: &World, permit: Own, client: Option<ClientPermit>) -> SessionId {
    let draft = draft(slot(1440, 30), client, "shared", "private");
    world.ops.create(&context(), permit, draft, None).await.unwrap().session.id
}

async fn write_marks_documents_that_it_changes(engine: Engine) {
    use Write::{Begin, Book, Cancel, Delete, End, EndClient, EndTherapist, Notes, Release, Reopen, ReopenWith, Start};
    let world = World::new(engine).await;
    world.search(Reaction::Fail);
    let table: [Row; 14] = [
        (("", ""), false, "", &[(Notes(None, Some("")), ""), (Start, ""), (Book, ""), (Release, ""), (Delete, "")]),
        (("", ""), true, "", &[(Notes(Some("s"), None), "C"), (Notes(None, Some("p")), "T"), (Delete, "TC")]),
        (("", ""), true, "", &[(Cancel, ""), (Start, ""), (Reopen, ""), (Delete, "")]),
        (("", ""), true, "", &[(EndClient, ""), (EndTherapist, "")]),
        (("", "p"), false, "T", &[(Notes(None, Some("q")), "T"), (Start, "T"), (End, ""), (Book, "T"), (Release, "T")]),
        (("", "p"), true, "T", &[(Cancel, ""), (Start, "T"), (Notes(None, Some("")), "T"), (Start, ""), (Delete, "")]),
        (("s", ""), false, "T", &[(Notes(Some("t"), None), "T"), (Start, "T"), (End, ""), (Cancel, ""), (Delete, "T")]),
        (("s", ""), false, "T", &[(Book, "TC"), (Cancel, ""), (Start, "C"), (Notes(Some(""), None), "C"), (Start, "")]),
        (("s", ""), true, "C", &[(Release, "C"), (Notes(Some("t"), None), "T"), (Delete, "T")]),
        (
            ("s", "p"),
            true,
            "TC",
            &[(Notes(Some("t"), Some("q")), "TC"), (End, ""), (ReopenWith("u"), "TC"), (Book, "TC")],
        ),
        (("s", "p"), true, "TC", &[(Cancel, ""), (Reopen, "TC"), (EndTherapist, "T")]),
        (("s", "p"), true, "TC", &[(EndClient, "TC"), (EndClient, "")]),
        (("s", "p"), true, "TC", &[(EndTherapist, "T"), (EndTherapist, ""), (EndClient, "C")]),
        (("s", "p"), true, "TC", &[(Begin, ""), (EndClient, "TC"), (EndTherapist, "T")]),
    ];
    for (number, ((shared, private), is_booked, created, writes)) in table.into_iter().enumerate() {
        let (therapist, client, minute) = (world.therapist(), world.client(), 1440);
        let draft = draft(slot(minute, 30), is_booked.then_some(client), shared, private);
        let session = world.ops.create(&context(), therapist, draft, None).await.unwrap();
        let mut case = Case { world: &world, therapist, client, session, minute };
        assert_eq!(case.marked().await, created, "{number}: created");
        for (step, (write, expected)) in writes.iter().enumerate() {
            case.run(*write).await;
            assert_eq!(case.marked().await, *expected, "{number}, {step}: {write:?}");
        }
    }
}

async fn mark_is_event_and_is_in_no_list(engine: Engine) {
    let world = World::new(engine).await;
    world.search(Reaction::Fail);
    let (permit, client) = (world.therapist(), world.client());
    let id = prepared(&world, permit, Some(client)).await;
    let of = |client_id: String| {
        let (session_id, therapist_id) = (id.to_string(), permit.therapist().to_string());
        Some(Kind::NotesChanged(NotesChanged { session_id, therapist_id, client_id }))
    };
    assert_eq!(event(&world, &text_key(id, None)).await.kind, of(String::new()));
    assert_eq!(event(&world, &text_key(id, Some(client.client()))).await.kind, of(client.client().to_string()));
    assert_eq!(world.all(permit).await.len(), 1);
    let of_client = world.ops.store.of_client(client).page().await.unwrap();
    assert_eq!(of_client.items.len(), 1);
}

async fn acknowledgement_deletes_its_own_mark_alone(engine: Engine) {
    let world = World::new(engine).await;
    let permit = world.therapist();
    world.search(Reaction::Fail);
    let id = prepared(&world, permit, None).await;
    let key = text_key(id, None);
    let first = refused(&world, &key).await;
    world.update(permit, id, noted(None, Some("later"))).await.unwrap();
    let second = refused(&world, &key).await;
    assert_ne!(first.id, second.id);
    acknowledge(&world, &key, &first).await;
    assert_eq!(event(&world, &key).await, second, "a late acknowledgement leaves what came after it");
    for _ in 0..2 {
        acknowledge(&world, &key, &second).await;
        assert!(marks(&world, id).await.is_empty());
    }
    world.ops.delete(&context(), permit, id).await.unwrap();
    let third = refused(&world, &key).await;
    acknowledge(&world, &key, &second).await;
    assert_eq!(event(&world, &key).await, third, "the mark of a deletion stays too");
}

/// Returns the event of a mark, after its first delivery has failed.
async fn refused(world: &World, key: &Key) -> Event {
    let event = event(world, key).await;
    until("search has refused it", async || world.deliveries.all().iter().any(|it| it.event == event)).await;
    event
}

async fn acknowledge(world: &World, key: &Key, event: &Event) {
    world.search(Reaction::Take);
    world.text_outbox.deliver(&context(), key, event.clone()).await.unwrap();
    world.search(Reaction::Fail);
}

async fn write_delivers_its_marks(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let id = prepared(&world, permit, Some(client)).await;
    until("search has both", async || marks(&world, id).await.is_empty()).await;
    let heard: BTreeSet<_> = world.heard().into_iter().map(|notes| notes.client_id).collect();
    assert_eq!(heard, [String::new(), client.client().to_string()].into());
    world.release_of(id).await;
    until("search has both again", async || marks(&world, id).await.is_empty() && world.heard().len() >= 4).await;
    world.ops.delete(&context(), permit, id).await.unwrap();
    until("search has the deletion", async || marks(&world, id).await.is_empty() && world.heard().len() >= 5).await;
    assert!(world.taken().iter().all(|event| !matches!(event.kind, Some(Kind::NotesChanged(_)))));
}

async fn each_outbox_recovers_its_own_topic(engine: Engine) {
    let world = World::new(engine).await;
    world.search(Reaction::Fail);
    world.appointments(Reaction::Fail);
    let (permit, client) = (world.therapist(), world.client());
    let id = prepared(&world, permit, Some(client)).await;
    // The courier has tried: nothing but recovery delivers the marks now.
    for key in [text_key(id, None), text_key(id, Some(client.client()))] {
        refused(&world, &key).await;
    }
    let interval = Duration::from_millis(20);
    world.search(Reaction::Take);
    world.appointments(Reaction::Take);
    let recoveries = futures_util::future::join(
        world.ops.outbox.clone().recover(interval),
        world.text_outbox.clone().recover(interval),
    );
    let is_settled = async || {
        let pending = world.ops.store.slot(SlotPermit::of_appointments(id)).await.unwrap().unwrap().pending();
        pending.is_none() && marks(&world, id).await.is_empty()
    };
    tokio::select! {
        _ = recoveries => panic!("recovery ended"),
        () = until("everything is acknowledged", is_settled) => {}
    }
    assert!(world.taken().iter().all(|event| matches!(event.kind, Some(Kind::SessionBooked(_)))));
    assert_eq!(world.heard().len(), world.deliveries.taken_by("search").len());
    assert!(world.heard().len() >= 2 && !world.taken().is_empty());
}

impl World {
    /// Returns the changes of notes that search has heard of.
    fn heard(&self) -> Vec<NotesChanged> {
        let changed = |event: Event| match event.kind {
            Some(Kind::NotesChanged(changed)) => Some(changed),
            _ => None,
        };
        self.deliveries.taken_by("search").into_iter().filter_map(changed).collect()
    }

    async fn release_of(&self, id: SessionId) {
        let permit = SlotPermit::of_appointments(id);
        let appointment = self.ops.store.slot(permit).await.unwrap().unwrap().session().state.appointment();
        self.ops.release(permit, appointment.unwrap()).await.unwrap();
    }
}
