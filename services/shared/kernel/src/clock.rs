use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Source of the time. Injected, so that expiry is a test and not a sleep.
pub trait Clock: Send + Sync + 'static {
    /// The present instant; of the machine's clock, to the millisecond.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the machine is asked")]
    fn now(&self) -> Timestamp {
        floor_to_millisecond(Timestamp::now())
    }
}

/// Returns an instant without what it has beyond milliseconds, also before 1970.
pub(crate) fn floor_to_millisecond(instant: Timestamp) -> Timestamp {
    const MILLISECOND: i128 = 1_000_000;
    let floor = instant.as_nanosecond().div_euclid(MILLISECOND) * MILLISECOND;
    Timestamp::from_nanosecond(floor).unwrap_or(instant)
}

/// A clock that stands still until it is moved. Clones share their time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Timestamp>>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(start)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
