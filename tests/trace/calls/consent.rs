//! What consent and journals cost.

use std::time::Duration;

use kit::mesh::Someone;
use reqwest::Method;
use serde_json::json;

use super::Book;

pub(super) async fn play(book: &mut Book<'_>) {
    let client = book.watched.mesh.client("Asha").await;
    let therapist = book.watched.mesh.therapist("Noor", "Grief", "110001").await;
    requests(book, &client, &therapist).await;
    invitations(book, &client, &therapist).await;
    let entry = entries(book, &client).await;
    reads(book, &client, &therapist, &entry).await;
    lists(book, &client, &therapist).await;
    endings(book, &client, &therapist).await;
    open_appointments(book).await;
}

/// Whether the login is open, the name of the other side, the relation, and the transition with its history.
const ASK_CLIENT: &[&str] =
    &["BatchGetItem Users", "BatchGetItem Clients", "GetItem Mappings", "TransactWriteItems Mappings"];
/// The relation of a client who answers is read with the invitation.
const ASK_THERAPIST: &[&str] =
    &["BatchGetItem Users", "BatchGetItem Therapists", "BatchGetItem Mappings", "TransactWriteItems Mappings"];
const ANSWER_REQUEST: &[&str] = &["BatchGetItem Users", "BatchGetItem Mappings", "TransactWriteItems Mappings"];
/// Whether the login is open, the budget, read and spent, and the invitation.
const INVITE: &[&str] = &["BatchGetItem Users", "GetItem Mappings", "PutItem Mappings", "PutItem Mappings"];
/// Whether the login is open, the relation, and the transition with its history.
const GRANT: &[&str] = &["BatchGetItem Users", "GetItem Mappings", "TransactWriteItems Mappings"];
/// What ends asks nobody.
const END: &[&str] = &["GetItem Mappings", "TransactWriteItems Mappings"];

async fn requests(book: &mut Book<'_>, client: &Someone, therapist: &Someone) {
    let ask = format!("/mapping/{}/request", client.id);
    let request = book.request(Method::POST, &ask, Some(therapist), Some(&json!({"requestType": "MAPPING"})));
    book.row("RequestConsent", request, ASK_CLIENT).await;
    let answer = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    let request = book.request(Method::PUT, &answer, Some(client), Some(&json!({"status": "ACCEPTED"})));
    book.row("AnswerMappingRequest", request, ANSWER_REQUEST).await;
    let access = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    let request = book.request(Method::PUT, &access, Some(client), Some(&json!({"access": "ACCEPTED"})));
    book.row("UpdateJournalAccess", request, GRANT).await;

    let other = book.watched.mesh.therapist("Ravi", "Sleep", "110001").await;
    let mapping = json!({"therapistId": other.id});
    let request = book.request(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(&mapping));
    book.row("CreateMapping", request, ASK_THERAPIST).await;
    let third = book.watched.mesh.therapist("Mira", "Sleep", "110001").await;
    let both = json!({"clientId": client.id, "therapistId": third.id});
    let request = book.request(Method::POST, "/therapists/map-client", Some(client), Some(&both));
    book.row("MapClient", request, ASK_THERAPIST).await;
}

/// The calls are the same whoever has the address.
async fn invitations(book: &mut Book<'_>, mapped: &Someone, therapist: &Someone) {
    let mesh = &book.watched.mesh;
    let (newcomer, gone, stranger) =
        (mesh.join("CLIENT").await, mesh.client("Gone").await, mesh.client("Stranger").await);
    let rejecting = mesh.client("Rejecting").await;
    let end = mesh.ask(Method::DELETE, &format!("/clients/{}", gone.id), Some(&gone), None).await;
    assert_eq!(end.status, 204);
    let ask = json!({"requestType": "MAPPING"});
    mesh.ask(Method::POST, &format!("/mapping/{}/request", rejecting.id), Some(therapist), Some(ask)).await.expect(201);
    let reject = format!("/mapping/{}?therapistId={}", rejecting.id, therapist.id);
    mesh.ask(Method::PUT, &reject, Some(&rejecting), Some(json!({"status": "REJECTED"}))).await.expect(200);
    for (what, email) in [
        ("CreateInvitation of nobody", "nobody.at.all@example.org"),
        ("CreateInvitation of an account without a profile", &newcomer.email),
        ("CreateInvitation of a client", &stranger.email),
        ("CreateInvitation of a client, again", &stranger.email),
        ("CreateInvitation of a mapped client", &mapped.email),
        ("CreateInvitation of a client who rejected", &rejecting.email),
        ("CreateInvitation of an ended account", &gone.email),
        ("CreateInvitation of a therapist", &therapist.email),
    ] {
        let invitation = json!({"email": email, "requestType": "MAPPING"});
        let request = book.request(Method::POST, "/invitations", Some(therapist), Some(&invitation));
        book.row(what, request, INVITE).await;
    }
    let requests = format!("/mapping/{}/requests", stranger.id);
    let request = book.request(Method::GET, &requests, Some(&stranger), None);
    let calls = &[
        // The address, the invitations to it, who they are from; the invitation becomes a request.
        "GetItem Users",
        "Query Mappings",
        "BatchGetItem Mappings",
        "TransactWriteItems Mappings",
        // The list, who still may ask, and the names.
        "Query Mappings",
        "BatchGetItem Mappings",
        "BatchGetItem Therapists",
    ];
    book.row("ListConsentRequests, an invitation", request, calls).await;
    let accept = format!("/mapping/{}?therapistId={}", stranger.id, therapist.id);
    let request = book.request(Method::PUT, &accept, Some(&stranger), Some(&json!({"status": "ACCEPTED"})));
    book.row("AnswerMappingRequest by invitation", request, ANSWER_REQUEST).await;
}

async fn entries(book: &mut Book<'_>, client: &Someone) -> String {
    let journal = format!("/journal/{}", client.id);
    let entry = json!({"emotion": "lonely", "intensity": 3, "timestamp": "2026-01-05T21:30:00+05:30", "note": "quiet"});
    let request = book.request(Method::POST, &journal, Some(client), Some(&entry));
    book.row("CreateEntry, the first", request, &["GetItem DataKeys", "PutItem DataKeys", "PutItem Journals"]).await;
    let request = book.request(Method::POST, &journal, Some(client), Some(&entry));
    let made = book.row("CreateEntry", request, &["PutItem Journals"]).await;
    let keyed = || book.request(Method::POST, &journal, Some(client), Some(&entry)).header("idempotency-key", "k");
    let (first, again) = (keyed(), keyed());
    book.row("CreateEntry with a key", first, &["TransactWriteItems Journals"]).await;
    book.row("CreateEntry with a key, again", again, &["TransactWriteItems Journals", "GetItem Journals"]).await;

    let id = made["entryId"].as_str().unwrap().to_owned();
    let path = format!("{journal}/entries/{id}");
    let request = book.request(Method::PUT, &path, Some(client), Some(&json!({"intensity": 4})));
    book.row("UpdateEntry", request, &["GetItem Journals", "PutItem Journals"]).await;
    let request = book.request(Method::DELETE, &format!("{journal}?entryId={id}"), Some(client), None);
    book.row("DeleteEntry", request, &["DeleteItem Journals"]).await;
    let request = book.request(Method::POST, &journal, Some(client), Some(&entry));
    book.row("CreateEntry, once more", request, &["PutItem Journals"]).await["entryId"].as_str().unwrap().to_owned()
}

/// What a therapist reads costs the permission before and the record after.
const READ: &[&str] = &["BatchGetItem Mappings", "Query Journals", "PutItem Audit"];

async fn reads(book: &mut Book<'_>, client: &Someone, therapist: &Someone, entry: &str) {
    let journal = format!("/journal/{}", client.id);
    let (one, insights) = (format!("{journal}/entries/{entry}"), format!("{journal}/insights?to=2026-01-31T00:00:00Z"));
    for filter in ["", "?pageSize=1", "?emotion=lonely&minIntensity=2", "?from=2026-01-01T00:00:00Z"] {
        let request = book.request(Method::GET, &format!("{journal}{filter}"), Some(client), None);
        book.row("ListEntries by the client", request, &["Query Journals"]).await;
        let request = book.request(Method::GET, &format!("{journal}{filter}"), Some(therapist), None);
        book.row("ListEntries by a therapist", request, READ).await;
    }
    let request = book.request(Method::GET, &one, Some(client), None);
    book.row("GetEntry by the client", request, &["GetItem Journals"]).await;
    let request = book.request(Method::GET, &one, Some(therapist), None);
    book.row("GetEntry by a therapist", request, &["BatchGetItem Mappings", "GetItem Journals", "PutItem Audit"]).await;
    let request = book.request(Method::GET, &insights, Some(client), None);
    book.row("GetInsights by the client", request, &["Query Journals"]).await;
    let request = book.request(Method::GET, &insights, Some(therapist), None);
    book.row("GetInsights by a therapist", request, READ).await;
    let request = book.request(Method::GET, "/emotions", Some(client), None);
    book.row("GetVocabulary", request, &[]).await;
    let request = book.request(Method::GET, &format!("/clients/{}/access-log", client.id), Some(client), None);
    book.row("ListAccesses", request, &["Query Audit", "BatchGetItem Therapists"]).await;
}

/// A page is one Query and one batch of names, however many relations there are.
async fn lists(book: &mut Book<'_>, client: &Someone, therapist: &Someone) {
    for path in ["/mapping/{}", "/mapping/{}?journalAccess=true", "/clients/{}/therapists"] {
        let request = book.request(Method::GET, &path.replace("{}", &client.id), Some(client), None);
        book.row("a list of therapists", request, &["Query Mappings", "BatchGetItem Therapists"]).await;
    }
    let waiting = format!("/mapping/{}/requests", client.id);
    let request = book.request(Method::GET, &waiting, Some(client), None);
    // The invitation of a therapist who is mapped already is removed.
    let calls = &["GetItem Users", "Query Mappings", "BatchGetItem Mappings", "DeleteItem Mappings", "Query Mappings"];
    book.row("ListConsentRequests, an invitation that is none", request, calls).await;
    let request = book.request(Method::GET, &waiting, Some(client), None);
    book.row("ListConsentRequests: none", request, &["GetItem Users", "Query Mappings", "Query Mappings"]).await;
    let request = book.request(Method::GET, &format!("/therapists/{}/clients", therapist.id), Some(therapist), None);
    book.row("ListRelatedClients", request, &["Query Mappings", "BatchGetItem Clients"]).await;
    let request = book.request(Method::GET, "/clients", Some(therapist), None);
    // The index finds them, and the table says whether they still agree.
    let calls = &["Query Mappings", "BatchGetItem Mappings", "BatchGetItem Clients"];
    book.row("ListClients, the related", request, calls).await;
    let request = book.request(Method::GET, &format!("/clients/{}", client.id), Some(therapist), None);
    book.row("GetClient by a therapist", request, &["GetItem Mappings", "GetItem Clients"]).await;
}

async fn endings(book: &mut Book<'_>, client: &Someone, therapist: &Someone) {
    let of = |path: &str| format!("/mapping/{}{path}?therapistId={}", client.id, therapist.id);
    let access = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    let request = book.request(Method::PUT, &access, Some(client), Some(&json!({"access": "REVOKED"})));
    book.row("UpdateJournalAccess that revokes", request, END).await;
    book.watched.mesh.ask(Method::PUT, &access, Some(client), Some(json!({"access": "ACCEPTED"}))).await.expect(200);
    let request = book.request(Method::DELETE, &of("/access"), Some(client), None);
    book.row("EndJournalAccess", request, END).await;
    let request = book.request(Method::DELETE, &of(""), Some(therapist), None);
    book.row("EndMapping", request, END).await;
}

/// What an appointment costs that shows a profile, and what ends with the relation.
async fn open_appointments(book: &mut Book<'_>) {
    let mesh = &book.watched.mesh;
    let client = mesh.client("Ben").await;
    let therapist = mesh.therapist("Omar", "Grief", "110001").await;
    let offer = |from: &str, to: &str| json!({"sessionDate": format!("2100-01-01T{from}:00Z"), "endTime": to});
    let mut asked = Vec::new();
    for session in [offer("00:05", "00:55"), offer("01:05", "01:55")] {
        let session = mesh.ask(Method::POST, "/sessions", Some(&therapist), Some(session)).await.expect(201);
        let wish = json!({"therapistId": therapist.id, "sessionId": session["sessionId"],
            "appointmentDate": session["sessionDate"]});
        asked.push(mesh.ask(Method::POST, "/appointments", Some(&client), Some(wish)).await.expect(201));
    }
    let profile = format!("/clients/{}", client.id);
    let request = book.request(Method::GET, &profile, Some(&therapist), None);
    let calls = &["GetItem Mappings", "Query Appointments", "GetItem Clients"];
    book.row("GetClient by a therapist who is asked", request, calls).await;

    let status = format!("/appointments/{}/status", asked[0]["appointmentId"].as_str().unwrap());
    let accepted = json!({"status": "ACCEPTED"});
    mesh.ask(Method::PUT, &status, Some(&therapist), Some(accepted)).await.expect(200);
    let ending = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    let request = book.request(Method::DELETE, &ending, Some(&client), None);
    let calls = &[
        "BatchGetItem Mappings",
        "TransactWriteItems Mappings",
        // That it is ended, what waits by the index and what is open, and the one request; then the event is taken.
        "PutItem Appointments",
        "Query Appointments",
        "Query Appointments",
        "GetItem Appointments",
        "TransactWriteItems Appointments",
        "UpdateItem Mappings",
    ];
    book.row("EndMapping by the client", request, calls).await;
    let request = book.request(Method::DELETE, &ending, Some(&client), None);
    book.row("EndMapping by the client, again", request, &["BatchGetItem Mappings"]).await;

    mesh.pass(Duration::from_secs(6 * 60));
    let request = book.request(Method::GET, &profile, Some(&therapist), None);
    // Of a session that has begun it is asked when it ends.
    let calls = &["GetItem Mappings", "Query Appointments", "BatchGetItem Sessions", "GetItem Clients"];
    book.row("GetClient by a therapist, during a session", request, calls).await;
}
