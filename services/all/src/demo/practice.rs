//! Books a session, and exchanges messages.

use std::time::Duration;

use kernel::{BoxError, Timestamp};
use serde_json::{Value, json};

use super::{ApiClient, CREATED, GET, OK, POST, PUT, Person, expect, say, text};

/// Offers sessions, books one, updates its notes, and gives it back.
pub(super) async fn make_an_appointment(
    api: &ApiClient,
    client: &Person,
    therapist: &Person,
    now: Timestamp,
) -> Result<(), BoxError> {
    say("The therapist offers two sessions next week, each with notes: some for nobody else, some for its client.")?;
    let day = (now + Duration::from_secs(7 * 24 * 3600)).to_string();
    let day = format!("{}T00:00:00+05:30", day.get(..10).ok_or("a time begins with its date")?);
    let session = |start: &str, end: &str| {
        json!({"sessionDate": day, "startTime": start, "endTime": end,
            "privateNotes": "Ask about the flat.", "sharedNotes": "Bring three things that helped."})
    };
    let first = api.send(POST, "/sessions", therapist, Some(session("10:00", "10:50")), CREATED).await?;
    api.send(POST, "/sessions", therapist, Some(session("11:00", "11:50")), CREATED).await?;
    let first = text(&first, "/sessionId")?;

    say("The client sees what is available, without notes, and asks for the first.")?;
    let available = format!("/sessions?therapistId={}&status=AVAILABLE", therapist.id);
    let offered = api.send(GET, &available, client, None, OK).await?;
    expect(&offered, "/0/sessionId", &first)?;
    expect(&offered, "/0/sharedNotes", "")?;
    let wanted = json!({"therapistId": therapist.id, "appointmentDate": day, "sessionId": first});
    let asked = api.send(POST, "/appointments", client, Some(wanted), CREATED).await?;
    let status = format!("/appointments/{}/status", text(&asked, "/appointmentId")?);

    say("The therapist sees who asks, and accepts: the session is booked.")?;
    let waiting = api.send(GET, "/appointments?status=PENDING", therapist, None, OK).await?;
    expect(&waiting, "/0/clientId", &client.id)?;
    api.send(PUT, &status, therapist, Some(json!({"status": "ACCEPTED"})), OK).await?;
    let seen = api.send(GET, &status, client, None, OK).await?;
    expect(&seen, "/status", "ACCEPTED")?;

    say("The client now reads the shared notes, which the therapist goes on to write; never the private ones.")?;
    let notes = json!({"sharedNotes": "Bring three things that helped, and a photo of the river."});
    api.send(PUT, &format!("/sessions/{first}/notes"), therapist, Some(notes), OK).await?;
    let own = api.send(GET, &format!("/sessions/{first}"), client, None, OK).await?;
    expect(&own, "/status", "BOOKED")?;
    expect(&own, "/sharedNotes", "Bring three things that helped, and a photo of the river.")?;
    expect(&own, "/privateNotes", "")?;

    say("Something comes up: the client gives the session back, and it is available again.")?;
    api.send(PUT, &status, client, Some(json!({"status": "REVOKED"})), OK).await?;
    let freed = api.send(GET, &format!("/sessions/{first}"), therapist, None, OK).await?;
    expect(&freed, "/status", "AVAILABLE")
}

/// Sends messages both ways; the client receives the reply by watching.
pub(super) async fn write_to_each_other(api: &ApiClient, client: &Person, therapist: &Person) -> Result<(), BoxError> {
    say("The client writes, and watches for the answer.")?;
    let message = |to: &Person, text: &str| json!({"receiverId": to.id, "message": text});
    let sorry = message(therapist, "Sorry about Tuesday. Could we find another day?");
    let sent = api.send(POST, "/messages", client, Some(sorry), CREATED).await?;
    let sent = text(&sent, "/messageId")?;
    let mut events = api.watch(&format!("/messages/watch?peerId={}&after={sent}", therapist.id), client).await?;

    say("The therapist sees that there is something new, reads it, and answers.")?;
    let conversations = api.send(GET, "/messages/conversations", therapist, None, OK).await?;
    if conversations.pointer("/0/unreadCount").and_then(Value::as_u64) != Some(1) {
        return Err("one message should be unread".into());
    }
    let read = json!({"peerId": client.id, "messageId": sent});
    api.send(PUT, "/messages/read", therapist, Some(read), OK).await?;
    let answer = message(client, "Of course. The one at eleven is still free.");
    api.send(POST, "/messages", therapist, Some(answer), CREATED).await?;
    let event = events.next().await?;
    expect(&event, "/message", "Of course. The one at eleven is still free.")?;

    say("The history is the same for both, newest first; to anybody else there is none.")?;
    let history = format!("/messages/history?senderId={}&receiverId={}", client.id, therapist.id);
    let of_client = api.send(GET, &history, client, None, OK).await?;
    let of_therapist = api.send(GET, &history, therapist, None, OK).await?;
    expect(&of_client, "/1/messageId", &sent)?;
    if of_client == of_therapist { Ok(()) } else { Err("both should see the same".into()) }
}
