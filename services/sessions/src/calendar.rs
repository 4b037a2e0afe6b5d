//! The calendar of a therapist, which keeps sessions from overlapping: the times of the sessions of each day of UTC.
//!
//! Every write that adds, changes or removes the time of a session also writes the days that the session touches, each
//! on condition that it is unchanged since it was read. Overlapping sessions share a day, so that one of two concurrent
//! writes conflicts with the other.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use kernel::{Error, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::Session;
use crate::{error, slot};

/// Time of a session. It is listed in every day that the session touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Busy {
    pub(crate) session_id: SessionId,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// Instant of the session date, by which clients may select the session.
    pub(crate) date: Timestamp,
}

/// Stored day of a therapist.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Day {
    pub(crate) sessions: Vec<Busy>,
    /// Number of writes; 0 if the day was never written. A day that is empty again is kept, so that no version is
    /// reused.
    pub(crate) version: u64,
}

/// Days of a therapist, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calendar(BTreeMap<Date, Day>);

impl Busy {
    /// Returns the time that a session takes, if any.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        let Session { id, slot, state, .. } = session;
        state.takes_time().then(|| Self { session_id: *id, start: slot.start(), end: slot.end(), date: slot.date() })
    }

    fn days(&self) -> [Date; 2] {
        slot::days(self.start, self.end)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Returns whether an instant is in it: its start is, its end isn't.
    pub(crate) fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

impl Calendar {
    /// Creates a calendar of the days that were read.
    pub(crate) const fn new(days: BTreeMap<Date, Day>) -> Self {
        Self(days)
    }

    /// Returns the same days with the session at this time, or without it if `None`.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`SESSION_OVERLAPS`) when another session is at that time.
    pub(crate) fn with(mut self, id: SessionId, busy: Option<Busy>) -> Result<Self, Error> {
        for day in self.0.values_mut() {
            day.sessions.retain(|other| other.session_id != id);
            if busy.is_some_and(|busy| day.sessions.iter().any(|other| other.overlaps(&busy))) {
                return Err(error::session_overlaps());
            }
        }
        if let Some(busy) = busy {
            let [first, last] = busy.days();
            for (_, day) in self.0.range_mut(first..=last) {
                day.sessions.push(busy);
                day.sessions.sort_unstable_by_key(|busy| (busy.start, busy.session_id));
            }
        }
        Ok(self)
    }

    /// Returns the days, in order.
    pub(crate) fn days(&self) -> impl Iterator<Item = (Date, &Day)> {
        self.0.iter().map(|(date, day)| (*date, day))
    }

    /// Returns every session of these days once.
    pub(crate) fn sessions(self) -> Vec<Busy> {
        let mut all: Vec<Busy> = self.0.into_values().flat_map(|day| day.sessions).collect();
        all.sort_unstable_by_key(|busy| (busy.start, busy.session_id));
        all.dedup();
        all
    }
}

/// Returns the days that any of these times touches.
pub(crate) fn days(times: impl IntoIterator<Item = Busy>) -> BTreeSet<Date> {
    times.into_iter().flat_map(|busy| busy.days()).collect()
}
