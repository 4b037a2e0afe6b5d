//! A deleted account leaves nothing on the disk: no plain text of the person, and no data key that can be unwrapped.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dynamo::seal::{Place, Sealed, SealingKey};
use dynamo::{Key, Table};
use kit::mesh::Someone;
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::Process;

/// Length in base64 of a wrapped data key: nonce, key and tag.
const WRAPPED_LEN: usize = (12 + 32 + 16) / 3 * 4;
/// Label by which vault derives the wrapping keys.
const WRAP: &str = "vault/key-encryption-key/wrap";

const NAME: &str = "Ashalata Quenby";
const ADDRESS: &str = "ashalata.quenby@example.org";

/// Reads every file of a data directory: the database, its log and index, and the keys.
fn files(data: &Path) -> Vec<Vec<u8>> {
    fs::read_dir(data).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn hold(files: &[Vec<u8>], text: &str) -> bool {
    files.iter().any(|file| file.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Returns the runs of bytes that satisfy a condition.
fn runs(files: &[Vec<u8>], of: impl Fn(u8) -> bool + Copy) -> impl Iterator<Item = &[u8]> {
    files.iter().flat_map(move |file| file.split(move |byte| !of(*byte)))
}

fn password_hashes(files: &[Vec<u8>]) -> BTreeSet<String> {
    let texts = runs(files, |byte| byte.is_ascii_graphic() && byte != b'"');
    let texts = texts.filter_map(|run| std::str::from_utf8(run).ok());
    texts.filter_map(|text| text.find("$argon2id$").map(|at| text[at..].to_owned())).collect()
}

/// Counts the copies of this person's data key on the disk that a key-encryption key on the disk unwraps.
async fn keys_that_open(data: &Path, files: &[Vec<u8>], person: &Someone) -> usize {
    let table = table().await;
    let key = Key::new(format!("PERSON#{}", person.id), "KEY");
    let place = Place { table: &table, key: &key, attribute: "wrapped", version: 1 };
    let keks = bootstrap::read_secrets(&data.join("key-encryption-keys")).unwrap().derive_all(WRAP).unwrap();
    let keks: Vec<_> = keks.iter().map(|kek| SealingKey::new(kek).unwrap()).collect();
    let base64 = runs(files, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    let windows = base64.flat_map(|run| run.windows(WRAPPED_LEN));
    let sealed = windows.filter_map(|window| STANDARD.decode(window).ok()).map(sealed);
    sealed.filter(|sealed| keks.iter().any(|kek| kek.open(&place, sealed).is_ok())).count()
}

/// Returns a handle of the table of data keys; no call is made with it.
async fn table() -> Table {
    let endpoint = Some("http://127.0.0.1:1".to_owned());
    dynamo::Config { endpoint, ..dynamo::Config::default() }
        .connect(kit::entropy::seeded())
        .await
        .table(&vault::DATA_KEYS)
}

fn sealed(bytes: Vec<u8>) -> Sealed {
    serde_json::from_value(bytes.into()).unwrap()
}

async fn make(mesh: &Process, path: &str, who: &Someone, body: Value) -> Value {
    mesh.ask(Method::POST, path, Some(&who.token), Some(body)).await.expect(201)
}

/// Registers a client with a profile and a journal entry.
async fn client(mesh: &Process, name: &str, address: &str) -> Someone {
    let who = mesh.join(address, "CLIENT").await;
    make(mesh, "/clients", &who, json!({"name": name, "email": address, "pincode": "110002"})).await;
    let entry = json!({"emotion": "lonely", "intensity": 4, "timestamp": "2026-01-05T21:30:00Z", "note": "So quiet."});
    make(mesh, &format!("/journal/{}", who.id), &who, entry).await;
    who
}

/// Holds right after the deletion, after a kill and after a restart.
#[tokio::test]
async fn deleted_account_leaves_no_data_on_disk() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let kept = client(&mesh, "Noorjehan Tamsin", "noorjehan@example.org").await;
    let ended = client(&mesh, NAME, ADDRESS).await;

    let before = files(data.path());
    assert!(hold(&before, NAME) && hold(&before, ADDRESS), "what is there is found");
    assert!(keys_that_open(data.path(), &before, &ended).await > 0, "a key that is there opens");
    let hashes = password_hashes(&before);
    assert_eq!(hashes.len(), 2, "{hashes:?}");

    let path = format!("/clients/{}", ended.id);
    assert_eq!(mesh.ask(Method::DELETE, &path, Some(&ended.token), None).await.status, 204);
    let at_once = files(data.path());
    mesh.kill();
    let after_kill = files(data.path());
    let mesh = Process::start(data.path());
    let after_restart = files(data.path());
    for (when, files) in [("at once", at_once), ("after a kill", after_kill), ("after a restart", after_restart)] {
        for text in [NAME, ADDRESS] {
            assert!(!hold(&files, text), "{when}: {text}");
        }
        assert_eq!(keys_that_open(data.path(), &files, &ended).await, 0, "{when}");
        assert!(keys_that_open(data.path(), &files, &kept).await > 0, "{when}: the other's key is there");
        let left = password_hashes(&files);
        assert!(left.len() == 1 && left.is_subset(&hashes), "{when}: {left:?}");
    }
    mesh.login(&kept.email).await;
}
