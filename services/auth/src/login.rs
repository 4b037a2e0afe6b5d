//! A login: its current refresh token, and the grace period of the one before.

use dynamo::{Condition, EXPIRES_AT};
use kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// Time in milliseconds after the first use of a refresh token in which it answers its successor again.
const GRACE: i64 = 10_000;
/// Tolerated difference in milliseconds between the clocks of two replicas.
const SKEW: i64 = 3_000;

/// A login as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// Generation of the current refresh token.
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) expires_at: i64,
    /// Time in seconds at which the person proved the password; a login stored by an earlier version doesn't say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_time: Option<i64>,
    /// Time in milliseconds at which this generation was made by a refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotated_at: Option<i64>,
    /// Replica that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotated_by: Option<Replica>,
}

/// One process of auth. Times that it stored itself need no tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Replica(pub(crate) u64);

impl Login {
    /// Returns a login that begins now, with the proof of the password.
    pub(crate) fn begun(epoch: u64, now: Timestamp, expires_at: i64) -> Self {
        let auth_time = Some(now.as_second());
        Self { generation: 1, epoch, expires_at, auth_time, rotated_at: None, rotated_by: None }
    }

    /// Returns this login after its refresh token of `generation` is used.
    pub(crate) fn rotated(self, generation: u64, epoch: u64, expires_at: i64, by: Replica, now: Timestamp) -> Self {
        let (rotated_at, rotated_by) = (Some(now.as_millisecond()), Some(by));
        Self { generation: generation + 1, epoch, expires_at, auth_time: self.auth_time, rotated_at, rotated_by }
    }

    /// Returns the condition for an open login, in an account of this epoch.
    pub(crate) fn open_condition(epoch: u64, now: Timestamp) -> Condition {
        Condition::eq("epoch", epoch).and(Condition::gt(EXPIRES_AT, now.as_second()))
    }

    /// Returns whether that condition holds for this login.
    pub(crate) fn is_open(self, epoch: u64, now: Timestamp) -> bool {
        self.epoch == epoch && self.expires_at > now.as_second()
    }

    /// Returns whether a used refresh token of `generation` is answered with its successor again: only the generation
    /// just before the current one, and only for a moment after its first use, which is never renewed.
    pub(crate) fn in_grace(self, generation: u64, epoch: u64, replica: Replica, now: Timestamp) -> bool {
        let Some(rotated_at) = self.rotated_at else { return false };
        let skew = if self.rotated_by == Some(replica) { 0 } else { SKEW };
        let elapsed = now.as_millisecond().saturating_sub(rotated_at);
        generation.checked_add(1) == Some(self.generation)
            && self.is_open(epoch, now)
            // Of concurrent requests, the slower one may have read the clock first.
            && (-SKEW..=GRACE + skew).contains(&elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Replica = Replica(1);
    const THERE: Replica = Replica(2);
    const ROTATED: i64 = 4_102_444_800_000;

    fn at(elapsed: i64) -> Timestamp {
        Timestamp::from_millisecond(ROTATED + elapsed).unwrap()
    }

    fn login() -> Login {
        Login::begun(3, at(-60_000), i64::MAX).rotated(4, 3, i64::MAX, HERE, at(0))
    }

    #[test]
    fn grace_lasts_ten_seconds() {
        for (elapsed, expected) in [(0, true), (10_000, true), (10_001, false), (3_600_000, false)] {
            assert_eq!(login().in_grace(4, 3, HERE, at(elapsed)), expected, "{elapsed}");
        }
    }

    #[test]
    fn clock_skew_of_replicas_is_tolerated_within_bounds() {
        for (elapsed, expected) in
            [(-3_001, false), (-3_000, true), (10_001, true), (13_000, true), (13_001, false), (i64::MAX / 2, false)]
        {
            let now = Timestamp::from_millisecond(ROTATED.saturating_add(elapsed)).unwrap_or(Timestamp::MAX);
            assert_eq!(login().in_grace(4, 3, THERE, now), expected, "{elapsed}");
        }
    }

    #[test]
    fn grace_requires_last_generation_epoch_and_open_login() {
        assert!(!login().in_grace(3, 3, HERE, at(0)), "two generations back");
        assert!(!login().in_grace(5, 3, HERE, at(0)), "the current one itself");
        assert!(!login().in_grace(u64::MAX, 3, HERE, at(0)));
        assert!(!login().in_grace(4, 4, HERE, at(0)), "a new password");
        let expired = Login { expires_at: at(0).as_second(), ..login() };
        assert!(!expired.in_grace(4, 3, HERE, at(0)));
    }

    #[test]
    fn login_without_rotation_time_has_no_grace() {
        let stored = Login { rotated_at: None, rotated_by: None, ..login() };
        assert!(!stored.in_grace(4, 3, HERE, at(0)));
    }

    #[test]
    fn rotation_keeps_auth_time() {
        assert_eq!(login().auth_time, Some(at(-60_000).as_second()));
    }
}
