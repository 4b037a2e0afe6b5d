//! Timeout and retry policies of calls: one table for the mesh's own calls and for the gRPC service config of other callers.

use std::time::Duration;

use tonic::Code;

/// Timeout of a call that one message answers, with all its attempts.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Retries per call that succeeds, at most: a retry budget of a fifth.
pub const RETRY_RATIO: f32 = 0.2;

/// Retry policy: exponential backoff, which doubles, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Maximum attempts, with the first.
    pub attempts: u32,
    /// Backoff before the first retry.
    pub base: Duration,
    /// Maximum backoff.
    pub longest: Duration,
    /// Codes of answers after which a call is repeated.
    pub codes: &'static [Code],
}

impl Retries {
    /// Calls between services. Load that is shed was refused before anything was done for it, and another replica may have room.
    const INTERNAL: Self = Self {
        attempts: 3,
        base: Duration::from_millis(100),
        longest: Duration::from_secs(1),
        codes: &[Code::Unavailable, Code::ResourceExhausted],
    };

    /// Calls of others. RESOURCE_EXHAUSTED asks them to wait as long as its RetryInfo says, which no service config can.
    const PUBLIC: Self = Self {
        attempts: 3,
        base: Duration::from_secs(1),
        longest: Duration::from_secs(3),
        codes: &[Code::Unavailable],
    };

    /// Returns the retry policy of an RPC; none if a call must not be repeated.
    #[must_use]
    pub const fn of(is_internal: bool, is_idempotent: bool) -> Option<&'static Self> {
        match (is_idempotent, is_internal) {
            (false, _) => None,
            (true, true) => Some(&Self::INTERNAL),
            (true, false) => Some(&Self::PUBLIC),
        }
    }
}
