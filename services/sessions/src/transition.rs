//! State transitions of a session. Pure.

use kernel::{AppointmentId, Error};
use serde::{Deserialize, Serialize};

use crate::error;
use crate::model::{Booking, State, Status};

/// Event that subscribers have not taken yet, without the fields that the session itself holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PendingEvent {
    /// The session is booked for its client.
    Booked {
        /// True if the therapist booked it without a client's request.
        unasked: bool,
    },
    /// The therapist withdrew the session.
    Withdrawn {
        /// Appointment that it was booked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        appointment: Option<AppointmentId>,
        /// True if clients can still ask for it.
        available: bool,
    },
}

/// New state of a session, and the event of the transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) state: State,
    pub(crate) event: Option<PendingEvent>,
}

/// Returns the step to the status that a therapist asks for; None if the session has that status.
///
/// # Errors
/// FAILED_PRECONDITION: `BOOKED_BY_ACCEPTING`, or `SESSION_OVER` when a session that has begun would become available.
pub(crate) fn step(state: State, asked: Status, begun: bool) -> Result<Option<Step>, Error> {
    if asked == state.status() {
        return Ok(None);
    }
    match asked {
        Status::Booked => Err(error::booked_by_accepting()),
        Status::Available if begun => Err(error::session_over()),
        Status::Available => Ok(Some(free(state))),
        Status::Cancelled => Ok(Some(cancel(state))),
    }
}

/// Returns the step that cancels a session.
pub(crate) const fn cancel(state: State) -> Step {
    let event = PendingEvent::Withdrawn { appointment: state.appointment(), available: false };
    Step { state: State::Cancelled(state.client()), event: Some(event) }
}

/// Returns the step that makes a session available, which withdraws it from its appointment if it is booked.
const fn free(state: State) -> Step {
    let event = match state.appointment() {
        Some(appointment) => Some(PendingEvent::Withdrawn { appointment: Some(appointment), available: true }),
        None => None,
    };
    Step { state: State::Available, event }
}

/// Returns the step that books a session.
pub(crate) const fn book(booking: Booking, unasked: bool) -> Step {
    Step { state: State::Booked(Some(booking)), event: Some(PendingEvent::Booked { unasked }) }
}

#[cfg(test)]
mod tests {
    use kernel::ClientId;

    use super::*;

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);
    const APPOINTMENT: AppointmentId = AppointmentId::from_bytes([2; 16]);
    const BOOKED: State = State::Booked(Some(Booking { client: CLIENT, appointment: APPOINTMENT }));

    /// State and event; None if nothing changes; or the reason of the refusal.
    type Expected = Result<Option<(State, Option<PendingEvent>)>, &'static str>;

    #[test]
    fn step_matches_table() {
        use State::{Available, Booked, Cancelled};
        let withdrawn = |appointment, available| Some(PendingEvent::Withdrawn { appointment, available });
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
            let done = step(state, asked, begun).map(|step| step.map(|it| (it.state, it.event)));
            assert_eq!(done.map_err(|error| error.reason()), expected, "{state:?} to {asked:?}, begun {begun}");
        }
    }
}
