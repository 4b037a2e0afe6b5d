//! Time limits of tests, and polling for conditions that no event announces.

use std::time::{Duration, Instant};

/// Timeout of a wait, long enough for a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Timeout of a whole test, for all that it waits for without a timeout of its own.
const TEST_TIMEOUT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);

/// Runs a test.
///
/// # Panics
/// If it doesn't end in time.
pub fn in_time(test: impl Future<Output = ()>) -> impl Future<Output = ()> {
    let test = Box::pin(test);
    async {
        assert!(tokio::time::timeout(TEST_TIMEOUT, test).await.is_ok(), "the test is not over after {TEST_TIMEOUT:?}")
    }
}

/// Polls until the condition holds.
///
/// # Panics
/// If the condition doesn't hold in time; the message names it.
pub async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(POLL).await;
        }
    };
    assert!(tokio::time::timeout(TIMEOUT, wait).await.is_ok(), "not within {TIMEOUT:?}: {what}");
}

/// Polls until there is a value, and blocks the thread meanwhile.
///
/// # Panics
/// If there is none in time; the message names it.
pub fn blocking<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(started.elapsed() < TIMEOUT, "not within {TIMEOUT:?}: {what}");
        std::thread::sleep(POLL);
    }
}
