//! The rows of sessions, appointments and messages. A setting that a row names is between the client and the therapist of the
//! call: so the columns are the client who has asked, is booked or was, other clients, the session's therapist, and others.

use serde_json::{Value, json};

use crate::matrix::fixtures::{Cast, Setting};
use crate::matrix::rows::{Row, client, nothing, row, therapist};

/// All of them, in the order in which they are played: what is counted comes first.
pub(crate) fn rows() -> Vec<Row> {
    [lists(), sessions(), slots(), appointments(), messages(), contact()].into_iter().flatten().collect()
}

fn session(cast: &Cast) -> Value {
    json!({"sessionId": cast.scene.session_id})
}

fn appointment(cast: &Cast) -> Value {
    json!({"appointmentId": cast.scene.appointment_id})
}

fn new_session(cast: &Cast) -> Value {
    json!({"sessionDate": cast.free.date, "endTime": cast.free.end, "privateNotes": "mine", "sharedNotes": "ours"})
}

/// That time alone: there are other sessions.
fn then(cast: &Cast, field: &str, value: &str) -> Value {
    let mut list = json!({"afterDate": cast.slot.date, "beforeDate": cast.free.date});
    if !field.is_empty() {
        list[field] = value.into();
    }
    list
}

fn ask(cast: &Cast) -> Value {
    json!({"therapistId": cast.therapist.id, "appointmentDate": cast.slot.date, "sessionId": cast.scene.session_id})
}

fn becomes(cast: &Cast, status: &str) -> Value {
    json!({"appointmentId": cast.scene.appointment_id, "status": {"status": status}})
}

fn changed(cast: &Cast, change: Value) -> Value {
    json!({"sessionId": cast.scene.session_id, "session": change})
}

/// Before anything else is there that could be counted.
fn lists() -> Vec<Row> {
    let of = |request, with| {
        row("/therapy.appointments.v1.AppointmentService/ListAppointments", request).with(with).setting(Setting::Asked)
    };
    let between = |cast: &Cast| json!({"senderId": cast.client.id, "receiverId": cast.therapist.id});
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
    let notes = |cast: &Cast| {
        let notes = json!({"privateNotes": "mine", "sharedNotes": "ours"});
        json!({"sessionId": cast.scene.session_id, "notes": notes})
    };
    vec![
        row(LIST, |cast| then(cast, "", "")).with("all, one available").setting(Setting::Available),
        row(LIST, |cast| then(cast, "therapistId", &cast.therapist.id))
            .with("the therapist's, available")
            .setting(Setting::Available),
        row(LIST, |cast| then(cast, "clientId", &cast.client.id))
            .with("the client's, available")
            .setting(Setting::Available),
        row(LIST, |cast| then(cast, "", "")).with("all, one booked").setting(Setting::Booked),
        row(LIST, |cast| then(cast, "therapistId", &cast.therapist.id))
            .with("the therapist's, booked")
            .setting(Setting::Booked),
        row(LIST, |cast| then(cast, "clientId", &cast.client.id)).with("the client's, booked").setting(Setting::Booked),
        row(LIST, |cast| then(cast, "therapistId", &cast.therapist.id))
            .with("the therapist's, cancelled")
            .setting(Setting::Cancelled),
        row(CREATE, |cast| json!({"session": new_session(cast)})).changes(),
        row(CREATE, |cast| {
            let mut session = new_session(cast);
            session["therapistId"] = cast.therapist.id.as_str().into();
            json!({"session": session})
        })
        .with("by the therapist named")
        .changes(),
        row(CREATE, |cast| {
            let mut session = new_session(cast);
            session["clientId"] = cast.client.id.as_str().into();
            json!({"session": session})
        })
        .with("for the client")
        .changes(),
        row(GET, session).with("available").setting(Setting::Available),
        row(GET, session).with("asked for").setting(Setting::Asked),
        row(GET, session).with("booked").setting(Setting::Booked),
        row(GET, session).with("formerly booked").setting(Setting::FormerlyBooked),
        row(GET, session).with("cancelled").setting(Setting::Cancelled),
        row(UPDATE, |cast| changed(cast, json!({"sharedNotes": "ours"}))).with("a note").setting(Setting::Booked),
        row(UPDATE, |cast| changed(cast, json!({"status": "CANCELLED"})))
            .with("its end")
            .setting(Setting::Booked)
            .changes(),
        row(UPDATE, |cast| changed(cast, json!({"status": "AVAILABLE"})))
            .with("available again")
            .setting(Setting::Booked)
            .changes(),
        row(NOTES, notes).setting(Setting::Booked),
        row(DELETE, session).with("available").setting(Setting::Available).changes(),
        row(DELETE, session).with("booked").setting(Setting::Booked).changes(),
    ]
}

fn slots() -> Vec<Row> {
    let release = |cast: &Cast| json!({"sessionId": cast.scene.session_id, "appointmentId": cast.scene.appointment_id});
    vec![
        row("/therapy.sessions.v1.SlotService/FindSlot", |cast| {
            json!({"sessionId": cast.scene.session_id, "therapistId": cast.therapist.id, "time": cast.slot.date})
        })
        .setting(Setting::Available),
        row(
            "/therapy.sessions.v1.SlotService/BatchGetSlotEnds",
            |cast| json!({"sessionIds": [cast.scene.session_id]}),
        )
        .setting(Setting::Booked),
        row("/therapy.sessions.v1.SlotService/ReserveSlot", |cast| {
            json!({
                "sessionId": cast.scene.session_id,
                "therapistId": cast.therapist.id,
                "appointmentId": cast.scene.appointment_id,
                "clientId": cast.client.id,
                "start": cast.slot.date,
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
        row(CREATE, |cast| json!({"therapistId": cast.therapist.id, "appointmentDate": cast.slot.date}))
            .with("by its time")
            .setting(Setting::Available)
            .changes(),
        row(CREATE, |cast| {
            let mut asked = ask(cast);
            asked["clientId"] = cast.client.id.as_str().into();
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
        row(UPDATE, |cast| becomes(cast, "ACCEPTED")).with("accepted").setting(Setting::Asked).changes(),
        row(UPDATE, |cast| becomes(cast, "REJECTED")).with("rejected").setting(Setting::Asked).changes(),
        row(UPDATE, |cast| becomes(cast, "REVOKED")).with("revoked").setting(Setting::Booked).changes(),
        row(UPDATE, |cast| becomes(cast, "REVOKED")).with("revoked, only asked for").setting(Setting::Asked).changes(),
        row(CANCEL, appointment).with("asked for").setting(Setting::Asked).changes(),
        row(CANCEL, appointment).with("booked").setting(Setting::Booked).changes(),
    ]
}

fn messages() -> Vec<Row> {
    const SEND: &str = "/therapy.messages.v1.MessageService/SendMessage";
    const READ: &str = "/therapy.messages.v1.MessageService/MarkRead";
    const WATCH: &str = "/therapy.messages.v1.MessageService/WatchConversation";
    let to_client = |cast: &Cast| json!({"receiverId": cast.client.id, "message": "a word"});
    vec![
        row(SEND, |cast| json!({"receiverId": cast.therapist.id, "message": "a word"}))
            .with("to the therapist")
            .changes(),
        row(SEND, to_client).with("to the client").changes(),
        row(SEND, to_client).with("to the client, who has written").setting(Setting::Thread),
        row(SEND, |cast| json!({"senderId": cast.client.id, "receiverId": cast.therapist.id, "message": "a word"}))
            .with("by the client named")
            .changes(),
        row(READ, |cast| json!({"peerId": cast.therapist.id, "messageId": cast.scene.message_id}))
            .with("with the therapist")
            .setting(Setting::Thread),
        row(READ, |cast| json!({"peerId": cast.client.id, "messageId": cast.scene.message_id}))
            .with("with the client")
            .setting(Setting::Thread),
        row(WATCH, |cast| json!({"peerId": cast.therapist.id})).with("with the therapist").setting(Setting::Thread),
        row(WATCH, |cast| json!({"peerId": cast.client.id})).with("with the client").setting(Setting::Thread),
        row(WATCH, |cast| json!({"peerId": cast.client.id, "after": cast.scene.message_id}))
            .with("with the client, after a message")
            .setting(Setting::Thread),
    ]
}

/// What a booked session, or a message, gives of all the rest: the profile, and nothing of the journal.
fn contact() -> Vec<Row> {
    let entry = |cast: &Cast| json!({"clientId": cast.client.id, "entryId": cast.entry_id});
    vec![
        row("/therapy.clients.v1.ClientService/GetClient", client).with("booked").setting(Setting::Booked),
        row("/therapy.clients.v1.ClientService/GetClient", client).with("asked for").setting(Setting::Asked),
        row("/therapy.clients.v1.ClientService/GetClient", client)
            .with("formerly booked")
            .setting(Setting::FormerlyBooked),
        row("/therapy.clients.v1.ClientService/GetClient", client).with("written to").setting(Setting::Thread),
        row(
            "/therapy.appointments.v1.AppointmentFactsService/FilterClientsWithOpenAppointment",
            |cast| json!({"clientIds": [cast.client.id]}),
        )
        .setting(Setting::Booked),
        row("/therapy.mapping.v1.MappingService/ListRelatedClients", therapist).with("booked").setting(Setting::Booked),
        row("/therapy.journals.v1.JournalService/GetEntry", entry).with("booked").setting(Setting::Booked),
        row("/therapy.journals.v1.JournalService/ListEntries", client).with("booked").setting(Setting::Booked),
        row("/therapy.journals.v1.JournalService/GetInsights", client).with("booked").setting(Setting::Booked),
    ]
}
