//! Ciphertexts are bound to their place: an attacker who can write the tables can destroy them, but not move them.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use kit::engine::Engine;
use kit::mesh::{Answer, TestMesh};
use reqwest::Method;

use crate::raw::{RawItem, Tables};
use crate::steps::{Pair, entry};

kit::on_each_engine!(
    sealed_entry_opens_only_in_its_place,
    data_key_opens_only_for_its_person,
    deleted_account_leaves_no_key_or_readable_entry,
);

const TABLE: &str = "Journals";
const SEALED: &str = "content";
const KEYS: &str = "DataKeys";
const WRAPPED: &str = "wrapped";

/// Longer than a data key is cached.
const FORGOTTEN: Duration = Duration::from_secs(60);

async fn sealed_entry_opens_only_in_its_place(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let (one, other) = (Pair::with_access(&mesh).await, Pair::with_access(&mesh).await);
    let write = async |pair: &Pair, note: &str| {
        let made = pair.write(&mesh, entry(&mesh, "calm", note)).await.expect(201);
        made["entryId"].as_str().unwrap().to_owned()
    };
    let (first, second) = (write(&one, "the first note").await, write(&one, "a second note").await);
    let others = write(&other, "a note of somebody else").await;

    let tables = Tables::of(&mesh);
    let items = tables.dump(TABLE).await;
    let item = |id: &str| items.iter().find(|item| mentions(item, id)).expect("the entry is stored").clone();
    let read = async |pair: &Pair, id: &str| mesh.get(&pair.journal(&format!("/entries/{id}")), &pair.client).await;
    let intact = [read(&one, &first).await, read(&one, &second).await, read(&other, &others).await];
    let intact = intact.map(|answer| answer.expect(200));

    // Swaps two entries of one client, then copies one to another client's entry.
    let swapped = [with_content(item(&first), &item(&second)), with_content(item(&second), &item(&first))];
    for item in swapped {
        tables.put(TABLE, item).await;
    }
    for id in [&first, &second] {
        unreadable(&read(&one, id).await);
        unreadable(&mesh.get(&one.journal(&format!("/entries/{id}")), &one.therapist).await);
    }
    unreadable(&mesh.get(&one.journal(""), &one.client).await);
    unreadable(&mesh.get(&one.journal("/insights"), &one.therapist).await);
    tables.put(TABLE, with_content(item(&others), &item(&first))).await;
    unreadable(&read(&other, &others).await);
    unreadable(&mesh.get(&other.journal(""), &other.therapist).await);

    // Flips one bit.
    let mut bent = item(&others);
    let Some(AttributeValue::B(bytes)) = bent.get_mut(SEALED) else { panic!("{SEALED} is binary") };
    let mut changed = bytes.as_ref().to_vec();
    *changed.last_mut().unwrap() ^= 1;
    *bytes = changed.into();
    tables.put(TABLE, bent).await;
    unreadable(&read(&other, &others).await);

    // Restored to their places, they open again.
    for id in [&first, &second, &others] {
        tables.put(TABLE, item(id)).await;
    }
    let again = [read(&one, &first).await, read(&one, &second).await, read(&other, &others).await];
    assert_eq!(again.map(|answer| answer.expect(200)), intact);
    mesh.stop().await;
}

async fn data_key_opens_only_for_its_person(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let (one, other) = (Pair::with_access(&mesh).await, Pair::with_access(&mesh).await);
    for pair in [&one, &other] {
        pair.write(&mesh, entry(&mesh, "calm", "a note")).await.expect(201);
    }
    let tables = Tables::of(&mesh);
    let keys = tables.dump(KEYS).await;
    let key = |pair: &Pair| key_of(&keys, &pair.client.id).clone();
    let with_key_of = |mut item: RawItem, from: &RawItem| {
        item.insert(WRAPPED.to_owned(), from[WRAPPED].clone());
        item
    };
    tables.put(KEYS, with_key_of(key(&one), &key(&other))).await;
    tables.put(KEYS, with_key_of(key(&other), &key(&one))).await;
    mesh.pass(FORGOTTEN);
    for pair in [&one, &other] {
        unreadable(&mesh.get(&pair.journal(""), &pair.client).await);
        unreadable(&mesh.get(&pair.journal(""), &pair.therapist).await);
        unreadable(&pair.write(&mesh, entry(&mesh, "calm", "a note")).await);
    }
    for pair in [&one, &other] {
        tables.put(KEYS, key(pair)).await;
        let journal = mesh.get(&pair.journal(""), &pair.client).await.expect(200);
        assert_eq!(journal.as_array().unwrap().len(), 1, "nothing was written under a key of somebody else");
    }
    mesh.stop().await;
}

async fn deleted_account_leaves_no_key_or_readable_entry(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let made = pair.write(&mesh, entry(&mesh, "calm", "a note")).await.expect(201);
    let one = pair.journal(&format!("/entries/{}", made["entryId"].as_str().unwrap()));
    mesh.get(&one, &pair.therapist).await.expect(200);
    let own = format!("/clients/{}", pair.client.id);
    assert_eq!(mesh.ask(Method::DELETE, &own, Some(&pair.client), None).await.status, 204);
    mesh.get(&one, &pair.therapist).await.refused(404, "NOT_FOUND");
    mesh.get(&pair.journal(""), &pair.therapist).await.refused(404, "NOT_FOUND");
    mesh.pass(FORGOTTEN);
    mesh.get(&one, &pair.client).await.refused(401, "ACCOUNT_ENDED");
    pair.write(&mesh, entry(&mesh, "calm", "too late")).await.refused(401, "ACCOUNT_ENDED");
    let keys = Tables::of(&mesh).dump(KEYS).await;
    let tombstone = key_of(&keys, &pair.client.id);
    assert!(!tombstone.values().any(AttributeValue::is_b), "{tombstone:?}");
    mesh.stop().await;
}

fn key_of<'a>(keys: &'a [RawItem], person: &str) -> &'a RawItem {
    let of = |item: &&RawItem| item["pk"].as_s().is_ok_and(|key| key.contains(person));
    keys.iter().find(of).expect("the person has a key, or had one")
}

/// Asserts an error without details of the ciphertext.
#[track_caller]
fn unreadable(answer: &Answer) {
    assert_eq!(answer.status, 500, "{}", answer.body);
    let body = answer.body.to_string();
    for word in ["note", "calm", "content", "Journals", "seal"] {
        assert!(!body.contains(word), "{word} in {body}");
    }
}

fn mentions(item: &RawItem, id: &str) -> bool {
    let key = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).is_some_and(|text| text.contains(id));
    key("sk") && item.contains_key(SEALED)
}

fn with_content(mut item: RawItem, from: &RawItem) -> RawItem {
    item.insert(SEALED.to_owned(), from[SEALED].clone());
    item
}
