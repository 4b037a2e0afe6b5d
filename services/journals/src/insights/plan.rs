//! Where days, weeks and months begin.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::model::Range;

/// The most buckets that a plan may have.
pub(crate) const MOST_BUCKETS: usize = 400;

/// How long a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    Day,
    Week,
    Month,
}

/// A time in buckets.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    zone: TimeZone,
    bucket: Bucket,
    /// Where the buckets begin, in milliseconds since 1970, ascending. The first is the beginning of the whole.
    starts: Vec<i64>,
    range: Range,
}

impl Bucket {
    /// The first day of the bucket that a day is in.
    fn first_day(self, day: Date) -> Option<Date> {
        match self {
            Self::Day => Some(day),
            Self::Week => day.checked_sub(Span::new().days(day.weekday().to_monday_zero_offset())).ok(),
            Self::Month => Some(day.first_of_month()),
        }
    }

    /// The first day of the bucket after the one that begins with a day.
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
    /// The buckets of a time that is not empty; nothing when there are more than [`MOST_BUCKETS`].
    ///
    /// A bucket begins with the first instant of its first day: after midnight where the clocks skip it, with the first of
    /// two where they show it twice. A day that a zone left out altogether has no bucket.
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
            if starts.len() == MOST_BUCKETS {
                return None;
            }
            starts.push(begins);
            last = begins;
        }
        Some(Self { zone, bucket, starts, range })
    }

    /// The time zone's IANA name.
    pub(crate) fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    pub(crate) const fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// The whole time.
    pub(crate) const fn range(&self) -> Range {
        self.range
    }

    pub(super) const fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where each bucket begins and ends.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (i64, i64)> {
        let ends = self.starts.iter().skip(1).chain(std::iter::once(&self.range.to));
        self.starts.iter().zip(ends).map(|(start, end)| (*start, *end))
    }

    /// The bucket of a millisecond, if it is within the time.
    pub(super) fn bucket_of(&self, millisecond: i64) -> Option<usize> {
        let within = (self.range.from..self.range.to).contains(&millisecond);
        let after = self.starts.partition_point(|start| *start <= millisecond);
        after.checked_sub(1).filter(|_| within)
    }
}

/// The instant of a millisecond since 1970; the last or the first that there is beyond them.
fn instant(millisecond: i64) -> Timestamp {
    let last = if millisecond < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millisecond).unwrap_or(last)
}
