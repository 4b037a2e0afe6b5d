//! Polling for conditions that no event announces.

use std::time::Duration;

/// Timeout of a wait, long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

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
