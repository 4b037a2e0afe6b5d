//! The one retry policy of the mesh: exponential backoff with full jitter, bounded in attempts and by the caller's deadline.
//!
//! The wait before retry n is uniform between zero and `base * 2^(n-1)`, at most `longest` (M. Brooker, "Exponential Backoff And
//! Jitter", AWS Architecture Blog, 2015). It comes on top of what a `google.rpc.RetryInfo` asks for, so that callers who were
//! given the same delay don't return together.

use std::time::Duration;

use kernel::Entropy;
use tokio::time::Instant;

/// A bound on attempts, and the waits between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    attempts: u32,
    base: Duration,
    longest: Duration,
}

impl Policy {
    /// Calls of DynamoDB that the SDK doesn't retry: conflicts with transactions, and what a batch left unprocessed.
    pub const DYNAMODB: Self = Self::new(5, Duration::from_millis(15), Duration::from_millis(200));

    /// Read-modify-write loops on an item that others change too: a conditional write that failed is made again from a new read.
    pub const OPTIMISTIC: Self = Self::new(16, Duration::from_millis(4), Duration::from_millis(200));

    /// Creates a policy of at most `attempts`; the wait before a retry doubles from `base` up to `longest`.
    #[must_use]
    pub const fn new(attempts: u32, base: Duration, longest: Duration) -> Self {
        Self { attempts, base, longest }
    }

    /// Returns the policy with another bound on attempts.
    #[must_use]
    pub const fn with_attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// Starts counting attempts by this policy.
    #[must_use]
    pub const fn start<'a>(self, entropy: &'a dyn Entropy) -> Attempts<'a> {
        Attempts { policy: self, entropy, made: 0 }
    }

    /// Starts counting attempts by this policy, of which the first was made.
    #[must_use]
    pub const fn start_after_first<'a>(self, entropy: &'a dyn Entropy) -> Attempts<'a> {
        Attempts { policy: self, entropy, made: 1 }
    }

    /// Returns the wait before a retry, the first of which is 1; `random` spreads it over its range.
    fn wait(self, retry: u32, random: u16) -> Duration {
        let doubled = 1_u32.checked_shl(retry - 1).unwrap_or(u32::MAX);
        let most = self.base.saturating_mul(doubled).min(self.longest);
        most * u32::from(random) / u32::from(u16::MAX)
    }
}

/// The attempts of one operation.
pub struct Attempts<'a> {
    policy: Policy,
    entropy: &'a dyn Entropy,
    made: u32,
}

impl Attempts<'_> {
    /// Returns true if there is another attempt.
    #[must_use]
    pub const fn remain(&self) -> bool {
        self.made < self.policy.attempts
    }

    /// Waits until the next attempt is due: the first one is at once. Returns false when there is none.
    pub async fn next(&mut self) -> bool {
        match self.wait() {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                true
            }
            None => false,
        }
    }

    /// Waits for `delay` (`google.rpc.RetryInfo.retry_delay`) and then until the next attempt is due. Returns false, at once, when
    /// there is none or it would begin after the deadline.
    pub async fn next_within(&mut self, deadline: Instant, delay: Option<Duration>) -> bool {
        let Some(wait) = self.wait() else { return false };
        let wait = wait.saturating_add(delay.unwrap_or_default());
        if Instant::now().checked_add(wait).is_none_or(|due| due >= deadline) {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    /// Counts an attempt and returns the wait before it; none when all were made.
    fn wait(&mut self) -> Option<Duration> {
        if !self.remain() {
            return None;
        }
        let retry = self.made;
        self.made += 1;
        if retry == 0 {
            return Some(Duration::ZERO);
        }
        Some(self.policy.wait(retry, u16::from_ne_bytes(self.entropy.array())))
    }
}

impl std::fmt::Debug for Attempts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts").field("policy", &self.policy).field("made", &self.made).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kernel::Entropy;
    use tokio::time::{Instant, advance};

    use super::Policy;

    const CALL: Policy = Policy::new(3, Duration::from_millis(100), Duration::from_secs(1));

    /// Bytes that are all the same.
    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn wait_doubles_up_to_the_longest() {
        let policy = Policy::new(9, Duration::from_millis(4), Duration::from_millis(20));
        let waits = [1, 2, 3, 4, 40].map(|retry| policy.wait(retry, u16::MAX).as_millis());
        assert_eq!(waits, [4, 8, 16, 20, 20]);
    }

    #[test]
    fn wait_is_spread_down_to_zero() {
        assert_eq!(CALL.wait(1, 0), Duration::ZERO);
        assert!(CALL.wait(1, u16::MAX / 2) < CALL.wait(1, u16::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded_and_the_first_is_at_once() {
        let entropy = Fixed(u8::MAX);
        let started = Instant::now();
        let mut attempts = CALL.start(&entropy);
        assert!(attempts.next().await);
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert!(attempts.next().await);
        assert_eq!(started.elapsed(), Duration::from_millis(100));
        assert!(attempts.next().await);
        assert_eq!(started.elapsed(), Duration::from_millis(300));
        assert!(!attempts.next().await);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_info_is_obeyed_with_jitter_on_top() {
        for (entropy, jitter) in [(Fixed(0), Duration::ZERO), (Fixed(u8::MAX), Duration::from_millis(100))] {
            let (started, late) = (Instant::now(), Instant::now() + Duration::from_secs(60));
            let mut attempts = CALL.start(&entropy);
            assert!(attempts.next_within(late, None).await);
            assert!(attempts.next_within(late, Some(Duration::from_secs(2))).await);
            assert_eq!(started.elapsed(), Duration::from_secs(2) + jitter);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempt_after_the_deadline_is_refused_at_once() {
        let entropy = Fixed(u8::MAX);
        let deadline = Instant::now() + Duration::from_millis(50);
        let mut attempts = CALL.start(&entropy);
        assert!(attempts.next_within(deadline, None).await);
        let asked = Instant::now();
        assert!(!attempts.next_within(deadline, None).await);
        assert_eq!(asked.elapsed(), Duration::ZERO);
        advance(Duration::from_secs(1)).await;
        assert!(!CALL.start(&entropy).next_within(deadline, None).await);
    }
}
