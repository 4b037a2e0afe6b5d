//! The calendar of a therapist, which keeps sessions from overlapping: for every day of UTC, when its sessions are.
//!
//! Every write that gives a session another time, or time at all, or takes its time away, also writes the days that it
//! touches, each on condition that it is as it was read. Two sessions that overlap touch a common day, so that of two
//! writes at once one finds the other's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use kernel::{Error, Kind, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::Session;
use crate::slot;

/// When a session is. It is in every day that the session touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Busy {
    pub(crate) session_id: SessionId,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// The instant that the therapist named as its date: clients may name it by that.
    pub(crate) date: Timestamp,
}

/// One day of a therapist, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Day {
    pub(crate) sessions: Vec<Busy>,
    /// How often it was written; 0 is a day that never was. A day that is empty again stays, so that no version of it comes
    /// twice.
    pub(crate) version: u64,
}

/// Some days of a therapist, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calendar(BTreeMap<Date, Day>);

impl Busy {
    /// The time that a session takes, if it takes any.
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

    /// Whether an instant lies in it: its start does, its end doesn't.
    pub(crate) fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

impl Calendar {
    /// The days that were read, each with what was there.
    pub(crate) const fn new(days: BTreeMap<Date, Day>) -> Self {
        Self(days)
    }

    /// The same days, in which this session takes this time now, or none.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`SESSION_OVERLAPS`) when another session is at that time.
    pub(crate) fn with(mut self, id: SessionId, busy: Option<Busy>) -> Result<Self, Error> {
        for day in self.0.values_mut() {
            day.sessions.retain(|other| other.session_id != id);
            if busy.is_some_and(|busy| day.sessions.iter().any(|other| other.overlaps(&busy))) {
                return Err(overlaps());
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

    /// The days, in order.
    pub(crate) fn days(&self) -> impl Iterator<Item = (Date, &Day)> {
        self.0.iter().map(|(date, day)| (*date, day))
    }

    /// Every session of these days, once.
    pub(crate) fn sessions(self) -> Vec<Busy> {
        let mut all: Vec<Busy> = self.0.into_values().flat_map(|day| day.sessions).collect();
        all.sort_unstable_by_key(|busy| (busy.start, busy.session_id));
        all.dedup();
        all
    }
}

/// The days that any of these times touches.
pub(crate) fn days(times: impl IntoIterator<Item = Busy>) -> BTreeSet<Date> {
    times.into_iter().flat_map(|busy| busy.days()).collect()
}

fn overlaps() -> Error {
    Error::new(Kind::AlreadyExists, "SESSION_OVERLAPS", "another session of yours is at that time; choose another time")
}
