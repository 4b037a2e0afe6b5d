//! Rules 16 and 17: no table holds journal text in readable form, in any encoding.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use kit::engine::Engine;
use kit::mesh::{Someone, TestMesh, answer};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::raw::{Tables, bytes_of};
use crate::search::hits::{SEARCH_INDEX, all_is_indexed, search};
use crate::steps::{Pair, entry};

kit::on_each_engine!(journal_text_is_unreadable_in_tables);

/// Words that occur in emotions and notes only.
const EMOTION: &str = "xanthoemotion";
const NOTE: &str = "xanthonote";
/// Local part of an invited address that no account has.
const ADDRESS: &str = "xanthoaddress";

async fn journal_text_is_unreadable_in_tables(engine: Engine) {
    let mesh = TestMesh::start(engine).await;
    let pair = Pair::with_access(&mesh).await;
    let written = entry(&mesh, EMOTION, &format!("{NOTE} and what came of it"));
    let made = pair.write(&mesh, written.clone()).await.expect(201);
    assert_eq!((&made["emotion"], &made["note"]), (&written["emotion"], &written["note"]));

    for (what, request) in requests(&mesh, &pair, &made) {
        let status = answer(request).await.status;
        assert!((200..500).contains(&status), "{what}: {status}");
    }
    // Idempotency records, page tokens and deletions may keep no text either.
    let gone = pair.write(&mesh, written).await.expect(201);
    let path = pair.journal(&format!("?entryId={}", gone["entryId"].as_str().unwrap()));
    mesh.ask(Method::DELETE, &path, Some(&pair.client), None).await.expect(200);
    mesh.pass(Duration::from_secs(60));
    all_is_indexed(&mesh).await;

    let tables = [SEARCH_INDEX, "Journals", "Mappings", "Audit", "DataKeys", "Users", "Clients", "Therapists"];
    nowhere_readable(&mesh, &[EMOTION, NOTE, ADDRESS], &tables).await;
    // Readers see the canaries, so the search above was for stored text.
    let page = mesh.get(&pair.journal(""), &pair.therapist).await.expect(200);
    assert!(page.to_string().contains(EMOTION) && page.to_string().contains(NOTE), "{page}");
    let found = mesh.get(&search(NOTE), &pair.therapist).await.expect(200);
    assert!(found[0]["snippet"].as_str().unwrap().contains(NOTE), "{found}");
    mesh.stop().await;
}

/// Asserts that no item of any table has these words in any form, and that the expected tables are among those
/// searched.
pub(crate) async fn nowhere_readable(mesh: &TestMesh, words: &[&str], expected: &[&str]) {
    let tables = Tables::of(mesh);
    let forms: Vec<_> = words.iter().flat_map(|word| forms(word)).collect();
    let names = tables.names().await;
    for table in expected {
        assert!(names.iter().any(|name| name == table), "{table} is not among {names:?}");
        assert!(!tables.dump(table).await.is_empty() || *table == "Audit", "the dump of {table} sees what is there");
    }
    for table in &names {
        for item in tables.dump(table).await {
            for bytes in bytes_of(&item) {
                let found = forms.iter().find(|(_, form)| contains(&bytes, form));
                assert!(found.is_none(), "{table} holds a canary as {:?}: {item:?}", found.map(|(how, _)| how));
            }
        }
    }
}

/// Returns valid and invalid requests for every RPC with journal text, and for others with canaries in unrelated
/// fields.
fn requests(mesh: &TestMesh, pair: &Pair, made: &Value) -> Vec<(&'static str, RequestBuilder)> {
    let ask = |method, path: &str, who: &Someone| mesh.request(method, path).bearer_auth(&who.token);
    let (client, therapist) = (&pair.client, &pair.therapist);
    let id = made["entryId"].as_str().unwrap();
    let (all, one) = (pair.journal(""), pair.journal(&format!("/entries/{id}")));
    let good = entry(mesh, EMOTION, NOTE);
    let with = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        bad
    };
    let private = with("visibility", "PRIVATE".into());
    let (long, word) = (with("note", NOTE.repeat(1_001).into()), with("intensity", EMOTION.into()));
    let keyed = |body: &Value| ask(Method::POST, &all, client).json(body).header("idempotency-key", "k");
    let access = pair.journal(&format!("/access?therapistId={}", therapist.id));
    vec![
        ("an entry", ask(Method::POST, &all, client).json(&good)),
        ("a private entry", ask(Method::POST, &format!("/clients/{}/journals", client.id), client).json(&private)),
        ("an entry with a key", keyed(&good)),
        ("an entry with a key, again", keyed(&good)),
        ("another entry with that key", keyed(&private)),
        ("an entry with a canary for a key", {
            ask(Method::POST, &all, client).json(&good).header("idempotency-key", format!("{NOTE}-key"))
        }),
        ("an intensity of 6", ask(Method::POST, &all, client).json(&with("intensity", 6.into()))),
        ("an intensity that is a word", ask(Method::POST, &all, client).json(&word)),
        ("a note that is too long", ask(Method::POST, &all, client).json(&long)),
        ("a time to come", ask(Method::POST, &all, client).json(&with("timestamp", "2200-01-01T00:00:00Z".into()))),
        ("a time that is none", ask(Method::POST, &all, client).json(&with("timestamp", NOTE.into()))),
        ("JSON that ends early", {
            let body = format!("{{\"emotion\": \"{EMOTION}\", \"note\": \"{NOTE}");
            ask(Method::POST, &all, client).header("content-type", "application/json").body(body)
        }),
        ("an entry by a therapist", ask(Method::POST, &all, therapist).json(&good)),
        ("an entry by nobody", mesh.request(Method::POST, &all).json(&good)),
        ("a list", ask(Method::GET, &all, client)),
        ("a list by the therapist", ask(Method::GET, &all, therapist)),
        ("a list by emotion", ask(Method::GET, &format!("{all}?emotion={EMOTION}&pageSize=1"), therapist)),
        ("a list by nonsense", ask(Method::GET, &format!("{all}?from={NOTE}&pageToken={NOTE}"), therapist)),
        ("a parameter that is none", ask(Method::GET, &format!("{all}?{NOTE}={EMOTION}"), client)),
        ("one entry", ask(Method::GET, &one, therapist)),
        ("an entry that is none", ask(Method::GET, &pair.journal(&format!("/entries/{NOTE}")), therapist)),
        ("a correction", {
            let body = json!({"emotion": format!("{EMOTION} corrected"), "note": format!("{NOTE} corrected")});
            ask(Method::PUT, &one, client).json(&body)
        }),
        ("a correction with a stale etag", ask(Method::PUT, &one, client).json(&with("etag", NOTE.into()))),
        (
            "a correction of the time",
            ask(Method::PUT, &one, client).json(&with("timestamp", "2000-01-01T00:00:00Z".into())),
        ),
        ("insights", ask(Method::GET, &pair.journal("/insights"), therapist)),
        ("insights for nowhere", ask(Method::GET, &pair.journal(&format!("/insights?timeZone={NOTE}")), therapist)),
        ("a grant with text", ask(Method::PUT, &access, client).json(&json!({"access": "ACCEPTED", "note": NOTE}))),
        ("a grant that is text", ask(Method::PUT, &access, client).json(&json!({"access": NOTE}))),
        ("an invitation", {
            let body = json!({"email": format!("{ADDRESS}@example.org"), "requestType": "MAPPING"});
            ask(Method::POST, "/invitations", therapist).json(&body).header("idempotency-key", "an invitation")
        }),
        ("the access log", ask(Method::GET, &format!("/clients/{}/access-log", client.id), client)),
        ("a search", ask(Method::GET, &search(NOTE), client)),
        ("a search by the therapist", ask(Method::GET, &format!("{}&pageSize=1", search(EMOTION)), therapist)),
        ("a search for a beginning", ask(Method::GET, &search(&format!("{}*", &NOTE[..8])), therapist)),
        ("a search by nonsense", ask(Method::GET, &format!("{}&in={NOTE}&pageToken={NOTE}", search(NOTE)), client)),
        ("the related", ask(Method::GET, &format!("/clients/{}/therapists", client.id), client)),
    ]
}

/// Returns the word in every encoding that is still readable.
fn forms(word: &str) -> Vec<(String, Vec<u8>)> {
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        (format!("{word}, plain"), word.as_bytes().to_vec()),
        (format!("{word}, upper case"), word.to_uppercase().into_bytes()),
        (format!("{word}, hex"), hex.clone().into_bytes()),
        (format!("{word}, upper hex"), hex.to_uppercase().into_bytes()),
        (format!("{word}, UTF-16 LE"), word.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        (format!("{word}, UTF-16 BE"), word.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        (format!("{word}, reversed"), word.bytes().rev().collect()),
    ];
    // The base64 of a word depends on its offset among three bytes, and its first and last digits on the neighbouring
    // bytes.
    for before in 0..3_usize {
        let padded = [vec![0; before], word.as_bytes().to_vec()].concat();
        for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            let text = engine.encode(&padded);
            let inner = &text[(before * 8).div_ceil(6)..(padded.len() * 8) / 6];
            forms.push((format!("{word}, {name} at {before}"), inner.as_bytes().to_vec()));
        }
    }
    forms
}

/// Returns true if the bytes contain the needle.
fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn word_is_found_in_every_encoding() {
    let forms = forms(NOTE);
    let found = |hay: &[u8]| forms.iter().any(|(_, form)| contains(hay, form));
    for before in 0..6 {
        let text = format!("{}{NOTE} and more", "-".repeat(before));
        assert!(found(text.as_bytes()));
        assert!(found(STANDARD.encode(&text).as_bytes()), "at {before}");
        assert!(found(URL_SAFE.encode(&text).as_bytes()), "at {before}");
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(found(&utf16));
    }
    assert!(!found(b"nothing of the kind"));
}
