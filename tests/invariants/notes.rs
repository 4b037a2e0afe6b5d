//! Rules 8, 16 and 17 for session notes and messages: no table holds them readable, ciphertexts are bound to their
//! place, and private notes never reach anybody but their therapist.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use kit::engine::Engine;
use kit::mesh::{Answer, Someone, TestMesh, answer};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::canaries::nowhere_readable;
use crate::practice::{Slot, change, id_of};
use crate::raw::{RawItem, Tables};
use crate::search::hits::{SEARCH_INDEX, all_is_indexed, search};
use crate::steps::Pair;

kit::on_each_engine!(
    notes_and_messages_are_unreadable_in_tables,
    private_notes_never_reach_clients,
    sealed_note_opens_only_in_its_attribute_and_session,
    sealed_message_opens_only_in_its_place,
);

/// Words that occur in notes and messages only.
const PRIVATE: &str = "xanthoprivate";
const SHARED: &str = "xanthoshared";
const MESSAGE: &str = "xanthomessage";

const SESSIONS: &str = "Sessions";
const MESSAGES: &str = "Messages";

async fn notes_and_messages_are_unreadable_in_tables(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let (slot, mut next) = (Slot::new(&mesh, 1), 1);
    let session = pair.offer(&mesh, &slot).await;
    let appointment = pair.book(&mesh, &session, &slot).await;
    let said = pair.say(&mesh, &pair.client, &format!("{MESSAGE} and more")).await.expect(201);
    let ids = [session.as_str(), &appointment, &id_of(&said, "messageId")];
    for (what, request) in requests(&mesh, &pair, ids) {
        let status = answer(request).await.status;
        assert!((200..500).contains(&status), "{what}: {status}");
    }
    // Sessions that pass through several states and are deleted.
    for states in [&["CANCELLED", "AVAILABLE"][..], &["AVAILABLE", "CANCELLED"], &[]] {
        next += 1;
        let slot = Slot::new(&mesh, next);
        let session = pair.offer(&mesh, &slot).await;
        write_notes(&mesh, &pair.therapist, &session).await;
        pair.book(&mesh, &session, &slot).await;
        for status in states {
            change(&mesh, &pair.therapist, &session, json!({"status": status})).await.expect(200);
        }
        let path = format!("/sessions/{session}");
        assert_eq!(mesh.ask(Method::DELETE, &path, Some(&pair.therapist), None).await.status, 204);
    }
    mesh.pass(Duration::from_secs(60));
    all_is_indexed(&mesh).await;

    let tables =
        [SEARCH_INDEX, SESSIONS, "Appointments", MESSAGES, "Mappings", "DataKeys", "Users", "Clients", "Therapists"];
    nowhere_readable(&mesh, &[PRIVATE, SHARED, MESSAGE], &tables).await;
    // Readers see the words, so the search above was for stored text.
    let seen = mesh.get(&format!("/sessions/{session}"), &pair.therapist).await.expect(200).to_string();
    assert!(seen.contains(PRIVATE) && seen.contains(SHARED), "{seen}");
    let history = mesh.get(&pair.history(), &pair.therapist).await.expect(200).to_string();
    assert!(history.contains(MESSAGE), "{history}");
    mesh.stop().await;
}

async fn write_notes(mesh: &TestMesh, therapist: &Someone, session: &str) {
    let notes = json!({"privateNotes": format!("{PRIVATE} and more"), "sharedNotes": format!("{SHARED} and more")});
    mesh.ask(Method::PUT, &format!("/sessions/{session}/notes"), Some(therapist), Some(notes)).await.expect(200);
}

/// Returns valid and invalid requests for every RPC with notes or messages, with canaries in other fields too.
fn requests(mesh: &TestMesh, pair: &Pair, [session, appointment, message]: [&str; 3]) -> Vec<(String, RequestBuilder)> {
    let (client, therapist) = (&pair.client, &pair.therapist);
    let free = |number: usize| {
        let mut session = Slot::new(mesh, 100 + number).session();
        (session["privateNotes"], session["sharedNotes"]) = (PRIVATE.into(), SHARED.into());
        session
    };
    let with = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    let notes = json!({"privateNotes": PRIVATE, "sharedNotes": SHARED});
    let (one, its_notes) = (format!("/sessions/{session}"), format!("/sessions/{session}/notes"));
    let say = |text: &str| json!({"receiverId": therapist.id, "message": text});
    let (post, put, get) = (Method::POST, Method::PUT, Method::GET);
    let status = format!("/appointments/{appointment}/status");
    let list: [(&Method, String, &Someone, Value); 34] = [
        (&post, "/sessions".to_owned(), therapist, free(0)),
        (&post, "/sessions".to_owned(), therapist, free(0)),
        (&post, "/sessions".to_owned(), therapist, with(free(1), "clientId", json!(client.id))),
        (&post, "/sessions".to_owned(), therapist, with(free(2), "endTime", PRIVATE.into())),
        (&post, "/sessions".to_owned(), therapist, with(free(2), "sessionDate", SHARED.into())),
        (&post, "/sessions".to_owned(), therapist, with(free(2), "privateNotes", PRIVATE.repeat(1_000).into())),
        (&post, "/sessions".to_owned(), therapist, with(free(2), "clientId", SHARED.into())),
        (&post, "/sessions".to_owned(), client, free(2)),
        (&put, one.clone(), therapist, notes.clone()),
        (&put, one.clone(), therapist, with(notes.clone(), "etag", PRIVATE.into())),
        (&put, one.clone(), therapist, with(notes.clone(), "status", SHARED.into())),
        (&put, one.clone(), client, notes.clone()),
        (&put, its_notes.clone(), therapist, notes.clone()),
        (&put, its_notes.clone(), therapist, with(notes.clone(), "etag", SHARED.into())),
        (&put, its_notes.clone(), client, notes.clone()),
        (&put, format!("/sessions/{PRIVATE}/notes"), therapist, notes),
        (&get, one.clone(), therapist, Value::Null),
        (&get, one, client, Value::Null),
        (&get, format!("/sessions?status={PRIVATE}&pageToken={SHARED}"), therapist, Value::Null),
        (&post, "/appointments".to_owned(), client, json!({"therapistId": therapist.id, "appointmentDate": MESSAGE})),
        (&put, status, therapist, json!({"status": MESSAGE, "etag": PRIVATE})),
        (&post, "/messages".to_owned(), client, say(MESSAGE)),
        (&post, "/messages".to_owned(), therapist, with(say(MESSAGE), "receiverId", json!(client.id))),
        (&post, "/messages".to_owned(), client, with(say(MESSAGE), "receiverId", MESSAGE.into())),
        (&post, "/messages".to_owned(), client, with(say(MESSAGE), "senderId", MESSAGE.into())),
        (&post, "/messages".to_owned(), client, say(&MESSAGE.repeat(1_000))),
        (&put, "/messages/read".to_owned(), client, json!({"peerId": therapist.id, "messageId": message})),
        (&put, "/messages/read".to_owned(), client, json!({"peerId": MESSAGE, "messageId": MESSAGE})),
        (&get, pair.history(), client, Value::Null),
        (&get, "/messages/conversations".to_owned(), therapist, Value::Null),
        (&get, format!("/messages/conversations?pageToken={MESSAGE}"), client, Value::Null),
        (&get, search(&format!("{PRIVATE} \"{SHARED}\"")), therapist, Value::Null),
        (&get, format!("{}&pageSize=1", search(SHARED)), client, Value::Null),
        (&get, format!("{}&clientId={PRIVATE}&pageToken={SHARED}", search(PRIVATE)), therapist, Value::Null),
    ];
    let mut requests = Vec::new();
    for (number, (method, path, who, body)) in list.into_iter().enumerate() {
        let what = format!("{number}: {method} {path}");
        let mut request = mesh.request(method.clone(), &path).bearer_auth(&who.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        if *method == Method::POST && number % 2 == 1 {
            let keyed =
                request.try_clone().expect("a body of text").header("idempotency-key", format!("{MESSAGE}-{number}"));
            requests.push((format!("{what}, with a key"), keyed.try_clone().expect("a body of text")));
            requests.push((format!("{what}, with its key again"), keyed));
        }
        requests.push((what, request));
    }
    requests
}

/// Rule 8, for every read and write of clients, of their own sessions and others.
async fn private_notes_never_reach_clients(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let stranger = mesh.client("Ben").await;
    let mut sessions = Vec::new();
    for (number, states) in
        [&[][..], &["BOOKED"], &["BOOKED", "CANCELLED"], &["BOOKED", "AVAILABLE"], &["CANCELLED"]].iter().enumerate()
    {
        let slot = Slot::new(&mesh, number);
        let session = pair.offer(&mesh, &slot).await;
        write_notes(&mesh, &pair.therapist, &session).await;
        for status in *states {
            if *status == "BOOKED" {
                let booked = pair.book(&mesh, &session, &slot).await;
                never(&mesh.get(&format!("/appointments/{booked}"), &pair.client).await);
            } else {
                change(&mesh, &pair.therapist, &session, json!({"status": status})).await.expect(200);
            }
        }
        sessions.push((session, states.last().copied() == Some("BOOKED") || states == &["BOOKED", "CANCELLED"]));
    }
    for (session, is_own) in &sessions {
        let path = format!("/sessions/{session}");
        let own = mesh.get(&path, &pair.client).await;
        never(&own);
        assert_eq!(own.body.to_string().contains(SHARED), *is_own, "{}", own.body);
        let others = mesh.get(&path, &stranger).await;
        never(&others);
        assert!(!others.body.to_string().contains(SHARED), "{}", others.body);
        let changes = json!({"privateNotes": "", "sharedNotes": ""});
        for (method, path) in [(Method::PUT, path.clone()), (Method::PUT, format!("{path}/notes"))] {
            never(&mesh.ask(method, &path, Some(&pair.client), Some(changes.clone())).await);
        }
        let seen = mesh.get(&path, &pair.therapist).await.expect(200);
        assert!(seen["privateNotes"].as_str().unwrap().contains(PRIVATE), "{seen}");
    }
    let (client, therapist) = (&pair.client.id, &pair.therapist.id);
    let lists = [
        "/sessions".to_owned(),
        format!("/sessions?therapistId={therapist}"),
        format!("/sessions?clientId={client}"),
        format!("/sessions?therapistId={therapist}&pageSize=1"),
        "/appointments".to_owned(),
        "/messages/conversations".to_owned(),
        format!("/clients/{client}"),
        format!("/clients/{client}/therapists"),
        format!("/clients/{client}/access-log"),
        format!("/therapists/{therapist}"),
        "/therapists".to_owned(),
    ];
    all_is_indexed(&mesh).await;
    let searches = [PRIVATE, SHARED, "xan*", "and more"].map(search);
    for path in lists.iter().chain(&searches) {
        never(&mesh.get(path, &pair.client).await);
        never(&mesh.get(path, &stranger).await);
    }
    let found = mesh.get(&search(SHARED), &pair.client).await.expect(200);
    assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    assert_eq!(mesh.get(&search("and more"), &stranger).await.expect(200), json!([]));
    // Another therapist doesn't see them either.
    let other = mesh.therapist("Omar", "Sleep", "110001").await;
    for (session, _) in &sessions {
        mesh.get(&format!("/sessions/{session}"), &other).await.refused(404, "NOT_FOUND");
    }
    never(&mesh.get("/sessions", &other).await);
    mesh.stop().await;
}

#[track_caller]
fn never(answer: &Answer) {
    assert!(!answer.body.to_string().contains(PRIVATE), "{}", answer.body);
}

async fn sealed_note_opens_only_in_its_attribute_and_session(engine: Engine) {
    const ATTRIBUTES: [&str; 2] = ["private_notes", "shared_notes"];
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let mut sessions = Vec::new();
    for number in 0..3 {
        let slot = Slot::new(&mesh, number);
        let session = pair.offer(&mesh, &slot).await;
        write_notes(&mesh, &pair.therapist, &session).await;
        if number == 2 {
            pair.book(&mesh, &session, &slot).await;
        }
        sessions.push(session);
    }
    let tables = Tables::of(&mesh);
    let items = tables.dump(SESSIONS).await;
    let item = |id: &str| find(&items, "session_id", id);
    let read = async |id: &str| mesh.get(&format!("/sessions/{id}"), &pair.therapist).await;
    let with = |id: &str, to: &str, from: &RawItem, attribute: &str| {
        let mut item = item(id);
        item.insert(to.to_owned(), from[attribute].clone());
        item
    };
    let [one, other, booked] = [&sessions[0], &sessions[1], &sessions[2]];
    let intact = read(one).await.expect(200);
    // Same key and table: another attribute of the same session, and the same attribute of another session.
    for (to, from, attribute) in [
        (ATTRIBUTES[0], item(one), ATTRIBUTES[1]),
        (ATTRIBUTES[1], item(one), ATTRIBUTES[0]),
        (ATTRIBUTES[0], item(other), ATTRIBUTES[0]),
        (ATTRIBUTES[1], item(other), ATTRIBUTES[1]),
        // A ciphertext for the client of another session.
        (ATTRIBUTES[1], item(booked), ATTRIBUTES[1]),
    ] {
        tables.put(SESSIONS, with(one, to, &from, attribute)).await;
        unreadable(&read(one).await, &[PRIVATE, SHARED]);
        unreadable(&mesh.get("/sessions", &pair.therapist).await, &[PRIVATE, SHARED]);
    }
    // A private note in the place of the shared one doesn't open for the client.
    tables.put(SESSIONS, with(booked, ATTRIBUTES[1], &item(booked), ATTRIBUTES[0])).await;
    unreadable(&mesh.get(&format!("/sessions/{booked}"), &pair.client).await, &[PRIVATE, SHARED]);
    for id in [one, booked] {
        tables.put(SESSIONS, item(id)).await;
    }
    assert_eq!(read(one).await.expect(200), intact);
    assert!(mesh.get(&format!("/sessions/{booked}"), &pair.client).await.expect(200).to_string().contains(SHARED));
    mesh.stop().await;
}

async fn sealed_message_opens_only_in_its_place(engine: Engine) {
    const CONTENT: &str = "content";
    let mesh = TestMesh::start(engine).await;
    let (pair, strangers) = (Pair::with_access(&mesh).await, Pair::with_access(&mesh).await);
    let with_other = Pair { therapist: strangers.therapist.clone(), ..pair.clone() };
    let say = async |pair: &Pair, by: &Someone, text: &str| {
        id_of(&pair.say(&mesh, by, &format!("{MESSAGE} {text}")).await.expect(201), "messageId")
    };
    let first = say(&pair, &pair.client, "one").await;
    let places = [
        say(&pair, &pair.client, "two").await,
        say(&pair, &pair.therapist, "of the other side").await,
        say(&with_other, &pair.client, "to somebody else").await,
        say(&strangers, &strangers.client, "of somebody else").await,
    ];
    let tables = Tables::of(&mesh);
    let items = tables.dump(MESSAGES).await;
    let item = |id: &str| find(&items, "message_id", id);
    let intact = mesh.get(&pair.history(), &pair.client).await.expect(200);
    for place in &places {
        let mut moved = item(&first);
        moved.insert(CONTENT.to_owned(), item(place)[CONTENT].clone());
        tables.put(MESSAGES, moved).await;
        for who in [&pair.client, &pair.therapist] {
            unreadable(&mesh.get(&pair.history(), who).await, &[MESSAGE]);
        }
    }
    // The author is authenticated with the text.
    let mut turned = item(&first);
    if let Some(AttributeValue::Bool(by_client)) = turned.get_mut("by_client") {
        *by_client = !*by_client;
        tables.put(MESSAGES, turned).await;
        let told = mesh.get(&pair.history(), &pair.therapist).await;
        assert!(told.status == 500 || told.body == intact, "{}", told.body);
    }
    tables.put(MESSAGES, item(&first)).await;
    assert_eq!(mesh.get(&pair.history(), &pair.client).await.expect(200), intact);
    mesh.stop().await;
}

fn find(items: &[RawItem], attribute: &str, id: &str) -> RawItem {
    let named = |item: &&RawItem| item.get(attribute).and_then(|it| it.as_s().ok()).is_some_and(|it| it == id);
    let sealed = |item: &&RawItem| item.values().any(AttributeValue::is_b);
    items.iter().filter(named).find(sealed).unwrap_or_else(|| panic!("no item with {attribute} {id}")).clone()
}

/// Asserts an error without details of the ciphertext.
#[track_caller]
fn unreadable(answer: &Answer, words: &[&str]) {
    assert_eq!(answer.status, 500, "{}", answer.body);
    let body = answer.body.to_string();
    for word in words.iter().chain(&["content", "notes", "Sessions", "Messages", "seal"]) {
        assert!(!body.contains(word), "{word} in {body}");
    }
}
