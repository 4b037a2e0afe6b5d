//! Account deletion, and what the others see after it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::model::practice::{AppointmentState, SessionState, Thread};
use crate::model::sessions::{text, without_etag};
use crate::model::world::{EACH, Who, World, name};

/// Number of the client, and of the therapist, who delete their accounts.
const LEAVING: usize = 0;

impl World<'_> {
    /// Deletes the account of a client and then of a therapist, and compares what the others see with the model.
    pub(crate) async fn delete_accounts(&mut self) {
        self.log_in(Who::Client(LEAVING)).await;
        let own = format!("/clients/{}", self.client_id(LEAVING));
        let answer = self.ask(Who::Client(LEAVING), Method::DELETE, &own, None).await;
        self.hold(&answer, Ok(204));
        self.forget_client();
        for therapist in 0..EACH {
            self.compare_practice(Who::Therapist(therapist), "").await;
        }
        self.log_in(Who::Therapist(LEAVING)).await;
        let own = format!("/therapists/{}", self.therapist_id(LEAVING));
        let answer = self.ask(Who::Therapist(LEAVING), Method::DELETE, &own, None).await;
        self.hold(&answer, Ok(204));
        self.close_practice();
        for client in 1..EACH {
            self.compare_practice(Who::Client(client), &self.therapist_id(LEAVING)).await;
        }
        for therapist in 1..EACH {
            self.compare_practice(Who::Therapist(therapist), "").await;
        }
    }

    /// Removes a client from the model. Sessions that have begun keep their time.
    fn forget_client(&mut self) {
        let now = self.now();
        for asked in self.practice.appointments.iter_mut().filter(|it| it.client == LEAVING) {
            asked.state = AppointmentState::Gone;
        }
        for session in self.practice.sessions.iter_mut().filter(|it| it.client == Some(LEAVING)) {
            session.client = None;
            session.shared.clear();
            if session.state != SessionState::Cancelled && !session.has_begun(now) {
                session.state = SessionState::Available;
            }
        }
        self.threads[LEAVING] = [const { Thread::NONE }; EACH];
    }

    /// Removes available sessions of the deleted therapist, and cancels booked ones and pending requests.
    fn close_practice(&mut self) {
        let now = self.now();
        for place in 0..self.practice.sessions.len() {
            let session = &self.practice.sessions[place];
            if session.therapist != LEAVING || session.gone {
                continue;
            }
            match session.state {
                SessionState::Available => self.practice.remove(place, now),
                SessionState::Booked(_) if !session.has_begun(now) => {
                    self.practice.withdraw(place, SessionState::Cancelled, now)
                }
                SessionState::Booked(_) | SessionState::Cancelled => {}
            }
        }
        for asked in self.practice.appointments.iter_mut().filter(|it| it.therapist == LEAVING) {
            if asked.status(now) == "PENDING" {
                asked.state = AppointmentState::Rejected;
            }
        }
    }

    /// Compares all sessions, appointments and conversations of a remaining person with the model.
    async fn compare_practice(&mut self, caller: Who, gone: &str) {
        let is_own = |therapist: usize, client: Option<usize>| match caller {
            Who::Client(number) => client == Some(number),
            Who::Therapist(number) => therapist == number,
        };
        let sessions = self.practice.sessions.iter().enumerate();
        let sessions = sessions.filter(|(_, it)| !it.gone && is_own(it.therapist, it.client));
        let sessions: Vec<_> = sessions.map(|(place, _)| self.shown_session(caller, place)).collect();
        let appointments = self.practice.appointments.iter().enumerate();
        let appointments = appointments.filter(|(_, it)| self.is_of(caller, it));
        let appointments: Vec<_> = appointments.map(|(place, _)| self.shown_appointment(place)).collect();
        let mut conversations = self.conversations_of(caller);
        for conversation in conversations.iter_mut().filter(|it| it["peerId"] == gone) {
            conversation["peerName"] = "".into();
        }
        for (path, id, expected) in [
            ("/sessions", "sessionId", sessions),
            ("/appointments", "appointmentId", appointments),
            ("/messages/conversations", "peerId", conversations),
        ] {
            let Some(found) = self.pages(caller, path, 200, None).await else { return };
            let in_order = |list: &[Value]| {
                let mut list: Vec<_> = list.iter().map(without_etag).collect();
                list.sort_by_key(|it| text(it, id));
                Value::from(list)
            };
            self.same(&format!("{path} of {caller:?}, who stays"), &in_order(&found), &in_order(&expected));
        }
    }

    /// Returns a person's conversations, in no order.
    pub(crate) fn conversations_of(&self, caller: Who) -> Vec<Value> {
        let shown = (0..EACH).filter_map(|peer| {
            let (client, therapist, peer) = match caller {
                Who::Client(client) => (client, peer, Who::Therapist(peer)),
                Who::Therapist(therapist) => (peer, therapist, Who::Client(peer)),
            };
            let thread = &self.threads[client][therapist];
            Some(json!({
                "peerId": self.id(peer),
                "peerName": name(peer),
                "lastMessage": self.shown_message(client, therapist, thread.said.last()?),
                "unreadCount": thread.unread(matches!(caller, Who::Client(_))),
            }))
        });
        shown.collect()
    }
}
