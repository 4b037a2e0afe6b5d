//! Tests of the texts of entries for search, and for operators.

use kernel::{ClientId, Expected, Kind, Person, Result, Role};
use kit::engine::Engine;
use outbox::Mark;
use proto::journals::v1 as pb;
use proto::mapping::v1::JournalGrant;

use super::fixture::{Fixture, context, note};
use super::{NOW, person, write};
use crate::model::{Change, Entry, Visibility};
use crate::policy::Write;
use crate::store::key_of;
use crate::{JournalImport, JournalTexts};

kit::on_each_engine!(
    text_is_that_of_the_entry_as_it_is_now,
    client_gets_own_entries_alone,
    therapist_gets_shared_entries_within_the_grants,
    texts_of_many_journals_are_asked_for_at_once,
    batch_without_person_or_of_too_many_names_is_refused,
    operators_list_every_text_of_a_journal,
    imported_entries_are_as_those_that_clients_add,
);

/// Time of the first imported entry: long ago by the machine's clock.
const FELT: i64 = 1_700_000_000_000;

/// Returns the name of an entry.
fn name(permit: Write, entry: &Entry) -> pb::EntryName {
    named(&permit.client().to_string(), &entry.id.to_string())
}

fn named(client_id: &str, entry_id: &str) -> pb::EntryName {
    pb::EntryName { client_id: client_id.to_owned(), entry_id: entry_id.to_owned() }
}

/// Returns the text of an entry of the fixture.
fn text(permit: Write, entry: &Entry, visibility: pb::Visibility) -> pb::EntryText {
    pb::EntryText {
        name: Some(name(permit, entry)),
        version: u32::try_from(entry.version.number()).unwrap(),
        visibility: visibility.into(),
        emotion: entry.content.emotion.as_str().to_owned(),
        note: entry.content.note.as_str().to_owned(),
    }
}

impl Fixture {
    /// Returns the text of an entry for the index.
    async fn text(&self, name: pb::EntryName) -> Option<pb::EntryText> {
        let request = pb::GetEntryTextRequest { name: Some(name) };
        self.journals.text(context(None), request).await.unwrap().entry
    }

    async fn readable(&self, person: Option<Person>, names: Vec<pb::EntryName>) -> Result<Vec<pb::ReadableEntry>> {
        let request = pb::BatchGetReadableEntriesRequest { names };
        self.journals.readable(context(person), request).await.map(|answer| answer.entries)
    }

    /// Returns the names of the entries that the person may read, and the grant of each, in the order of the names.
    async fn may_read(&self, person: Person, names: &[pb::EntryName]) -> Vec<(pb::EntryName, String)> {
        let entries = self.readable(Some(person), names.to_vec()).await.unwrap();
        let mut named: Vec<_> = entries.into_iter().map(|it| (it.text.unwrap().name.unwrap(), it.grant_id)).collect();
        named.sort_by_key(|(name, _)| names.iter().position(|wanted| wanted == name));
        named
    }

    /// Grants a journal to the therapist who calls.
    fn grant(&self, client: ClientId, grant_id: &str, entries_from: Option<i64>) {
        let entries_from = entries_from.map(convert::millisecond::to_proto);
        let grant = JournalGrant { client_id: client.to_string(), grant_id: grant_id.to_owned(), entries_from };
        self.peers.state().grants.push(grant);
    }
}

async fn text_is_that_of_the_entry_as_it_is_now(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let permit = write(1);
    let entry = fixture.add(permit, NOW, Visibility::Shared).await;
    let wanted = name(permit, &entry);
    assert_eq!(fixture.text(wanted.clone()).await, Some(text(permit, &entry, pb::Visibility::Shared)));
    let change = Change { note: Some(note("so much")), visibility: Some(Visibility::Private), ..Change::default() };
    let corrected = fixture.correct(permit, &entry, change).await;
    let expected = text(permit, &corrected, pb::Visibility::Private);
    assert_eq!((expected.version, &*expected.note), (2, "so much"));
    let lower = named(&wanted.client_id, &wanted.entry_id.to_lowercase());
    for wanted in [wanted.clone(), lower] {
        assert_eq!(fixture.text(wanted).await, Some(expected.clone()));
    }

    let other = write(2).client().to_string();
    for absent in [
        named(&other, &wanted.entry_id),
        named("nobody", &wanted.entry_id),
        named(&wanted.client_id, "nothing"),
        pb::EntryName::default(),
    ] {
        assert_eq!(fixture.text(absent.clone()).await, None, "{absent:?}");
    }
    let removed = fixture.add(permit, NOW, Visibility::Shared).await;
    fixture.journals.0.delete(permit, removed.id, &Expected::Anything).await.unwrap();
    assert_eq!(fixture.text(name(permit, &removed)).await, None);
    // The key is destroyed before the entries are.
    fixture.peers.end(permit.client().into());
    fixture.journals.0.keyring.forget(permit.client().into());
    assert_eq!(fixture.text(wanted).await, None);
}

async fn client_gets_own_entries_alone(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let (permit, other) = (write(1), write(2));
    let shared = fixture.add(permit, NOW, Visibility::Shared).await;
    let private = fixture.add(permit, NOW - 1, Visibility::Private).await;
    let foreign = fixture.add(other, NOW, Visibility::Shared).await;
    let removed = fixture.add(permit, NOW, Visibility::Shared).await;
    fixture.journals.0.delete(permit, removed.id, &Expected::Anything).await.unwrap();
    let own = [name(permit, &shared), name(permit, &private)];
    let names = [
        own[0].clone(),
        name(other, &foreign),
        named(&permit.client().to_string(), &foreign.id.to_string()),
        own[1].clone(),
        own[0].clone(),
        name(permit, &removed),
        named("nobody", &shared.id.to_string()),
        named(&permit.client().to_string(), "nothing"),
        pb::EntryName::default(),
    ];
    let read = fixture.may_read(person(Role::Client, 1), &names).await;
    assert_eq!(read, own.clone().map(|name| (name, String::new())));
    let entries = fixture.readable(Some(person(Role::Client, 1)), vec![own[1].clone()]).await.unwrap();
    assert_eq!(entries[0].text, Some(text(permit, &private, pb::Visibility::Private)));
    assert_eq!(fixture.may_read(person(Role::Client, 3), &names).await, []);
    assert_eq!(fixture.peers.state().grant_calls.len(), 0, "a client's consent to the own journal is not asked for");
    fixture.peers.end(permit.client().into());
    fixture.journals.0.keyring.forget(permit.client().into());
    assert_eq!(fixture.may_read(person(Role::Client, 1), &names).await, []);
}

async fn therapist_gets_shared_entries_within_the_grants(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let (limited, whole, ungranted, ended) = (write(1), write(2), write(3), write(4));
    let therapist = person(Role::Therapist, 7);
    let mut names = Vec::new();
    for permit in [limited, whole, ungranted, ended] {
        for (millisecond, visibility) in
            [(NOW, Visibility::Shared), (NOW - 1, Visibility::Shared), (NOW, Visibility::Private)]
        {
            names.push(name(permit, &fixture.add(permit, millisecond, visibility).await));
        }
    }
    fixture.grant(limited.client(), "l", Some(NOW));
    fixture.grant(whole.client(), "w", None);
    fixture.grant(ended.client(), "e", None);
    fixture.peers.end(ended.client().into());
    fixture.journals.0.keyring.forget(ended.client().into());
    names.extend([names[0].clone(), named("nobody", &names[0].entry_id), named(&names[0].client_id, "nothing")]);
    let readable = |of: &[(usize, &str)]| -> Vec<_> {
        of.iter().map(|(place, grant)| (names[*place].clone(), (*grant).to_owned())).collect()
    };
    assert_eq!(fixture.may_read(therapist, &names).await, readable(&[(0, "l"), (3, "w"), (4, "w")]));
    // Revoked, and granted anew from a later time on.
    fixture.peers.state().grants.clear();
    assert_eq!(fixture.may_read(therapist, &names).await, []);
    fixture.grant(whole.client(), "x", Some(NOW));
    assert_eq!(fixture.may_read(therapist, &names).await, readable(&[(3, "x")]));
    // A grant of a journal that was not asked for gives nothing.
    fixture.grant(ungranted.client(), "u", None);
    assert_eq!(fixture.may_read(therapist, &names[3..6]).await, readable(&[(3, "x")]));
    assert_eq!(fixture.may_read(therapist, &[]).await, []);
}

async fn texts_of_many_journals_are_asked_for_at_once(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let mut names = Vec::new();
    for byte in 1..=50 {
        let permit = write(byte);
        for number in 0..2 {
            names.push(name(permit, &fixture.add(permit, NOW - number, Visibility::Shared).await));
        }
        fixture.grant(permit.client(), "g", None);
        fixture.journals.0.keyring.forget(permit.client().into());
    }
    assert_eq!(fixture.may_read(person(Role::Therapist, 77), &names).await.len(), 100);
    let state = fixture.peers.state();
    assert_eq!(state.grant_calls.iter().map(Vec::len).collect::<Vec<_>>(), [50], "each journal once, by one call");
    assert_eq!(state.key_calls, 1);
}

async fn batch_without_person_or_of_too_many_names_is_refused(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let kind = async |person, count: usize| {
        fixture.readable(person, vec![pb::EntryName::default(); count]).await.map(|it| it.len()).map_err(|e| e.kind())
    };
    assert_eq!(kind(None, 1).await, Err(Kind::Unauthenticated));
    for role in [Role::Client, Role::Therapist] {
        assert_eq!(kind(Some(person(role, 1)), 101).await, Err(Kind::InvalidArgument));
        assert_eq!(kind(Some(person(role, 1)), 100).await, Ok(0));
    }
    assert_eq!(fixture.peers.state().grant_calls.len(), 0, "names of nothing are not asked about");
}

async fn operators_list_every_text_of_a_journal(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let (permit, other) = (write(1), write(2));
    let mut expected = Vec::new();
    for number in 0..105 {
        let (visibility, shown) = match number % 2 {
            0 => (Visibility::Shared, pb::Visibility::Shared),
            _ => (Visibility::Private, pb::Visibility::Private),
        };
        let entry = fixture.add(permit, NOW - number, visibility).await;
        expected.push(text(permit, &entry, shown));
    }
    let removed = fixture.add(permit, NOW, Visibility::Shared).await;
    fixture.journals.0.delete(permit, removed.id, &Expected::Anything).await.unwrap();
    fixture.add(other, NOW, Visibility::Shared).await;
    let key = fixture.journals.0.key(&context(None), permit.client()).await.unwrap().unwrap();
    let texts = JournalTexts::new(&fixture.dynamodb);
    let first = texts.page(permit.client(), &key, None).await.unwrap();
    assert!(first.texts == expected[..100]);
    let second = texts.page(permit.client(), &key, first.next).await.unwrap();
    assert!(second.texts == expected[100..]);
    assert!(second.next.is_none());
    let refused = texts.page(other.client(), &key, None).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Internal, "a key opens its own journal alone");
    assert!(texts.page(write(3).client(), &key, None).await.unwrap().texts.is_empty());
}

async fn imported_entries_are_as_those_that_clients_add(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let permit = write(1);
    let key = fixture.journals.0.key(&context(None), permit.client()).await.unwrap().unwrap();
    let entry = |number| pb::JournalEntry {
        emotion: Some("calm".to_owned()),
        intensity: Some(3),
        timestamp: Some(convert::millisecond::to_proto(FELT + number)),
        note: Some(format!("by sea {number}")),
        ..pb::JournalEntry::default()
    };
    let import = JournalImport::new(&fixture.dynamodb, &fixture.journals.0.platform);
    let added = import.add(permit.client(), &key, (0..205).map(entry).collect()).await.unwrap();
    assert_eq!((added.len(), &*added[7].note, added[7].version), (205, "by sea 7", 1));
    for text in &added[..3] {
        let name = text.name.clone().unwrap();
        assert_eq!(fixture.text(name.clone()).await.as_ref(), Some(text));
        let item = fixture.item(&key_of(permit.client(), name.entry_id.parse().unwrap())).await.unwrap();
        assert!(Mark::of(&item).unwrap().is_none(), "search isn't told");
    }
    assert_eq!(fixture.items(permit.client()).await, 205);
    let invalid = pb::JournalEntry { intensity: Some(6), ..entry(300) };
    let refused = import.add(permit.client(), &key, vec![entry(301), invalid]).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidArgument);
    assert_eq!(fixture.items(permit.client()).await, 205);
}
