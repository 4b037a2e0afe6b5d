//! Waiting for what must happen, where nothing tells that it has.

use std::time::Duration;

/// How long what must happen may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Looks again and again until it is so.
///
/// # Panics
/// If it isn't in time; says what was waited for.
pub async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(POLL).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "not within {PATIENCE:?}: {what}");
}
