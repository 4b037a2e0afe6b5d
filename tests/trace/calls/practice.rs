//! DynamoDB calls of sessions, appointments and messages.

use kit::mesh::Someone;
use proto::events::v1::event::Kind;
use proto::events::v1::subscriber_service_client::SubscriberServiceClient;
use proto::events::v1::{DeliverRequest, Event, SessionBooked};
use proto::messages::v1::WatchConversationRequest;
use proto::messages::v1::message_service_client::MessageServiceClient;
use reqwest::Method;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::Recorder;

pub(super) async fn play(recorder: &mut Recorder<'_>) {
    let client = recorder.watched.mesh.client("Asha").await;
    let therapist = recorder.watched.mesh.therapist("Noor", "Grief", "110001").await;
    let pair = json!({"therapistId": therapist.id});
    let mapping = format!("/mapping/{}", client.id);
    recorder.watched.mesh.ask(Method::POST, &mapping, Some(&client), Some(pair)).await.expect(201);
    sessions(recorder, &therapist).await;
    booked(recorder, &client, &therapist).await;
    appointments(recorder, &client, &therapist).await;
    endings(recorder, &client, &therapist).await;
    late(recorder, &client, &therapist).await;
    messages(recorder, &client, &therapist).await;
    watching(recorder, &client, &therapist).await;
}

/// Returns a session on a day of January 2100.
fn on(day: u32) -> Value {
    json!({"sessionDate": format!("2100-01-{day:02}T09:00:00Z"), "endTime": "10:00"})
}

fn path(of: &str, made: &Value, id: &str) -> String {
    format!("/{of}/{}", made[id].as_str().unwrap())
}

fn session(made: &Value) -> String {
    path("sessions", made, "sessionId")
}

fn appointment(made: &Value) -> String {
    path("appointments", made, "appointmentId")
}

/// Days in one batch, and one transaction with the session.
const ADD: &[&str] = &["BatchGetItem Sessions", "TransactWriteItems Sessions"];
const MOVE: &[&str] = &["GetItem Sessions", "BatchGetItem Sessions", "TransactWriteItems Sessions"];

async fn sessions(recorder: &mut Recorder<'_>, therapist: &Someone) {
    let bare = recorder.request(Method::POST, "/sessions", Some(therapist), Some(&on(2)));
    let calls = &["BatchGetItem DataKeys", "PutItem DataKeys", "BatchGetItem Sessions", "TransactWriteItems Sessions"];
    recorder.row("CreateSession, the first", bare, calls).await;
    let mut noted = on(3);
    noted["privateNotes"] = "mine".into();
    let first = recorder.request(Method::POST, "/sessions", Some(therapist), Some(&noted));
    recorder.row("CreateSession", first, ADD).await;
    noted["sessionDate"] = "2100-01-04T09:00:00Z".into();
    let keyed =
        || recorder.request(Method::POST, "/sessions", Some(therapist), Some(&noted)).header("idempotency-key", "k");
    let (once, again) = (keyed(), keyed());
    let calls = &["GetItem Sessions", "BatchGetItem Sessions", "TransactWriteItems Sessions"];
    let made = recorder.row("CreateSession with a key", once, calls).await;
    recorder.row("CreateSession with a key, again", again, &["GetItem Sessions", "GetItem Sessions"]).await;

    let request = recorder.request(Method::GET, &session(&made), Some(therapist), None);
    recorder.row("GetSession", request, &["GetItem Sessions"]).await;
    let week = "?status=AVAILABLE&afterDate=2100-01-01T00:00:00Z&beforeDate=2100-01-08T00:00:00Z";
    for filter in ["", "?pageSize=1", week] {
        let path = format!("/sessions{filter}");
        let request = recorder.request(Method::GET, &path, Some(therapist), None);
        recorder.row("ListSessions by the therapist", request, &["Query Sessions"]).await;
    }
    let notes = json!({"sharedNotes": "ours"});
    let request = recorder.request(Method::PUT, &format!("{}/notes", session(&made)), Some(therapist), Some(&notes));
    recorder.row("UpdateNotes", request, &["GetItem Sessions", "TransactWriteItems Sessions"]).await;
    let later = json!({"sessionDate": "2100-01-05T09:00:00Z"});
    let request = recorder.request(Method::PUT, &session(&made), Some(therapist), Some(&later));
    recorder.row("UpdateSession: another day", request, MOVE).await;
    let request = recorder.request(Method::DELETE, &session(&made), Some(therapist), None);
    let calls = &[
        "GetItem Sessions",
        "BatchGetItem Sessions",
        "TransactWriteItems Sessions",
        // Its requests: none; then the cancelled session is deleted, with an item for search, as it has notes.
        "GetItem Sessions",
        "Query Appointments",
        "UpdateItem Sessions",
        "GetItem Sessions",
        "TransactWriteItems Sessions",
    ];
    recorder.row("DeleteSession", request, calls).await;
}

/// Records a session that is created for a client: contact, slot and appointment.
async fn booked(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let mut at_once = on(10);
    at_once["clientId"] = client.id.clone().into();
    at_once["sharedNotes"] = "ours".into();
    let request = recorder.request(Method::POST, "/sessions", Some(therapist), Some(&at_once));
    let calls = &[
        // The contact.
        "BatchGetItem Mappings",
        "GetItem Mappings",
        "TransactWriteItems Mappings",
        // Shared notes are encrypted for the client.
        "BatchGetItem DataKeys",
        "PutItem DataKeys",
        "BatchGetItem Sessions",
        "TransactWriteItems Sessions",
        // The appointment, and the other requests: none.
        "TransactWriteItems Appointments",
        "GetItem Appointments",
        "Query Appointments",
        "UpdateItem Sessions",
    ];
    let made = recorder.row("CreateSession for a client", request, calls).await;
    let free = format!("/sessions?therapistId={}", therapist.id);
    let week = format!("{free}&status=AVAILABLE&afterDate=2100-01-01T00:00:00Z&beforeDate=2100-01-08T00:00:00Z");
    for (what, path, calls) in [
        ("ListSessions by a client: the free ones of a week", &*week, &["Query Sessions"][..]),
        ("ListSessions by a client: the free and the own", &*free, &["Query Sessions", "Query Sessions"][..]),
        ("ListSessions by a client: the own", "/sessions", &["Query Sessions"][..]),
    ] {
        let request = recorder.request(Method::GET, path, Some(client), None);
        recorder.row(what, request, calls).await;
    }
    let request = recorder.request(Method::GET, &session(&made), Some(client), None);
    recorder.row("GetSession by its client", request, &["GetItem Sessions"]).await;
    let request =
        recorder.request(Method::PUT, &session(&made), Some(therapist), Some(&json!({"status": "CANCELLED"})));
    let calls = &[
        "GetItem Sessions",
        "BatchGetItem Sessions",
        "TransactWriteItems Sessions",
        "GetItem Appointments",
        "TransactWriteItems Appointments",
        "Query Appointments",
        "UpdateItem Sessions",
    ];
    recorder.row("UpdateSession: cancel what is booked", request, calls).await;
}

/// Session, number of pending requests, contact, request, and the session again.
const ASK: &[&str] = &[
    "GetItem Sessions",
    "Query Appointments",
    "BatchGetItem Mappings",
    "TransactWriteItems Appointments",
    "GetItem Sessions",
];
/// The same with the first contact, which is stored.
const ASK_FIRST: &[&str] = &[
    "GetItem Sessions",
    "Query Appointments",
    "BatchGetItem Mappings",
    "BatchGetItem Therapists",
    "GetItem Mappings",
    "TransactWriteItems Mappings",
    "TransactWriteItems Appointments",
    "GetItem Sessions",
];
/// Booked session and its event: this request is accepted, the others are rejected.
const ACCEPT: &[&str] = &[
    "GetItem Appointments",
    "GetItem Sessions",
    "PutItem Sessions",
    "GetItem Appointments",
    "TransactWriteItems Appointments",
    "Query Appointments",
    "UpdateItem Sessions",
    "GetItem Appointments",
    "GetItem Appointments",
];
const REVOKE: &[&str] = &[
    "GetItem Appointments",
    "TransactWriteItems Appointments",
    "GetItem Sessions",
    "PutItem Sessions",
    "UpdateItem Appointments",
];

type Costs = &'static [&'static str];

fn wish(therapist: &Someone, offered: &Value) -> Value {
    json!({
        "therapistId": therapist.id, "sessionId": offered["sessionId"], "appointmentDate": offered["sessionDate"],
    })
}

async fn ask(
    recorder: &mut Recorder<'_>,
    client: &Someone,
    therapist: &Someone,
    day: u32,
    calls: Costs,
) -> (Value, Value) {
    let offered =
        recorder.watched.mesh.ask(Method::POST, "/sessions", Some(therapist), Some(on(day))).await.expect(201);
    let wish = wish(therapist, &offered);
    let request = recorder.request(Method::POST, "/appointments", Some(client), Some(&wish));
    let made = recorder.row("CreateAppointment", request, calls).await;
    (offered, made)
}

async fn answer(
    recorder: &mut Recorder<'_>,
    what: &'static str,
    who: &Someone,
    asked: &Value,
    status: &str,
    calls: Costs,
) {
    let path = format!("{}/status", appointment(asked));
    let request = recorder.request(Method::PUT, &path, Some(who), Some(&json!({"status": status})));
    recorder.row(what, request, calls).await;
}

async fn appointments(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let (_, asked) = ask(recorder, client, therapist, 20, ASK_FIRST).await;
    let request = recorder.request(Method::GET, &appointment(&asked), Some(client), None);
    recorder.row("GetAppointment", request, &["GetItem Appointments"]).await;
    let request = recorder.request(Method::GET, &format!("{}/status", appointment(&asked)), Some(therapist), None);
    recorder.row("GetAppointmentStatus", request, &["GetItem Appointments"]).await;
    for filter in ["", "?status=PENDING", "?pageSize=1"] {
        for who in [client, therapist] {
            let request = recorder.request(Method::GET, &format!("/appointments{filter}"), Some(who), None);
            recorder.row("ListAppointments", request, &["Query Appointments"]).await;
        }
    }
    let of_both = format!("/appointments?therapistId={}&clientId={}", therapist.id, client.id);
    let request = recorder.request(Method::GET, &of_both, Some(client), None);
    recorder.row("ListAppointments of the two", request, &["Query Appointments"]).await;
    answer(recorder, "UpdateAppointmentStatus: accept", therapist, &asked, "ACCEPTED", ACCEPT).await;
    answer(recorder, "UpdateAppointmentStatus: revoke", client, &asked, "REVOKED", REVOKE).await;
    let (_, asked) = ask(recorder, client, therapist, 21, ASK).await;
    answer(
        recorder,
        "UpdateAppointmentStatus: reject",
        therapist,
        &asked,
        "REJECTED",
        &["GetItem Appointments", "TransactWriteItems Appointments"],
    )
    .await;

    let offered = recorder.watched.mesh.ask(Method::POST, "/sessions", Some(therapist), Some(on(25))).await.expect(201);
    let wish = wish(therapist, &offered);
    let keyed =
        || recorder.request(Method::POST, "/appointments", Some(client), Some(&wish)).header("idempotency-key", "k");
    let (once, again) = (keyed(), keyed());
    // The record, and as without a key.
    let calls = &[
        "GetItem Appointments",
        "GetItem Sessions",
        "Query Appointments",
        "BatchGetItem Mappings",
        "TransactWriteItems Appointments",
        "GetItem Sessions",
    ];
    recorder.row("CreateAppointment with a key", once, calls).await;
    // The record, whether the account has ended, and the appointment.
    let calls = &["GetItem Appointments", "GetItem Appointments", "GetItem Appointments"];
    recorder.row("CreateAppointment with a key, again", again, calls).await;
}

async fn endings(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let (_, asked) = ask(recorder, client, therapist, 22, ASK).await;
    let request = recorder.request(Method::DELETE, &appointment(&asked), Some(client), None);
    recorder.row("CancelAppointment", request, &["GetItem Appointments", "TransactWriteItems Appointments"]).await;
    let (offered, asked) = ask(recorder, client, therapist, 23, ASK).await;
    answer(recorder, "UpdateAppointmentStatus: accept, once more", therapist, &asked, "ACCEPTED", ACCEPT).await;
    let request = recorder.request(Method::DELETE, &session(&offered), Some(therapist), None);
    let calls = &[
        "GetItem Sessions",
        "BatchGetItem Sessions",
        "TransactWriteItems Sessions",
        // The appointment is revoked, and the session deleted.
        "GetItem Sessions",
        "GetItem Appointments",
        "TransactWriteItems Appointments",
        "Query Appointments",
        "UpdateItem Sessions",
        "GetItem Sessions",
        "DeleteItem Sessions",
    ];
    recorder.row("DeleteSession: what is booked", request, calls).await;
}

/// Records a booking event after its appointment is gone, which releases the slot.
async fn late(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let mesh = &recorder.watched.mesh;
    let offered = mesh.ask(Method::POST, "/sessions", Some(therapist), Some(on(24))).await.expect(201);
    let text = |field: &str| offered[field].as_str().unwrap().to_owned();
    let booked = SessionBooked {
        session_id: text("sessionId"),
        therapist_id: therapist.id.clone(),
        client_id: client.id.clone(),
        appointment_id: "01933b5e-7a4c-7def-8abc-0123456789ab".to_owned(),
        start: Some(Default::default()),
        start_date: text("sessionDate"),
        unasked: false,
    };
    let event = Event { id: client.id.clone(), time: None, kind: Some(Kind::SessionBooked(booked)) };
    let mut request = tonic::Request::new(DeliverRequest { event: Some(event) });
    let (trace, parent) = recorder.watched.new_trace();
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("workload-identity-token", mesh.workload_token("sessions").parse().unwrap());
    let channel = Channel::from_shared(mesh.service("appointments")).unwrap().connect().await.unwrap();
    SubscriberServiceClient::new(channel).deliver(request).await.unwrap();
    let calls = &["GetItem Appointments", "GetItem Sessions"];
    recorder.rows.push(("Deliver: a booking that comes late", trace, calls));
}

/// Check of the contact, and message.
const SEND: &[&str] = &["BatchGetItem Mappings", "TransactWriteItems Messages"];

async fn messages(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let mut send = async |what, from: &Someone, to: &Someone, key: Option<&str>, calls| {
        let text = json!({"receiverId": to.id, "message": "hello"});
        let mut request = recorder.request(Method::POST, "/messages", Some(from), Some(&text));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        recorder.row(what, request, calls).await
    };
    // Contact, data key, and end of the conversation, which the writer caches.
    let calls = &[
        "BatchGetItem Mappings",
        "BatchGetItem Therapists",
        "BatchGetItem Clients",
        "GetItem Mappings",
        "TransactWriteItems Mappings",
        "GetItem DataKeys",
        "GetItem Messages",
        "TransactWriteItems Messages",
    ];
    send("SendMessage, the first", client, therapist, None, calls).await;
    send("SendMessage by the client", client, therapist, None, SEND).await;
    let calls =
        &["BatchGetItem Mappings", "GetItem Mappings", "TransactWriteItems Mappings", "TransactWriteItems Messages"];
    let last = send("SendMessage by the therapist, the first", therapist, client, None, calls).await;
    send("SendMessage by the therapist", therapist, client, None, SEND).await;
    let calls = &["GetItem Messages", "BatchGetItem Mappings", "TransactWriteItems Messages"];
    send("SendMessage with a key", client, therapist, Some("k"), calls).await;
    let calls = &["GetItem Messages", "GetItem Messages"];
    send("SendMessage with a key, again", client, therapist, Some("k"), calls).await;

    let path = format!("/messages/history?senderId={}&receiverId={}", client.id, therapist.id);
    let request = recorder.request(Method::GET, &path, Some(client), None);
    recorder.row("ListMessages", request, &["Query Messages"]).await;
    for (who, names) in [(client, "BatchGetItem Therapists"), (therapist, "BatchGetItem Clients")] {
        let request = recorder.request(Method::GET, "/messages/conversations", Some(who), None);
        let calls: &'static [&'static str] = match names {
            "BatchGetItem Clients" => &["Query Messages", "BatchGetItem Messages", "BatchGetItem Clients"],
            _ => &["Query Messages", "BatchGetItem Messages", "BatchGetItem Therapists"],
        };
        recorder.row("ListConversations", request, calls).await;
    }
    let read = json!({"peerId": therapist.id, "messageId": last["messageId"]});
    let request = recorder.request(Method::PUT, "/messages/read", Some(client), Some(&read));
    recorder.row("MarkRead", request, &["GetItem Messages", "UpdateItem Messages"]).await;
}

/// Records watches, as events and over gRPC: login, position, a page, and an empty page. An idle watch makes no calls.
async fn watching(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let history = format!("/messages/history?senderId={}&receiverId={}", client.id, therapist.id);
    let all = recorder.watched.mesh.get(&history, client).await.expect(200);
    let first = all.as_array().unwrap().last().unwrap()["messageId"].as_str().unwrap().to_owned();
    for (what, after, calls) in [
        ("WatchConversationEvents from now on", String::new(), &["BatchGetItem Users", "Query Messages"][..]),
        (
            "WatchConversationEvents after a message",
            format!("&after={first}"),
            &["BatchGetItem Users", "GetItem Messages", "Query Messages", "Query Messages"][..],
        ),
    ] {
        let watch = format!("/messages/watch?peerId={}{after}", therapist.id);
        let request = recorder.request(Method::GET, &watch, Some(client), None);
        recorder.stream(what, request, !after.is_empty(), calls).await;
    }
    let channel = Channel::from_shared(recorder.watched.mesh.url.clone()).unwrap().connect().await.unwrap();
    let mut request = tonic::Request::new(WatchConversationRequest { peer_id: therapist.id.clone(), after: first });
    let (trace, parent) = recorder.watched.new_trace();
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("authorization", format!("Bearer {}", client.token).parse().unwrap());
    let mut watched = MessageServiceClient::new(channel).watch_conversation(request).await.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());
    recorder.streams.push(Box::new(watched));
    let calls = &["BatchGetItem Users", "GetItem Messages", "Query Messages", "Query Messages"];
    recorder.rows.push(("WatchConversation after a message", trace, calls));
}
