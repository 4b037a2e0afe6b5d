use kernel::Kind;
use kit::engine::Engine;

use super::{World, context, draft, expected, noted, reason, slot};
use crate::model::{Change, OwnSession, Status};
use crate::policy::{ClientPermit, Own};

kit::on_each_engine!(
    notes_are_sealed_for_their_reader,
    freed_slot_hides_notes_from_next_client,
    notes_change_alone_and_empty_notes_are_removed,
    destroyed_key_empties_notes_and_blocks_writes,
);

const SHARED: &str = "canary-shared";
const PRIVATE: &str = "canary-private";

fn texts(own: &OwnSession) -> (&str, &str) {
    (own.shared_notes.as_str(), own.private_notes.as_str())
}

async fn prepared(world: &World, permit: Own, start: i64, client: Option<ClientPermit>) -> OwnSession {
    let draft = draft(slot(start, 30), client, SHARED, PRIVATE);
    world.ops.create(&context(), permit, draft, None).await.unwrap()
}

/// Returns the shared notes that the client reads.
async fn read(world: &World, client: ClientPermit, session: &OwnSession) -> Result<String, kernel::Error> {
    let seen = world.ops.seen(&context(), client, session.session.id).await;
    seen.map(|seen| seen.shared_notes.as_str().to_owned())
}

async fn notes_are_sealed_for_their_reader(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client, stranger) = (world.therapist(), world.client(), world.client());
    let session = prepared(&world, permit, 1440, None).await;
    assert_eq!(texts(&session), (SHARED, PRIVATE));
    for anyone in [client, stranger] {
        assert_eq!(read(&world, anyone, &session).await.unwrap(), "", "an available session shows no notes");
    }
    world.book(&session, client).await;
    assert_eq!(read(&world, client, &session).await.unwrap(), SHARED);
    assert_eq!(read(&world, stranger, &session).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(texts(&world.read(permit, &session).await.unwrap()), (SHARED, PRIVATE));
    let unasked = prepared(&world, permit, 1500, Some(client)).await;
    assert_eq!(read(&world, client, &unasked).await.unwrap(), SHARED);
    let other = world.therapist();
    assert_eq!(world.read(other, &session).await.unwrap_err().kind(), Kind::NotFound);
    let key = crate::key::session_key(session.session.id);
    let stored: Notes = world.table.get(&key, dynamo::Read::Consistent).await.unwrap().unwrap();
    for (sealed, plain) in [(&stored.shared_notes, SHARED), (&stored.private_notes, PRIVATE)] {
        assert!(sealed.len() > plain.len() && !sealed.windows(6).any(|window| window == b"canary"), "sealed");
    }
    // Sealed notes open only in their own attribute.
    let swapped = world.table.update(&key).set("shared_notes", Bytes(stored.private_notes));
    let _ = swapped.run().await.unwrap();
    assert_eq!(read(&world, client, &session).await.unwrap_err().kind(), Kind::Internal);
    assert_eq!(world.read(permit, &session).await.unwrap_err().kind(), Kind::Internal);

    #[derive(serde::Deserialize)]
    struct Notes {
        #[serde(with = "serde_bytes")]
        shared_notes: Vec<u8>,
        #[serde(with = "serde_bytes")]
        private_notes: Vec<u8>,
    }

    #[derive(serde::Serialize)]
    struct Bytes(#[serde(with = "serde_bytes")] Vec<u8>);
}

async fn freed_slot_hides_notes_from_next_client(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, before, next) = (world.therapist(), world.client(), world.client());
    for (number, by_release) in [(0, true), (1, false)] {
        let session = prepared(&world, permit, 1440 + number * 60, Some(before)).await;
        if by_release {
            world.release(&session, session.session.state.appointment().unwrap()).await;
        } else {
            // Sends the notes back, as a client program does that changes the status of a session it has read.
            let sent = noted(Some(SHARED), Some(PRIVATE));
            let change = Change { status: Some(Status::Available), ..sent };
            world.update(permit, session.session.id, change).await.unwrap();
        }
        let freed = world.read(permit, &session).await.unwrap();
        assert_eq!((texts(&freed), freed.session.state.client()), (("", PRIVATE), None));
        world.book(&freed, next).await;
        assert_eq!(read(&world, next, &session).await.unwrap(), "");
        assert_eq!(read(&world, before, &session).await.unwrap_err().kind(), Kind::NotFound);
    }
    let rewritten = prepared(&world, permit, 1560, Some(before)).await;
    let change = Change { status: Some(Status::Available), ..noted(Some("for the next"), None) };
    let freed = world.update(permit, rewritten.session.id, change).await.unwrap();
    assert_eq!(texts(&freed), ("for the next", PRIVATE), "what is new comes with the change");
    world.book(&freed, next).await;
    assert_eq!(read(&world, next, &rewritten).await.unwrap(), "for the next");

    let cancelled = prepared(&world, permit, 1600, Some(before)).await;
    world.set(permit, cancelled.session.id, Status::Cancelled).await.unwrap();
    assert_eq!(read(&world, before, &cancelled).await.unwrap(), SHARED, "whose session was cancelled still sees it");
    world.set(permit, cancelled.session.id, Status::Available).await.unwrap();
    assert_eq!(read(&world, before, &cancelled).await.unwrap(), "", "as anybody does");
}

async fn notes_change_alone_and_empty_notes_are_removed(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = prepared(&world, permit, 1440, Some(client)).await;
    let id = session.session.id;
    let changed = world.update(permit, id, noted(Some("new"), None)).await.unwrap();
    assert_eq!((texts(&changed), changed.session.state), (("new", PRIVATE), session.session.state));
    assert_eq!(read(&world, client, &session).await.unwrap(), "new");
    let changed = world.update(permit, id, noted(None, Some(""))).await.unwrap();
    assert_eq!(texts(&changed), ("new", ""));
    let stale = Change { expected: expected(session.session.version), ..noted(Some("late"), None) };
    assert_eq!(reason(&world.update(permit, id, stale).await), "STALE_ETAG");
    let present = Change { expected: expected(changed.session.version), ..noted(Some("in time"), None) };
    assert_eq!(texts(&world.update(permit, id, present).await.unwrap()), ("in time", ""));
    let other = world.therapist();
    assert_eq!(world.update(other, id, noted(Some("x"), None)).await.unwrap_err().kind(), Kind::NotFound);
}

async fn destroyed_key_empties_notes_and_blocks_writes(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = prepared(&world, permit, 1440, Some(client)).await;
    let destroy = |person: kernel::UserId| {
        world.peers.end(person);
        world.ops.keyring.forget(person);
    };
    destroy(client.client().into());
    assert_eq!(texts(&world.read(permit, &session).await.unwrap()), ("", PRIVATE));
    assert_eq!(texts(&world.all(permit).await[0]), ("", PRIVATE));
    assert_eq!(read(&world, client, &session).await.unwrap(), "");
    destroy(permit.therapist().into());
    assert_eq!(texts(&world.read(permit, &session).await.unwrap()), ("", ""));
    let refused = world.add(permit, slot(3000, 30), None).await;
    assert_eq!(reason(&refused), "ACCOUNT_ENDED", "also without notes");
    assert_eq!(reason(&world.update(permit, session.session.id, noted(None, Some("x"))).await), "ACCOUNT_ENDED");
}
