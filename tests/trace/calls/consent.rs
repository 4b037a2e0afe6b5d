//! DynamoDB calls of consent and journals.

use std::time::Duration;

use kit::mesh::Someone;
use reqwest::Method;
use serde_json::json;

use super::{Recorder, internal};

pub(super) async fn play(recorder: &mut Recorder<'_>) {
    let client = recorder.watched.mesh.client("Asha").await;
    let therapist = recorder.watched.mesh.therapist("Noor", "Grief", "110001").await;
    requests(recorder, &client, &therapist).await;
    invitations(recorder, &client, &therapist).await;
    let entry = entries(recorder, &client).await;
    reads(recorder, &client, &therapist, &entry).await;
    internal::play(recorder, &client, &therapist).await;
    lists(recorder, &client, &therapist).await;
    endings(recorder, &client, &therapist).await;
    open_appointments(recorder).await;
}

/// Check of the login, name of the other side, relation, and transition with its history.
const ASK_CLIENT: &[&str] =
    &["BatchGetItem Users", "BatchGetItem Clients", "GetItem Mappings", "TransactWriteItems Mappings"];
/// The same by a client, whose relation is read with the invitation.
const ASK_THERAPIST: &[&str] =
    &["BatchGetItem Users", "BatchGetItem Therapists", "BatchGetItem Mappings", "TransactWriteItems Mappings"];
const ANSWER_REQUEST: &[&str] = &["BatchGetItem Users", "BatchGetItem Mappings", "TransactWriteItems Mappings"];
/// Check of the login, budget read and spent, and invitation.
const INVITE: &[&str] = &["BatchGetItem Users", "GetItem Mappings", "PutItem Mappings", "PutItem Mappings"];
/// Check of the login, relation, and transition with its history.
const GRANT: &[&str] = &["BatchGetItem Users", "GetItem Mappings", "TransactWriteItems Mappings"];
/// Relation and transition, without a check of the login.
const END: &[&str] = &["GetItem Mappings", "TransactWriteItems Mappings"];

async fn requests(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let ask = format!("/mapping/{}/request", client.id);
    let request = recorder.request(Method::POST, &ask, Some(therapist), Some(&json!({"requestType": "MAPPING"})));
    recorder.row("RequestConsent", request, ASK_CLIENT).await;
    let answer = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    let request = recorder.request(Method::PUT, &answer, Some(client), Some(&json!({"status": "ACCEPTED"})));
    recorder.row("AnswerMappingRequest", request, ANSWER_REQUEST).await;
    let access = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    let request = recorder.request(Method::PUT, &access, Some(client), Some(&json!({"access": "ACCEPTED"})));
    recorder.row("UpdateJournalAccess", request, GRANT).await;

    let other = recorder.watched.mesh.therapist("Ravi", "Sleep", "110001").await;
    let mapping = json!({"therapistId": other.id});
    let request = recorder.request(Method::POST, &format!("/mapping/{}", client.id), Some(client), Some(&mapping));
    recorder.row("CreateMapping", request, ASK_THERAPIST).await;
    let third = recorder.watched.mesh.therapist("Mira", "Sleep", "110001").await;
    let both = json!({"clientId": client.id, "therapistId": third.id});
    let request = recorder.request(Method::POST, "/therapists/map-client", Some(client), Some(&both));
    recorder.row("MapClient", request, ASK_THERAPIST).await;
}

/// Records invitations, whose calls must not depend on the owner of the address.
async fn invitations(recorder: &mut Recorder<'_>, mapped: &Someone, therapist: &Someone) {
    let mesh = &recorder.watched.mesh;
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
        let request = recorder.request(Method::POST, "/invitations", Some(therapist), Some(&invitation));
        recorder.row(what, request, INVITE).await;
    }
    let requests = format!("/mapping/{}/requests", stranger.id);
    let request = recorder.request(Method::GET, &requests, Some(&stranger), None);
    let calls = &[
        // The address, its invitations, their relations; the invitation becomes a request.
        "GetItem Users",
        "Query Mappings",
        "BatchGetItem Mappings",
        "TransactWriteItems Mappings",
        // The list, the relations of the therapists, and the names.
        "Query Mappings",
        "BatchGetItem Mappings",
        "BatchGetItem Therapists",
    ];
    recorder.row("ListConsentRequests, an invitation", request, calls).await;
    let accept = format!("/mapping/{}?therapistId={}", stranger.id, therapist.id);
    let request = recorder.request(Method::PUT, &accept, Some(&stranger), Some(&json!({"status": "ACCEPTED"})));
    recorder.row("AnswerMappingRequest by invitation", request, ANSWER_REQUEST).await;
}

async fn entries(recorder: &mut Recorder<'_>, client: &Someone) -> String {
    let journal = format!("/journal/{}", client.id);
    let entry = json!({"emotion": "lonely", "intensity": 3, "timestamp": "2026-01-05T21:30:00+05:30", "note": "quiet"});
    let request = recorder.request(Method::POST, &journal, Some(client), Some(&entry));
    recorder
        .row("CreateEntry, the first", request, &["GetItem DataKeys", "PutItem DataKeys", "PutItem Journals"])
        .await;
    let request = recorder.request(Method::POST, &journal, Some(client), Some(&entry));
    let made = recorder.row("CreateEntry", request, &["PutItem Journals"]).await;
    let keyed = || recorder.request(Method::POST, &journal, Some(client), Some(&entry)).header("idempotency-key", "k");
    let (first, again) = (keyed(), keyed());
    recorder.row("CreateEntry with a key", first, &["TransactWriteItems Journals"]).await;
    recorder.row("CreateEntry with a key, again", again, &["TransactWriteItems Journals", "GetItem Journals"]).await;

    let id = made["entryId"].as_str().unwrap().to_owned();
    let path = format!("{journal}/entries/{id}");
    let request = recorder.request(Method::PUT, &path, Some(client), Some(&json!({"intensity": 4})));
    recorder.row("UpdateEntry", request, &["GetItem Journals", "PutItem Journals"]).await;
    let request = recorder.request(Method::DELETE, &format!("{journal}?entryId={id}"), Some(client), None);
    recorder.row("DeleteEntry", request, &["TransactWriteItems Journals"]).await;
    let request = recorder.request(Method::POST, &journal, Some(client), Some(&entry));
    recorder.row("CreateEntry, once more", request, &["PutItem Journals"]).await["entryId"].as_str().unwrap().to_owned()
}

/// Permission before a therapist's read, and access record after it.
const READ: &[&str] = &["BatchGetItem Mappings", "Query Journals", "PutItem Audit"];

async fn reads(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone, entry: &str) {
    let journal = format!("/journal/{}", client.id);
    let (one, insights) = (format!("{journal}/entries/{entry}"), format!("{journal}/insights?to=2026-01-31T00:00:00Z"));
    for filter in ["", "?pageSize=1", "?emotion=lonely&minIntensity=2", "?from=2026-01-01T00:00:00Z"] {
        let request = recorder.request(Method::GET, &format!("{journal}{filter}"), Some(client), None);
        recorder.row("ListEntries by the client", request, &["Query Journals"]).await;
        let request = recorder.request(Method::GET, &format!("{journal}{filter}"), Some(therapist), None);
        recorder.row("ListEntries by a therapist", request, READ).await;
    }
    let request = recorder.request(Method::GET, &one, Some(client), None);
    recorder.row("GetEntry by the client", request, &["GetItem Journals"]).await;
    let request = recorder.request(Method::GET, &one, Some(therapist), None);
    recorder
        .row("GetEntry by a therapist", request, &["BatchGetItem Mappings", "GetItem Journals", "PutItem Audit"])
        .await;
    let request = recorder.request(Method::GET, &insights, Some(client), None);
    recorder.row("GetInsights by the client", request, &["Query Journals"]).await;
    let request = recorder.request(Method::GET, &insights, Some(therapist), None);
    recorder.row("GetInsights by a therapist", request, READ).await;
    let request = recorder.request(Method::GET, "/emotions", Some(client), None);
    recorder.row("GetVocabulary", request, &[]).await;
    let request = recorder.request(Method::GET, &format!("/clients/{}/access-log", client.id), Some(client), None);
    recorder.row("ListAccesses", request, &["Query Audit", "BatchGetItem Therapists"]).await;
}

/// Records lists: a page is one Query and one batch of names for any number of relations.
async fn lists(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    for (what, path) in [
        ("ListMappings", "/mapping/{}"),
        ("ListMappings with journal access", "/mapping/{}?journalAccess=true"),
        ("ListRelatedTherapists", "/clients/{}/therapists"),
    ] {
        let request = recorder.request(Method::GET, &path.replace("{}", &client.id), Some(client), None);
        recorder.row(what, request, &["Query Mappings", "BatchGetItem Therapists"]).await;
    }
    let waiting = format!("/mapping/{}/requests", client.id);
    let request = recorder.request(Method::GET, &waiting, Some(client), None);
    // An invitation by a mapped therapist is removed.
    let calls = &["GetItem Users", "Query Mappings", "BatchGetItem Mappings", "DeleteItem Mappings", "Query Mappings"];
    recorder.row("ListConsentRequests, an invitation that is none", request, calls).await;
    let request = recorder.request(Method::GET, &waiting, Some(client), None);
    recorder.row("ListConsentRequests: none", request, &["GetItem Users", "Query Mappings", "Query Mappings"]).await;
    let request =
        recorder.request(Method::GET, &format!("/therapists/{}/clients", therapist.id), Some(therapist), None);
    recorder.row("ListRelatedClients", request, &["Query Mappings", "BatchGetItem Clients"]).await;
    let request = recorder.request(Method::GET, "/clients", Some(therapist), None);
    // The index finds the clients, and the table confirms their agreement.
    let calls = &["Query Mappings", "BatchGetItem Mappings", "BatchGetItem Clients"];
    recorder.row("ListClients, the related", request, calls).await;
    let request = recorder.request(Method::GET, &format!("/clients/{}", client.id), Some(therapist), None);
    recorder.row("GetClient by a therapist", request, &["GetItem Mappings", "GetItem Clients"]).await;
}

async fn endings(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let of = |path: &str| format!("/mapping/{}{path}?therapistId={}", client.id, therapist.id);
    let access = format!("/journal/{}/access?therapistId={}", client.id, therapist.id);
    let request = recorder.request(Method::PUT, &access, Some(client), Some(&json!({"access": "REVOKED"})));
    recorder.row("UpdateJournalAccess that revokes", request, END).await;
    recorder
        .watched
        .mesh
        .ask(Method::PUT, &access, Some(client), Some(json!({"access": "ACCEPTED"})))
        .await
        .expect(200);
    let request = recorder.request(Method::DELETE, &of("/access"), Some(client), None);
    recorder.row("EndJournalAccess", request, END).await;
    let request = recorder.request(Method::DELETE, &of(""), Some(therapist), None);
    recorder.row("EndMapping", request, END).await;
}

/// Records reads of a profile by an open appointment, and the end of the relation with it.
async fn open_appointments(recorder: &mut Recorder<'_>) {
    let mesh = &recorder.watched.mesh;
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
    let request = recorder.request(Method::GET, &profile, Some(&therapist), None);
    let calls = &["GetItem Mappings", "Query Appointments", "GetItem Clients"];
    recorder.row("GetClient by a therapist who is asked", request, calls).await;

    let status = format!("/appointments/{}/status", asked[0]["appointmentId"].as_str().unwrap());
    let accepted = json!({"status": "ACCEPTED"});
    mesh.ask(Method::PUT, &status, Some(&therapist), Some(accepted)).await.expect(200);
    let ending = format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    let request = recorder.request(Method::DELETE, &ending, Some(&client), None);
    let calls = &[
        "BatchGetItem Mappings",
        "TransactWriteItems Mappings",
        // Marker of the end, pending requests by the index and open ones, the one request; then the event is done.
        "PutItem Appointments",
        "Query Appointments",
        "Query Appointments",
        "GetItem Appointments",
        "TransactWriteItems Appointments",
        "UpdateItem Mappings",
    ];
    recorder.row("EndMapping by the client", request, calls).await;
    let request = recorder.request(Method::DELETE, &ending, Some(&client), None);
    recorder.row("EndMapping by the client, again", request, &["BatchGetItem Mappings"]).await;

    mesh.pass(Duration::from_secs(6 * 60));
    let request = recorder.request(Method::GET, &profile, Some(&therapist), None);
    // The end of a session is read once it has begun.
    let calls = &["GetItem Mappings", "Query Appointments", "BatchGetItem Sessions", "GetItem Clients"];
    recorder.row("GetClient by a therapist, during a session", request, calls).await;
}
