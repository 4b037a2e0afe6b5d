use std::collections::BTreeSet;

use kernel::{ClientId, TherapistId, UserId};
use kit::engine::Engine;
use serde::Deserialize;
use serde_bytes::ByteBuf;

use super::support::{Contents, NOW, World, all_hits, document, everywhere, key, scope, terms, texts};
use crate::index::Index;
use crate::index::document::Document;
use crate::index::scope::{Scope, ScopeId};
use crate::index::survey::Indexed;
use crate::index::write::{DocumentVersion, Write};

kit::on_each_engine![
    write_leaves_exactly_the_postings_of_the_newest_version,
    moved_document_is_posted_at_its_new_time,
    removal_outlasts_late_writes_of_its_version,
    removal_expires_after_a_day,
    removal_before_the_first_write_keeps_it_out,
    end_of_an_account_deletes_its_scopes_and_can_be_repeated,
    scope_of_two_readers_ends_with_its_owner,
    same_version_with_other_terms_is_written_again,
    text_that_replaces_another_long_one_leaves_its_own_postings,
    survey_tells_what_the_index_has,
    documents_restored_together_are_as_those_put_one_by_one,
    table_holds_no_readable_term,
    scopes_with_equal_terms_share_no_key,
];

/// The postings that documents of these numbers and terms have.
fn postings<'a>(
    scope: &Scope,
    of: impl IntoIterator<Item = (Document, &'a [String])>,
) -> BTreeSet<(crate::index::scope::Tag, Document)> {
    of.into_iter().flat_map(|(document, terms)| texts(terms).map(move |term| (scope.tag(term), document))).collect()
}

async fn write_leaves_exactly_the_postings_of_the_newest_version(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(450));
    let (a, b) = (document(1), document(2));
    world.index.put(&scope, b, 1, texts(&all[..3])).await.unwrap();
    // Sizes around one transaction, and several.
    let ranges = [0..1, 0..100, 0..99, 99..198, 0..450, 200..420, 0..0, 5..6, 5..6];
    for (version, range) in (1..).zip(ranges) {
        let written = world.index.put(&scope, a, version, texts(&all[range.clone()])).await.unwrap();
        assert_eq!(written, Write::Done);
        let contents = world.contents(&scope).await;
        assert_eq!(contents.postings, postings(&scope, [(a, &all[range.clone()]), (b, &all[..3])]), "{range:?}");
        let forward = &contents.forwards[&a.id()];
        assert!(forward.is_settled && forward.surplus.is_empty() && forward.target.version == version);
        assert_eq!(world.index.put(&scope, a, version, texts(&all[range])).await.unwrap(), Write::Stale);
        assert_eq!(world.index.put(&scope, a, version - 1, texts(&all[..7])).await.unwrap(), Write::Stale);
        assert_eq!(world.contents(&scope).await, contents);
    }
}

async fn moved_document_is_posted_at_its_new_time(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(150));
    let at = |millisecond| Document::new(millisecond, [7; 16]);
    for (version, document) in [(1, at(NOW)), (2, at(NOW + 1)), (3, at(-5)), (4, at(NOW))] {
        world.index.put(&scope, document, version, texts(&all)).await.unwrap();
        let contents = world.contents(&scope).await;
        assert_eq!(contents.postings, postings(&scope, [(document, &*all)]));
        let survey = world.index.survey(&scope).await.unwrap().documents;
        assert!(survey.len() == 1 && survey[&document.id()].has(&scope, document, texts(&all)));
    }
}

async fn removal_outlasts_late_writes_of_its_version(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(120));
    let document = document(1);
    world.index.put(&scope, document, 3, texts(&all)).await.unwrap();
    assert_eq!(world.index.remove(&scope, document.id(), 2).await.unwrap(), Write::Stale);
    assert_eq!(world.contents(&scope).await.postings.len(), 120);
    assert_eq!(world.index.remove(&scope, document.id(), 3).await.unwrap(), Write::Done);
    assert_eq!(world.index.remove(&scope, document.id(), 3).await.unwrap(), Write::Stale);
    for late in [2, 3] {
        assert_eq!(world.index.put(&scope, document, late, texts(&all)).await.unwrap(), Write::Stale);
    }
    let contents = world.contents(&scope).await;
    assert_eq!((contents.postings.len(), contents.forwards.len()), (0, 1));
    assert!(world.index.survey(&scope).await.unwrap().documents.is_empty());
    assert_eq!(world.index.put(&scope, document, 4, texts(&all)).await.unwrap(), Write::Done);
    assert_eq!(world.contents(&scope).await.postings.len(), 120);
}

async fn removal_expires_after_a_day(engine: Engine) {
    #[derive(Deserialize)]
    struct Stored {
        expires_at: Option<i64>,
    }
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(3));
    let document = document(1);
    let expiry = async || {
        let stored: Option<Stored> =
            world.table.get(&scope.forward(document.id()), dynamo::Read::Consistent).await.unwrap();
        stored.unwrap().expires_at
    };
    world.index.put(&scope, document, 1, texts(&all)).await.unwrap();
    assert_eq!(expiry().await, None);
    world.index.remove(&scope, document.id(), 2).await.unwrap();
    assert_eq!(expiry().await, Some(NOW / 1000 + 24 * 60 * 60));
    world.index.put(&scope, document, 3, texts(&all)).await.unwrap();
    assert_eq!(expiry().await, None);
}

async fn removal_before_the_first_write_keeps_it_out(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(3));
    let document = document(1);
    assert_eq!(world.index.remove(&scope, document.id(), 1).await.unwrap(), Write::Done);
    assert_eq!(world.index.put(&scope, document, 1, texts(&all)).await.unwrap(), Write::Stale);
    assert!(world.contents(&scope).await.postings.is_empty());
}

async fn end_of_an_account_deletes_its_scopes_and_can_be_repeated(engine: Engine) {
    let world = World::new(engine).await;
    let (ended, kept, all) = (scope(1), scope(2), terms(400));
    for scope in [&ended, &kept] {
        for number in 0..3 {
            world.index.put(scope, document(number), 1, texts(&all)).await.unwrap();
        }
    }
    let before = world.contents(&kept).await;
    let owner = ended.id().owner();
    world.fail_after(9, kit::fault::Mode::Throttle).await;
    world.proxied.end(owner).await.unwrap_err();
    let left = world.contents(&ended).await.postings.len();
    assert!((1..1200).contains(&left), "{left}");
    for _ in 0..2 {
        world.index.end(owner).await.unwrap();
        assert_eq!(world.contents(&ended).await, super::support::Contents::default());
        assert_eq!(world.index.put(&ended, document(7), 1, texts(&all)).await.unwrap(), Write::Ended);
        assert_eq!(world.index.remove(&ended, document(8).id(), 1).await.unwrap(), Write::Ended);
    }
    assert_eq!(world.contents(&kept).await, before);
}

/// The notes that two people share end with the client's account, and stay findable for the client when the therapist's
/// ends.
async fn scope_of_two_readers_ends_with_its_owner(engine: Engine) {
    let (world, all) = (World::new(engine).await, terms(2));
    let client = |byte| ClientId::from_bytes([byte; 16]);
    let therapists = [8, 9].map(|byte| TherapistId::from_bytes([byte; 16]));
    let ids = [
        ScopeId::SharedNotes(client(1), therapists[0]),
        ScopeId::SharedNotes(client(1), therapists[1]),
        ScopeId::SharedNotes(client(2), therapists[0]),
        ScopeId::SharedJournal(client(1)),
        ScopeId::PrivateNotes(therapists[0]),
        ScopeId::DraftNotes(therapists[0]),
    ];
    for id in ids {
        let scope = Scope::new(id, &key(1)).unwrap();
        assert_eq!(world.index.put(&scope, document(1), 1, texts(&all)).await.unwrap(), Write::Done);
    }
    let scopes = async |person: UserId| world.index.scopes_of(person).await.unwrap();
    let set = |ids: &[ScopeId]| ids.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(scopes(client(1).into()).await, set(&[ids[0], ids[1], ids[3]]));
    assert_eq!(scopes(therapists[0].into()).await, set(&[ids[0], ids[2], ids[4], ids[5]]));
    world.index.end(therapists[0].into()).await.unwrap();
    assert_eq!(scopes(therapists[0].into()).await, set(&[]));
    assert_eq!(scopes(client(1).into()).await, set(&[ids[0], ids[1], ids[3]]), "the client's are left");
    world.index.end(client(1).into()).await.unwrap();
    assert_eq!(scopes(client(1).into()).await, set(&[]));
    assert_eq!(scopes(therapists[1].into()).await, set(&[]));
    assert_eq!(scopes(client(2).into()).await, set(&[ids[2]]));
}

/// A forward item has no room for the postings of two long texts.
async fn text_that_replaces_another_long_one_leaves_its_own_postings(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(500));
    let index = Index { max_listed: 300, ..world.index.clone() };
    for (version, range) in (1..).zip([0..250, 250..500, 100..300, 0..300]) {
        let written = index.put(&scope, document(1), version, texts(&all[range.clone()])).await.unwrap();
        assert_eq!(written, Write::Done);
        let contents = world.contents(&scope).await;
        assert_eq!(contents.postings, postings(&scope, [(document(1), &all[range.clone()])]), "{range:?}");
        let forward = &contents.forwards[&document(1).id()];
        assert!(forward.is_settled && forward.surplus.is_empty() && forward.target.tags.len() == range.len());
    }
}

/// The terms of a text change with the code that makes them.
async fn same_version_with_other_terms_is_written_again(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(5));
    assert_eq!(world.index.put(&scope, document(1), 3, texts(&all[..3])).await.unwrap(), Write::Done);
    assert_eq!(world.index.put(&scope, document(1), 3, texts(&all[..3])).await.unwrap(), Write::Stale);
    assert_eq!(world.index.put(&scope, document(1), 3, texts(&all[2..])).await.unwrap(), Write::Done);
    assert_eq!(world.contents(&scope).await.postings.len(), 3);
}

async fn survey_tells_what_the_index_has(engine: Engine) {
    let (world, scope, all) = (World::new(engine).await, scope(1), terms(300));
    for number in 1..=4_u32 {
        let count = usize::try_from(number).unwrap() * 60;
        world.index.put(&scope, document(number), u64::from(number), texts(&all[..count])).await.unwrap();
    }
    world.index.remove(&scope, document(4).id(), 99).await.unwrap();
    let (one, two) = (document(1), document(2));
    world.table.delete(&scope.posting(scope.tag(&all[7]), one)).run().await.map(drop).unwrap();
    world.fill(&scope, [(&*all[290], two)]).await;
    let survey = world.index.survey(&scope).await.unwrap().documents;
    let found: Vec<_> = survey.iter().map(|(id, it)| (*id, it.version, it.is_whole)).collect();
    let expected = [(one, false), (two, false), (document(3), true)];
    assert_eq!(found, expected.map(|(it, whole)| (it.id(), it.millisecond().cast_unsigned(), whole)));
    let has = |document: Document, terms: &[String]| survey[&document.id()].has(&scope, document, texts(terms));
    assert!(has(one, &all[..60]) && !has(one, &all[..59]) && !has(one, &all[1..61]));
    assert!(!has(Document::new(9, one.id()), &all[..60]), "another time");
    for (document, version) in [(one, 1), (two, 2)] {
        let terms = &all[..usize::try_from(version).unwrap() * 60];
        assert_eq!(world.index.put(&scope, document, version, texts(terms)).await.unwrap(), Write::Stale);
        assert_eq!(world.index.restore(&scope, document, version, texts(terms)).await.unwrap(), Write::Done);
    }
    let survey = world.index.survey(&scope).await.unwrap().documents;
    assert!(survey[&one.id()].is_whole, "a lost posting is back");
    assert!(
        !survey[&two.id()].is_whole,
        "a foreign posting finds a text that doesn't match, which the opened text decides"
    );
}

async fn documents_restored_together_are_as_those_put_one_by_one(engine: Engine) {
    let (world, one, many, all) = (World::new(engine).await, scope(1), scope(2), terms(300));
    // Of many terms, of none, of a newer version that the index has already, and of one that was removed.
    let counts = [5, 300, 0, 40, 40, 40, 20, 7];
    let version = |(number, count)| DocumentVersion { document: document(number), version: 2, terms: &all[..count] };
    let versions: Vec<_> = (1..).zip(counts).map(version).collect();
    for scope in [&one, &many] {
        world.index.put(scope, document(6), 3, texts(&all[..9])).await.unwrap();
        world.index.put(scope, document(7), 1, texts(&all[..9])).await.unwrap();
        world.index.remove(scope, document(8).id(), 9).await.unwrap();
    }
    for DocumentVersion { document, version, terms } in &versions {
        world.index.put(&one, *document, *version, texts(terms)).await.unwrap();
    }
    world.index.restore_all(&many, versions).await.unwrap();
    let survey = async |scope| world.index.survey(scope).await.unwrap().documents;
    let (expected, found) = (survey(&one).await, survey(&many).await);
    let told = |it: &Indexed| (it.version, it.millisecond, it.is_whole);
    assert_eq!(found.values().map(told).collect::<Vec<_>>(), expected.values().map(told).collect::<Vec<_>>());
    assert!(found.values().all(|it| it.is_whole));
    let postings = async |scope| world.contents(scope).await.postings.len();
    assert_eq!(postings(&many).await, postings(&one).await);
    world.index.end(many.id().owner()).await.unwrap();
    let versions = (1..=2).map(|number| DocumentVersion { document: document(number), version: 1, terms: ["wcalm"] });
    world.index.restore_all(&many, versions).await.unwrap();
    assert_eq!(world.contents(&many).await, Contents::default(), "an account that has ended gets nothing");
}

async fn table_holds_no_readable_term(engine: Engine) {
    #[derive(Deserialize)]
    struct Stored {
        pk: String,
        sk: String,
        content: Option<ByteBuf>,
    }
    let (world, scope) = (World::new(engine).await, scope(1));
    world.index.put(&scope, document(1), 1, ["wcanary", "pcan", "pcana"]).await.unwrap();
    let stored: Vec<Stored> = world.table.scan(None).await.unwrap().parse().unwrap();
    assert_eq!(stored.len(), 5, "three postings, the forward item and the scope in the list of its reader");
    for Stored { pk, sk, content } in stored {
        let all = [pk.as_bytes(), sk.as_bytes(), content.as_deref().map_or(&[], |content| content)].concat();
        let all = all.to_ascii_lowercase();
        assert!(!all.windows(3).any(|window| window == b"can"), "{sk}");
    }
}

/// Two clients, and the scopes of one client and of therapists.
async fn scopes_with_equal_terms_share_no_key(engine: Engine) {
    let world = World::new(engine).await;
    let (client, therapist) = (ClientId::from_bytes([1; 16]), TherapistId::from_bytes([3; 16]));
    let of = |id, byte| Scope::new(id, &key(byte)).unwrap();
    let scopes = [
        of(ScopeId::SharedJournal(client), 1),
        of(ScopeId::PrivateJournal(client), 1),
        of(ScopeId::SharedNotes(client, therapist), 1),
        of(ScopeId::SharedNotes(client, TherapistId::from_bytes([2; 16])), 1),
        of(ScopeId::PrivateNotes(therapist), 1),
        of(ScopeId::DraftNotes(therapist), 1),
        of(ScopeId::SharedJournal(ClientId::from_bytes([2; 16])), 2),
    ];
    let mut tags = BTreeSet::new();
    for scope in &scopes {
        world.index.put(scope, document(1), 1, ["wcalm", "wsea"]).await.unwrap();
        tags.extend(world.contents(scope).await.postings.into_iter().map(|(tag, _)| tag));
        let (hits, _) = all_hits(&world.index, &[everywhere(scope)], &["wcalm", "wsea"], 10).await;
        assert_eq!(hits.len(), 1);
    }
    assert_eq!(tags.len(), 2 * scopes.len());
}
