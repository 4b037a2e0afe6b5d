//! Reads of journals and access logs, compared with the model.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::model::journal::{Entry, Filter, shows, sums, visible};
use crate::model::relation::Grant;
use crate::model::world::{EACH, Who, World, at, name, own};
use crate::model::{DAY, Ms, NOT_FOUND, Refusal};

const ZONES: [&str; 5] = ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "Pacific/Auckland"];
const BUCKETS: [&str; 3] = ["DAY", "WEEK", "MONTH"];
/// Maximum span of a group in a log.
const MINUTE: Ms = 60_000;
/// Maximum number of changes in insights.
const MOST_CHANGES: usize = 5;

/// One access of a therapist, as the client's log shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Access {
    time: Ms,
    therapist: usize,
    action: &'static str,
    entry_count: usize,
    entry_id: String,
    grant_id: String,
}

/// A page token with the list it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct OldToken {
    caller: Who,
    client: usize,
    query: String,
    filter: Filter,
    /// Last entry shown before it.
    after: Option<String>,
    /// Grant by which it was issued.
    grant_id: String,
    token: String,
}

/// One page of a list.
struct Page {
    entries: Vec<Value>,
    next: Option<String>,
}

impl World<'_> {
    /// Authorises a reader of a journal: `None` for its client, the grant for a therapist.
    fn permit(&self, caller: Who, client: usize) -> Result<Option<Grant>, Refusal> {
        match caller {
            Who::Client(_) => own(caller, client).map(|()| None),
            Who::Therapist(therapist) => self.grant(client, therapist).map(Some).ok_or(NOT_FOUND),
        }
    }

    fn reader(&mut self) -> (Who, usize) {
        let (mut client, mut therapist) = self.pair();
        let granted: Vec<_> = self.relations.keys().filter(|(c, t)| self.grant(*c, *t).is_some()).copied().collect();
        if !granted.is_empty() && self.random.percent(60) {
            (client, therapist) = *self.random.pick(&granted);
        }
        let usual = if self.random.percent(75) { Who::Therapist(therapist) } else { Who::Client(client) };
        (self.caller(usual), client)
    }

    fn log(&mut self, caller: Who, client: usize, action: &'static str, entry_count: usize, entry_id: &str) {
        let Who::Therapist(therapist) = caller else { return };
        let grant_id = self.grant(client, therapist).expect("who reads has a grant").id;
        let time = self.now();
        let entry_id = entry_id.to_owned();
        self.accesses[client].push(Access { time, therapist, action, entry_count, entry_id, grant_id });
    }

    /// Reads every page of a list with a random filter.
    pub(crate) async fn list_entries(&mut self) {
        let (caller, client) = self.reader();
        let permit = self.permit(caller, client);
        let filter = self.filter();
        let size = *self.random.pick(&[1, 2, 5, 50, 200]);
        let query = format!("?pageSize={size}{}", told(&filter));
        let (mut pages, mut token) = (Vec::new(), None);
        loop {
            let Some(page) = self.page(caller, client, &query, token.as_deref(), permit.as_ref().err().copied()).await
            else {
                return;
            };
            if page.entries.len() > size || pages.len() > 300 {
                self.fail("a list goes on and on");
            }
            let shown = pages.iter().chain([&page.entries]).flatten().last();
            let after = shown.and_then(|entry| entry["entryId"].as_str()).map(str::to_owned);
            pages.push(page.entries);
            let Some(next) = page.next else { break };
            if self.random.percent(30) {
                let grant_id = permit.as_ref().ok().and_then(Option::as_ref).map_or(String::new(), |it| it.id.clone());
                let (query, filter, token) = (query.clone(), filter.clone(), next.clone());
                self.tokens.push(OldToken { caller, client, query, filter, after, grant_id, token });
            }
            token = Some(next);
        }
        let short = pages.iter().rev().skip(1).any(|page| page.len() != size);
        if short && !filter.looks_inside() {
            self.fail("a page that is not the last tells by its length that something is hidden");
        }
        let permit = permit.expect("it was answered");
        let expected = visible(&self.journals[client], permit.as_ref(), &filter, self.words);
        let expected: Value = expected.iter().map(|entry| self.shown(client, entry, permit.as_ref())).collect();
        self.same("the entries", &pages.concat().into(), &expected);
    }

    /// Reads one page; `None` if it is refused as expected.
    async fn page(
        &mut self,
        caller: Who,
        client: usize,
        query: &str,
        token: Option<&str>,
        refusal: Option<Refusal>,
    ) -> Option<Page> {
        let token = token.map_or(String::new(), |token| format!("&pageToken={token}"));
        let list = if self.random.percent(80) { "/journal/{}" } else { "/clients/{}/journals" };
        let path = format!("{}{query}{token}", list.replace("{}", &self.client_id(client)));
        let answer = self.ask(caller, Method::GET, &path, None).await;
        self.hold(&answer, refusal.map_or(Ok(200), Err));
        let entries = answer.body.as_array().filter(|_| answer.status == 200)?.clone();
        let next = answer.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
        self.log(caller, client, "LIST", entries.len(), "");
        Some(Page { entries, next })
    }

    fn filter(&mut self) -> Filter {
        let mut filter = Filter::default();
        if self.random.percent(30) {
            filter.from = Some(self.now() - self.random.between(10 * DAY, 90 * DAY));
        }
        if self.random.percent(20) {
            filter.to = Some(self.now() - self.random.between(0, 9 * DAY));
        }
        if self.random.percent(25) {
            filter.emotion = Some(self.wanted_emotion());
        }
        if self.random.percent(15) {
            filter.min_intensity = Some(self.random.between(1, 6));
        }
        filter
    }

    /// Picks a word of some journal, a family, or any word.
    fn wanted_emotion(&mut self) -> String {
        let written: Vec<_> = self.journals.iter().flatten().map(|entry| entry.emotion.clone()).collect();
        let wanted = match self.random.below(3) {
            0 if !written.is_empty() => self.random.pick(&written).clone(),
            1 => self.random.pick(&self.words.families).clone(),
            _ => self.emotion(),
        };
        if self.random.percent(20) { wanted.to_uppercase() } else { wanted }
    }

    /// Uses an earlier page token: it is bound to its caller and shows what the caller may see now.
    pub(crate) async fn use_old_token(&mut self) {
        if self.tokens.is_empty() {
            return;
        }
        let number = self.random.below(self.tokens.len());
        let old = self.tokens[number].clone();
        let caller = self.caller(old.caller);
        let permit = self.permit(caller, old.client);
        let path = format!("/journal/{}{}&pageToken={}", self.client_id(old.client), old.query, old.token);
        let answer = self.ask(caller, Method::GET, &path, None).await;
        let permit = match permit {
            Ok(permit) if caller == old.caller => permit,
            Ok(_) => return self.refuses_token(&answer),
            Err(refusal) => return self.hold(&answer, Err(refusal)),
        };
        // A token may be bound to its grant.
        let same_grant = permit.as_ref().map_or("", |grant| &grant.id) == old.grant_id;
        if !same_grant && answer.status == 400 {
            return self.refuses_token(&answer);
        }
        self.hold(&answer, Ok(200));
        let found = answer.body.as_array().cloned().unwrap_or_default();
        self.log(caller, old.client, "LIST", found.len(), "");
        let rest = visible(&self.journals[old.client], permit.as_ref(), &old.filter, self.words).into_iter();
        let rest = rest.filter(|entry| old.after.as_ref().is_none_or(|after| entry.id < *after));
        let rest: Vec<Value> = rest.map(|entry| self.shown(old.client, entry, permit.as_ref())).collect();
        let mut at = rest.iter();
        for entry in &found {
            if !at.any(|shown| shown["entryId"] == entry["entryId"]) {
                self.fail(&format!("this may not be seen, or not here: {entry}"));
            }
            let shown = rest.iter().find(|shown| shown["entryId"] == entry["entryId"]).expect("it was there");
            self.same("an entry", entry, shown);
        }
    }

    fn refuses_token(&self, answer: &kit::mesh::Answer) {
        self.hold(answer, Err((400, "INVALID_FIELDS")));
        if answer.bad_fields() != ["pageToken"] {
            self.fail("it is the token that is bad");
        }
    }

    /// Reads an entry.
    pub(crate) async fn get_entry(&mut self) {
        let (caller, client) = self.reader();
        let id = self.some_entry(client);
        let permit = self.permit(caller, client);
        let entry = self.journals[client].iter().find(|entry| entry.id == id).cloned();
        let shown = |permit: Option<Grant>| {
            let entry = entry.filter(|entry| shows(entry, permit.as_ref()))?;
            Some(self.shown(client, &entry, permit.as_ref()))
        };
        let expected = permit.and_then(|permit| shown(permit).ok_or(NOT_FOUND));
        let path = format!("/journal/{}/entries/{id}", self.client_id(client));
        let answer = self.ask(caller, Method::GET, &path, None).await;
        self.hold(&answer, expected.as_ref().map(|_| 200).map_err(|refusal| *refusal));
        if let Ok(shown) = expected {
            self.same("the entry", &answer.body, &shown);
            self.log(caller, client, "ENTRY", 1, &id);
        }
    }

    /// Reads insights.
    pub(crate) async fn read_insights(&mut self) {
        let (caller, client) = self.reader();
        let permit = self.permit(caller, client);
        let (bucket, zone) = (*self.random.pick(&BUCKETS), *self.random.pick(&ZONES));
        let to = self.now() - self.random.between(0, 10 * DAY);
        let from = to - self.random.between(1, 100 * DAY);
        let told = self.random.percent(80);
        let (from, to) = if told { (from, to) } else { (self.now() - 90 * DAY, self.now()) };
        let mut path = format!("/journal/{}/insights?bucket={bucket}&timeZone={zone}", self.client_id(client));
        if told {
            path = format!("{path}&from={}&to={}", at(from), at(to));
        }
        let answer = self.ask(caller, Method::GET, &path, None).await;
        self.hold(&answer, permit.as_ref().map(|_| 200).map_err(|refusal| *refusal));
        let Ok(permit) = permit else { return };
        let range = Filter { from: Some(from), to: Some(to), ..Filter::default() };
        let journal = self.journals[client].clone();
        let seen = visible(&journal, permit.as_ref(), &range, self.words);
        let edges = edges(from, to, bucket, zone);
        let expected = self.buckets(&edges, &seen);
        self.same("the buckets", &answer.body["buckets"], &expected);
        self.same("the form", &json!([answer.body["bucket"], answer.body["timeZone"]]), &json!([bucket, zone]));
        self.compare_changes(&answer.body["changes"], &edges, &seen);
        self.log(caller, client, "INSIGHT", seen.len(), "");
    }

    fn buckets(&self, edges: &[Ms], seen: &[&Entry]) -> Value {
        let bucket = |pair: &[Ms]| {
            let of: Vec<_> = within(seen, pair[0], pair[1]);
            let families = sums(&of, self.words).into_iter().map(|(family, count, weight)| {
                json!({"family": family, "count": count, "meanIntensity": mean(count, weight)})
            });
            json!({"start": at(pair[0]), "end": at(pair[1]), "families": families.collect::<Vec<_>>()})
        };
        edges.windows(2).map(bucket).collect()
    }

    /// Checks that the changes are correct, sorted by strength, and the strongest ones.
    fn compare_changes(&self, found: &Value, edges: &[Ms], seen: &[&Entry]) {
        let mut all = Vec::new();
        for three in edges.windows(3) {
            let (before, after) = (within(seen, three[0], three[1]), within(seen, three[1], three[2]));
            let (before, after) = (sums(&before, self.words), sums(&after, self.words));
            for family in self.words.families.iter().map(String::as_str).chain([""]) {
                let of = |sums: &[(String, i64, i64)]| {
                    sums.iter().find(|sum| sum.0 == family).map_or((0, 0), |(_, count, weight)| (*count, *weight))
                };
                let ((count, weight), (count_after, weight_after)) = (of(&before), of(&after));
                if weight != weight_after {
                    let change = json!({
                        "family": family, "from": at(three[0]), "to": at(three[1]),
                        "countBefore": count, "countAfter": count_after,
                        "meanIntensityBefore": mean(count, weight), "meanIntensityAfter": mean(count_after, weight_after),
                    });
                    all.push(((weight_after - weight).abs(), change));
                }
            }
        }
        let found: Vec<_> = found.as_array().cloned().unwrap_or_default();
        let strength = |change: &Value| {
            let change = |(_, known): &&(i64, Value)| {
                known["family"] == change["family"] && time(&known["from"]) == time(&change["from"])
            };
            all.iter().find(change)
        };
        let mut strengths = Vec::new();
        for change in &found {
            let Some((strength, known)) = strength(change) else { self.fail(&format!("nothing changed so: {change}")) };
            self.same("a change", change, known);
            strengths.push(*strength);
        }
        let mut expected: Vec<_> = all.iter().map(|(strength, _)| *strength).collect();
        expected.sort_unstable_by(|one, other| other.cmp(one));
        expected.truncate(MOST_CHANGES);
        if strengths != expected {
            self.fail(&format!("the strongest changes are {expected:?}, found {strengths:?}: {found:?}"));
        }
    }

    /// Reads a client's access log as the client or another caller.
    pub(crate) async fn read_log(&mut self) {
        let (client, _) = self.pair();
        let caller = self.caller(Who::Client(client));
        if own(caller, client).is_ok() {
            return self.compare_log(client).await;
        }
        let path = format!("/clients/{}/access-log", self.client_id(client));
        let answer = self.ask(caller, Method::GET, &path, None).await;
        self.hold(&answer, own(caller, client).map(|()| 200));
    }

    /// Compares all pages of a client's access log with the model.
    pub(crate) async fn compare_log(&mut self, client: usize) {
        let size = *self.random.pick(&[7, 50, 200]);
        let (mut found, mut token, mut last) = (Vec::new(), String::new(), Ms::MAX);
        loop {
            let path = format!("/clients/{}/access-log?pageSize={size}{token}", self.client_id(client));
            let answer = self.ask(Who::Client(client), Method::GET, &path, None).await;
            self.hold(&answer, Ok(200));
            let items = answer.body.as_array().cloned().unwrap_or_default();
            if items.len() > size {
                self.fail("a page of the log is longer than was asked for");
            }
            for item in &items {
                let access = self.access(item);
                if access.time > last {
                    self.fail("the log is not in the order of time");
                }
                last = access.time;
                found.push((access, time(&item["firstTime"]), item["count"].as_u64().map_or(0, as_usize)));
            }
            match answer.headers.get("x-next-page-token") {
                Some(next) => token = format!("&pageToken={}", next.to_str().unwrap()),
                None => break,
            }
        }
        let split = found.windows(2).find(|pair| {
            let ((newer, ..), (older, ..)) = (&pair[0], &pair[1]);
            Access { time: newer.time, ..older.clone() } == *newer && newer.time - older.time <= MINUTE
        });
        if let Some(pair) = split {
            self.fail(&format!("equal neighbours within a minute are one: {pair:#?}"));
        }
        // Each group takes as many accesses as it counts, the latest first: accesses of the millisecond in which it
        // begins may belong to the group before.
        let mut left = self.accesses[client].clone();
        for (group, first_time, count) in found {
            let is_of = |access: &Access| {
                let same = Access { time: group.time, ..access.clone() } == group;
                same && (first_time..=group.time).contains(&access.time)
            };
            let (mut taken, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_of);
            taken.sort_by_key(|access| std::cmp::Reverse(access.time));
            let rest = taken.split_off(count.min(taken.len()));
            let ends = (taken.first().map(|access| access.time), taken.last().map(|access| access.time));
            let is_right = taken.len() == count && ends == (Some(group.time), Some(first_time));
            if !is_right || group.time - first_time > MINUTE {
                self.fail(&format!(
                    "the log of client {client} has {count} since {first_time} of {group:#?}: {taken:#?}"
                ));
            }
            left = others.into_iter().chain(rest).collect();
        }
        if !left.is_empty() {
            self.fail(&format!("the log of client {client} misses {left:#?}"));
        }
    }

    fn access(&self, item: &Value) -> Access {
        let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let therapist = (0..EACH).find(|number| self.therapist_id(*number) == text("therapistId"));
        let therapist = therapist.unwrap_or_else(|| self.fail(&format!("who is this: {item}")));
        if text("therapistName") != name(Who::Therapist(therapist)) || text("accessId").is_empty() {
            self.fail(&format!("an access has an id and a name: {item}"));
        }
        let action = ["LIST", "ENTRY", "INSIGHT"].into_iter().find(|action| item["action"] == **action);
        Access {
            time: time(&item["time"]),
            therapist,
            action: action.unwrap_or_else(|| self.fail(&format!("nobody did this: {item}"))),
            entry_count: item["entryCount"].as_u64().map_or(usize::MAX, as_usize),
            entry_id: text("entryId"),
            grant_id: text("grantId"),
        }
    }
}

fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn time(value: &Value) -> Ms {
    value.as_str().and_then(|text| text.parse::<Timestamp>().ok()).map_or(-1, Timestamp::as_millisecond)
}

fn told(filter: &Filter) -> String {
    let mut query = String::new();
    for (name, value) in [("from", filter.from.map(at)), ("to", filter.to.map(at))] {
        if let Some(value) = value {
            query = format!("{query}&{name}={value}");
        }
    }
    if let Some(emotion) = &filter.emotion {
        query = format!("{query}&emotion={}", utf8_percent_encode(emotion, NON_ALPHANUMERIC));
    }
    if let Some(least) = filter.min_intensity {
        query = format!("{query}&minIntensity={least}");
    }
    query
}

fn within<'a>(seen: &[&'a Entry], from: Ms, to: Ms) -> Vec<&'a Entry> {
    seen.iter().filter(|entry| (from..to).contains(&entry.felt_at)).copied().collect()
}

#[allow(clippy::cast_precision_loss, reason = "a journal has fewer than 2^53 entries")]
fn mean(count: i64, weight: i64) -> f64 {
    if count == 0 { 0.0 } else { weight as f64 / count as f64 }
}

/// Returns the bounds of the buckets: midnights of the zone, of every day, of Mondays or of the first of each month.
fn edges(from: Ms, to: Ms, bucket: &str, zone: &str) -> Vec<Ms> {
    let zone = TimeZone::get(zone).unwrap();
    let mut day = Timestamp::from_millisecond(from).unwrap().to_zoned(zone.clone()).date();
    let mut edges = vec![from];
    loop {
        day = next_beginning(day, bucket);
        let midnight = day.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond();
        if midnight >= to {
            edges.push(to);
            return edges;
        }
        edges.push(midnight);
    }
}

fn next_beginning(day: Date, bucket: &str) -> Date {
    let next = day.checked_add(1.day()).unwrap();
    let begins = match bucket {
        "DAY" => true,
        "WEEK" => next.weekday() == jiff::civil::Weekday::Monday,
        _ => next.day() == 1,
    };
    if begins { next } else { next_beginning(next, bucket) }
}
