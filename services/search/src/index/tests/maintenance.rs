//! Surveys, the mending of broken documents, and lists of scopes under replaced secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dynamo::secret::{Secret, Secrets};
use kernel::{ClientId, ManualClock, TherapistId, Timestamp, UserId};
use kit::engine::Engine;

use super::support::{Contents, NOW, World, document, key, scope, terms, texts};
use crate::index::Index;
use crate::index::scope::{Scope, ScopeId};
use crate::index::write::Write;

kit::on_each_engine![
    broken_document_is_discarded_and_restored,
    replaced_secret_is_needless_after_relisting,
    relisting_leaves_out_the_reader_whose_account_ended,
    end_of_an_account_keeps_writers_of_each_secret_out,
    scope_of_an_ended_account_is_not_listed,
    first_write_with_many_secrets_has_room,
];

/// Returns an index whose current secret is the first of these.
fn index(world: &World, secrets: &[u8]) -> Index {
    let mut secrets = secrets.iter().map(|byte| Secret::new([*byte; 32]));
    let secrets = Secrets::new(secrets.next().unwrap(), secrets.collect());
    let clock = Arc::new(ManualClock::new(Timestamp::from_millisecond(NOW).unwrap()));
    Index::new(world.table.clone(), &secrets, clock, kit::entropy::seeded()).unwrap()
}

const CLIENT: ClientId = ClientId::from_bytes([1; 16]);
const THERAPIST: TherapistId = TherapistId::from_bytes([2; 16]);

fn shared_notes() -> Scope {
    Scope::new(ScopeId::SharedNotes(CLIENT, THERAPIST), &key(1)).unwrap()
}

async fn scopes(index: &Index, person: impl Into<UserId>) -> BTreeSet<ScopeId> {
    index.scopes_of(person.into()).await.unwrap()
}

/// Returns the number of items of the table.
async fn count(world: &World) -> usize {
    world.table.scan(None).await.unwrap().items.len()
}

/// An item of another form, and one without attributes.
async fn broken_document_is_discarded_and_restored(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(150));
    for number in 1..=3 {
        world.index.put(&scope, document(number), 1, texts(&all)).await.unwrap();
    }
    let forward = |number| scope.forward(document(number).id());
    world.table.update(&forward(1)).set("format", 9).run().await.map(drop).unwrap();
    world.table.put(&forward(2), &BTreeMap::<String, String>::new()).run().await.map(drop).unwrap();
    let surveyed = world.index.survey(&scope).await.unwrap();
    assert_eq!(surveyed.broken, BTreeSet::from([document(1).id(), document(2).id()]));
    assert_eq!(surveyed.documents.keys().copied().collect::<Vec<_>>(), [document(3).id()]);
    world.index.restore(&scope, document(1), 2, texts(&all[..3])).await.unwrap_err();

    world.index.discard(&scope, &surveyed.broken).await.unwrap();
    let surveyed = world.index.survey(&scope).await.unwrap();
    assert!(surveyed.broken.is_empty() && surveyed.documents.len() == 1);
    assert_eq!(world.contents(&scope).await.postings.len(), 150, "those of the third are left");
    assert_eq!(world.index.restore(&scope, document(1), 2, texts(&all[..3])).await.unwrap(), Write::Done);
    let surveyed = world.index.survey(&scope).await.unwrap();
    assert!(surveyed.documents[&document(1).id()].is_whole);
}

async fn replaced_secret_is_needless_after_relisting(engine: Engine) {
    let (world, all) = (World::new(engine).await, terms(2));
    let [old, both, new] = [&[1][..], &[2, 1], &[2]].map(|secrets| index(&world, secrets));
    let notes = shared_notes();
    for scope in [&scope(1), &notes] {
        old.put(scope, document(1), 1, texts(&all)).await.unwrap();
    }
    let of_client = BTreeSet::from([scope(1).id(), notes.id()]);
    assert_eq!(scopes(&both, CLIENT).await, of_client);
    assert_eq!(scopes(&new, CLIENT).await, BTreeSet::new());
    let before = count(&world).await;
    for _ in 0..2 {
        both.relist(CLIENT.into()).await.unwrap();
        assert_eq!(count(&world).await, before + 3, "the client lists two scopes, the therapist one");
    }
    assert_eq!(scopes(&new, CLIENT).await, of_client);
    assert_eq!(scopes(&new, THERAPIST).await, BTreeSet::from([notes.id()]));
    new.end(CLIENT.into()).await.unwrap();
    assert_eq!(world.contents(&notes).await, Contents::default());
}

async fn relisting_leaves_out_the_reader_whose_account_ended(engine: Engine) {
    let (world, all) = (World::new(engine).await, terms(2));
    let [old, both, new] = [&[1][..], &[2, 1], &[2]].map(|secrets| index(&world, secrets));
    let notes = shared_notes();
    old.put(&notes, document(1), 1, texts(&all)).await.unwrap();
    old.end(THERAPIST.into()).await.unwrap();
    both.relist(CLIENT.into()).await.unwrap();
    assert_eq!(scopes(&new, CLIENT).await, BTreeSet::from([notes.id()]));
    assert_eq!(scopes(&both, THERAPIST).await, BTreeSet::new());
}

/// The marker and the check may be of replicas that know other secrets.
async fn end_of_an_account_keeps_writers_of_each_secret_out(engine: Engine) {
    let world = World::new(engine).await;
    let [old, both, new] = [&[1][..], &[2, 1], &[2]].map(|secrets| index(&world, secrets));
    for (byte, ender, writers) in [(1, &both, vec![&old, &both, &new]), (2, &old, vec![&old, &both])] {
        let scope = scope(byte);
        ender.end(scope.id().owner()).await.unwrap();
        for writer in writers {
            assert_eq!(writer.put(&scope, document(1), 1, ["wsea"]).await.unwrap(), Write::Ended);
            assert!(!writer.list_scope(&scope).await.unwrap());
        }
        assert_eq!(world.contents(&scope).await, Contents::default());
    }
}

/// A rebuild that has read a text whose owner's account ends.
async fn scope_of_an_ended_account_is_not_listed(engine: Engine) {
    let world = World::new(engine).await;
    let notes = shared_notes();
    let other = index(&world, &[7]);
    other.end(THERAPIST.into()).await.unwrap();
    assert!(world.index.list_scope(&notes).await.unwrap());
    assert_eq!(scopes(&world.index, CLIENT).await, BTreeSet::from([notes.id()]));
    assert_eq!(scopes(&world.index, THERAPIST).await, BTreeSet::new());
    other.end(CLIENT.into()).await.unwrap();
    let before = count(&world).await;
    assert!(!index(&world, &[7]).list_scope(&notes).await.unwrap());
    assert_eq!(count(&world).await, before);
}

/// Each secret adds a check to the transaction, which has 100 actions at most.
async fn first_write_with_many_secrets_has_room(engine: Engine) {
    let (world, all) = (World::new(engine).await, terms(120));
    let index = index(&world, &[1, 2, 3, 4]);
    for (number, count) in (11..).zip([92, 93, 94, 99, 120]) {
        let therapist = TherapistId::from_bytes([number; 16]);
        let scope = Scope::new(ScopeId::SharedNotes(CLIENT, therapist), &key(1)).unwrap();
        assert_eq!(index.put(&scope, document(1), 1, texts(&all[..count])).await.unwrap(), Write::Done);
        assert_eq!(world.contents(&scope).await.postings.len(), count);
    }
}
