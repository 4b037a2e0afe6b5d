//! DynamoDB calls of searches, and of events that tell search of a text.

use kit::mesh::Someone;
use kit::wait::until;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_client::SubscriberServiceClient;
use proto::events::v1::{DeliverRequest, EntryChanged, Event, NotesChanged};
use reqwest::Method;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::Recorder;

/// A client and a therapist with access to the journal, an entry and a session with shared and private notes.
struct Pair {
    client: Someone,
    therapist: Someone,
    entry_id: String,
    session_id: String,
}

pub(super) async fn play(recorder: &mut Recorder<'_>) {
    let pair = Pair::make(recorder).await;
    pair.until_found(recorder).await;
    by_client(recorder, &pair).await;
    by_therapist(recorder, &pair).await;
    repeated_events(recorder, &pair).await;
}

impl Pair {
    async fn make(recorder: &Recorder<'_>) -> Self {
        let mesh = &recorder.watched.mesh;
        let client = mesh.client("Asha").await;
        let therapist = mesh.therapist("Noor", "Grief", "110001").await;
        let target = json!({"therapistId": therapist.id});
        mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(&client), Some(target)).await.expect(201);
        let journal = format!("/journal/{}", client.id);
        let access = format!("{journal}/access?therapistId={}", therapist.id);
        mesh.ask(Method::PUT, &access, Some(&client), Some(json!({"access": "ACCEPTED"}))).await.expect(200);
        let entry = json!({"emotion": "lonely", "intensity": 3, "timestamp": "2099-12-31T21:30:00Z", "note": "quiet"});
        let entry = mesh.ask(Method::POST, &journal, Some(&client), Some(entry)).await.expect(201);
        let session = json!({"sessionDate": "2100-01-10T09:00:00Z", "endTime": "10:00", "clientId": client.id,
            "privateNotes": "so quiet", "sharedNotes": "a quiet place"});
        let session = mesh.ask(Method::POST, "/sessions", Some(&therapist), Some(session)).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { entry_id: text(&entry["entryId"]), session_id: text(&session["sessionId"]), client, therapist }
    }

    /// Waits until all texts are in the index. After that the services have the data keys.
    async fn until_found(&self, recorder: &Recorder<'_>) {
        let mesh = &recorder.watched.mesh;
        for (who, hits) in [(&self.client, 2), (&self.therapist, 3)] {
            let finds_all = async || {
                let found = mesh.get("/search?q=quiet", who).await.expect(200);
                found.as_array().map(Vec::len) == Some(hits)
            };
            until("all texts are found", finds_all).await;
        }
    }
}

async fn by_client(recorder: &mut Recorder<'_>, Pair { client, .. }: &Pair) {
    let request = recorder.request(Method::GET, "/search?q=quiet&in=JOURNAL", Some(client), None);
    // Shared and private entries are looked up apart.
    let calls = &["Query SearchIndex", "Query SearchIndex", "BatchGetItem Journals"];
    recorder.row("Search by a client", request, calls).await;
    let request = recorder.request(Method::GET, "/search?q=nowhere&in=JOURNAL", Some(client), None);
    recorder.row("Search by a client: nothing", request, &["Query SearchIndex", "Query SearchIndex"]).await;
    let request = recorder.request(Method::GET, "/search?q=quiet", Some(client), None);
    let calls = &[
        // The scopes of the person, and the word in each: shared and private entries, and notes.
        "Query SearchIndex",
        "Query SearchIndex",
        "Query SearchIndex",
        "Query SearchIndex",
        "BatchGetItem Journals",
        "BatchGetItem Sessions",
    ];
    recorder.concurrent("Search by a client, everywhere", request, calls).await;
}

async fn by_therapist(recorder: &mut Recorder<'_>, Pair { client, therapist, .. }: &Pair) {
    let path = format!("/search?q=quiet%20lonely&in=JOURNAL&clientId={}", client.id);
    let request = recorder.request(Method::GET, &path, Some(therapist), None);
    let calls = &[
        // The grant, and two words.
        "GetItem Mappings",
        "Query SearchIndex",
        "Query SearchIndex",
        // The grant again, by the owner of the entries, and the access log.
        "BatchGetItem Mappings",
        "BatchGetItem Journals",
        "PutItem Audit",
    ];
    recorder.row("Search by a therapist, of one client", request, calls).await;
    let request = recorder.request(Method::GET, "/search?q=quiet", Some(therapist), None);
    let calls = &[
        // The scopes of the person, related clients with their agreement, and their names.
        "Query SearchIndex",
        "Query Mappings",
        "BatchGetItem Mappings",
        "BatchGetItem Clients",
        // The word in the journal, in shared and in private notes.
        "Query SearchIndex",
        "Query SearchIndex",
        "Query SearchIndex",
        "BatchGetItem Mappings",
        "BatchGetItem Journals",
        "BatchGetItem Sessions",
        "PutItem Audit",
    ];
    recorder.concurrent("Search by a therapist, everywhere", request, calls).await;
}

/// Records events that come again: the index has these versions, and writes nothing.
async fn repeated_events(recorder: &mut Recorder<'_>, pair: &Pair) {
    let Pair { client, therapist, entry_id, session_id } = pair;
    let entry = EntryChanged { client_id: client.id.clone(), entry_id: entry_id.clone() };
    let notes = NotesChanged {
        session_id: session_id.clone(),
        therapist_id: therapist.id.clone(),
        client_id: client.id.clone(),
    };
    deliver(
        recorder,
        "Deliver: a changed entry that is in the index",
        "journals",
        Kind::EntryChanged(entry),
        &["GetItem Journals", "GetItem SearchIndex"],
    )
    .await;
    deliver(
        recorder,
        "Deliver: changed notes that are in the index",
        "sessions",
        Kind::NotesChanged(notes),
        &["GetItem Sessions", "GetItem SearchIndex"],
    )
    .await;
}

async fn deliver(
    recorder: &mut Recorder<'_>,
    what: &'static str,
    by: &str,
    kind: Kind,
    calls: &'static [&'static str],
) {
    let mesh = &recorder.watched.mesh;
    let id = "01933b5e-7a4c-7def-8abc-0123456789ab".to_owned();
    let event = Event { id, time: Some(Default::default()), kind: Some(kind) };
    let mut request = tonic::Request::new(DeliverRequest { event: Some(event) });
    let (trace, parent) = recorder.watched.new_trace();
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("workload-identity-token", mesh.workload_token(by).parse().unwrap());
    let channel = Channel::from_shared(mesh.service("search")).unwrap().connect().await.unwrap();
    SubscriberServiceClient::new(channel).deliver(request).await.unwrap();
    recorder.rows.push((what, trace, calls));
}
