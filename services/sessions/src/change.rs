//! What a session becomes when its therapist changes it. Pure.

use kernel::{Error, Kind, Result, Timestamp, Version, Violations};

use crate::model::{Change, Session, State};
use crate::slot::{Slot, Told};
use crate::transition::{self, Step};

/// A session as it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) session: Session,
    /// How its state changes, if it does.
    pub(crate) step: Option<Step>,
}

/// A new slot must not start in the past.
pub(crate) fn ahead(slot: Slot, now: Timestamp, bad: &mut Violations) {
    if slot.start() < now {
        bad.add(slot.start_field(), "must not be in the past");
    }
}

/// What becomes of a session by a change.
///
/// # Errors
/// INVALID_ARGUMENT names every bad field; FAILED_PRECONDITION (`SESSION_BOOKED`), or of [`transition::step`]; ABORTED
/// (`STALE_ETAG`).
pub(crate) fn plan(old: &Session, change: &Change, now: Timestamp) -> Result<Plan> {
    let slot = slot(old, change, now)?;
    if change.expected.is_some_and(|expected| expected != old.version) {
        return Err(Version::stale());
    }
    let step = match change.status {
        None => None,
        Some(asked) => transition::step(old.state, asked, slot.has_begun(now))?,
    };
    let state = step.map_or(old.state, |step| step.state);
    if matches!(state, State::Booked(_)) && slot.start() != old.slot.start() {
        return Err(booked(slot.start_field()));
    }
    Ok(Plan { session: Session { slot, state, version: old.version.next(), ..*old }, step })
}

fn slot(old: &Session, change: &Change, now: Timestamp) -> Result<Slot> {
    let Change { date, start, end, status: _, client, notes: _, expected: _ } = change;
    let mut bad = Violations::default();
    let present = old.state.client().map(|client| client.to_string());
    if client.as_ref().is_some_and(|client| present.as_ref() != Some(client)) {
        bad.add("clientId", "can't be changed: it must be what it is, or be left out");
    }
    let told = old.slot.told();
    let told = Told { date: date.unwrap_or(told.date), start: start.or(told.start), end: end.unwrap_or(told.end) };
    let slot = Slot::new(told).map_err(|(field, wrong)| bad.add(field, wrong.to_string())).ok();
    if let Some(slot) = slot
        && slot.start() != old.slot.start()
    {
        ahead(slot, now, &mut bad);
    }
    match slot {
        Some(slot) if bad.is_empty() => Ok(slot),
        Some(_) | None => Err(bad.into_error()),
    }
}

fn booked(field: &'static str) -> Error {
    let message =
        format!("{field}: the start of a session that is BOOKED can't be changed; cancel it, and add another one");
    Error::new(Kind::FailedPrecondition, "SESSION_BOOKED", message)
}
