//! Throttles logins after failures: by address, whether it has an account or not, with a pause that doubles; by source,
//! with a number per window. Budgets of a source are counted alike.

use std::time::Duration;

use kernel::{Error, Timestamp};

use crate::Config;
use crate::error::too_many_failures;
use crate::store::Failures;

const LONGEST_PAUSE: i64 = 3600;
/// Time in seconds that the failures of an address count after the last of them.
const REMEMBERED: i64 = 24 * 3600;

/// A throttling policy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Policy {
    /// An address: `free` failures, and then a pause that doubles.
    Account { free: u32, pause: i64 },
    /// A source: `free` failures in a window of so many seconds.
    Source { free: u32, window: i64 },
}

impl Policy {
    pub(crate) fn account(config: &Config) -> Self {
        Self::Account { free: config.account_failures, pause: seconds(config.account_throttle) }
    }

    pub(crate) fn source(config: &Config) -> Self {
        Self::Source { free: config.source_failures, window: seconds(config.source_window) }
    }

    /// Returns the stored failures, or none after they have expired.
    pub(crate) fn present(was: Failures, now: Timestamp) -> Failures {
        if was.expires_at <= now.as_second() { Failures::default() } else { was }
    }

    /// Returns the time for which the next try is refused, if it is.
    pub(crate) fn wait(was: Failures, now: Timestamp) -> Option<Duration> {
        let wait = was.blocked_until - now.as_second();
        u64::try_from(wait).ok().filter(|&wait| wait > 0).map(Duration::from_secs)
    }

    /// Refuses the next try while it has to wait, with RESOURCE_EXHAUSTED (`TOO_MANY_FAILURES`).
    pub(crate) fn check(was: Failures, now: Timestamp) -> Result<(), Error> {
        Self::wait(was, now).map_or(Ok(()), |wait| Err(too_many_failures(wait)))
    }

    /// Returns the failures after one more.
    pub(crate) fn failed(self, was: Failures, now: Timestamp) -> Failures {
        let (now, count) = (now.as_second(), was.count.saturating_add(1));
        match self {
            Self::Account { free, pause } => {
                let over = count.checked_sub(free);
                let pause = over.map(|over| pause.saturating_mul(1 << over.min(31)).min(LONGEST_PAUSE));
                Failures { count, blocked_until: pause.map_or(0, |pause| now + pause), expires_at: now + REMEMBERED }
            }
            Self::Source { free, window } => {
                let end = if was.count == 0 { now + window } else { was.expires_at };
                Failures { count, blocked_until: if count >= free { end } else { 0 }, expires_at: end }
            }
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(LONGEST_PAUSE).max(1)
}

#[cfg(test)]
mod tests {
    use kernel::Kind;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn wait(failures: Failures, now: Timestamp) -> Option<u64> {
        Policy::check(Policy::present(failures, now), now).err().map(|error| {
            assert_eq!(error.kind(), Kind::ResourceExhausted);
            error.retry_delay().unwrap().as_secs()
        })
    }

    #[test]
    fn account_pause_doubles_up_to_one_hour() {
        let policy = Policy::Account { free: 10, pause: 30 };
        let mut failures = Failures::default();
        for _ in 0..10 {
            assert_eq!(wait(failures, at(0)), None);
            failures = policy.failed(failures, at(0));
        }
        let mut now = 0;
        for expected in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600] {
            assert_eq!(wait(failures, at(now)), Some(expected));
            now += i64::try_from(expected).unwrap();
            assert_eq!(wait(failures, at(now)), None);
            failures = policy.failed(failures, at(now));
        }
        assert_eq!(Policy::present(failures, at(now + REMEMBERED)).count, 0);
    }

    #[test]
    fn source_failures_are_counted_per_window() {
        let policy = Policy::Source { free: 3, window: 600 };
        let mut failures = Failures::default();
        for second in 0..3 {
            assert_eq!(wait(failures, at(second)), None);
            failures = policy.failed(failures, at(second));
        }
        assert_eq!(wait(failures, at(100)), Some(500));
        assert_eq!(wait(failures, at(600)), None);
        assert_eq!(policy.failed(Policy::present(failures, at(600)), at(600)).count, 1);
    }
}
