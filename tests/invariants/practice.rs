//! Requests of a client and a therapist about sessions, appointments and messages, over REST.

use kernel::{Clock as _, Timestamp};
use kit::mesh::{Answer, Someone, TestMesh};
use reqwest::Method;
use serde_json::{Value, json};

use crate::steps::Pair;

/// Time of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Start, in UTC.
    pub(crate) date: String,
    /// End on that day, as `HH:MM`.
    pub(crate) end: String,
}

impl Slot {
    /// Returns a slot of 50 minutes, `number` hours after the next midnight.
    pub(crate) fn new(mesh: &TestMesh, number: usize) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        let midnight = (mesh.clock.now().as_second() / DAY + 1) * DAY;
        let start = Timestamp::from_second(midnight + i64::try_from(number).unwrap() * 3600).unwrap();
        Self { date: start.to_string(), end: format!("{:02}:50", number % 24) }
    }

    /// Returns a session at that time.
    pub(crate) fn session(&self) -> Value {
        json!({"sessionDate": self.date, "endTime": self.end})
    }
}

impl Pair {
    /// Adds a session of the therapist. Returns its id.
    pub(crate) async fn offer(&self, mesh: &TestMesh, slot: &Slot) -> String {
        let made = mesh.ask(Method::POST, "/sessions", Some(&self.therapist), Some(slot.session())).await.expect(201);
        id_of(&made, "sessionId")
    }

    /// The client asks for a session.
    pub(crate) async fn ask_for(&self, mesh: &TestMesh, session: &str, slot: &Slot) -> Answer {
        let body = json!({"therapistId": self.therapist.id, "appointmentDate": slot.date, "sessionId": session});
        mesh.ask(Method::POST, "/appointments", Some(&self.client), Some(body)).await
    }

    /// Requests a session as the client and accepts it as the therapist. Returns the id of the appointment.
    pub(crate) async fn book(&self, mesh: &TestMesh, session: &str, slot: &Slot) -> String {
        let asked = id_of(&self.ask_for(mesh, session, slot).await.expect(201), "appointmentId");
        let booked = decide(mesh, &self.therapist, &asked, "ACCEPTED").await.expect(200);
        assert_eq!(booked["status"], "ACCEPTED");
        asked
    }

    /// One of the two writes to the other.
    pub(crate) async fn say(&self, mesh: &TestMesh, by: &Someone, text: &str) -> Answer {
        let to = if by.id == self.client.id { &self.therapist.id } else { &self.client.id };
        mesh.ask(Method::POST, "/messages", Some(by), Some(json!({"receiverId": to, "message": text}))).await
    }

    /// Returns the path of the conversation.
    pub(crate) fn history(&self) -> String {
        format!("/messages/history?senderId={}&receiverId={}", self.client.id, self.therapist.id)
    }
}

/// Sets the status of an appointment.
pub(crate) async fn decide(mesh: &TestMesh, by: &Someone, appointment: &str, status: &str) -> Answer {
    let path = format!("/appointments/{appointment}/status");
    mesh.ask(Method::PUT, &path, Some(by), Some(json!({"status": status}))).await
}

/// Changes a session as its therapist.
pub(crate) async fn change(mesh: &TestMesh, by: &Someone, session: &str, change: Value) -> Answer {
    mesh.ask(Method::PUT, &format!("/sessions/{session}"), Some(by), Some(change)).await
}

/// Returns the id in a field of an answer.
pub(crate) fn id_of(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}
