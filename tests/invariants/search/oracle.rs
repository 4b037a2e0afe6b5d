//! The brute-force search: all that a person may read, by the calls that show it, filtered by a query.
//!
//! Words are what spaces separate, so that it has nothing in common with the parser of search.

use std::fmt::Write as _;

use kernel::Timestamp;
use kit::mesh::Someone;
use reqwest::Method;
use serde_json::Value;

use super::hits::{search, text};
use super::world::{WORDS, World};

/// A text, as a hit names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text {
    /// Milliseconds since 1970.
    pub(crate) time: i64,
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) visibility: String,
    pub(crate) client: String,
    pub(crate) words: Vec<String>,
}

/// A random query with its filters.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    terms: Vec<Term>,
    kinds: Vec<&'static str>,
    client: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Term {
    Word(String),
    Prefix(String),
    Phrase(Vec<String>),
}

const JOURNAL: &str = "JOURNAL";
const NOTES: &str = "NOTES";
const CLIENTS: &str = "CLIENTS";

impl Text {
    /// Returns a hit without its words.
    pub(crate) fn of_hit(hit: &Value) -> Self {
        let kind = [JOURNAL, NOTES, CLIENTS].into_iter().find(|kind| hit["kind"] == *kind).expect("a kind");
        Self {
            time: time(hit, "timestamp"),
            kind,
            id: text(hit, "id"),
            visibility: text(hit, "visibility"),
            client: text(hit, "clientId"),
            words: Vec::new(),
        }
    }

    fn new(place: (i64, &'static str, String), visibility: &str, client: String, text: &str) -> Self {
        let (time, kind, id) = place;
        let words = text.split_ascii_whitespace().map(str::to_owned).collect();
        Self { time, kind, id, visibility: visibility.to_owned(), client, words }
    }
}

impl Query {
    /// Makes a query that a person may ask.
    pub(crate) fn random(world: &mut World<'_>, is_client: bool, own: &str) -> Self {
        let count = 1 + world.random.below(2);
        let terms = (0..count).map(|_| Term::random(world)).collect();
        let all: &[&str] = if is_client { &[JOURNAL, NOTES] } else { &[JOURNAL, NOTES, CLIENTS] };
        let kinds = if world.random.percent(70) { Vec::new() } else { vec![*world.random.pick(all)] };
        let client = world.random.percent(20).then(|| {
            if is_client {
                return own.to_owned();
            }
            let known = world.clients.iter().map(|client| client.id.clone());
            let all: Vec<_> = known.chain(world.ended.iter().cloned()).collect();
            world.random.pick(&all).clone()
        });
        let (one, other) = (world.past(), world.past());
        let from = world.random.percent(15).then_some(one);
        let to = world.random.percent(15).then_some(other).filter(|to| from.is_none_or(|from| from < *to));
        Self { terms, kinds, client, from, to }
    }

    /// Returns the path of the search.
    pub(crate) fn path(&self) -> String {
        let terms: Vec<_> = self.terms.iter().map(Term::written).collect();
        let mut path = search(&terms.join(" "));
        if !self.kinds.is_empty() {
            let _ = write!(path, "&in={}", self.kinds.join(","));
        }
        for (name, value) in [
            ("clientId", self.client.clone()),
            ("from", self.from.map(|time| time.to_string())),
            ("to", self.to.map(|time| time.to_string())),
        ] {
            if let Some(value) = value {
                let _ = write!(path, "&{name}={value}");
            }
        }
        path
    }

    /// Returns those of these texts that the query finds, newest first.
    pub(crate) fn filter(&self, readable: &[Text]) -> Vec<Text> {
        let finds = |text: &&Text| {
            self.terms.iter().all(|term| term.is_in(&text.words))
                && (self.kinds.is_empty() || self.kinds.contains(&text.kind))
                && self.client.as_ref().is_none_or(|client| text.client == *client)
                && self.from.is_none_or(|from| text.time >= from.as_millisecond())
                && self.to.is_none_or(|to| text.time < to.as_millisecond())
        };
        let found = readable.iter().filter(finds);
        let mut found: Vec<_> = found.map(|text| Text { words: Vec::new(), ..text.clone() }).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found
    }
}

impl Term {
    fn random(world: &mut World<'_>) -> Self {
        let mut word = || (*world.random.pick(&WORDS)).to_owned();
        let (first, second) = (word(), word());
        match world.random.below(6) {
            0 => Self::Prefix(first[..3].to_owned()),
            1 => Self::Phrase(vec![first, second]),
            _ => Self::Word(first),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Word(word) => word.to_uppercase(),
            Self::Prefix(prefix) => format!("{prefix}*"),
            Self::Phrase(words) => format!("\"{}\"", words.join(" ")),
        }
    }

    fn is_in(&self, words: &[String]) -> bool {
        match self {
            Self::Word(word) => words.contains(word),
            Self::Prefix(prefix) => words.iter().any(|word| word.starts_with(&**prefix)),
            Self::Phrase(phrase) => words.windows(phrase.len()).any(|window| window == phrase),
        }
    }
}

/// Returns all texts that a person may read now, each by the call that shows it.
pub(crate) async fn readable(world: &World<'_>, who: &Someone, is_client: bool) -> Vec<Text> {
    let mut texts = Vec::new();
    for client in &world.clients {
        // The journals of others are not found.
        if !is_client || client.id == who.id {
            texts.extend(journal(world, who, &client.id).await);
        }
    }
    for (session, _) in &world.sessions {
        texts.extend(notes(world, who, session).await);
    }
    if !is_client {
        texts.extend(names(world, who).await);
    }
    texts
}

async fn get(world: &World<'_>, path: &str, who: &Someone) -> Option<Value> {
    let answer = world.mesh.ask(Method::GET, path, Some(who), None).await;
    assert!(!answer.headers.contains_key("x-next-page-token"), "{path} has more than a page");
    match answer.status {
        404 => None,
        _ => Some(answer.expect(200)),
    }
}

fn time(value: &Value, field: &str) -> i64 {
    text(value, field).parse::<Timestamp>().unwrap().as_millisecond()
}

async fn journal(world: &World<'_>, who: &Someone, client: &str) -> Vec<Text> {
    let entries = get(world, &format!("/journal/{client}?pageSize=200"), who).await;
    let entry = |it: &Value| {
        let words = format!("{} {}", text(it, "emotion"), text(it, "note"));
        let place = (time(it, "timestamp"), JOURNAL, text(it, "entryId"));
        Text::new(place, &text(it, "visibility"), client.to_owned(), &words)
    };
    entries.iter().flat_map(|entries| entries.as_array().unwrap()).map(entry).collect()
}

async fn notes(world: &World<'_>, who: &Someone, session: &str) -> Vec<Text> {
    let Some(it) = get(world, &format!("/sessions/{session}"), who).await else { return Vec::new() };
    let kinds = [("privateNotes", "PRIVATE"), ("sharedNotes", "SHARED")];
    let written = kinds.map(|(field, visibility)| {
        let place = (time(&it, "sessionDate"), NOTES, session.to_owned());
        Text::new(place, visibility, text(&it, "clientId"), &text(&it, field))
    });
    written.into_iter().filter(|text| !text.words.is_empty()).collect()
}

async fn names(world: &World<'_>, who: &Someone) -> Vec<Text> {
    let related = get(world, &format!("/therapists/{}/clients?pageSize=200", who.id), who).await.unwrap();
    let agreed = related.as_array().unwrap().iter().filter(|it| it["mappingStatus"] == "ACTIVE");
    let name = |it: &Value| {
        let id = text(it, "clientId");
        Text::new((time(it, "mappedSince"), CLIENTS, id.clone()), "SHARED", id, &text(it, "clientName"))
    };
    agreed.map(name).collect()
}
