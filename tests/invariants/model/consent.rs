//! Commands on relations and lists of them, compared with the model.

use reqwest::Method;
use serde_json::{Value, json};

use crate::model::relation::{Act, Grant, Relation, WAIT};
use crate::model::world::{EACH, SPECIALTY, Who, World, at, name, own};
use crate::model::{DAY, Ms, NOT_FOUND, Refusal};

/// Maximum number of pages, more than any list of the model has.
const MOST_PAGES: usize = 400;

#[derive(Debug, Clone, Copy)]
enum Command {
    Map,
    MapClient,
    RequestMapping,
    RequestAccess,
    Answer,
    End,
    EndAccess,
    Change,
}

const COMMANDS: [(usize, Command); 8] = [
    (6, Command::Map),
    (5, Command::MapClient),
    (5, Command::RequestMapping),
    (6, Command::RequestAccess),
    (6, Command::Answer),
    (3, Command::End),
    (3, Command::EndAccess),
    (14, Command::Change),
];

/// A request that changes a relation.
struct Step {
    caller: Who,
    method: Method,
    path: String,
    body: Option<Value>,
    success: u16,
    /// Authorisation of the caller, apart from the state of the relation.
    allowed: Result<(), Refusal>,
    act: Act,
}

impl World<'_> {
    /// Runs a random command on a relation.
    pub(crate) async fn relation_command(&mut self) {
        let (client, therapist) = self.pair();
        let step = match self.random.weighted(&COMMANDS) {
            Command::Map => self.map(client, therapist),
            Command::MapClient => self.map_client(client, therapist),
            Command::RequestMapping => self.request(client, therapist, "MAPPING", Act::RequestMapping),
            Command::RequestAccess => self.request(client, therapist, "JOURNAL_ACCESS", Act::RequestAccess),
            Command::Answer => self.answer(client, therapist),
            Command::End => self.end_mapping(client, therapist),
            Command::EndAccess => self.end_access(client, therapist),
            Command::Change => self.change(client, therapist),
        };
        self.take(client, therapist, step).await;
    }

    async fn take(&mut self, client: usize, therapist: usize, step: Step) {
        let Step { caller, method, path, body, success, allowed, act } = step;
        let (now, pair) = (self.now(), (client, therapist));
        let begins = matches!(act, Act::Map | Act::RequestMapping);
        let before = self.relations.get(&pair).cloned();
        let after = allowed.and_then(|()| {
            let mut relation = before.or(begins.then(Relation::default)).ok_or(NOT_FOUND)?;
            relation.play(act.clone(), now)?;
            Ok(relation)
        });
        let answer = self.ask(caller, method, &path, body).await;
        self.hold(&answer, after.as_ref().map(|_| success).map_err(|refusal| *refusal));
        let Ok(mut relation) = after else { return };
        if let Act::Grant(_) = act {
            let id = answer.body["grantId"].as_str().unwrap_or_default();
            if id.is_empty() {
                self.fail("a grant has an id");
            }
            relation.name_grant(id);
        }
        let mut expected = facts(&relation, now);
        expected["clientId"] = self.client_id(client).into();
        expected["therapistId"] = self.therapist_id(therapist).into();
        self.same("the relation", &answer.body, &expected);
        self.relations.insert(pair, relation);
        if let Act::End(true) = act {
            self.practice.withdraw_requests(client, therapist, now);
        }
    }

    fn map(&mut self, client: usize, therapist: usize) -> Step {
        let caller = self.caller(Who::Client(client));
        let mut target = json!({"therapistId": self.therapist_id(therapist)});
        let mut allowed = own(caller, client);
        let mut act = Act::Map;
        // A client's id is not found as a therapist's.
        if self.random.percent(4) {
            target["therapistId"] = self.client_id(client).into();
            allowed = allowed.and(Err(NOT_FOUND));
            act = Act::Map;
        }
        let path = format!("/mapping/{}", self.client_id(client));
        Step { caller, method: Method::POST, path, body: Some(target), success: 201, allowed, act }
    }

    fn map_client(&mut self, client: usize, therapist: usize) -> Step {
        let usual = if self.random.percent(50) { Who::Client(client) } else { Who::Therapist(therapist) };
        let caller = self.caller(usual);
        let body = json!({"clientId": self.client_id(client), "therapistId": self.therapist_id(therapist)});
        let (allowed, act) = match caller {
            Who::Client(_) => (own(caller, client), Act::Map),
            Who::Therapist(_) => (own_side(caller, therapist), Act::RequestMapping),
        };
        let path = "/therapists/map-client".to_owned();
        Step { caller, method: Method::POST, path, body: Some(body), success: 201, allowed, act }
    }

    fn request(&mut self, client: usize, therapist: usize, kind: &str, act: Act) -> Step {
        let caller = self.caller(Who::Therapist(therapist));
        let body = json!({"therapistId": self.therapist_id(therapist), "requestType": kind});
        let path = format!("/mapping/{}/request", self.client_id(client));
        let allowed = own_side(caller, therapist);
        Step { caller, method: Method::POST, path, body: Some(body), success: 201, allowed, act }
    }

    fn answer(&mut self, client: usize, therapist: usize) -> Step {
        let caller = self.caller(Who::Client(client));
        let (status, act) =
            if self.random.percent(60) { ("ACCEPTED", Act::AcceptMapping) } else { ("REJECTED", Act::RejectMapping) };
        let path = format!("/mapping/{}?therapistId={}", self.client_id(client), self.therapist_id(therapist));
        let (body, allowed) = (Some(json!({"status": status})), own(caller, client));
        Step { caller, method: Method::PUT, path, body, success: 200, allowed, act }
    }

    fn end_mapping(&mut self, client: usize, therapist: usize) -> Step {
        let usual = if self.random.percent(50) { Who::Client(client) } else { Who::Therapist(therapist) };
        let caller = self.caller(usual);
        let (allowed, act) = match caller {
            Who::Client(_) => (own(caller, client), Act::End(true)),
            Who::Therapist(_) => (own_side(caller, therapist), Act::End(false)),
        };
        let path = format!("/mapping/{}?therapistId={}", self.client_id(client), self.therapist_id(therapist));
        Step { caller, method: Method::DELETE, path, body: None, success: 200, allowed, act }
    }

    fn end_access(&mut self, client: usize, therapist: usize) -> Step {
        let caller = self.caller(Who::Client(client));
        let path = format!("/mapping/{}/access?therapistId={}", self.client_id(client), self.therapist_id(therapist));
        let allowed = own(caller, client);
        Step { caller, method: Method::DELETE, path, body: None, success: 200, allowed, act: Act::EndAccess }
    }

    fn change(&mut self, client: usize, therapist: usize) -> Step {
        let caller = self.caller(Who::Client(client));
        let (client_id, therapist_id) = (self.client_id(client), self.therapist_id(therapist));
        let path = if self.random.percent(50) {
            format!("/journal/{client_id}/access?therapistId={therapist_id}")
        } else {
            format!("/therapists/{therapist_id}/clients/{client_id}/journal-access")
        };
        let mut allowed = own(caller, client);
        let (body, act) = match self.random.below(14) {
            number @ 10.. => {
                allowed = allowed.and(Err((400, "INVALID_FIELDS")));
                (self.bad_change(number), Act::EndAccess)
            }
            0 => (json!({"access": "REJECTED"}), Act::RejectAccess),
            1 => (json!({"access": "REVOKED"}), Act::EndAccess),
            _ => {
                let now = self.now();
                let from = self.random.percent(40).then(|| now - self.random.between(0, 70 * DAY));
                let until = self.random.percent(30).then(|| now + self.random.between(1000, 50 * DAY));
                let mut body = json!({"access": "ACCEPTED"});
                if let Some(from) = from {
                    body["entriesFrom"] = at(from).into();
                }
                if let Some(until) = until {
                    body["expiresAt"] = at(until).into();
                }
                (body, Act::Grant(Grant { id: String::new(), since: now, entries_from: from, expires_at: until }))
            }
        };
        Step { caller, method: Method::PUT, path, body: Some(body), success: 200, allowed, act }
    }

    /// Returns a change that is invalid in every state.
    fn bad_change(&self, number: usize) -> Value {
        match number {
            10 => json!({}),
            11 => json!({"access": "PENDING"}),
            12 => json!({"access": "ACCEPTED", "expiresAt": at(self.now())}),
            _ => json!({"access": "REVOKED", "entriesFrom": at(self.now())}),
        }
    }

    /// Reads a list of relations as its owner or another caller.
    pub(crate) async fn list_relations(&mut self) {
        let (client, therapist) = self.pair();
        let id = self.client_id(client);
        match self.random.below(5) {
            0 => self.mappings(client, None).await,
            1 => {
                let wanted = self.random.percent(50);
                self.mappings(client, Some(wanted)).await;
            }
            2 => {
                let caller = self.caller(Who::Client(client));
                let expected = own(caller, client).map(|()| self.requests_of(client));
                self.whole_list(caller, &format!("/mapping/{id}/requests"), expected).await;
            }
            3 => {
                let caller = self.caller(Who::Client(client));
                let expected = own(caller, client).map(|()| self.therapists_of(client, |_, _| true));
                self.whole_list(caller, &format!("/clients/{id}/therapists"), expected).await;
            }
            _ => {
                let caller = self.caller(Who::Therapist(therapist));
                let expected = own_side(caller, therapist).map(|()| self.clients_of(therapist));
                let path = format!("/therapists/{}/clients", self.therapist_id(therapist));
                self.whole_list(caller, &path, expected).await;
            }
        }
    }

    async fn mappings(&mut self, client: usize, wanted: Option<bool>) {
        let caller = self.caller(Who::Client(client));
        let now = self.now();
        let takes = |relation: &Relation, _: usize| {
            relation.is_active() && wanted.is_none_or(|wanted| relation.grant(now).is_some() == wanted)
        };
        let expected = own(caller, client).map(|()| self.therapists_of(client, takes));
        let filter = wanted.map_or(String::new(), |wanted| format!("?journalAccess={wanted}"));
        self.whole_list(caller, &format!("/mapping/{}{filter}", self.client_id(client)), expected).await;
    }

    /// Compares all pages of a list with the expected items.
    async fn whole_list(&mut self, caller: Who, path: &str, expected: Result<Vec<Value>, Refusal>) {
        let size = *self.random.pick(&[1, 2, 50]);
        let refusal = expected.as_ref().err().copied();
        let Some(found) = self.pages(caller, path, size, refusal).await else { return };
        self.same(path, &found.into(), &expected.unwrap_or_default().into());
    }

    /// Returns the items of all pages of a list; `None` if it is refused as expected.
    pub(crate) async fn pages(
        &mut self,
        caller: Who,
        path: &str,
        size: usize,
        refusal: Option<Refusal>,
    ) -> Option<Vec<Value>> {
        let (mut found, mut token) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let more = if path.contains('?') { '&' } else { '?' };
            let token_told = token.map_or(String::new(), |token| format!("&pageToken={token}"));
            let answer = self.ask(caller, Method::GET, &format!("{path}{more}pageSize={size}{token_told}"), None).await;
            self.hold(&answer, refusal.map_or(Ok(200), Err));
            let items = answer.body.as_array().filter(|_| answer.status == 200)?;
            if items.len() > size {
                self.fail("a page is longer than was asked for");
            }
            found.extend(items.iter().cloned());
            token = answer.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
            if token.is_none() {
                return Some(found);
            }
        }
        self.fail("a list goes on and on")
    }

    fn therapists_of(&self, client: usize, takes: impl Fn(&Relation, usize) -> bool) -> Vec<Value> {
        let now = self.now();
        let relations = (0..EACH).filter_map(|therapist| Some((therapist, self.relations.get(&(client, therapist))?)));
        let relations = relations.filter(|(therapist, relation)| takes(relation, *therapist));
        in_order(
            relations.map(|(therapist, relation)| {
                (self.therapist_id(therapist), self.seen(therapist, facts(relation, now)))
            }),
        )
    }

    fn seen(&self, therapist: usize, mut facts: Value) -> Value {
        facts["therapistId"] = self.therapist_id(therapist).into();
        facts["therapistName"] = name(Who::Therapist(therapist)).into();
        facts["specialty"] = SPECIALTY.into();
        facts
    }

    fn clients_of(&self, therapist: usize) -> Vec<Value> {
        let now = self.now();
        let relations = (0..EACH).filter_map(|client| Some((client, self.relations.get(&(client, therapist))?)));
        in_order(relations.map(|(client, relation)| {
            let mut facts = facts(relation, now);
            facts["clientId"] = self.client_id(client).into();
            // The name is visible to therapists with whom the client has ever agreed to be related.
            let name = if relation.is_acquainted() { name(Who::Client(client)) } else { String::new() };
            facts["clientName"] = name.into();
            (self.client_id(client), facts)
        }))
    }

    fn requests_of(&self, client: usize) -> Vec<Value> {
        let now = self.now();
        let relations = (0..EACH).filter_map(|therapist| Some((therapist, self.relations.get(&(client, therapist))?)));
        in_order(relations.filter_map(|(therapist, relation)| {
            let (kind, since) = relation.pending(now)?;
            let asked = json!({"requestType": kind, "requestedAt": at(since), "expiresAt": at(since + WAIT)});
            Some((self.therapist_id(therapist), self.seen(therapist, asked)))
        }))
    }

    /// Reads profiles as a client, or as a therapist: of mapped clients and those with an open appointment. The list
    /// shows clients with contact alone by name.
    pub(crate) async fn read_profiles(&mut self) {
        let (client, therapist) = self.pair();
        let usual = if self.random.percent(70) { Who::Therapist(therapist) } else { Who::Client(client) };
        let caller = self.caller(usual);
        let expected = match caller {
            Who::Client(_) => own(caller, client),
            Who::Therapist(number) if self.is_close(client, number) => Ok(()),
            Who::Therapist(_) => Err(NOT_FOUND),
        };
        let answer = self.ask(caller, Method::GET, &format!("/clients/{}", self.client_id(client)), None).await;
        self.hold(&answer, expected.map(|()| 200));
        let answer = self.ask(caller, Method::GET, "/clients", None).await;
        self.hold(&answer, Ok(200));
        let expected = match caller {
            Who::Client(number) => vec![self.glance(number, true)],
            Who::Therapist(number) => {
                let clients = (0..EACH).filter(|client| self.is_agreed(*client, number));
                in_order(clients.map(|it| (self.client_id(it), self.glance(it, self.is_close(it, number)))))
            }
        };
        let found = answer.body.as_array().into_iter().flatten().map(|client| {
            let is_whole = ["email", "pincode", "etag"].map(|field| client[field] != "");
            if is_whole[0] != is_whole[1] || is_whole[1] != is_whole[2] {
                self.fail("a profile is shown as a whole, or by its name alone");
            }
            json!({"clientId": client["clientId"], "name": client["name"], "whole": is_whole[0]})
        });
        let found: Value = found.collect();
        self.same("the clients", &found, &expected.into());
    }

    fn glance(&self, client: usize, whole: bool) -> Value {
        json!({"clientId": self.client_id(client), "name": name(Who::Client(client)), "whole": whole})
    }

    /// Returns true if the therapist may read the client's profile.
    fn is_close(&self, client: usize, therapist: usize) -> bool {
        let is_mapped = self.relations.get(&(client, therapist)).is_some_and(Relation::is_active);
        is_mapped || self.practice.has_open(client, therapist, self.now())
    }

    /// Returns true if the client has agreed to be related to the therapist.
    pub(crate) fn is_agreed(&self, client: usize, therapist: usize) -> bool {
        self.relations.get(&(client, therapist)).is_some_and(Relation::is_agreed)
    }

    /// Records that a client wrote to a therapist or requested an appointment, which relates the two.
    pub(crate) fn contact(&mut self, client: usize, therapist: usize) {
        self.relations.entry((client, therapist)).or_default().contact();
    }
}

/// Authorises the therapist of this account only.
pub(crate) fn own_side(caller: Who, therapist: usize) -> Result<(), Refusal> {
    match caller {
        Who::Therapist(number) if number == therapist => Ok(()),
        Who::Therapist(_) => Err((403, "NOT_YOUR_ACCOUNT")),
        Who::Client(_) => Err((403, "ROLE_NOT_ALLOWED")),
    }
}

/// Returns the fields of a relation that both sides see.
fn facts(relation: &Relation, now: Ms) -> Value {
    let grant = relation.grant(now);
    json!({
        "mappingStatus": relation.mapping_status(now),
        "journalAccess": relation.access_status(now),
        "mappedSince": relation.mapped_since().map(at),
        "accessSince": grant.map(|grant| at(grant.since)),
        "grantId": grant.map_or("", |grant| &grant.id),
        "entriesFrom": grant.and_then(|grant| grant.entries_from).map(at),
        "expiresAt": grant.and_then(|grant| grant.expires_at).map(at),
    })
}

/// Sorts items by their ids.
fn in_order<T>(items: impl Iterator<Item = (String, T)>) -> Vec<T> {
    let mut items: Vec<_> = items.collect();
    items.sort_by(|one, other| one.0.cmp(&other.0));
    items.into_iter().map(|(_, item)| item).collect()
}
