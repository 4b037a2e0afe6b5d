//! Rows of sessions, appointments and messages. The setting of a row is between the client and the therapist of the
//! call, so the columns are the client of the appointment, other clients, the session's therapist, and other
//! therapists.

use serde_json::{Value, json};

use crate::matrix::fixtures::{Fixture, Setting};
use crate::matrix::rows::{Row, client, nothing, row, therapist};

/// Returns all rows in the order of the calls: lists come first, before other rows add to what they count.
pub(crate) fn rows() -> Vec<Row> {
    [lists(), sessions(), texts(), slots(), appointments(), messages(), contact()].into_iter().flatten().collect()
}

fn session(fixture: &Fixture) -> Value {
    json!({"sessionId": fixture.ids.session_id})
}

fn appointment(fixture: &Fixture) -> Value {
    json!({"appointmentId": fixture.ids.appointment_id})
}

fn new_session(fixture: &Fixture) -> Value {
    let (date, end) = (&fixture.free.date, &fixture.free.end);
    json!({"sessionDate": date, "endTime": end, "privateNotes": "mine", "sharedNotes": "ours"})
}

/// Returns a list request for the time of the fixture's session alone.
fn then(fixture: &Fixture, field: &str, value: &str) -> Value {
    let mut list = json!({"afterDate": fixture.slot.date, "beforeDate": fixture.free.date});
    if !field.is_empty() {
        list[field] = value.into();
    }
    list
}

fn ask(fixture: &Fixture) -> Value {
    let (therapist, session) = (&fixture.therapist.id, &fixture.ids.session_id);
    json!({"therapistId": therapist, "appointmentDate": fixture.slot.date, "sessionId": session})
}

fn becomes(fixture: &Fixture, status: &str) -> Value {
    json!({"appointmentId": fixture.ids.appointment_id, "status": {"status": status}})
}

fn changed(fixture: &Fixture, change: Value) -> Value {
    json!({"sessionId": fixture.ids.session_id, "session": change})
}

/// Returns the rows that count items, which run before others add any.
fn lists() -> Vec<Row> {
    let of = |request, with| {
        row("/therapy.appointments.v1.AppointmentService/ListAppointments", request).with(with).setting(Setting::Asked)
    };
    let between = |fixture: &Fixture| json!({"senderId": fixture.client.id, "receiverId": fixture.therapist.id});
    vec![
        of(nothing, "all"),
        of(client, "the client's"),
        of(therapist, "the therapist's"),
        row("/therapy.messages.v1.MessageService/ListMessages", between).setting(Setting::Thread),
        row("/therapy.messages.v1.MessageService/ListMessages", between).with("that have not begun"),
        row("/therapy.messages.v1.MessageService/ListConversations", nothing).setting(Setting::Thread),
    ]
}

fn sessions() -> Vec<Row> {
    const LIST: &str = "/therapy.sessions.v1.SessionService/ListSessions";
    const CREATE: &str = "/therapy.sessions.v1.SessionService/CreateSession";
    const GET: &str = "/therapy.sessions.v1.SessionService/GetSession";
    const UPDATE: &str = "/therapy.sessions.v1.SessionService/UpdateSession";
    const NOTES: &str = "/therapy.sessions.v1.SessionService/UpdateNotes";
    const DELETE: &str = "/therapy.sessions.v1.SessionService/DeleteSession";
    let notes = |fixture: &Fixture| {
        let notes = json!({"privateNotes": "mine", "sharedNotes": "ours"});
        json!({"sessionId": fixture.ids.session_id, "notes": notes})
    };
    vec![
        row(LIST, |fixture| then(fixture, "", "")).with("all, one available").setting(Setting::Available),
        row(LIST, |fixture| then(fixture, "therapistId", &fixture.therapist.id))
            .with("the therapist's, available")
            .setting(Setting::Available),
        row(LIST, |fixture| then(fixture, "clientId", &fixture.client.id))
            .with("the client's, available")
            .setting(Setting::Available),
        row(LIST, |fixture| then(fixture, "", "")).with("all, one booked").setting(Setting::Booked),
        row(LIST, |fixture| then(fixture, "therapistId", &fixture.therapist.id))
            .with("the therapist's, booked")
            .setting(Setting::Booked),
        row(LIST, |fixture| then(fixture, "clientId", &fixture.client.id))
            .with("the client's, booked")
            .setting(Setting::Booked),
        row(LIST, |fixture| then(fixture, "therapistId", &fixture.therapist.id))
            .with("the therapist's, cancelled")
            .setting(Setting::Cancelled),
        row(CREATE, |fixture| json!({"session": new_session(fixture)})).changes(),
        row(CREATE, |fixture| {
            let mut session = new_session(fixture);
            session["therapistId"] = fixture.therapist.id.as_str().into();
            json!({"session": session})
        })
        .with("by the therapist named")
        .changes(),
        row(CREATE, |fixture| {
            let mut session = new_session(fixture);
            session["clientId"] = fixture.client.id.as_str().into();
            json!({"session": session})
        })
        .with("for the client")
        .changes(),
        row(GET, session).with("available").setting(Setting::Available),
        row(GET, session).with("asked for").setting(Setting::Asked),
        row(GET, session).with("booked").setting(Setting::Booked),
        row(GET, session).with("formerly booked").setting(Setting::FormerlyBooked),
        row(GET, session).with("cancelled").setting(Setting::Cancelled),
        row(UPDATE, |fixture| changed(fixture, json!({"sharedNotes": "ours"}))).with("a note").setting(Setting::Booked),
        row(UPDATE, |fixture| changed(fixture, json!({"status": "CANCELLED"})))
            .with("its end")
            .setting(Setting::Booked)
            .changes(),
        row(UPDATE, |fixture| changed(fixture, json!({"status": "AVAILABLE"})))
            .with("available again")
            .setting(Setting::Booked)
            .changes(),
        row(NOTES, notes).setting(Setting::Booked),
        row(DELETE, session).with("available").setting(Setting::Available).changes(),
        row(DELETE, session).with("booked").setting(Setting::Booked).changes(),
    ]
}

/// Returns the rows of notes for a search.
fn texts() -> Vec<Row> {
    const READABLE: &str = "/therapy.sessions.v1.NotesTextService/BatchGetReadableNotes";
    vec![
        row("/therapy.sessions.v1.NotesTextService/GetNotesText", session).setting(Setting::Booked),
        row(READABLE, |fixture| json!({"sessionIds": [fixture.ids.session_id]})).setting(Setting::Booked),
    ]
}

fn slots() -> Vec<Row> {
    let release =
        |fixture: &Fixture| json!({"sessionId": fixture.ids.session_id, "appointmentId": fixture.ids.appointment_id});
    vec![
        row("/therapy.sessions.v1.SlotService/FindSlot", |fixture| {
            json!({"sessionId": fixture.ids.session_id, "therapistId": fixture.therapist.id, "time": fixture.slot.date})
        })
        .setting(Setting::Available),
        row(
            "/therapy.sessions.v1.SlotService/BatchGetSlotEnds",
            |fixture| json!({"sessionIds": [fixture.ids.session_id]}),
        )
        .setting(Setting::Booked),
        row("/therapy.sessions.v1.SlotService/ReserveSlot", |fixture| {
            json!({
                "sessionId": fixture.ids.session_id,
                "therapistId": fixture.therapist.id,
                "appointmentId": fixture.ids.appointment_id,
                "clientId": fixture.client.id,
                "start": fixture.slot.date,
            })
        })
        .setting(Setting::Asked)
        .changes(),
        row("/therapy.sessions.v1.SlotService/ReleaseSlot", release).setting(Setting::Booked).changes(),
    ]
}

fn appointments() -> Vec<Row> {
    const CREATE: &str = "/therapy.appointments.v1.AppointmentService/CreateAppointment";
    const GET: &str = "/therapy.appointments.v1.AppointmentService/GetAppointment";
    const STATUS: &str = "/therapy.appointments.v1.AppointmentService/GetAppointmentStatus";
    const UPDATE: &str = "/therapy.appointments.v1.AppointmentService/UpdateAppointmentStatus";
    const CANCEL: &str = "/therapy.appointments.v1.AppointmentService/CancelAppointment";
    vec![
        row(CREATE, ask).with("available").setting(Setting::Available).changes(),
        row(CREATE, |fixture| json!({"therapistId": fixture.therapist.id, "appointmentDate": fixture.slot.date}))
            .with("by its time")
            .setting(Setting::Available)
            .changes(),
        row(CREATE, |fixture| {
            let mut asked = ask(fixture);
            asked["clientId"] = fixture.client.id.as_str().into();
            asked
        })
        .with("by the client named")
        .setting(Setting::Available)
        .changes(),
        row(CREATE, ask).with("asked for").setting(Setting::Asked).changes(),
        row(CREATE, ask).with("booked").setting(Setting::Booked).changes(),
        row(CREATE, ask).with("formerly booked").setting(Setting::FormerlyBooked).changes(),
        row(CREATE, ask).with("cancelled").setting(Setting::Cancelled).changes(),
        row(GET, appointment).with("asked for").setting(Setting::Asked),
        row(GET, appointment).with("booked").setting(Setting::Booked),
        row(GET, appointment).with("formerly booked").setting(Setting::FormerlyBooked),
        row(STATUS, appointment).with("asked for").setting(Setting::Asked),
        row(STATUS, appointment).with("formerly booked").setting(Setting::FormerlyBooked),
        row(UPDATE, |fixture| becomes(fixture, "ACCEPTED")).with("accepted").setting(Setting::Asked).changes(),
        row(UPDATE, |fixture| becomes(fixture, "REJECTED")).with("rejected").setting(Setting::Asked).changes(),
        row(UPDATE, |fixture| becomes(fixture, "REVOKED")).with("revoked").setting(Setting::Booked).changes(),
        row(UPDATE, |fixture| becomes(fixture, "REVOKED"))
            .with("revoked, only asked for")
            .setting(Setting::Asked)
            .changes(),
        row(CANCEL, appointment).with("asked for").setting(Setting::Asked).changes(),
        row(CANCEL, appointment).with("booked").setting(Setting::Booked).changes(),
    ]
}

fn messages() -> Vec<Row> {
    const SEND: &str = "/therapy.messages.v1.MessageService/SendMessage";
    const READ: &str = "/therapy.messages.v1.MessageService/MarkRead";
    const WATCHES: [&str; 2] = [
        "/therapy.messages.v1.MessageService/WatchConversation",
        "/therapy.messages.v1.MessageService/WatchConversationEvents",
    ];
    let to_client = |fixture: &Fixture| json!({"receiverId": fixture.client.id, "message": "a word"});
    let mut rows = vec![
        row(SEND, |fixture| json!({"receiverId": fixture.therapist.id, "message": "a word"}))
            .with("to the therapist")
            .changes(),
        row(SEND, to_client).with("to the client").changes(),
        row(SEND, to_client).with("to the client, who has written").setting(Setting::Thread),
        row(
            SEND,
            |fixture| json!({"senderId": fixture.client.id, "receiverId": fixture.therapist.id, "message": "a word"}),
        )
        .with("by the client named")
        .changes(),
        row(READ, |fixture| json!({"peerId": fixture.therapist.id, "messageId": fixture.ids.message_id}))
            .with("with the therapist")
            .setting(Setting::Thread),
        row(READ, |fixture| json!({"peerId": fixture.client.id, "messageId": fixture.ids.message_id}))
            .with("with the client")
            .setting(Setting::Thread),
    ];
    for rpc in WATCHES {
        rows.extend([
            row(rpc, |fixture| json!({"peerId": fixture.therapist.id}))
                .with("with the therapist")
                .setting(Setting::Thread),
            row(rpc, |fixture| json!({"peerId": fixture.client.id})).with("with the client").setting(Setting::Thread),
            row(rpc, |fixture| json!({"peerId": fixture.client.id, "after": fixture.ids.message_id}))
                .with("with the client, resumed")
                .setting(Setting::Thread),
        ]);
    }
    rows
}

/// Returns the rows of other services that depend on contact: it gives the profile, and nothing of the journal.
fn contact() -> Vec<Row> {
    let entry = |fixture: &Fixture| json!({"clientId": fixture.client.id, "entryId": fixture.entry_id});
    vec![
        row("/therapy.clients.v1.ClientService/GetClient", client).with("booked").setting(Setting::Booked),
        row("/therapy.clients.v1.ClientService/GetClient", client).with("asked for").setting(Setting::Asked),
        row("/therapy.clients.v1.ClientService/GetClient", client)
            .with("formerly booked")
            .setting(Setting::FormerlyBooked),
        row("/therapy.clients.v1.ClientService/GetClient", client).with("written to").setting(Setting::Thread),
        row(
            "/therapy.appointments.v1.AppointmentFactsService/FilterClientsWithOpenAppointment",
            |fixture| json!({"clientIds": [fixture.client.id]}),
        )
        .setting(Setting::Booked),
        row("/therapy.mapping.v1.MappingService/ListRelatedClients", therapist).with("booked").setting(Setting::Booked),
        row("/therapy.journals.v1.JournalService/GetEntry", entry).with("booked").setting(Setting::Booked),
        row("/therapy.journals.v1.JournalService/ListEntries", client).with("booked").setting(Setting::Booked),
        row("/therapy.journals.v1.JournalService/GetInsights", client).with("booked").setting(Setting::Booked),
    ]
}
