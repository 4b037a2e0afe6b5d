//! The limit of invitations in an hour.

use std::time::Duration;

use kernel::{Error, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error;

/// Maximum invitations of one therapist in any hour.
pub(crate) const INVITATIONS: u32 = 30;
/// Window of the limit.
const WINDOW: Duration = Duration::from_secs(3600);

/// The times of a therapist's invitations in the last hour, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    times: Vec<Timestamp>,
    /// Number of changes; 0 if the budget is not stored.
    pub(crate) version: u64,
    /// Expiry in seconds since 1970, when no invitation counts any more.
    expires_at: i64,
}

impl Budget {
    /// Returns the budget with one invitation more.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_INVITATIONS`) when it is spent, with the time until the oldest one is an hour ago.
    pub(crate) fn spend(&self, now: Timestamp) -> Result<Self, Error> {
        let end = |time: Timestamp| time.saturating_add(WINDOW).unwrap_or(Timestamp::MAX);
        let mut times: Vec<_> = self.times.iter().copied().filter(|time| end(*time) > now).collect();
        if times.len() >= INVITATIONS as usize {
            let free = times.first().map_or(now, |oldest| end(*oldest));
            let wait = Duration::try_from(free.duration_since(now)).unwrap_or(WINDOW);
            return Err(error::too_many_invitations(wait));
        }
        times.push(now);
        Ok(Self { times, version: self.version + 1, expires_at: end(now).as_second() + 1 })
    }
}

#[cfg(test)]
mod tests {
    use kernel::Kind;

    use super::*;

    #[test]
    fn budget_allows_30_invitations_in_any_hour() {
        let at = |second: i64| Timestamp::from_second(4_102_444_800 + second).unwrap();
        let mut budget = Budget::default();
        for minute in 0..30 {
            budget = budget.spend(at(minute * 60)).unwrap();
        }
        let refused = budget.spend(at(1800)).unwrap_err();
        assert_eq!((refused.kind(), refused.retry_delay()), (Kind::ResourceExhausted, Some(Duration::from_secs(1800))));
        assert!(budget.spend(at(3599)).is_err());
        // One invitation is free an hour after the first, and the next a minute later.
        budget = budget.spend(at(3600)).unwrap();
        assert!(budget.spend(at(3600)).is_err());
        assert!(budget.spend(at(3660)).is_ok());
    }
}
