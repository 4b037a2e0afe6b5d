//! Six people, what the model knows of them, and how they ask the mesh.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use kernel::{Clock as _, Timestamp};
use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::model::journal::{Entry, Words};
use crate::model::practice::{Practice, Threads};
use crate::model::random::Random;
use crate::model::reading::{Access, OldToken};
use crate::model::relation::{Grant, Relation};
use crate::model::{Ms, Refusal};

/// How many clients there are, and how many therapists.
pub(crate) const EACH: usize = 3;
/// How old a token may be that is used, in milliseconds: it lives 15 minutes.
const FRESH: Ms = 14 * 60 * 1000;
/// How many of the last steps a failure shows.
const SHOWN: usize = 40;

/// The fields of answers that are times.
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

/// What is played, and the model of it.
pub(crate) struct World<'a> {
    mesh: &'a TestMesh,
    pub(crate) words: &'a Words,
    pub(crate) random: Random,
    clients: Vec<Person>,
    therapists: Vec<Person>,
    pub(crate) relations: BTreeMap<(usize, usize), Relation>,
    pub(crate) journals: [Vec<Entry>; EACH],
    /// The ids of entries that were removed.
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

    /// The last comparison: each client's log shows what was read, and nothing else. Answers what was played how often.
    pub(crate) async fn end(mut self) -> BTreeMap<String, usize> {
        for client in 0..EACH {
            self.compare_log(client).await;
        }
        self.part().await;
        self.seen
    }

    pub(crate) fn now(&self) -> Ms {
        self.mesh.clock.now().as_millisecond()
    }

    /// Minutes and hours, or days: up to 40, so that requests and grants expire.
    pub(crate) fn pass_time(&mut self) {
        let seconds = if self.random.percent(60) {
            self.random.between(1, 36_000)
        } else {
            self.random.between(86_400, 40 * 86_400)
        };
        self.note(format!("{seconds} s pass"));
        self.mesh.pass(Duration::from_secs(seconds.unsigned_abs()));
    }

    /// A client and a therapist.
    pub(crate) fn pair(&mut self) -> (usize, usize) {
        (self.random.below(EACH), self.random.below(EACH))
    }

    /// Mostly who usually does it, else anybody.
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

    /// What a client grants a therapist right now.
    pub(crate) fn grant(&self, client: usize, therapist: usize) -> Option<Grant> {
        self.relations.get(&(client, therapist))?.grant(self.now()).cloned()
    }

    /// Asks as somebody whose token is good.
    pub(crate) async fn ask(&mut self, who: Who, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.renew(who).await;
        let told = body.as_ref().map_or(String::new(), Value::to_string);
        let mut request = self.mesh.request(method.clone(), path).bearer_auth(&self.person(who).someone.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        // Some requests are sent twice, by an app that didn't hear the answer: they have the effect of one.
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

    /// Logs in anew, as ending an account asks for.
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

    /// Fails with what a reader needs to find out why.
    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        let trail: Vec<_> = self.trail.iter().map(String::as_str).collect();
        panic!("{}\n{}\n{why}", self.what, trail.join("\n"))
    }

    /// Holds an answer to what the model expects.
    #[track_caller]
    pub(crate) fn hold(&self, answer: &Answer, expected: Result<u16, Refusal>) {
        let found = (answer.status, answer.reason());
        let expected = expected.map_or_else(|refusal| refusal, |success| (success, ""));
        if found != expected {
            self.fail(&format!("expected {expected:?}, found {found:?}: {}", answer.body));
        }
    }

    /// Holds an answer to success, or to any of the refusals that there are reasons for. Answers whether it is the success.
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

    /// Holds what is seen to what the model shows.
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

/// What every therapist of the model is expert in.
pub(crate) const SPECIALTY: &str = "Grief";

pub(crate) fn name(who: Who) -> String {
    match who {
        Who::Client(number) => format!("Asha {number}"),
        Who::Therapist(number) => format!("Noor {number}"),
    }
}

/// Only a client may, and only for the own account.
pub(crate) fn own(caller: Who, client: usize) -> Result<(), Refusal> {
    match caller {
        Who::Client(number) if number == client => Ok(()),
        Who::Client(_) => Err((403, "NOT_YOUR_ACCOUNT")),
        Who::Therapist(_) => Err((403, "ROLE_NOT_ALLOWED")),
    }
}

/// A time in a request.
pub(crate) fn at(ms: Ms) -> String {
    Timestamp::from_millisecond(ms).expect("a time of the model").to_string()
}

/// Whether a part of a path names somebody or something, and not a route.
fn is_id(part: &str) -> bool {
    part.len() >= 26 && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Times in milliseconds, numbers whole or not, and what is not set not there: so that forms of one meaning are equal.
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
