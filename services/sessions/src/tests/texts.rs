//! Notes for search, by its RPCs and by the commands of operators.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use kernel::{Error, Kind, Party, Role, SessionId, UserId};
use kit::engine::Engine;
use proto::sessions::v1 as pb;

use super::{World, context, draft, noted, person, slot};
use crate::model::{OwnSession, Status};
use crate::operators::NotesReader;
use crate::policy::{ClientPermit, Own};
use crate::service::Sessions;

kit::on_each_engine!(
    notes_text_is_that_of_now,
    person_reads_notes_as_in_the_session,
    operator_reads_all_notes_with_keys_of_readers,
);

async fn noted_session(world: &World, permit: Own, start: i64, client: Option<ClientPermit>) -> OwnSession {
    let draft = draft(slot(start, 30), client, "shared", "private");
    world.ops.create(&context(), permit, draft, None).await.unwrap()
}

/// Returns the client, the version and the private and shared notes of a message.
fn shown(notes: &pb::NotesText) -> (&str, u32, &str, &str) {
    (&notes.client_id, notes.version, &notes.private_notes, &notes.shared_notes)
}

fn service(world: &World) -> Sessions {
    Sessions(Arc::clone(&world.ops))
}

async fn get(world: &World, id: &str) -> Option<pb::NotesText> {
    let request = pb::GetNotesTextRequest { session_id: id.to_owned() };
    service(world).notes_text(&context(), &request).await.unwrap()
}

async fn notes_text_is_that_of_now(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = noted_session(&world, permit, 1440, None).await;
    let id = session.session.id.to_string();
    let expected = pb::NotesText {
        session_id: id.clone(),
        therapist_id: permit.therapist().to_string(),
        client_id: String::new(),
        start: Some(convert::time::to_proto(session.session.slot.start())),
        version: 1,
        private_notes: "private".to_owned(),
        shared_notes: "shared".to_owned(),
    };
    assert_eq!(get(&world, &id).await, Some(expected));
    world.book(&session, client).await;
    let of_client = client.client().to_string();
    assert_eq!(shown(&get(&world, &id).await.unwrap()), (&*of_client, 2, "private", "shared"));
    world.update(permit, session.session.id, noted(Some("ours"), None)).await.unwrap();
    world.set(permit, session.session.id, Status::Cancelled).await.unwrap();
    assert_eq!(shown(&get(&world, &id).await.unwrap()), (&*of_client, 4, "private", "ours"));
    destroy(&world, client.client().into());
    assert_eq!(shown(&get(&world, &id).await.unwrap()), (&*of_client, 4, "private", ""));
    destroy(&world, permit.therapist().into());
    assert_eq!(shown(&get(&world, &id).await.unwrap()), (&*of_client, 4, "", ""));
    for absent in ["", "x", &SessionId::from_bytes([1; 16]).to_string()] {
        assert_eq!(get(&world, absent).await, None, "{absent}");
    }
}

fn destroy(world: &World, id: UserId) {
    world.peers.end(id);
    world.ops.keyring.forget(id);
}

/// Returns the notes that a person may read of these sessions, by session.
async fn readable(
    world: &World,
    role: Role,
    id: impl Into<UserId>,
    session_ids: Vec<String>,
) -> Result<BTreeMap<String, pb::NotesText>, Error> {
    let mut context = context();
    context.caller.person = Some(person(role, id.into()));
    let request = pb::BatchGetReadableNotesRequest { session_ids };
    let notes = service(world).readable_notes(&context, &request).await?;
    Ok(notes.into_iter().map(|notes| (notes.session_id.clone(), notes)).collect())
}

async fn person_reads_notes_as_in_the_session(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, other, client, stranger) = (world.therapist(), world.therapist(), world.client(), world.client());
    let free = noted_session(&world, permit, 1440, None).await;
    let booked = noted_session(&world, permit, 1500, Some(client)).await;
    let cancelled = noted_session(&world, permit, 1560, Some(client)).await;
    world.set(permit, cancelled.session.id, Status::Cancelled).await.unwrap();
    let strangers = noted_session(&world, permit, 1620, Some(stranger)).await;
    let elsewhere = noted_session(&world, other, 1440, Some(client)).await;
    let all = [&free, &booked, &cancelled, &strangers, &elsewhere].map(|it| it.session.id.to_string());
    let [free, booked, cancelled, strangers, elsewhere] = &all;
    let absent = [SessionId::from_bytes([1; 16]).to_string(), "x".to_owned(), booked.clone()];
    let asked: Vec<_> = all.iter().chain(&absent).cloned().collect();
    let [of_client, of_stranger] = [client, stranger].map(|permit| permit.client().to_string());

    let key_calls = world.peers.state().key_calls;
    let own = readable(&world, Role::Therapist, permit.therapist(), asked.clone()).await.unwrap();
    let own: Vec<_> = own.iter().map(|(id, notes)| (id, shown(notes))).collect();
    let mut expected = [
        (free, ("", 1, "private", "shared")),
        (booked, (&*of_client, 1, "private", "shared")),
        (cancelled, (&*of_client, 2, "private", "shared")),
        (strangers, (&*of_stranger, 1, "private", "shared")),
    ];
    expected.sort_unstable();
    assert_eq!(own, expected);
    assert!(world.peers.state().key_calls <= key_calls + 1, "one call for all keys");

    let seen = readable(&world, Role::Client, client.client(), asked.clone()).await.unwrap();
    let seen: Vec<_> = seen.iter().map(|(id, notes)| (id, shown(notes))).collect();
    let mut expected = [
        (booked, (&*of_client, 1, "", "shared")),
        (cancelled, (&*of_client, 2, "", "shared")),
        (elsewhere, (&*of_client, 1, "", "shared")),
    ];
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let nobody = world.client().client();
    assert_eq!(readable(&world, Role::Client, nobody, asked.clone()).await.unwrap(), BTreeMap::new());

    let many = readable(&world, Role::Client, client.client(), vec![booked.clone(); 51]).await;
    assert_eq!(many.unwrap_err().violations()[0].field, "sessionIds");
    let asked = pb::BatchGetReadableNotesRequest { session_ids: asked };
    let anonymous = service(&world).readable_notes(&context(), &asked).await;
    assert_eq!(anonymous.unwrap_err().kind(), Kind::Unauthenticated);
}

async fn operator_reads_all_notes_with_keys_of_readers(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client, ended) = (world.therapist(), world.client(), world.client());
    let people = [client, ended].map(|permit| permit.client().into());
    let readers: HashSet<UserId> = people.into_iter().chain([permit.therapist().into()]).collect();
    let mut expected = BTreeSet::new();
    for (number, client) in (0..).zip([None, Some(client), Some(ended), None, Some(client)]) {
        let session = noted_session(&world, permit, 1440 + number * 60, client).await;
        let shared = if client == Some(ended) { "" } else { "shared" };
        expected.insert((session.session.slot.start(), session.session.id, shared.to_owned()));
    }
    world.add(permit, slot(3000, 30), None).await.unwrap();
    noted_session(&world, world.therapist(), 1440, Some(client)).await;
    kit::wait::until("the index has all", async || world.all(permit).await.len() == 6).await;
    destroy(&world, ended.client().into());

    let reader = NotesReader::new(&world.dynamodb);
    let party = Party::Therapist(permit.therapist());
    let (mut found, mut after, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let page = reader.page(party, after, 2).await.unwrap();
        let keys = world.ops.keys(&context(), readers.clone()).await.unwrap();
        for notes in page.open(keys.0).unwrap() {
            assert_eq!((notes.therapist, notes.version), (permit.therapist(), kernel::Version::FIRST));
            if !notes.private_notes.as_str().is_empty() {
                found.insert((notes.start, notes.session, notes.shared_notes.as_str().to_owned()));
            }
        }
        pages += 1;
        after = page.next().cloned();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    assert!(pages >= 3);
    let shared = reader.page(Party::Client(client.client()), None, 100).await.unwrap();
    let keys = world.ops.keys(&context(), [client.client().into()]).await.unwrap().0;
    let shared = shared.open(keys).unwrap();
    assert_eq!(shared.iter().filter(|notes| notes.shared_notes.as_str() == "shared").count(), 3, "also elsewhere");
    let ids = vec![shared[0].session, SessionId::from_bytes([9; 16])];
    let one = reader.of_sessions(ids).await.unwrap().open(HashMap::new()).unwrap();
    assert_eq!(one.iter().map(|notes| notes.session).collect::<Vec<_>>(), [shared[0].session]);
    let page = reader.page(party, None, 100).await.unwrap();
    let keys = world.ops.keys(&context(), [client.client().into()]).await.unwrap().0;
    let wrong = readers.into_iter().zip(keys.values().cycle().cloned()).collect();
    assert_eq!(page.open(wrong).unwrap_err().kind(), Kind::Internal);
    let nothing = page.open(HashMap::new()).unwrap();
    assert!(
        nothing.iter().all(|notes| notes.private_notes.as_str().is_empty() && notes.shared_notes.as_str().is_empty())
    );
    assert_eq!(nothing.len(), 6);
}
