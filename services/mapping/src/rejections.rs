//! Limits repeated requests after the client has rejected them.

use std::time::Duration;

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::transition::Refusal;

/// Minimum time between a rejection and the next request of the same kind.
pub(crate) const PAUSE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Maximum rejections of one kind of request before no further ones are allowed.
const MAX_REJECTIONS: u8 = 3;

/// Rejections of one kind of request since the client last made contact or agreed to a mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rejections {
    count: u8,
    /// Time of the last rejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
}

impl Rejections {
    pub(crate) const NONE: Self = Self { count: 0, last: None };

    pub(crate) const fn any(self) -> bool {
        self.count > 0
    }

    /// Returns the rejections after one more, or none after a change that resets them.
    pub(crate) const fn after(self, is_rejection: bool, is_reset: bool, time: Timestamp) -> Self {
        if is_rejection {
            Self { count: self.count.saturating_add(1), last: Some(time) }
        } else if is_reset {
            Self::NONE
        } else {
            self
        }
    }

    /// Checks whether a request of the same kind is allowed now.
    ///
    /// # Errors
    /// The refusal, within the pause after a rejection and once the maximum is reached.
    pub(crate) fn allow(self, now: Timestamp) -> Result<(), Refusal> {
        if self.count >= MAX_REJECTIONS {
            return Err(Refusal::RejectedTooOften);
        }
        let from = self.last.map(|last| last.saturating_add(PAUSE).unwrap_or(Timestamp::MAX));
        match from {
            Some(from) if now < from => {
                let wait = Duration::try_from(from.duration_since(now)).unwrap_or_default();
                Err(Refusal::RejectedLately { from, wait })
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn rejections_pause_for_seven_days_and_stop_after_three() {
        let at = |days: u32| Timestamp::UNIX_EPOCH.checked_add(DAY * days).unwrap();
        assert_eq!(Rejections::NONE.allow(at(0)), Ok(()));
        let one = Rejections::NONE.after(true, false, at(0));
        let refused = one.allow(at(6));
        assert_eq!(refused, Err(Refusal::RejectedLately { from: at(7), wait: DAY }));
        assert_eq!(one.allow(at(7)), Ok(()));
        let two = one.after(true, false, at(7));
        assert_eq!((two.allow(at(14)), two.allow(at(13)).is_err()), (Ok(()), true));
        assert_eq!(two.after(true, false, at(14)).allow(at(1000)), Err(Refusal::RejectedTooOften));
        assert_eq!(two.after(false, true, at(14)), Rejections::NONE);
    }
}
