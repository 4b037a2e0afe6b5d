//! The time at which a session takes place.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use kernel::{FieldError, FieldReason, OffsetDateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time of a day, to the minute: `HH:MM`, from `00:00` to `23:59`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HourMinute(Time);

impl HourMinute {
    /// Returns the time of a day, if it is of whole minutes.
    fn of(time: Time) -> Option<Self> {
        (time.second() == 0 && time.subsec_nanosecond() == 0).then_some(Self(time))
    }
}

impl FromStr for HourMinute {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        kernel::parse_time_of_day(text).map(Self)
    }
}

impl fmt::Display for HourMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl fmt::Debug for HourMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for HourMinute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HourMinute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Time of a session as the therapist specified it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotSpec {
    /// Day, in its offset.
    #[serde(rename = "session_date")]
    pub(crate) date: OffsetDateTime,
    /// Start on that day; if `None`, the date's own time.
    #[serde(rename = "start_time", default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<HourMinute>,
    /// End on that day.
    #[serde(rename = "end_time")]
    pub(crate) end: HourMinute,
}

impl SlotSpec {
    /// Returns the specification with these fields changed. A start that says what the date says already is left out, if it
    /// was: a session that was read shows one, and is sent back with it.
    pub(crate) fn changed(
        self,
        date: Option<OffsetDateTime>,
        start: Option<HourMinute>,
        end: Option<HourMinute>,
    ) -> Self {
        let (date, end) = (date.unwrap_or(self.date), end.unwrap_or(self.end));
        let start = if self.start.is_none() && start.is_some() && start == HourMinute::of(date.time()) {
            None
        } else {
            start.or(self.start)
        };
        Self { date, start, end }
    }
}

/// Time of a session: it starts at a whole minute, and ends at a later one of the same day in its offset.
///
/// So it lasts less than 24 hours, and touches two days of UTC at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    spec: SlotSpec,
    start: Timestamp,
    end: Timestamp,
}

/// An invalid field of a [`SlotSpec`], and its error.
pub(crate) type InvalidField = (&'static str, FieldError);

impl Slot {
    /// Computes the slot of a specification.
    pub(crate) fn new(spec: SlotSpec) -> Result<Self, InvalidField> {
        let SlotSpec { date, start, end } = spec;
        let start = match start {
            Some(start) => start,
            None => HourMinute::of(date.time()).ok_or((
                "sessionDate",
                FieldError::new(
                    FieldReason::OutOfRange,
                    "must be of whole minutes, unless startTime says when the session starts",
                ),
            ))?,
        };
        if end <= start {
            return Err(("endTime", FieldError::new(FieldReason::OutOfRange, "must be later than the start")));
        }
        let instant = |time: HourMinute| date.at(time.0).map(OffsetDateTime::instant);
        let (start, end) = instant(start)
            .zip(instant(end))
            .ok_or(("sessionDate", FieldError::new(FieldReason::OutOfRange, "must be before 9999-12-30")))?;
        Ok(Self { spec, start, end })
    }

    /// Returns the specification of the slot.
    pub(crate) const fn spec(self) -> SlotSpec {
        self.spec
    }

    pub(crate) const fn start(self) -> Timestamp {
        self.start
    }

    pub(crate) const fn end(self) -> Timestamp {
        self.end
    }

    /// Returns the instant of the specified date.
    pub(crate) const fn date(self) -> Timestamp {
        self.spec.date.instant()
    }

    /// Returns the start on its day in its offset, also if it was specified by the date alone.
    pub(crate) fn start_time(self) -> HourMinute {
        self.spec.start.unwrap_or(HourMinute(self.spec.date.time()))
    }

    /// Returns the start in its offset.
    pub(crate) fn start_date(self) -> OffsetDateTime {
        self.spec.date.at(self.start_time().0).unwrap_or(self.spec.date)
    }

    /// Returns the name of the field that specifies the start.
    pub(crate) const fn start_field(self) -> &'static str {
        if self.spec.start.is_some() { "startTime" } else { "sessionDate" }
    }

    pub(crate) fn has_begun(self, now: Timestamp) -> bool {
        self.start <= now
    }
}

/// Returns the first and the last day of UTC of the time from `start` up to, and not including, `end`.
pub(crate) fn days(start: Timestamp, end: Timestamp) -> [Date; 2] {
    let last = Timestamp::from_second(end.as_second() - 1).unwrap_or(end);
    [day(start), day(last)]
}

/// Returns the day of UTC of an instant.
pub(crate) fn day(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(date: &str, start: &str, end: &str) -> Result<Slot, (&'static str, FieldError)> {
        let start = (!start.is_empty()).then(|| start.parse().unwrap());
        Slot::new(SlotSpec { date: date.parse().unwrap(), start, end: end.parse().unwrap() })
    }

    #[test]
    fn time_is_printed_as_it_is_parsed() {
        for text in ["00:00", "09:05", "23:59"] {
            assert_eq!(text.parse::<HourMinute>().map(|time| time.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn start_is_in_offset_or_at_date_time() {
        for (date, start, end, from, to) in [
            ("2026-12-01T00:00:00+05:30", "09:00", "10:00", "2026-12-01T03:30:00Z", "2026-12-01T04:30:00Z"),
            ("2026-12-01T23:59:59.5+05:30", "00:00", "00:01", "2026-11-30T18:30:00Z", "2026-11-30T18:31:00Z"),
            ("2026-12-01T09:00:00-08:00", "", "10:30", "2026-12-01T17:00:00Z", "2026-12-01T18:30:00Z"),
            ("2026-12-01T00:00:00Z", "", "23:59", "2026-12-01T00:00:00Z", "2026-12-01T23:59:00Z"),
        ] {
            let slot = slot(date, start, end).unwrap();
            assert_eq!((slot.start().to_string(), slot.end().to_string()), (from.to_owned(), to.to_owned()));
            assert_eq!(slot.start_date().instant(), slot.start());
        }
    }

    #[test]
    fn invalid_start_or_end_is_rejected() {
        for (date, start, end, field) in [
            ("2026-12-01T00:00:00Z", "09:00", "09:00", "endTime"),
            ("2026-12-01T00:00:00Z", "09:00", "08:59", "endTime"),
            ("2026-12-01T09:00:00Z", "", "09:00", "endTime"),
            ("2026-12-01T09:00:01Z", "", "10:00", "sessionDate"),
            ("2026-12-01T09:00:00.000000001Z", "", "10:00", "sessionDate"),
            ("9999-12-30T00:00:00Z", "21:00", "23:59", "sessionDate"),
        ] {
            assert_eq!(slot(date, start, end).unwrap_err().0, field, "{date} {start} {end}");
        }
    }

    #[test]
    fn slot_days_are_utc_days_of_slot() {
        for (date, start, end, days) in [
            ("2026-12-01T00:00:00Z", "09:00", "10:00", ["2026-12-01", "2026-12-01"]),
            ("2026-12-01T00:00:00-08:00", "15:00", "16:00", ["2026-12-01", "2026-12-01"]),
            ("2026-12-01T00:00:00-08:00", "15:00", "16:01", ["2026-12-01", "2026-12-02"]),
            ("2026-12-01T00:00:00-08:00", "16:00", "17:00", ["2026-12-02", "2026-12-02"]),
            ("2026-12-01T00:00:00+05:30", "05:00", "06:00", ["2026-11-30", "2026-12-01"]),
        ] {
            let slot = slot(date, start, end).unwrap();
            assert_eq!(super::days(slot.start(), slot.end()).map(|day| day.to_string()), days);
        }
    }

    proptest! {
        #[test]
        fn slot_days_cover_every_instant(
            second in 0_i64..4_000_000_000, zone in -1439_i32..1440, start in 0_i32..1439, length in 1_i32..1440, at in 0.0..1.0_f64,
        ) {
            let offset = jiff::tz::Offset::from_seconds(zone * 60).unwrap();
            let date = Timestamp::from_second(second).unwrap().display_with_offset(offset).to_string();
            let minute = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
            let slot = slot(&date, &minute(start), &minute((start + length).min(1439)));
            prop_assume!(slot.is_ok());
            let slot = slot.unwrap();
            let span = slot.end().as_second() - slot.start().as_second();
            prop_assert!((60..86_400).contains(&span));
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a part of a day is small")]
            let within = slot.start().as_second() + ((span as f64) * at) as i64;
            prop_assert!(days(slot.start(), slot.end()).contains(&day(Timestamp::from_second(within).unwrap())));
        }
    }
}
