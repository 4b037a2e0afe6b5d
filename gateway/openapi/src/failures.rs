//! Error responses of operations: the reasons of each, and their descriptions.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use proto::{Caller, code};

use crate::contract::{Contract, Route};
use crate::overlay::{Overlay, Reason, StatusOverlay};
use crate::reasons;
use crate::yaml::{Map, Value, list, map, reference, text};

/// Returns whether the operation takes an `Idempotency-Key`: every POST but those of accounts.
pub(crate) fn takes_idempotency_key(route: &Route) -> bool {
    route.http.method == "POST" && !route.http.path.as_str().starts_with("/auth/")
}

/// Returns the headers of every answer.
pub(crate) fn common_headers() -> Map {
    map(["Cache-Control", "x-request-id"].map(|name| (name, reference("headers", name))))
}

/// Error responses of every operation. Those that several operations share are components.
#[derive(Debug)]
pub(crate) struct Failures<'o> {
    overlay: &'o Overlay,
    reasons: Vec<(String, Reason)>,
    /// The most common set of reasons of each status.
    common: BTreeMap<u16, Vec<String>>,
}

impl<'o> Failures<'o> {
    pub(crate) fn new(contract: &Contract, overlay: &'o Overlay) -> Result<Self, Box<dyn Error>> {
        let mut failures = Self { overlay, reasons: overlay.reasons()?, common: BTreeMap::new() };
        for (name, reason) in &failures.reasons {
            if reason.code != reasons::code_of(contract, name)? {
                return Err(format!("overlay.yaml: {name} has another code in reason.proto").into());
            }
        }
        let mut counts: BTreeMap<(u16, Vec<String>), usize> = BTreeMap::new();
        for route in &contract.routes {
            for set in failures.of(route)? {
                *counts.entry(set).or_default() += 1;
            }
        }
        let mut most = BTreeMap::<u16, usize>::new();
        for ((status, set), count) in counts {
            if count > most.get(&status).copied().unwrap_or_default() {
                most.insert(status, count);
                failures.common.insert(status, set);
            }
        }
        Ok(failures)
    }

    /// The reasons of an operation, by status.
    fn of(&self, route: &Route) -> Result<BTreeMap<u16, Vec<String>>, Box<dyn Error>> {
        let name = route.rpc.name();
        let entry = self.overlay.operations.get(name).ok_or(format!("overlay.yaml: no operation {name}"))?;
        let mut wanted: BTreeSet<_> = entry.reasons.iter().map(String::as_str).collect();
        wanted.extend(of_every(route));
        if let Some(unknown) = wanted.iter().find(|name| !self.reasons.iter().any(|(known, _)| known == *name)) {
            return Err(format!("overlay.yaml: {name} names {unknown}, which is no reason").into());
        }
        let mut sets = BTreeMap::<u16, Vec<String>>::new();
        for (name, reason) in self.reasons.iter().filter(|(name, _)| wanted.contains(name.as_str())) {
            for status in statuses(reason)? {
                sets.entry(status).or_default().push(name.clone());
            }
        }
        Ok(sets)
    }

    /// Returns the error responses of an operation.
    pub(crate) fn responses(&self, route: &Route) -> Result<Map, Box<dyn Error>> {
        let response = |(status, set): (u16, Vec<String>)| {
            let written = if self.common.get(&status) == Some(&set) {
                reference("responses", &self.status(status)?.name)
            } else {
                self.response(status, &set)?
            };
            Ok((text(status.to_string()), written))
        };
        self.of(route)?.into_iter().map(response).collect()
    }

    /// The components that `responses` refers to.
    pub(crate) fn components(&self) -> Result<Map, Box<dyn Error>> {
        let component =
            |(status, set): (&u16, &Vec<String>)| Ok((text(&self.status(*status)?.name), self.response(*status, set)?));
        self.common.iter().map(component).collect()
    }

    /// An example for each reason.
    pub(crate) fn examples(&self) -> Result<Map, Box<dyn Error>> {
        self.reasons.iter().map(|(name, reason)| Ok((text(name), example(name, reason)?))).collect()
    }

    fn response(&self, status: u16, set: &[String]) -> Result<Value, Box<dyn Error>> {
        let entry = self.status(status)?;
        let mut description = format!("{}:\n", entry.title);
        let mut examples = Map::new();
        for (name, reason) in self.reasons.iter().filter(|(name, _)| set.contains(name)) {
            description.push_str(&format!("\n- `{name}`: {}", reason.says));
            examples.insert(text(name), reference("examples", name));
        }
        let mut headers = common_headers();
        headers.extend(entry.headers.iter().map(|name| (text(name), reference("headers", name))));
        let json = map([("schema", reference("schemas", "ApiError")), ("examples", examples.into())]);
        let content = map([("application/json", json.into())]);
        Ok(map([("description", text(description)), ("headers", headers.into()), ("content", content.into())]).into())
    }

    fn status(&self, status: u16) -> Result<&StatusOverlay, String> {
        self.overlay.statuses.get(&status).ok_or(format!("overlay.yaml: no status {status}"))
    }
}

/// Returns the HTTP statuses of a reason.
fn statuses(reason: &Reason) -> Result<Vec<u16>, String> {
    let code = code::from_name(&reason.code).ok_or_else(|| format!("overlay.yaml: {} is no code", reason.code))?;
    Ok(if reason.statuses.is_empty() { vec![code::http_status(code)] } else { reason.statuses.clone() })
}

/// Returns the reasons that every operation of this kind can answer.
fn of_every(route: &Route) -> Vec<&'static str> {
    let mut reasons = vec![
        "INVALID_FIELDS",
        "MALFORMED_REQUEST",
        "MALFORMED_PATH",
        "CREDENTIALS_AMBIGUOUS",
        "HOST_NOT_ALLOWED",
        "HEADERS_TOO_LARGE",
        "RESOURCE_EXHAUSTED",
        "INTERNAL",
        "UNAVAILABLE",
        "STOPPING",
        "STORAGE_FULL",
        "OVERLOADED",
        "TOO_MANY_REQUESTS",
        "REQUEST_TOO_SLOW",
        "DEADLINE_EXCEEDED",
    ];
    if route.has_body() {
        reasons.extend(["MALFORMED_JSON", "UNSUPPORTED_CONTENT_TYPE", "BODY_TOO_LARGE"]);
    }
    if !route.access.allows_anonymous() {
        reasons.extend(["TOKEN_MISSING", "TOKEN_EXPIRED", "TOKEN_INVALID"]);
    }
    if matches!(*route.access.callers, [Caller::Client | Caller::Therapist]) {
        reasons.push("ROLE_NOT_ALLOWED");
    }
    if route.http.method != "GET" && !route.access.allows_anonymous() {
        reasons.push("CONFLICT");
    }
    if takes_idempotency_key(route) {
        reasons.push("IDEMPOTENCY_KEY_REUSED");
    }
    reasons
}

fn example(name: &str, reason: &Reason) -> Result<Value, Box<dyn Error>> {
    let code = code::from_name(&reason.code).ok_or("no such code")?;
    let detail = |kind: &str, rest: Map| -> Value {
        let mut detail = map([("@type", text(format!("type.googleapis.com/google.rpc.{kind}")))]);
        detail.extend(rest);
        detail.into()
    };
    let info = [("reason", text(name)), ("domain", text("therapy")), ("metadata", Map::new().into())];
    let mut details = vec![detail("ErrorInfo", map(info))];
    if !reason.violations.is_empty() {
        details.push(detail("BadRequest", map([("fieldViolations", list(reason.violations.clone()))])));
    }
    if let Some(seconds) = reason.retry {
        details.push(detail("RetryInfo", map([("retryDelay", text(format!("{seconds}s")))])));
    }
    details.push(detail(
        "RequestInfo",
        map([("requestId", text("3f9c1e52-6f0e-4c77-9a55-0f9d5b8e2a31")), ("servingData", text(""))]),
    ));
    let value = [("code", i32::from(code).into()), ("message", text(&reason.message)), ("details", list(details))];
    Ok(map([("summary", text(&reason.says)), ("value", map(value).into())]).into())
}
