//! A world of six people: their requests to the mesh, and the model's state.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kernel::{Clock as _, Timestamp};
use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::model::journal::{Entry, Words};
use crate::model::practice::{Practice, Threads};
use crate::model::random::Random;
use crate::model::reads::{Access, OldToken};
use crate::model::relation::{Grant, Relation};
use crate::model::{Ms, Refusal};

/// Number of clients, and of therapists.
pub(crate) const EACH: usize = 3;
/// Maximum age of a token in use, in milliseconds: it expires after 15 minutes.
const FRESH: Ms = 14 * 60 * 1000;
/// Number of last steps in the message of a failure.
const SHOWN: usize = 40;

/// Fields of answers that are times.
const TIMES: [&str; 12] = [
    "accessSince",
    "createdAt",
    "end",
    "entriesFrom",
    "expiresAt",
    "from",
    "mappedSince",
    "requestedAt",
    "start",
    "time",
    "timestamp",
    "updatedAt",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Client(usize),
    Therapist(usize),
}

struct Person {
    someone: Someone,
    logged_in: Ms,
}

/// A mesh with six people, and the model of it.
pub(crate) struct World<'a> {
    mesh: &'a TestMesh,
    pub(crate) words: &'a Words,
    pub(crate) random: Random,
    clients: Vec<Person>,
    therapists: Vec<Person>,
    pub(crate) relations: BTreeMap<(usize, usize), Relation>,
    pub(crate) journals: [Vec<Entry>; EACH],
    /// Ids of removed entries.
    pub(crate) removed: [Vec<String>; EACH],
    pub(crate) accesses: [Vec<Access>; EACH],
    pub(crate) tokens: Vec<OldToken>,
    pub(crate) practice: Practice,
    pub(crate) threads: Threads,
    what: String,
    trail: VecDeque<String>,
    seen: BTreeMap<String, usize>,
}

impl<'a> World<'a> {
    pub(crate) async fn new(mesh: &'a TestMesh, words: &'a Words, random: Random, what: String) -> Self {
        let mut world = Self {
            mesh,
            words,
            random,
            clients: Vec::new(),
            therapists: Vec::new(),
            relations: BTreeMap::new(),
            journals: [const { Vec::new() }; EACH],
            removed: [const { Vec::new() }; EACH],
            accesses: [const { Vec::new() }; EACH],
            tokens: Vec::new(),
            practice: Practice::default(),
            threads: Threads::default(),
            what,
            trail: VecDeque::new(),
            seen: BTreeMap::new(),
        };
        for number in 0..EACH {
            let logged_in = world.now();
            let someone = mesh.client(&name(Who::Client(number))).await;
            world.clients.push(Person { someone, logged_in });
            let someone = mesh.therapist(&name(Who::Therapist(number)), SPECIALTY, "110001").await;
            world.therapists.push(Person { someone, logged_in });
        }
        world
    }

    /// Compares the access logs and deletes accounts, at the end. Returns how often each request and answer occurred.
    pub(crate) async fn end(mut self) -> BTreeMap<String, usize> {
        for client in 0..EACH {
            self.compare_log(client).await;
        }
        self.delete_accounts().await;
        self.seen
    }

    pub(crate) fn now(&self) -> Ms {
        self.mesh.clock.now().as_millisecond()
    }

    /// Lets up to 10 hours or up to 40 days pass, so that requests and grants expire.
    pub(crate) fn pass_time(&mut self) {
        let seconds = if self.random.percent(60) {
            self.random.between(1, 36_000)
        } else {
            self.random.between(86_400, 40 * 86_400)
        };
        self.note(format!("{seconds} s pass"));
        self.mesh.pass(Duration::from_secs(seconds.unsigned_abs()));
    }

    /// Picks a client and a therapist.
    pub(crate) fn pair(&mut self) -> (usize, usize) {
        (self.random.below(EACH), self.random.below(EACH))
    }

    /// Returns the usual caller mostly, else a random one.
    pub(crate) fn caller(&mut self, usual: Who) -> Who {
        if self.random.percent(90) {
            return usual;
        }
        let number = self.random.below(EACH);
        if self.random.percent(50) { Who::Client(number) } else { Who::Therapist(number) }
    }

    pub(crate) fn id(&self, who: Who) -> &str {
        &self.person(who).someone.id
    }

    pub(crate) fn client_id(&self, client: usize) -> String {
        self.id(Who::Client(client)).to_owned()
    }

    pub(crate) fn therapist_id(&self, therapist: usize) -> String {
        self.id(Who::Therapist(therapist)).to_owned()
    }

    fn person(&self, who: Who) -> &Person {
        match who {
            Who::Client(number) => &self.clients[number],
            Who::Therapist(number) => &self.therapists[number],
        }
    }

    /// Returns the grant that is valid now.
    pub(crate) fn grant(&self, client: usize, therapist: usize) -> Option<Grant> {
        self.relations.get(&(client, therapist))?.grant(self.now()).cloned()
    }

    /// Sends a request with a fresh token of the person.
    pub(crate) async fn ask(&mut self, who: Who, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.renew(who).await;
        let told = body.as_ref().map_or(String::new(), Value::to_string);
        let mut request = self.mesh.request(method.clone(), path).bearer_auth(&self.person(who).someone.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        // Some requests are repeated with their key, which must have no further effect.
        let again = if method == Method::POST && self.random.percent(20) {
            let key = format!("key {}", self.random.below(usize::MAX));
            request = request.header("idempotency-key", key);
            request.try_clone()
        } else {
            None
        };
        let first = answer(request).await;
        if let Some(again) = again {
            let again = answer(again).await;
            if (again.status, &again.body) != (first.status, &first.body) {
                self.fail(&format!("{method} {path} {told}: {first:?}\nagain, with its key: {again:?}"));
            }
        }
        self.note(format!("{who:?}: {method} {path} {told} → {} {}", first.status, first.reason()));
        let route: String = path
            .split(['?', '/'])
            .filter(|part| !part.is_empty() && !is_id(part))
            .take(2)
            .fold(String::new(), |route, part| if part.contains('=') { route } else { format!("{route}/{part}") });
        let side = if matches!(who, Who::Client(_)) { "client" } else { "therapist" };
        *self.seen.entry(format!("{side} {method} {route} {} {}", first.status, first.reason())).or_default() += 1;
        first
    }

    async fn renew(&mut self, who: Who) {
        let now = self.now();
        if now - self.person(who).logged_in < FRESH {
            return;
        }
        let someone = &self.person(who).someone;
        let refresh = json!({"refreshToken": someone.refresh});
        let pair = self.mesh.ask(Method::POST, "/auth/refresh", None, Some(refresh)).await;
        let someone = match pair.status {
            200 => Someone::of(&pair.body),
            _ => self.mesh.login(&someone.email, PASSWORD).await,
        };
        self.set_login(who, someone);
    }

    /// Logs in again, as account deletion requires.
    pub(crate) async fn log_in(&mut self, who: Who) {
        let someone = self.mesh.login(&self.person(who).someone.email, PASSWORD).await;
        self.set_login(who, someone);
    }

    fn set_login(&mut self, who: Who, someone: Someone) {
        let logged_in = self.now();
        let person = match who {
            Who::Client(number) => &mut self.clients[number],
            Who::Therapist(number) => &mut self.therapists[number],
        };
        *person = Person { someone, logged_in };
    }

    fn note(&mut self, step: String) {
        if self.trail.len() == SHOWN {
            self.trail.pop_front();
        }
        self.trail.push_back(step);
    }

    /// Fails with the seed and the last steps.
    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        let trail: Vec<_> = self.trail.iter().map(String::as_str).collect();
        panic!("{}\n{}\n{why}", self.what, trail.join("\n"))
    }

    /// Asserts that an answer is as the model expects.
    #[track_caller]
    pub(crate) fn hold(&self, answer: &Answer, expected: Result<u16, Refusal>) {
        let found = (answer.status, answer.reason());
        let expected = expected.map_or_else(|refusal| refusal, |success| (success, ""));
        if found != expected {
            self.fail(&format!("expected {expected:?}, found {found:?}: {}", answer.body));
        }
    }

    /// Asserts success if there are no refusals, else one of the refusals. Returns true for success.
    #[track_caller]
    pub(crate) fn hold_any(&self, answer: &Answer, success: u16, refusals: &[Refusal]) -> bool {
        let found = (answer.status, answer.reason());
        if refusals.is_empty() {
            self.hold(answer, Ok(success));
        } else if !refusals.contains(&found) {
            self.fail(&format!("expected one of {refusals:?}, found {found:?}: {}", answer.body));
        }
        refusals.is_empty()
    }

    /// Asserts that a value equals that of the model.
    #[track_caller]
    pub(crate) fn same(&self, what: &str, found: &Value, expected: &Value) {
        let (found, expected) = (normal(found), normal(expected));
        if found == expected {
            return;
        }
        let (mut lists, mut differ) = (String::new(), (&found, &expected));
        if let (Some(ours), Some(theirs)) = (found.as_array(), expected.as_array()) {
            lists = format!("{} items instead of {}; ", ours.len(), theirs.len());
            let first = ours.iter().zip(theirs).find(|(one, other)| one != other);
            differ = first.unwrap_or(differ);
        }
        self.fail(&format!("{what}: {lists}expected {:#}\nfound {:#}", differ.1, differ.0));
    }
}

/// Specialty of every therapist of the model.
pub(crate) const SPECIALTY: &str = "Grief";

pub(crate) fn name(who: Who) -> String {
    match who {
        Who::Client(number) => format!("Asha {number}"),
        Who::Therapist(number) => format!("Noor {number}"),
    }
}

/// Authorises the client of this account only.
pub(crate) fn own(caller: Who, client: usize) -> Result<(), Refusal> {
    match caller {
        Who::Client(number) if number == client => Ok(()),
        Who::Client(_) => Err((403, "NOT_YOUR_ACCOUNT")),
        Who::Therapist(_) => Err((403, "ROLE_NOT_ALLOWED")),
    }
}

/// Formats a time for a request.
pub(crate) fn at(ms: Ms) -> String {
    Timestamp::from_millisecond(ms).expect("a time of the model").to_string()
}

/// Returns true if a part of a path is an id.
fn is_id(part: &str) -> bool {
    part.len() >= 26 && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Normalises a value for comparison: times in milliseconds, numbers as floats, and no null fields.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name.clone(), normal_field(name, value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Number(number) => number.as_f64().into(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

fn normal_field(name: &str, value: &Value) -> Value {
    match value.as_str() {
        Some(text) if TIMES.contains(&name) => {
            let time: Timestamp = text.parse().unwrap_or_else(|error| panic!("{name} is {text:?}: {error}"));
            assert!(text.ends_with('Z'), "{name} is not in UTC: {text}");
            json!(time.as_millisecond())
        }
        _ => normal(value),
    }
}
