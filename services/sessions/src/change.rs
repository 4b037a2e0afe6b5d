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

#[cfg(test)]
mod tests {
    use kernel::{AppointmentId, ClientId, OffsetDateTime, SessionId, TherapistId};

    use super::*;
    use crate::model::{Booking, Status};

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);

    fn session(date: &str, start: &str, end: &str, state: State) -> Session {
        let start = (!start.is_empty()).then(|| start.parse().unwrap());
        let slot = Slot::new(Told { date: date.parse().unwrap(), start, end: end.parse().unwrap() }).unwrap();
        let (id, therapist) = (SessionId::from_bytes([2; 16]), TherapistId::from_bytes([3; 16]));
        Session { id, therapist, slot, state, version: Version::FIRST }
    }

    fn booked() -> State {
        State::Booked(Some(Booking { client: CLIENT, appointment: AppointmentId::from_bytes([4; 16]) }))
    }

    fn told(date: &str, start: &str, end: &str) -> Change {
        let some = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let date = (!date.is_empty()).then(|| date.parse::<OffsetDateTime>().unwrap());
        Change { date, start: some(start), end: some(end), ..Change::default() }
    }

    fn now() -> Timestamp {
        "2026-12-01T08:00:00Z".parse().unwrap()
    }

    fn outcome(old: &Session, change: &Change) -> std::result::Result<(String, String), String> {
        let planned = plan(old, change, now()).map(|plan| plan.session.slot);
        let printed = planned.map(|slot| (slot.start_date().to_string(), slot.told().end.to_string()));
        printed.map_err(|error| match error.violations() {
            [] => error.reason().to_owned(),
            bad => bad.iter().map(|it| it.field.clone()).collect::<Vec<_>>().join(" "),
        })
    }

    #[test]
    fn what_is_not_told_of_the_time_stays_as_it_was_told() {
        let start_told = session("2026-12-01T00:00:00+05:30", "15:00", "16:00", State::Available);
        let start_by_date = session("2026-12-01T15:00:00+05:30", "", "16:00", State::Available);
        let ok = |start: &str, end: &str| Ok((start.to_owned(), end.to_owned()));
        let bad = |fields: &str| Err(fields.to_owned());
        for (old, change, expected) in [
            (&start_told, told("", "", ""), ok("2026-12-01T15:00:00+05:30", "16:00")),
            (&start_told, told("2026-12-02T00:00:00-08:00", "", ""), ok("2026-12-02T15:00:00-08:00", "16:00")),
            (&start_told, told("", "15:30", ""), ok("2026-12-01T15:30:00+05:30", "16:00")),
            (&start_told, told("", "", "15:01"), ok("2026-12-01T15:00:00+05:30", "15:01")),
            (&start_told, told("", "16:00", ""), bad("endTime")),
            (&start_told, told("", "", "15:00"), bad("endTime")),
            (&start_told, told("", "13:29", ""), bad("startTime")),
            (&start_told, told("2026-11-30T00:00:00+05:30", "", ""), bad("startTime")),
            (&start_by_date, told("2026-12-02T14:00:00+05:30", "", ""), ok("2026-12-02T14:00:00+05:30", "16:00")),
            (&start_by_date, told("2026-12-02T14:00:30+05:30", "", ""), bad("sessionDate")),
            (&start_by_date, told("2026-11-30T14:00:00+05:30", "", ""), bad("sessionDate")),
            (&start_by_date, told("2026-12-02T14:00:30+05:30", "14:00", ""), ok("2026-12-02T14:00:00+05:30", "16:00")),
        ] {
            assert_eq!(outcome(old, &change), expected, "{change:?}");
        }
    }

    #[test]
    fn who_sends_back_what_was_read_is_not_refused_whatever_has_become_of_it() {
        let cancelled = State::Cancelled(Some(CLIENT));
        for state in [State::Available, booked(), State::Booked(None), cancelled, State::Cancelled(None)] {
            for date in ["2026-12-02T00:00:00Z", "2026-11-01T00:00:00Z"] {
                let old = session(date, "09:00", "10:00", state);
                let sent_back = Change {
                    status: Some(state.status()),
                    client: state.client().map(|client| client.to_string()),
                    expected: Some(old.version),
                    ..told(date, "09:00", "10:00")
                };
                let plan = plan(&old, &sent_back, now()).unwrap();
                assert_eq!(plan, Plan { session: Session { version: old.version.next(), ..old }, step: None });
            }
        }
    }

    #[test]
    fn what_forbids_a_change_is_told_by_its_reason() {
        let ahead = |state| session("2026-12-02T00:00:00Z", "09:00", "10:00", state);
        let begun = |state| session("2026-12-01T00:00:00Z", "07:00", "10:00", state);
        let to = |status| Change { status: Some(status), ..Change::default() };
        let moved = told("", "09:30", "");
        let of = |client: &str| Change { client: Some(client.to_owned()), ..Change::default() };
        for (old, change, expected) in [
            (ahead(booked()), moved.clone(), "SESSION_BOOKED"),
            (ahead(State::Booked(None)), moved.clone(), "SESSION_BOOKED"),
            (ahead(booked()), told("", "", "11:00"), ""),
            (ahead(booked()), told("2026-12-02T14:30:00+05:30", "14:30", "16:00"), ""),
            (ahead(booked()), Change { status: Some(Status::Available), ..moved.clone() }, ""),
            (ahead(State::Available), to(Status::Booked), "BOOKED_BY_ACCEPTING"),
            (begun(booked()), to(Status::Available), "SESSION_OVER"),
            (begun(booked()), to(Status::Cancelled), ""),
            (begun(State::Available), told("", "", "11:00"), ""),
            (begun(State::Cancelled(None)), Change { status: Some(Status::Available), ..told("", "08:30", "") }, ""),
            (ahead(booked()), of(&CLIENT.to_string()), ""),
            (ahead(booked()), of(&ClientId::from_bytes([9; 16]).to_string()), "clientId"),
            (ahead(booked()), of("nobody"), "clientId"),
            (ahead(State::Available), of(&CLIENT.to_string()), "clientId"),
            (ahead(State::Available), Change { expected: Some(Version::FIRST.next()), ..moved }, "STALE_ETAG"),
        ] {
            assert_eq!(outcome(&old, &change).err().unwrap_or_default(), expected, "{change:?} of {old:?}");
        }
    }
}
