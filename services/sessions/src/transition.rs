//! How a session passes from one state to the next when its therapist says so. Pure.

use kernel::{AppointmentId, Error, Kind};
use serde::{Deserialize, Serialize};

use crate::model::{Booking, State, Status};

/// What others must hear of, beside what the session itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Happened {
    /// It is booked for its client.
    Booked {
        /// Whether the therapist booked it without having been asked.
        unasked: bool,
    },
    /// The therapist took it back.
    Withdrawn {
        /// The appointment that had it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        appointment: Option<AppointmentId>,
        /// Whether it can still be asked for.
        available: bool,
    },
}

/// A change of the state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) state: State,
    pub(crate) happened: Option<Happened>,
}

/// The step to the status that a therapist asks for; none where it is the present one.
///
/// # Errors
/// FAILED_PRECONDITION: `BOOKED_BY_ACCEPTING`, or `SESSION_OVER` for a session that has begun and is to be available again.
pub(crate) fn step(state: State, asked: Status, begun: bool) -> Result<Option<Step>, Error> {
    if asked == state.status() {
        return Ok(None);
    }
    match asked {
        Status::Booked => Err(booked_by_accepting()),
        Status::Available if begun => Err(over()),
        Status::Available => Ok(Some(free(state))),
        Status::Cancelled => Ok(Some(cancel(state))),
    }
}

/// The session does not take place.
pub(crate) const fn cancel(state: State) -> Step {
    let happened = Happened::Withdrawn { appointment: state.appointment(), available: false };
    Step { state: State::Cancelled(state.client()), happened: Some(happened) }
}

/// The session is for nobody any more. What is booked for an appointment takes that from it.
const fn free(state: State) -> Step {
    let happened = match state.appointment() {
        Some(appointment) => Some(Happened::Withdrawn { appointment: Some(appointment), available: true }),
        None => None,
    };
    Step { state: State::Available, happened }
}

/// The session is for this client.
pub(crate) const fn book(booking: Booking, unasked: bool) -> Step {
    Step { state: State::Booked(Some(booking)), happened: Some(Happened::Booked { unasked }) }
}

fn booked_by_accepting() -> Error {
    let message = "status: a session becomes BOOKED by accepting an appointment, or by being added for a client";
    Error::new(Kind::FailedPrecondition, "BOOKED_BY_ACCEPTING", message)
}

fn over() -> Error {
    let message = "status: a session that has begun can't be made AVAILABLE; give it a later start, or add another one";
    Error::new(Kind::FailedPrecondition, "SESSION_OVER", message)
}

#[cfg(test)]
mod tests {
    use kernel::ClientId;

    use super::*;

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);
    const APPOINTMENT: AppointmentId = AppointmentId::from_bytes([2; 16]);
    const BOOKED: State = State::Booked(Some(Booking { client: CLIENT, appointment: APPOINTMENT }));

    /// The state and what others hear of; nothing, where nothing changes; or why not.
    type Expected = Result<Option<(State, Option<Happened>)>, &'static str>;

    #[test]
    fn every_state_and_what_its_therapist_can_make_of_it() {
        use State::{Available, Booked, Cancelled};
        let withdrawn = |appointment, available| Some(Happened::Withdrawn { appointment, available });
        let cases: [(State, Status, bool, Expected); 18] = [
            (Available, Status::Available, false, Ok(None)),
            (Available, Status::Available, true, Ok(None)),
            (Available, Status::Booked, false, Err("BOOKED_BY_ACCEPTING")),
            (Available, Status::Cancelled, false, Ok(Some((Cancelled(None), withdrawn(None, false))))),
            (Available, Status::Cancelled, true, Ok(Some((Cancelled(None), withdrawn(None, false))))),
            (BOOKED, Status::Booked, false, Ok(None)),
            (BOOKED, Status::Booked, true, Ok(None)),
            (BOOKED, Status::Available, false, Ok(Some((Available, withdrawn(Some(APPOINTMENT), true))))),
            (BOOKED, Status::Available, true, Err("SESSION_OVER")),
            (
                BOOKED,
                Status::Cancelled,
                false,
                Ok(Some((Cancelled(Some(CLIENT)), withdrawn(Some(APPOINTMENT), false)))),
            ),
            (BOOKED, Status::Cancelled, true, Ok(Some((Cancelled(Some(CLIENT)), withdrawn(Some(APPOINTMENT), false))))),
            (Booked(None), Status::Available, true, Err("SESSION_OVER")),
            (Booked(None), Status::Cancelled, true, Ok(Some((Cancelled(None), withdrawn(None, false))))),
            (Cancelled(Some(CLIENT)), Status::Cancelled, true, Ok(None)),
            (Cancelled(Some(CLIENT)), Status::Available, false, Ok(Some((Available, None)))),
            (Cancelled(None), Status::Available, false, Ok(Some((Available, None)))),
            (Cancelled(None), Status::Available, true, Err("SESSION_OVER")),
            (Cancelled(Some(CLIENT)), Status::Booked, false, Err("BOOKED_BY_ACCEPTING")),
        ];
        for (state, asked, begun, expected) in cases {
            let done = step(state, asked, begun).map(|step| step.map(|it| (it.state, it.happened)));
            assert_eq!(done.map_err(|error| error.reason()), expected, "{state:?} to {asked:?}, begun {begun}");
        }
    }
}
