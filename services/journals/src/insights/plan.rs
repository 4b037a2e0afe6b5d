//! Divides a range of time into days, weeks or months of a time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::model::Range;

/// Maximum buckets of a plan.
pub(crate) const MAX_BUCKETS: usize = 400;

/// Length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    Day,
    Week,
    Month,
}

/// A range of time, divided into buckets.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    zone: TimeZone,
    bucket: Bucket,
    /// Starts of the buckets in milliseconds since 1970, ascending. The first is the start of the range.
    starts: Vec<i64>,
    range: Range,
}

impl Bucket {
    /// Returns the first day of the bucket that contains a day.
    fn first_day(self, day: Date) -> Option<Date> {
        match self {
            Self::Day => Some(day),
            Self::Week => day.checked_sub(Span::new().days(day.weekday().to_monday_zero_offset())).ok(),
            Self::Month => Some(day.first_of_month()),
        }
    }

    /// Returns the first day of the next bucket.
    fn next(self, first_day: Date) -> Option<Date> {
        let length = match self {
            Self::Day => Span::new().days(1),
            Self::Week => Span::new().weeks(1),
            Self::Month => Span::new().months(1),
        };
        first_day.checked_add(length).ok()
    }
}

impl Plan {
    /// Divides a range that is not empty; `None` when there are more than [`MAX_BUCKETS`] buckets.
    ///
    /// A bucket begins with the first instant of its first day: after midnight if the clocks skip it, with the first of
    /// two midnights if they are set back over it. A day that the time zone skips has no bucket.
    pub(crate) fn new(zone: TimeZone, bucket: Bucket, range: Range) -> Option<Self> {
        let mut starts = vec![range.from];
        let mut last = range.from;
        let mut day = bucket.first_day(zone.to_datetime(instant(range.from)).date());
        while let Some(next) = day.and_then(|day| bucket.next(day)) {
            day = Some(next);
            let Ok(begins) = next.to_zoned(zone.clone()) else { break };
            let begins = begins.timestamp().as_millisecond();
            if begins >= range.to {
                break;
            }
            if begins <= last {
                continue;
            }
            if starts.len() == MAX_BUCKETS {
                return None;
            }
            starts.push(begins);
            last = begins;
        }
        Some(Self { zone, bucket, starts, range })
    }

    /// Returns the IANA name of the time zone.
    pub(crate) fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    pub(crate) const fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// Returns the whole range.
    pub(crate) const fn range(&self) -> Range {
        self.range
    }

    pub(super) const fn len(&self) -> usize {
        self.starts.len()
    }

    /// Returns the start and the end of each bucket.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (i64, i64)> {
        let ends = self.starts.iter().skip(1).chain(std::iter::once(&self.range.to));
        self.starts.iter().zip(ends).map(|(start, end)| (*start, *end))
    }

    /// Returns the index of a millisecond's bucket, if it is within the range.
    pub(super) fn bucket_of(&self, millisecond: i64) -> Option<usize> {
        let within = (self.range.from..self.range.to).contains(&millisecond);
        let after = self.starts.partition_point(|start| *start <= millisecond);
        after.checked_sub(1).filter(|_| within)
    }
}

/// Returns the instant of a millisecond since 1970, clamped to the supported range.
fn instant(millisecond: i64) -> Timestamp {
    let last = if millisecond < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millisecond).unwrap_or(last)
}
