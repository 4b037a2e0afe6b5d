//! Commands on appointments, compared with the model.

use reqwest::Method;
use serde_json::{Value, json};

use crate::model::consent::own_side;
use crate::model::practice::{Appointment, AppointmentState, SessionState};
use crate::model::sessions::{text, without_etag};
use crate::model::world::{Who, World, at, own};
use crate::model::{Ms, NOT_FOUND, Refusal};

const MOST_WAITING: usize = 5;
const NOT_ALLOWED: Refusal = (403, "ROLE_NOT_ALLOWED");
/// Refusal for an appointment whose session has begun.
const OVER: Refusal = (400, "SESSION_OVER");
const EXPIRED: Refusal = (400, "APPOINTMENT_EXPIRED");

#[derive(Debug, Clone, Copy)]
enum Command {
    Ask,
    Decide,
    TakeBack,
    Get,
    List,
}

const COMMANDS: [(usize, Command); 5] =
    [(12, Command::Ask), (14, Command::Decide), (3, Command::TakeBack), (4, Command::Get), (6, Command::List)];

impl World<'_> {
    /// Runs a random command on appointments.
    pub(crate) async fn appointment_command(&mut self) {
        match self.random.weighted(&COMMANDS) {
            Command::Ask => self.ask_for_session().await,
            Command::Decide => self.decide().await,
            Command::TakeBack => self.take_back().await,
            Command::Get => self.get_appointment().await,
            Command::List => self.list_appointments().await,
        }
    }

    async fn ask_for_session(&mut self) {
        let (client, other) = self.pair();
        let Some(place) = self.session_to_ask_for() else { return };
        let session = self.practice.sessions[place].clone();
        let caller = self.caller(Who::Client(client));
        let now = self.now();
        let mut body = json!({"appointmentDate": session.when.start_date, "sessionId": session.id});
        let therapist = if self.random.percent(4) { other } else { session.therapist };
        body["therapistId"] = self.therapist_id(therapist).into();
        let mut refusals = Vec::new();
        let is_none = session.gone || session.state == SessionState::Cancelled || therapist != session.therapist;
        if is_none {
            refusals.push(NOT_FOUND);
        }
        let by_time = self.random.percent(30) && self.is_alone_then(place);
        if by_time {
            body.as_object_mut().expect("an object").remove("sessionId");
        }
        if self.random.percent(5) {
            body["appointmentDate"] = "tomorrow".into();
            refusals.push((400, "INVALID_FIELDS"));
        }
        if self.random.percent(5) {
            body["clientId"] = self.client_id(client).into();
            refusals.extend(own(caller, client).err());
        }
        let booked_for = match session.state {
            SessionState::Booked(appointment) => Some(self.practice.appointments[appointment].client),
            SessionState::Available | SessionState::Cancelled => None,
        };
        match caller {
            Who::Therapist(_) => refusals = vec![NOT_ALLOWED],
            Who::Client(client) => {
                let of_this = |it: &&Appointment| it.client == client && it.session == place;
                let theirs = || self.practice.appointments.iter().filter(of_this);
                if theirs().any(|it| it.status(now) == "PENDING" || it.state == AppointmentState::Accepted) {
                    refusals.push((409, "REQUEST_PENDING"));
                }
                let begun = session.has_begun(now);
                refusals.extend(match booked_for {
                    // Another client's booking is hidden, except from a request that names the session.
                    Some(other) if other != client && (by_time || begun) => Some(NOT_FOUND),
                    _ if begun && !is_none => Some((400, "SESSION_OVER")),
                    Some(_) => Some((409, "SLOT_TAKEN")),
                    None => None,
                });
                if self.practice.waiting(client, therapist, now) >= MOST_WAITING {
                    refusals.push((429, "TOO_MANY_REQUESTS_PENDING"));
                }
            }
        }
        let answer = self.ask(caller, Method::POST, "/appointments", Some(body)).await;
        if !self.hold_any(&answer, 201, &refusals) {
            return;
        }
        let Who::Client(client) = caller else { return };
        self.contact(client, therapist);
        self.practice.appointments.push(Appointment {
            id: text(&answer.body, "appointmentId"),
            client,
            therapist,
            session: place,
            start: session.when.start,
            date: session.when.start_date,
            state: AppointmentState::Pending,
            created_at: now,
        });
        self.same_appointment(self.practice.appointments.len() - 1, &answer.body);
    }

    /// Picks a session, mostly an available one.
    fn session_to_ask_for(&mut self) -> Option<usize> {
        let now = self.now();
        let offered = self.practice.sessions.iter().enumerate();
        let offered = offered.filter(|(_, it)| !it.gone && it.state == SessionState::Available && !it.has_begun(now));
        let offered: Vec<_> = offered.map(|(place, _)| place).collect();
        if offered.is_empty() || self.random.percent(15) {
            return self.some_session();
        }
        // Prefers the last few, so that requests compete.
        let first = offered.len().min(4);
        Some(*self.random.pick(&offered[offered.len() - first..]))
    }

    /// Returns true if the start identifies this session among those of the therapist.
    fn is_alone_then(&self, place: usize) -> bool {
        let session = &self.practice.sessions[place];
        let start = session.when.start;
        let instant = |date: &str| date.parse::<kernel::Timestamp>().expect("a time of the model").as_millisecond();
        !self.practice.sessions.iter().enumerate().any(|(other, it)| {
            let then = it.when.start <= start && start < it.when.end || instant(&it.when.date) == start;
            other != place && it.therapist == session.therapist && then
        })
    }

    async fn decide(&mut self) {
        let Some(place) = self.some_appointment() else { return };
        let asked = self.practice.appointments[place].clone();
        let now = self.now();
        let (status, usual) = match (asked.state, self.random.below(10)) {
            (AppointmentState::Pending, 0..=6) | (_, 0) => ("ACCEPTED", Who::Therapist(asked.therapist)),
            (AppointmentState::Pending, 7) | (_, 1) => ("REJECTED", Who::Therapist(asked.therapist)),
            (_, 2..=5) => ("REVOKED", Who::Therapist(asked.therapist)),
            _ => ("REVOKED", Who::Client(asked.client)),
        };
        let caller = self.caller(usual);
        let mut body = json!({"status": status});
        let mut refusals = self.refusals(place, status, now);
        if self.random.percent(10) && asked.state != AppointmentState::Gone {
            let present = format!("/appointments/{}", asked.id);
            let present = self.ask(Who::Client(asked.client), Method::GET, &present, None).await;
            self.hold(&present, Ok(200));
            body["etag"] = present.body["etag"].clone();
        }
        match caller {
            Who::Client(_) if status != "REVOKED" => refusals = vec![NOT_ALLOWED],
            Who::Client(_) | Who::Therapist(_) if !self.is_of(caller, &asked) => refusals = vec![NOT_FOUND],
            Who::Client(_) | Who::Therapist(_) => {}
        }
        let path = format!("/appointments/{}/status", asked.id);
        let answer = self.ask(caller, Method::PUT, &path, Some(body)).await;
        if !self.hold_any(&answer, 200, &refusals) {
            return;
        }
        match (status, asked.state) {
            ("ACCEPTED", AppointmentState::Pending) => self.practice.book(place, now),
            ("REJECTED", AppointmentState::Pending) => {
                self.practice.appointments[place].state = AppointmentState::Rejected
            }
            ("REVOKED", AppointmentState::Accepted) => self.practice.revoke(place),
            // A repeated change has no effect.
            _ => {}
        }
        self.same_appointment(place, &answer.body);
    }

    /// Returns the refusals of a change to this status; none if it is possible or changes nothing.
    fn refusals(&self, place: usize, status: &str, now: Ms) -> Vec<Refusal> {
        let asked = &self.practice.appointments[place];
        let session = &self.practice.sessions[asked.session];
        match (status, asked.status(now)) {
            (_, "GONE") => vec![NOT_FOUND],
            ("ACCEPTED", "PENDING") if session.when.start != asked.start => vec![(400, "SESSION_MOVED")],
            ("REVOKED", "ACCEPTED") if asked.start <= now => vec![OVER],
            ("ACCEPTED" | "REJECTED", "PENDING") | ("REVOKED", "ACCEPTED") => Vec::new(),
            (asked, now) if asked == now => Vec::new(),
            ("REVOKED", _) => vec![(400, "NOT_ACCEPTED")],
            (_, "EXPIRED") => vec![EXPIRED],
            _ => vec![(400, "NOT_PENDING")],
        }
    }

    async fn take_back(&mut self) {
        let Some(place) = self.some_appointment() else { return };
        let asked = self.practice.appointments[place].clone();
        let caller = self.caller(Who::Client(asked.client));
        let expected = match caller {
            Who::Therapist(_) => Err(NOT_ALLOWED),
            Who::Client(_) if !self.is_of(caller, &asked) => Err(NOT_FOUND),
            Who::Client(_) if asked.status(self.now()) == "PENDING" => Ok(200),
            Who::Client(_) => Err((400, "NOT_PENDING")),
        };
        let answer = self.ask(caller, Method::DELETE, &format!("/appointments/{}", asked.id), None).await;
        self.hold(&answer, expected);
        if expected.is_ok() {
            self.practice.appointments[place].state = AppointmentState::Gone;
        }
    }

    async fn get_appointment(&mut self) {
        let Some(place) = self.some_appointment() else { return };
        let asked = self.practice.appointments[place].clone();
        let usual = if self.random.percent(50) { Who::Client(asked.client) } else { Who::Therapist(asked.therapist) };
        let caller = self.caller(usual);
        let expected = if self.is_of(caller, &asked) { Ok(200) } else { Err(NOT_FOUND) };
        let path = format!("/appointments/{}", asked.id);
        if self.random.percent(50) {
            let answer = self.ask(caller, Method::GET, &path, None).await;
            self.hold(&answer, expected);
            if expected.is_ok() {
                self.same_appointment(place, &answer.body);
            }
            return;
        }
        let answer = self.ask(caller, Method::GET, &format!("{path}/status"), None).await;
        self.hold(&answer, expected);
        if expected.is_ok() {
            let status = asked.status(self.now());
            self.same("the status", &answer.body, &json!({"appointmentId": asked.id, "status": status}));
        }
    }

    async fn list_appointments(&mut self) {
        let (client, therapist) = self.pair();
        let usual = if self.random.percent(50) { Who::Client(client) } else { Who::Therapist(therapist) };
        let caller = self.caller(usual);
        let (mut query, mut refusal) = (Vec::new(), None);
        let of_client = self.random.percent(35).then_some(client);
        if let Some(client) = of_client {
            query.push(format!("clientId={}", self.client_id(client)));
            if let Who::Client(_) = caller {
                refusal = own(caller, client).err();
            }
        }
        let of_therapist = self.random.percent(35).then_some(therapist);
        if let Some(therapist) = of_therapist {
            query.push(format!("therapistId={}", self.therapist_id(therapist)));
            if let Who::Therapist(_) = caller {
                refusal = refusal.or(own_side(caller, therapist).err());
            }
        }
        let statuses = ["PENDING", "ACCEPTED", "REJECTED", "EXPIRED", "REVOKED"];
        let status = self.random.percent(40).then(|| *self.random.pick(&statuses));
        query.extend(status.map(|status| format!("status={status}")));
        let size = *self.random.pick(&[1, 3, 50, 200]);
        let path = format!("/appointments?{}", query.join("&"));
        let Some(mut found) = self.pages(caller, path.trim_end_matches('?'), size, refusal).await else { return };

        let now = self.now();
        let expected = self.practice.appointments.iter().enumerate().filter(|(_, it)| {
            self.is_of(caller, it)
                && of_client.is_none_or(|client| it.client == client)
                && of_therapist.is_none_or(|therapist| it.therapist == therapist)
                && status.is_none_or(|status| it.status(now) == status)
        });
        let mut expected: Vec<_> = expected.map(|(place, _)| self.shown_appointment(place)).collect();
        let place = |shown: &Value| {
            let asked = self.practice.appointments.iter().find(|it| shown["appointmentId"] == it.id.as_str());
            asked.map_or((Ms::MIN, String::new()), |it| (-it.created_at, it.id.clone()))
        };
        if !found.is_sorted_by_key(|shown| place(shown).0) {
            self.fail("what was asked for last comes first");
        }
        // The order within a millisecond is unspecified.
        expected.sort_by_key(|shown| place(shown));
        found.sort_by_key(|shown| place(shown));
        self.same(&path, &found.iter().map(without_etag).collect(), &expected.into());
    }

    /// Returns true if the appointment is visible to the caller.
    pub(crate) fn is_of(&self, caller: Who, asked: &Appointment) -> bool {
        let own = match caller {
            Who::Client(number) => asked.client == number,
            Who::Therapist(number) => asked.therapist == number,
        };
        own && asked.state != AppointmentState::Gone
    }

    pub(crate) fn shown_appointment(&self, place: usize) -> Value {
        let asked = &self.practice.appointments[place];
        json!({
            "appointmentId": asked.id,
            "clientId": self.client_id(asked.client),
            "therapistId": self.therapist_id(asked.therapist),
            "sessionId": self.practice.sessions[asked.session].id,
            "appointmentDate": asked.date,
            "status": asked.status(self.now()),
            "createdAt": at(asked.created_at),
        })
    }

    fn same_appointment(&self, place: usize, found: &Value) {
        if text(found, "etag").is_empty() {
            self.fail("an appointment has a version");
        }
        self.same("the appointment", &without_etag(found), &self.shown_appointment(place));
    }

    /// Picks an appointment, mostly a recent one; `None` if there was never any.
    fn some_appointment(&mut self) -> Option<usize> {
        let all = self.practice.appointments.len();
        let last = if self.random.percent(70) { all.min(8) } else { all };
        (all > 0).then(|| all - 1 - self.random.below(last))
    }
}
