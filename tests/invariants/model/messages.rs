//! Commands on messages and read marks, compared with the model.

use reqwest::Method;
use serde_json::{Value, json};

use crate::model::practice::{Message, Thread};
use crate::model::sessions::text;
use crate::model::world::{Who, World, at};
use crate::model::{NOT_FOUND, Refusal};

const BAD: Refusal = (400, "INVALID_FIELDS");
const NOT_YOURS: Refusal = (403, "NOT_YOUR_ACCOUNT");

#[derive(Debug, Clone, Copy)]
enum Command {
    Send,
    History,
    Conversations,
    Read,
}

const COMMANDS: [(usize, Command); 4] =
    [(12, Command::Send), (4, Command::History), (4, Command::Conversations), (5, Command::Read)];

impl World<'_> {
    /// Runs a random command on messages.
    pub(crate) async fn message_command(&mut self) {
        match self.random.weighted(&COMMANDS) {
            Command::Send => self.send().await,
            Command::History => self.read_history().await,
            Command::Conversations => self.list_conversations().await,
            Command::Read => self.mark_read().await,
        }
    }

    /// Picks a caller and a peer, mostly of the other role.
    fn sides(&mut self) -> (Who, Who) {
        let (client, therapist) = self.pair();
        let both = [Who::Client(client), Who::Therapist(therapist)];
        let [mut caller, peer] = if self.random.percent(50) { both } else { [both[1], both[0]] };
        if self.random.percent(6) {
            caller = self.caller(caller);
        }
        (caller, peer)
    }

    async fn send(&mut self) {
        let (caller, peer) = self.sides();
        let now = self.now();
        let mut said = format!("word {}", self.random.below(1_000_000));
        let (mut body, mut refusals) = (json!({"receiverId": self.id(peer)}), Vec::new());
        match pair_of(caller, peer) {
            None if caller == peer => refusals.extend([NOT_FOUND, BAD]),
            None => refusals.push(NOT_FOUND),
            Some((client, therapist)) => {
                let may = matches!(caller, Who::Client(_)) || self.is_agreed(client, therapist);
                if !may {
                    refusals.push(NOT_FOUND);
                }
            }
        }
        if self.random.percent(5) {
            said = [String::new(), " \t ".to_owned(), "x".repeat(10_001)][self.random.below(3)].clone();
            refusals.push(BAD);
        }
        if self.random.percent(8) {
            let sender = if self.random.percent(50) { caller } else { peer };
            body["senderId"] = self.id(sender).into();
            if sender != caller {
                refusals.push(NOT_YOURS);
            }
        }
        body["message"] = said.as_str().into();
        let answer = self.ask(caller, Method::POST, "/messages", Some(body)).await;
        if !self.hold_any(&answer, 201, &refusals) {
            return;
        }
        let (client, therapist) = pair_of(caller, peer).expect("a message passes between the two kinds");
        let by_client = matches!(caller, Who::Client(_));
        if by_client {
            self.contact(client, therapist);
        }
        let said = Message { id: text(&answer.body, "messageId"), by_client, text: said, at: now };
        self.same("the message", &answer.body, &self.shown_message(client, therapist, &said));
        self.threads[client][therapist].said.push(said);
    }

    async fn read_history(&mut self) {
        let (caller, peer) = self.sides();
        let caller_named = if self.random.percent(95) { caller } else { self.caller(caller) };
        let [one, other] = if self.random.percent(50) { [caller_named, peer] } else { [peer, caller_named] };
        let path = format!("/messages/history?senderId={}&receiverId={}", self.id(one), self.id(other));
        let refusal = (caller_named != caller && peer != caller).then_some(NOT_YOURS);
        let size = *self.random.pick(&[1, 4, 50, 200]);
        // There is no conversation within a role.
        let Some((client, therapist)) = pair_of(caller_named, peer) else { return };
        let Some(found) = self.pages(caller, &path, size, refusal).await else { return };
        let said = self.threads[client][therapist].said.iter().rev();
        let expected: Value = said.map(|said| self.shown_message(client, therapist, said)).collect();
        self.same(&path, &found.into(), &expected);
    }

    async fn list_conversations(&mut self) {
        let (caller, _) = self.sides();
        let size = *self.random.pick(&[1, 2, 50]);
        let Some(mut found) = self.pages(caller, "/messages/conversations", size, None).await else { return };
        let mut expected = self.conversations_of(caller);
        let time = |shown: &Value| {
            let time: kernel::Timestamp = text(&shown["lastMessage"], "timestamp").parse().expect("a time");
            (-time.as_millisecond(), text(shown, "peerId"))
        };
        if !found.is_sorted_by_key(|shown| time(shown).0) {
            self.fail("conversations with the newest messages come first");
        }
        // The order within a millisecond is unspecified.
        found.sort_by_key(time);
        expected.sort_by_key(time);
        self.same("the conversations", &found.into(), &expected.into());
    }

    async fn mark_read(&mut self) {
        let (caller, peer) = self.sides();
        let Some((client, therapist)) = pair_of(caller, peer) else { return };
        let by_client = matches!(caller, Who::Client(_));
        let ids = |thread: &Thread| thread.said.iter().map(|said| said.id.clone()).collect::<Vec<_>>();
        let others: Vec<_> = self.threads.iter().flatten().flat_map(ids).collect();
        let own = ids(&self.threads[client][therapist]);
        let id = match self.random.below(10) {
            0 if !others.is_empty() => self.random.pick(&others).clone(),
            _ if !own.is_empty() => own[own.len() - 1 - self.random.below(own.len().min(6))].clone(),
            _ => "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        };
        let body = json!({"peerId": self.id(peer), "messageId": id});
        let answer = self.ask(caller, Method::PUT, "/messages/read", Some(body)).await;
        let Some(place) = own.iter().position(|own| *own == id) else {
            return self.hold(&answer, Err(NOT_FOUND));
        };
        self.hold(&answer, Ok(200));
        let peer_id = self.id(peer).to_owned();
        let thread = &mut self.threads[client][therapist];
        let last = thread.read(by_client, place).id.clone();
        let expected = json!({"peerId": peer_id, "messageId": last, "unreadCount": thread.unread(by_client)});
        self.same("the read mark", &answer.body, &expected);
    }

    pub(crate) fn shown_message(&self, client: usize, therapist: usize, said: &Message) -> Value {
        let both = [self.client_id(client), self.therapist_id(therapist)];
        let [from, to] = if said.by_client { [&both[0], &both[1]] } else { [&both[1], &both[0]] };
        json!({
            "messageId": said.id,
            "senderId": from,
            "receiverId": to,
            "message": said.text,
            "timestamp": at(said.at),
        })
    }
}

/// Returns the client and the therapist, if there is one of each.
const fn pair_of(one: Who, other: Who) -> Option<(usize, usize)> {
    match (one, other) {
        (Who::Client(client), Who::Therapist(therapist)) | (Who::Therapist(therapist), Who::Client(client)) => {
            Some((client, therapist))
        }
        _ => None,
    }
}
