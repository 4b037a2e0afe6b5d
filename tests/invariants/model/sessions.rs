//! Commands on sessions, compared with the model.

use reqwest::Method;
use serde_json::{Value, json};

use crate::model::consent::own_side;
use crate::model::practice::{Appointment, AppointmentState, Session, SessionState, When};
use crate::model::world::{Who, World, at, own};
use crate::model::{DAY, Ms, NOT_FOUND, Refusal};

const BAD: Refusal = (400, "INVALID_FIELDS");
const OVERLAPS: Refusal = (409, "SESSION_OVERLAPS");
const MINUTE: Ms = 60_000;
const OFFSETS: [(&str, Ms); 3] = [("Z", 0), ("+05:30", 330), ("-08:00", -480)];

#[derive(Debug, Clone, Copy)]
enum Command {
    Add,
    Get,
    List,
    Move,
    SetStatus,
    WriteNotes,
    Remove,
}

const COMMANDS: [(usize, Command); 7] = [
    (10, Command::Add),
    (5, Command::Get),
    (7, Command::List),
    (4, Command::Move),
    (4, Command::SetStatus),
    (4, Command::WriteNotes),
    (2, Command::Remove),
];

impl World<'_> {
    /// Runs a random command on sessions.
    pub(crate) async fn session_command(&mut self) {
        match self.random.weighted(&COMMANDS) {
            Command::Add => self.add_session().await,
            Command::Get => self.get_session().await,
            Command::List => self.list_sessions().await,
            Command::Move => self.move_session().await,
            Command::SetStatus => self.set_status().await,
            Command::WriteNotes => self.write_notes().await,
            Command::Remove => self.remove_session().await,
        }
    }

    async fn add_session(&mut self) {
        let (client, therapist) = self.pair();
        let caller = self.caller(Who::Therapist(therapist));
        let Who::Therapist(owner) = caller else {
            let answer = self.ask(caller, Method::POST, "/sessions", Some(json!({}))).await;
            return self.hold(&answer, Err((403, "ROLE_NOT_ALLOWED")));
        };
        let when = self.when(owner);
        let mut body = self.told(&when);
        let (shared, private) = (self.note_of("shared"), self.note_of("private"));
        (body["sharedNotes"], body["privateNotes"]) = (shared.as_str().into(), private.as_str().into());
        let (mut refusals, at_once) = (Vec::new(), self.random.percent(30));
        if self.random.percent(10) {
            body["therapistId"] = self.therapist_id(therapist).into();
            refusals.extend(own_side(caller, therapist).err());
        }
        if at_once {
            body["clientId"] = self.client_id(client).into();
            if !self.is_agreed(client, owner) {
                refusals.push(NOT_FOUND);
            }
        }
        if !self.practice.is_free(owner, &when, None) {
            refusals.push(OVERLAPS);
        }
        if self.random.percent(6) {
            let (field, value) = *self.random.pick(&BAD_FIELDS);
            body[field] = value.into();
            refusals.push(BAD);
        }
        let answer = self.ask(caller, Method::POST, "/sessions", Some(body)).await;
        if !self.hold_any(&answer, 201, &refusals) {
            return;
        }
        let place = self.practice.sessions.len();
        self.practice.sessions.push(Session {
            id: text(&answer.body, "sessionId"),
            therapist: owner,
            client: None,
            when,
            state: SessionState::Available,
            shared,
            private,
            etag: text(&answer.body, "etag"),
            gone: false,
        });
        if at_once {
            self.book_at_once(place, client).await;
        }
        self.same_session(caller, place, &answer.body);
    }

    /// Adds the accepted appointment of a session that was created for a client.
    async fn book_at_once(&mut self, session: usize, client: usize) {
        let Session { id, therapist, when, .. } = self.practice.sessions[session].clone();
        let path = format!("/appointments?clientId={}&status=ACCEPTED", self.client_id(client));
        let Some(listed) = self.pages(Who::Therapist(therapist), &path, 200, None).await else { return };
        let Some(made) = listed.iter().find(|made| made["sessionId"] == id.as_str()) else {
            self.fail("a session that is added for a client has an appointment");
        };
        self.practice.appointments.push(Appointment {
            id: text(made, "appointmentId"),
            client,
            therapist,
            session,
            start: when.start,
            date: when.start_date,
            state: AppointmentState::Pending,
            created_at: self.now(),
        });
        self.practice.book(self.practice.appointments.len() - 1, self.now());
    }

    async fn get_session(&mut self) {
        let (client, therapist) = self.pair();
        let Some(place) = self.some_session() else { return };
        let owner = self.practice.sessions[place].therapist;
        let usual = match self.random.below(3) {
            0 => Who::Therapist(owner),
            1 => Who::Therapist(therapist),
            _ => Who::Client(self.practice.sessions[place].client.unwrap_or(client)),
        };
        let caller = self.caller(usual);
        let path = format!("/sessions/{}", self.practice.sessions[place].id);
        let answer = self.ask(caller, Method::GET, &path, None).await;
        let seen = self.sees(caller, place);
        self.hold(&answer, if seen { Ok(200) } else { Err(NOT_FOUND) });
        if seen {
            self.same_session(caller, place, &answer.body);
        }
    }

    fn sees(&self, caller: Who, place: usize) -> bool {
        let session = &self.practice.sessions[place];
        !session.gone
            && match caller {
                Who::Therapist(number) => number == session.therapist,
                Who::Client(number) => session.is_seen_by(number),
            }
    }

    async fn list_sessions(&mut self) {
        let (client, therapist) = self.pair();
        let usual = if self.random.percent(60) { Who::Client(client) } else { Who::Therapist(therapist) };
        let caller = self.caller(usual);
        let (mut query, mut refusal) = (Vec::new(), None);
        let of_therapist = self.random.percent(50).then_some(therapist);
        if let Some(therapist) = of_therapist {
            query.push(format!("therapistId={}", self.therapist_id(therapist)));
            if let Who::Therapist(_) = caller {
                refusal = own_side(caller, therapist).err();
            }
        }
        let of_client = self.random.percent(30).then_some(client);
        if let Some(client) = of_client {
            query.push(format!("clientId={}", self.client_id(client)));
            if let Who::Client(_) = caller {
                refusal = refusal.or(own(caller, client).err());
            }
        }
        let status = self.random.percent(30).then(|| *self.random.pick(&["AVAILABLE", "BOOKED", "CANCELLED"]));
        query.extend(status.map(|status| format!("status={status}")));
        let now = self.now();
        let after = self.random.percent(30).then(|| now + self.random.between(-5 * DAY, 8 * DAY));
        query.extend(after.map(|after| format!("afterDate={}", at(after))));
        let before = self.random.percent(30).then(|| now + self.random.between(-2 * DAY, 12 * DAY));
        query.extend(before.map(|before| format!("beforeDate={}", at(before))));
        if let (Some(after), Some(before)) = (after, before)
            && before <= after
        {
            refusal = refusal.or(Some(BAD));
        }
        let size = *self.random.pick(&[1, 3, 50, 200]);
        let path = format!("/sessions?{}", query.join("&"));
        let Some(found) = self.pages(caller, path.trim_end_matches('?'), size, refusal).await else { return };

        let expected = self.practice.sessions.iter().enumerate().filter(|(_, it)| {
            let listed = match caller {
                Who::Therapist(number) => it.therapist == number,
                Who::Client(number) => {
                    let offered = of_therapist.is_some() && it.state == SessionState::Available && !it.has_begun(now);
                    it.client == Some(number) || offered
                }
            };
            listed
                && !it.gone
                && of_therapist.is_none_or(|therapist| it.therapist == therapist)
                && of_client.is_none_or(|client| it.client == Some(client))
                && status.is_none_or(|status| it.status() == status)
                && after.is_none_or(|after| it.when.start >= after)
                && before.is_none_or(|before| it.when.start < before)
        });
        let mut expected: Vec<_> =
            expected.map(|(place, it)| ((it.when.start, it.id.clone()), self.shown_session(caller, place))).collect();
        expected.sort_by(|one, other| one.0.cmp(&other.0));
        let start_of = |found: &Value| {
            let session = self.practice.sessions.iter().find(|it| found["sessionId"] == it.id.as_str());
            session.map_or((Ms::MAX, String::new()), |it| (it.when.start, it.id.clone()))
        };
        if !found.is_sorted_by_key(|found| start_of(found).0) {
            self.fail("sessions come in the order of their starts");
        }
        // The order of equal starts is unspecified.
        let mut found = found;
        found.sort_by_key(|found| start_of(found));
        let found: Value = found.iter().map(without_etag).collect();
        self.same(&path, &found, &expected.into_iter().map(|(_, shown)| shown).collect());
    }

    /// Moves a session to another time.
    async fn move_session(&mut self) {
        let Some(place) = self.some_session() else { return };
        let session = self.practice.sessions[place].clone();
        let when = self.when(session.therapist);
        let body = json!({"sessionDate": when.date, "startTime": when.start_time, "endTime": when.end_time});
        let mut refusals = Vec::new();
        if matches!(session.state, SessionState::Booked(_)) && when.start != session.when.start {
            refusals.push((400, "SESSION_BOOKED"));
        }
        if session.state != SessionState::Cancelled && !self.practice.is_free(session.therapist, &when, Some(place)) {
            refusals.push(OVERLAPS);
        }
        self.change_session(place, body, "", refusals, |world| world.practice.sessions[place].when = when).await;
    }

    async fn set_status(&mut self) {
        let Some(place) = self.some_session() else { return };
        let session = self.practice.sessions[place].clone();
        let status = *self.random.pick(&["AVAILABLE", "AVAILABLE", "CANCELLED", "CANCELLED", "BOOKED"]);
        let mut refusals = Vec::new();
        let to = match status {
            _ if status == session.status() => None,
            "BOOKED" => {
                refusals.push((400, "BOOKED_BY_ACCEPTING"));
                None
            }
            "CANCELLED" => Some(SessionState::Cancelled),
            _ => {
                if session.has_begun(self.now()) {
                    refusals.push((400, "SESSION_OVER"));
                }
                let is_free = self.practice.is_free(session.therapist, &session.when, Some(place));
                if session.state == SessionState::Cancelled && !is_free {
                    refusals.push(OVERLAPS);
                }
                Some(SessionState::Available)
            }
        };
        let change = |world: &mut World<'_>| {
            if let Some(to) = to {
                world.practice.withdraw(place, to, world.now());
            }
        };
        self.change_session(place, json!({"status": status}), "", refusals, change).await;
    }

    async fn write_notes(&mut self) {
        let Some(place) = self.some_session() else { return };
        let (shared, private) = (self.random.percent(60), self.random.percent(60));
        let (shared, private) = (shared.then(|| self.note_of("shared")), private.then(|| self.note_of("private")));
        let mut body = json!({});
        for (field, note) in [("sharedNotes", &shared), ("privateNotes", &private)] {
            if let Some(note) = note {
                body[field] = note.as_str().into();
            }
        }
        let path = if self.random.percent(50) { "" } else { "/notes" };
        let change = |world: &mut World<'_>| {
            let session = &mut world.practice.sessions[place];
            session.shared = shared.unwrap_or_else(|| session.shared.clone());
            session.private = private.unwrap_or_else(|| session.private.clone());
        };
        self.change_session(place, body, path, Vec::new(), change).await;
    }

    /// Changes a session as the owner or another caller, with a current, stale or missing etag.
    async fn change_session(
        &mut self,
        place: usize,
        mut body: Value,
        rest: &str,
        mut refusals: Vec<Refusal>,
        change: impl FnOnce(&mut Self),
    ) {
        let session = self.practice.sessions[place].clone();
        let caller = self.caller(Who::Therapist(session.therapist));
        let path = format!("/sessions/{}", session.id);
        if self.random.percent(30) && !session.gone {
            let present = self.ask(Who::Therapist(session.therapist), Method::GET, &path, None).await;
            self.hold(&present, Ok(200));
            let present = text(&present.body, "etag");
            let told = if self.random.percent(50) { &present } else { &session.etag };
            body["etag"] = told.as_str().into();
            if *told != present {
                refusals.push((409, "STALE_ETAG"));
            }
        }
        match caller {
            Who::Client(_) => refusals = vec![(403, "ROLE_NOT_ALLOWED")],
            Who::Therapist(number) if number != session.therapist || session.gone => refusals = vec![NOT_FOUND],
            Who::Therapist(_) => {}
        }
        let answer = self.ask(caller, Method::PUT, &format!("{path}{rest}"), Some(body)).await;
        if self.hold_any(&answer, 200, &refusals) {
            change(self);
            self.practice.sessions[place].etag = text(&answer.body, "etag");
            self.same_session(caller, place, &answer.body);
        }
    }

    async fn remove_session(&mut self) {
        let Some(place) = self.some_session() else { return };
        let session = self.practice.sessions[place].clone();
        let caller = self.caller(Who::Therapist(session.therapist));
        let expected = match caller {
            Who::Client(_) => Err((403, "ROLE_NOT_ALLOWED")),
            Who::Therapist(number) if number != session.therapist || session.gone => Err(NOT_FOUND),
            Who::Therapist(_) => Ok(204),
        };
        let answer = self.ask(caller, Method::DELETE, &format!("/sessions/{}", session.id), None).await;
        self.hold(&answer, expected);
        if expected.is_ok() {
            self.practice.remove(place, self.now());
        }
    }

    /// Returns a session as the caller sees it.
    pub(crate) fn shown_session(&self, caller: Who, place: usize) -> Value {
        let session = &self.practice.sessions[place];
        let is_own = match caller {
            Who::Therapist(_) => true,
            Who::Client(number) => session.client == Some(number),
        };
        let mut shown = json!({
            "sessionId": session.id,
            "therapistId": self.therapist_id(session.therapist),
            "clientId": session.client.map_or(String::new(), |client| self.client_id(client)),
            "sessionDate": session.when.date,
            "startTime": session.when.start_time,
            "endTime": session.when.end_time,
            "status": session.status(),
            "sharedNotes": "",
            "privateNotes": "",
        });
        if is_own {
            shown["sharedNotes"] = session.shared.as_str().into();
        }
        if let Who::Therapist(_) = caller {
            shown["privateNotes"] = session.private.as_str().into();
        }
        shown
    }

    fn same_session(&self, caller: Who, place: usize, found: &Value) {
        // The etag changes with private notes too, so clients don't get it.
        if text(found, "etag").is_empty() != matches!(caller, Who::Client(_)) {
            self.fail("a session has a version, for its therapist alone");
        }
        self.same("the session", &without_etag(found), &self.shown_session(caller, place));
    }

    /// Picks a session, sometimes a removed one; `None` if there is no such session.
    pub(crate) fn some_session(&mut self) -> Option<usize> {
        let gone = self.random.percent(8);
        let sessions = self.practice.sessions.iter().enumerate();
        let places: Vec<_> = sessions.filter(|(_, it)| it.gone == gone).map(|(place, _)| place).collect();
        (!places.is_empty()).then(|| *self.random.pick(&places))
    }

    /// Picks a time of the next days, sometimes that of another session of the therapist.
    fn when(&mut self, therapist: usize) -> When {
        let now = self.now();
        let others = self.practice.sessions.iter().filter(|it| it.therapist == therapist && !it.has_begun(now));
        let others: Vec<_> = others.map(|it| it.when.clone()).collect();
        if !others.is_empty() && self.random.percent(12) {
            return self.random.pick(&others).clone();
        }
        let (name, offset) = *self.random.pick(&OFFSETS);
        let day = now / DAY + self.random.between(2, 12);
        let from = self.random.between(0, 92) * 15;
        let to = (from + self.random.between(1, 9) * 15).min(24 * 60 - 1);
        let clock = |minute: Ms| format!("{:02}:{:02}", minute / 60, minute % 60);
        let date = at(day * DAY)[..10].to_owned();
        let start_date = format!("{date}T{}:00{name}", clock(from));
        let at_start = self.random.percent(50);
        When {
            date: if at_start { start_date.clone() } else { format!("{date}T00:00:00{name}") },
            start_time: clock(from),
            end_time: clock(to),
            start: day * DAY + (from - offset) * MINUTE,
            end: day * DAY + (to - offset) * MINUTE,
            start_date,
        }
    }

    /// Returns the body for a time, sometimes without `startTime` where it may be left out.
    fn told(&mut self, when: &When) -> Value {
        let mut body = json!({"sessionDate": when.date, "endTime": when.end_time, "startTime": when.start_time});
        if when.date == when.start_date && self.random.percent(50) {
            body.as_object_mut().expect("an object").remove("startTime");
        }
        body
    }

    fn note_of(&mut self, what: &str) -> String {
        if self.random.percent(30) { String::new() } else { format!("{what} {}", self.random.below(1_000_000)) }
    }
}

/// Returns a text field of an answer.
pub(crate) fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}

/// Returns the body without its etag, which the model can't predict.
pub(crate) fn without_etag(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("etag");
    }
    body
}

/// Invalid fields of a session.
const BAD_FIELDS: [(&str, &str); 6] = [
    ("endTime", "00:00"),
    ("endTime", "24:00"),
    ("startTime", "9:00"),
    ("sessionDate", "2100-06-01T10:00:00"),
    ("sessionDate", "2099-06-01T00:00:00Z"),
    ("sessionDate", "tomorrow"),
];
