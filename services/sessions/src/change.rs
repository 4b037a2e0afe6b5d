//! Plans a therapist's change of a session. Pure.

use kernel::{FieldError, FieldReason, Result, Timestamp, Violations};

use crate::error;
use crate::model::{Change, Session, State};
use crate::slot::Slot;
use crate::transition::{self, Step};

/// Planned new state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) session: Session,
    /// Change of its state, if any.
    pub(crate) step: Option<Step>,
}

/// Adds a violation if a new slot starts in the past.
pub(crate) fn reject_past_start(slot: Slot, now: Timestamp, bad: &mut Violations) {
    if slot.start() < now {
        bad.add(slot.start_field(), FieldError::new(FieldReason::OutOfRange, "must not be in the past"));
    }
}

/// Returns the session that a change results in.
///
/// # Errors
/// INVALID_ARGUMENT names every bad field; FAILED_PRECONDITION (`SESSION_BOOKED`, or those of [`transition::step`]);
/// ABORTED (`STALE_ETAG`).
pub(crate) fn plan(old: &Session, change: &Change, now: Timestamp) -> Result<Plan> {
    let slot = slot(old, change, now)?;
    change.expected.check(old.version)?;
    let step = match change.status {
        None => None,
        Some(asked) => transition::step(old.state, asked, slot.has_begun(now))?,
    };
    let state = step.map_or(old.state, |step| step.state);
    if matches!(state, State::Booked(_)) && slot.start() != old.slot.start() {
        return Err(error::session_booked(slot.start_field()));
    }
    Ok(Plan { session: Session { slot, state, version: old.version.next(), ..*old }, step })
}

fn slot(old: &Session, change: &Change, now: Timestamp) -> Result<Slot> {
    let Change { date, start, end, status: _, client, notes: _, expected: _ } = change;
    let mut bad = Violations::default();
    let is_present = |client: &String| old.state.client().is_some_and(|present| client.parse() == Ok(present));
    if client.as_ref().is_some_and(|client| !is_present(client)) {
        bad.add(
            "clientId",
            FieldError::new(FieldReason::Immutable, "can't be changed: it must be what it is, or be left out"),
        );
    }
    let spec = old.slot.spec().changed(*date, *start, *end);
    let slot = Slot::new(spec).map_err(|(field, wrong)| bad.add(field, wrong)).ok();
    if let Some(slot) = slot
        && slot.start() != old.slot.start()
    {
        reject_past_start(slot, now, &mut bad);
    }
    match slot {
        Some(slot) if bad.is_empty() => Ok(slot),
        Some(_) | None => Err(bad.into_error()),
    }
}

#[cfg(test)]
mod tests {
    use kernel::{AppointmentId, ClientId, Expected, OffsetDateTime, SessionId, TherapistId, Version};

    use super::*;
    use crate::model::{Booking, Status};
    use crate::slot::SlotSpec;

    const CLIENT: ClientId = ClientId::from_bytes([0xab; 16]);

    fn session(date: &str, start: &str, end: &str, state: State) -> Session {
        let start = (!start.is_empty()).then(|| start.parse().unwrap());
        let slot = Slot::new(SlotSpec { date: date.parse().unwrap(), start, end: end.parse().unwrap() }).unwrap();
        let (id, therapist) = (SessionId::from_bytes([2; 16]), TherapistId::from_bytes([3; 16]));
        Session { id, therapist, slot, state, version: Version::FIRST }
    }

    fn booked() -> State {
        State::Booked(Some(Booking { client: CLIENT, appointment: AppointmentId::from_bytes([4; 16]) }))
    }

    fn reschedule(date: &str, start: &str, end: &str) -> Change {
        let some = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let date = (!date.is_empty()).then(|| date.parse::<OffsetDateTime>().unwrap());
        Change { date, start: some(start), end: some(end), ..Change::default() }
    }

    fn expected(version: Version) -> Expected {
        Expected::Anything.and_etag(&version.to_string()).unwrap()
    }

    fn now() -> Timestamp {
        "2026-12-01T08:00:00Z".parse().unwrap()
    }

    fn outcome(old: &Session, change: &Change) -> std::result::Result<(String, String), String> {
        let planned = plan(old, change, now()).map(|plan| plan.session.slot);
        let printed = planned.map(|slot| (slot.start_date().to_string(), slot.spec().end.to_string()));
        printed.map_err(|error| match error.violations() {
            [] => error.reason().to_owned(),
            bad => bad.iter().map(|it| it.field.clone()).collect::<Vec<_>>().join(" "),
        })
    }

    #[test]
    fn omitted_time_fields_stay_unchanged() {
        let by_start_time = session("2026-12-01T00:00:00+05:30", "15:00", "16:00", State::Available);
        let by_date = session("2026-12-01T15:00:00+05:30", "", "16:00", State::Available);
        let ok = |start: &str, end: &str| Ok((start.to_owned(), end.to_owned()));
        let bad = |fields: &str| Err(fields.to_owned());
        for (old, change, expected) in [
            (&by_start_time, reschedule("", "", ""), ok("2026-12-01T15:00:00+05:30", "16:00")),
            (&by_start_time, reschedule("2026-12-02T00:00:00-08:00", "", ""), ok("2026-12-02T15:00:00-08:00", "16:00")),
            (&by_start_time, reschedule("", "15:30", ""), ok("2026-12-01T15:30:00+05:30", "16:00")),
            (&by_start_time, reschedule("", "", "15:01"), ok("2026-12-01T15:00:00+05:30", "15:01")),
            (&by_start_time, reschedule("", "16:00", ""), bad("endTime")),
            (&by_start_time, reschedule("", "", "15:00"), bad("endTime")),
            (&by_start_time, reschedule("", "13:29", ""), bad("startTime")),
            (&by_start_time, reschedule("2026-11-30T00:00:00+05:30", "", ""), bad("startTime")),
            (&by_date, reschedule("2026-12-02T14:00:00+05:30", "", ""), ok("2026-12-02T14:00:00+05:30", "16:00")),
            (&by_date, reschedule("2026-12-02T14:00:30+05:30", "", ""), bad("sessionDate")),
            (&by_date, reschedule("2026-11-30T14:00:00+05:30", "", ""), bad("sessionDate")),
            (&by_date, reschedule("2026-12-02T14:00:30+05:30", "14:00", ""), ok("2026-12-02T14:00:00+05:30", "16:00")),
        ] {
            assert_eq!(outcome(old, &change), expected, "{change:?}");
        }
    }

    #[test]
    fn unchanged_session_sent_back_is_accepted() {
        let cancelled = State::Cancelled(Some(CLIENT));
        for state in [State::Available, booked(), State::Booked(None), cancelled, State::Cancelled(None)] {
            for (date, start) in [
                ("2026-12-02T00:00:00Z", "09:00"),
                ("2026-11-01T00:00:00Z", "09:00"),
                ("2026-12-02T09:00:00Z", "09:00"),
                ("2026-12-02T09:00:00+05:30", ""),
                ("2026-11-01T09:00:00-08:00", ""),
            ] {
                let old = session(date, start, "10:00", state);
                let sent_back = Change {
                    status: Some(state.status()),
                    client: state.client().map(|client| client.to_string()),
                    expected: expected(old.version),
                    ..reschedule(date, "09:00", "10:00")
                };
                let plan = plan(&old, &sent_back, now()).unwrap();
                assert_eq!(plan, Plan { session: Session { version: old.version.next(), ..old }, step: None });
            }
        }
    }

    #[test]
    fn date_alone_moves_session_whose_start_was_sent_back_as_read() {
        let mut old = session("2026-12-02T14:00:00+05:30", "", "16:00", State::Available);
        for (change, start) in [
            (reschedule("2026-12-02T14:00:00+05:30", "14:00", "16:00"), "2026-12-02T14:00:00+05:30"),
            (reschedule("", "14:00", ""), "2026-12-02T14:00:00+05:30"),
            (reschedule("2026-12-03T14:00:00+05:30", "14:00", "16:00"), "2026-12-03T14:00:00+05:30"),
            (reschedule("2026-12-03T15:00:00+05:30", "", ""), "2026-12-03T15:00:00+05:30"),
            (reschedule("", "15:30", ""), "2026-12-03T15:30:00+05:30"),
            (reschedule("2026-12-03T10:00:00+05:30", "", ""), "2026-12-03T15:30:00+05:30"),
        ] {
            old = plan(&old, &change, now()).unwrap().session;
            assert_eq!(old.slot.start_date().to_string(), start, "{change:?}");
        }
    }

    #[test]
    fn forbidden_change_returns_its_reason() {
        let ahead = |state| session("2026-12-02T00:00:00Z", "09:00", "10:00", state);
        let begun = |state| session("2026-12-01T00:00:00Z", "07:00", "10:00", state);
        let to = |status| Change { status: Some(status), ..Change::default() };
        let moved = reschedule("", "09:30", "");
        let of = |client: &str| Change { client: Some(client.to_owned()), ..Change::default() };
        for (old, change, expected) in [
            (ahead(booked()), moved.clone(), "SESSION_BOOKED"),
            (ahead(State::Booked(None)), moved.clone(), "SESSION_BOOKED"),
            (ahead(booked()), reschedule("", "", "11:00"), ""),
            (ahead(booked()), reschedule("2026-12-02T14:30:00+05:30", "14:30", "16:00"), ""),
            (ahead(booked()), Change { status: Some(Status::Available), ..moved.clone() }, ""),
            (ahead(State::Available), to(Status::Booked), "BOOKED_BY_ACCEPTING"),
            (begun(booked()), to(Status::Available), "SESSION_OVER"),
            (begun(booked()), to(Status::Cancelled), ""),
            (begun(State::Available), reschedule("", "", "11:00"), ""),
            (
                begun(State::Cancelled(None)),
                Change { status: Some(Status::Available), ..reschedule("", "08:30", "") },
                "",
            ),
            (ahead(booked()), of(&CLIENT.to_string()), ""),
            (ahead(booked()), of(&CLIENT.to_string().to_uppercase()), ""),
            (ahead(booked()), of(&ClientId::from_bytes([9; 16]).to_string()), "clientId"),
            (ahead(booked()), of("nobody"), "clientId"),
            (ahead(State::Available), of(&CLIENT.to_string()), "clientId"),
            (ahead(State::Available), Change { expected: expected(Version::FIRST.next()), ..moved }, "STALE_ETAG"),
        ] {
            assert_eq!(outcome(&old, &change).err().unwrap_or_default(), expected, "{change:?} of {old:?}");
        }
    }
}
