//! Contract §2, row /search, stories C8 and T9, and rules 6, 8, 14 and 15: a word is found again by those who may read the
//! text that has it, and by nobody else. The index follows a text within moments, so tests wait for what is to be found,
//! and look at once for what is not.

mod changes;
mod entries;
mod log;
mod names;
mod notes;
mod pages;
mod queries;
mod scripts;

use kit::mesh::{Answer, Someone, TestMesh};
use kit::wait::until;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

/// Well-formed id of no person or thing.
const NOBODY: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";

/// Returns the path of a search, to which other parameters may be added.
fn search(query: &str) -> String {
    format!("/search?q={}", utf8_percent_encode(query, NON_ALPHANUMERIC))
}

/// Returns the ids of hits.
fn ids(hits: &Value) -> Vec<&str> {
    hits.as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

/// Returns the snippet of a hit, its matches in brackets.
fn shown(hit: &Value) -> String {
    let matches = hit["matches"].as_array().unwrap();
    let place = |place: &Value, name: &str| usize::try_from(place[name].as_u64().unwrap()).unwrap();
    let snippet: Vec<_> = hit["snippet"].as_str().unwrap().chars().collect();
    let (mut shown, mut at) = (String::new(), 0);
    for it in matches {
        let (start, end) = (place(it, "start"), place(it, "end"));
        shown.extend(&snippet[at..start]);
        shown.push('[');
        shown.extend(&snippet[start..end]);
        shown.push(']');
        at = end;
    }
    shown.extend(&snippet[at..]);
    shown
}

/// Waits until a search finds exactly these texts, in this order.
async fn finds(mesh: &TestMesh, who: &Someone, path: &str, expected: &[&str]) {
    let what = format!("{path} finds {expected:?}");
    until(&what, async || ids(&mesh.get(path, who).await.expect(200)) == expected).await;
}

/// Asserts that a search finds nothing.
async fn finds_nothing(mesh: &TestMesh, who: &Someone, path: &str) {
    let answer = mesh.get(path, who).await;
    assert_eq!(next(&answer), None, "{path}");
    assert_eq!(answer.expect(200), json!([]), "{path}");
}

fn next(page: &Answer) -> Option<String> {
    page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned())
}

fn with(mut value: Value, more: &Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

fn id(made: &Value, field: &str) -> String {
    made[field].as_str().unwrap_or_else(|| panic!("no {field} in {made}")).to_owned()
}

/// Adds an entry with this note, and other fields that differ from the usual ones. Returns its id.
async fn write(mesh: &TestMesh, who: &Someone, note: &str, more: &Value) -> String {
    let entry = json!({"emotion": "calm", "intensity": 3, "timestamp": "2099-12-31T12:00:00Z", "note": note});
    let path = format!("/journal/{}", who.id);
    id(&mesh.ask(Method::POST, &path, Some(who), Some(with(entry, more))).await.expect(201), "entryId")
}

/// Corrects an entry.
async fn correct(mesh: &TestMesh, who: &Someone, entry: &str, change: &Value) {
    let path = format!("/journal/{}/entries/{entry}", who.id);
    mesh.ask(Method::PUT, &path, Some(who), Some(change.clone())).await.expect(200);
}

/// Adds a session of an hour on this day of February, with further fields. Returns its id.
async fn session(mesh: &TestMesh, who: &Someone, day: u32, more: &Value) -> String {
    let slot = json!({"sessionDate": format!("2100-02-{day:02}T09:00:00Z"), "endTime": "10:00"});
    id(&mesh.ask(Method::POST, "/sessions", Some(who), Some(with(slot, more))).await.expect(201), "sessionId")
}

/// Changes a session.
async fn change(mesh: &TestMesh, who: &Someone, session: &str, change: &Value) {
    let path = format!("/sessions/{session}");
    mesh.ask(Method::PUT, &path, Some(who), Some(change.clone())).await.expect(200);
}

async fn map(mesh: &TestMesh, client: &Someone, therapist: &Someone) {
    let pair = json!({"therapistId": therapist.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(pair)).await.expect(201);
}

/// Grants access to a journal within limits. Returns the relation.
async fn grant(mesh: &TestMesh, client: &Someone, therapist: &Someone, limits: &Value) -> Value {
    let path = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    let change = with(json!({"access": "ACCEPTED"}), limits);
    mesh.ask(Method::PUT, &path, Some(client), Some(change)).await.expect(200)
}

/// Ends the mapping by the client or the therapist.
async fn end(mesh: &TestMesh, client: &Someone, therapist: &Someone, by: &Someone) {
    let path = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    mesh.ask(Method::DELETE, &path, Some(by), None).await.expect(200);
}

async fn therapist(mesh: &TestMesh) -> Someone {
    mesh.therapist("Noor", "Grief", "110001").await
}

/// Returns a client and a therapist with access to the journal.
async fn pair(mesh: &TestMesh) -> (Someone, Someone) {
    let (asha, noor) = (mesh.client("Asha").await, therapist(mesh).await);
    map(mesh, &asha, &noor).await;
    grant(mesh, &asha, &noor, &json!({})).await;
    (asha, noor)
}
