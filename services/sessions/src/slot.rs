//! When a session takes place.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use kernel::{OffsetDateTime, TextError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time of a day, to the minute: `HH:MM`, from `00:00` to `23:59`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HourMinute(Time);

impl HourMinute {
    /// A time of a day, if it is of whole minutes.
    fn of(time: Time) -> Option<Self> {
        (time.second() == 0 && time.subsec_nanosecond() == 0).then_some(Self(time))
    }
}

impl FromStr for HourMinute {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        const INVALID: TextError = TextError("must be a time of the day as HH:MM, from 00:00 to 23:59");
        let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return Err(INVALID) };
        let digit = |byte: u8| i8::try_from(byte.checked_sub(b'0')?).ok().filter(|digit| *digit < 10);
        let number = |tens, ones| Some(digit(tens)? * 10 + digit(ones)?);
        let (hour, minute) = number(h1, h2).zip(number(m1, m2)).ok_or(INVALID)?;
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| INVALID)
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

/// How a therapist says when a session takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The day, in its offset.
    #[serde(rename = "session_date")]
    pub(crate) date: OffsetDateTime,
    /// When it starts on that day; not told, at the date's own time.
    #[serde(rename = "start_time", default, skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<HourMinute>,
    /// When it ends on that day.
    #[serde(rename = "end_time")]
    pub(crate) end: HourMinute,
}

/// When a session takes place: it starts at a whole minute, and ends at a later one of the same day in its offset.
///
/// So it lasts less than 24 hours, and touches two days of UTC at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    told: Told,
    start: Timestamp,
    end: Timestamp,
}

/// A field of what was told that is wrong, and why.
pub(crate) type Wrong = (&'static str, TextError);

impl Slot {
    /// The slot that is told.
    pub(crate) fn new(told: Told) -> Result<Self, Wrong> {
        let Told { date, start, end } = told;
        let start = match start {
            Some(start) => start,
            None => HourMinute::of(date.time()).ok_or((
                "sessionDate",
                TextError("must be of whole minutes, unless startTime says when the session starts"),
            ))?,
        };
        if end <= start {
            return Err(("endTime", TextError("must be later than the start")));
        }
        let instant = |time: HourMinute| date.at(time.0).map(OffsetDateTime::instant);
        let (start, end) =
            instant(start).zip(instant(end)).ok_or(("sessionDate", TextError("must be before 9999-12-30")))?;
        Ok(Self { told, start, end })
    }

    /// As it was told.
    pub(crate) const fn told(self) -> Told {
        self.told
    }

    pub(crate) const fn start(self) -> Timestamp {
        self.start
    }

    pub(crate) const fn end(self) -> Timestamp {
        self.end
    }

    /// The instant of the date that was told.
    pub(crate) const fn date(self) -> Timestamp {
        self.told.date.instant()
    }

    /// When it starts on its day in its offset, whether that was told or not.
    pub(crate) fn start_time(self) -> HourMinute {
        self.told.start.unwrap_or(HourMinute(self.told.date.time()))
    }

    /// When it starts, in its offset.
    pub(crate) fn start_date(self) -> OffsetDateTime {
        self.told.date.at(self.start_time().0).unwrap_or(self.told.date)
    }

    /// The field that says when it starts.
    pub(crate) const fn start_field(self) -> &'static str {
        if self.told.start.is_some() { "startTime" } else { "sessionDate" }
    }

    pub(crate) fn has_begun(self, now: Timestamp) -> bool {
        self.start <= now
    }
}

/// The first and the last day of UTC that the time between two instants touches; the second instant is not in it.
pub(crate) fn days(start: Timestamp, end: Timestamp) -> [Date; 2] {
    let last = Timestamp::from_second(end.as_second() - 1).unwrap_or(end);
    [day(start), day(last)]
}

/// The day of UTC in which an instant lies.
pub(crate) fn day(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(date: &str, start: &str, end: &str) -> Result<Slot, Wrong> {
        let start = (!start.is_empty()).then(|| start.parse().unwrap());
        Slot::new(Told { date: date.parse().unwrap(), start, end: end.parse().unwrap() })
    }

    #[test]
    fn a_time_is_hh_mm_and_nothing_else() {
        for good in ["00:00", "09:05", "23:59"] {
            assert_eq!(good.parse::<HourMinute>().unwrap().to_string(), good);
        }
        for bad in [
            "", "9:00", "09:5", "24:00", "12:60", "12:00:00", "12.00", "-1:00", "+1:00", "aa:bb", " 09:00", "09:00Z",
            "０9:00",
        ] {
            assert!(bad.parse::<HourMinute>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_session_starts_on_its_day_in_its_offset_or_at_the_time_of_its_date() {
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
    fn an_end_at_or_before_the_start_and_a_start_within_a_minute_are_refused() {
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
    fn the_days_of_a_session_are_those_in_which_it_takes_place() {
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
        fn every_instant_of_a_session_is_in_one_of_its_days(
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
