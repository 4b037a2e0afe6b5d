//! Malicious requests through both fronts side by side: rejected alike and cheaply, and never read in two ways. Where
//! the fronts differ and both are safe, the row gives the reason.

mod floods;
mod frames;
mod framing;
mod headers;
mod native;
mod pseudo;
mod slow;
mod targets;
mod web;

use std::net::SocketAddr;

use kit::envoy::Envoy;
use kit::front_service::Front;
use tokio_util::sync::DropGuard;

/// Both fronts with the same service behind them.
struct Pair {
    envoy: Envoy,
    embedded: SocketAddr,
    _stop: DropGuard,
    _service: Front,
}

impl Pair {
    async fn start() -> Self {
        let service = Front::start().await;
        let envoy = crate::envoy(&service).await;
        let (embedded, stop) = crate::embedded(&service).await;
        Self { envoy, embedded, _stop: stop, _service: service }
    }

    const fn fronts(&self) -> [(&'static str, SocketAddr); 2] {
        [("Envoy", self.envoy.address()), ("ours", self.embedded)]
    }
}

/// An attempt and its expected outcome at each front.
struct Row<A> {
    name: &'static str,
    attempt: A,
    envoy: &'static str,
    ours: &'static str,
}

impl<A> Row<A> {
    /// Creates a row with the same outcome at both fronts.
    const fn alike(name: &'static str, attempt: A, both: &'static str) -> Self {
        Self { name, attempt, envoy: both, ours: both }
    }

    /// Creates a row with different outcomes, both safe, and the reason.
    fn differ(name: &'static str, attempt: A, envoy: &'static str, ours: &'static str, why: &str) -> Self {
        assert!(!why.is_empty(), "{name}: a difference has a reason");
        assert_ne!(envoy, ours, "{name}: is listed as a difference and is none");
        Self { name, attempt, envoy, ours }
    }
}

/// Makes every attempt at both fronts concurrently, and fails with a list of the unexpected outcomes. At most
/// `most_differences` rows may differ, a number that may only get smaller.
async fn check_rows<A, F>(pair: &Pair, most_differences: usize, rows: &[Row<A>], attempt: impl Fn(SocketAddr, &A) -> F)
where
    F: Future<Output = String>,
{
    let differences = rows.iter().filter(|row| row.envoy != row.ours).count();
    assert!(differences <= most_differences, "{differences} differences are listed, {most_differences} are allowed");
    let attempts = rows.iter().flat_map(|row| {
        let expected = [row.envoy, row.ours];
        pair.fronts().into_iter().zip(expected).map(move |((front, address), expected)| (row, front, address, expected))
    });
    let attempts = attempts.map(|(row, front, address, expected)| {
        let made = attempt(address, &row.attempt);
        async move { (format!("{} at {front}", row.name), expected, made.await) }
    });
    let ends = futures_util::future::join_all(attempts).await;
    let wrong: Vec<_> = ends.iter().filter(|(_, expected, end)| expected != end).collect();
    let wrong: Vec<_> =
        wrong.iter().map(|(name, expected, end)| format!("{name}: {end:?}, not {expected:?}")).collect();
    assert!(wrong.is_empty(), "{} attempts end otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
