//! Soak test: minutes of sustainable load on each front, without errors and without growth of memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::contestant::{Contestant, Cores};
use super::load::{CONNECTIONS, Connection, connect, turn};
use super::work::Work;
use crate::Result;
use crate::load::{Times, times};

/// Load as a share of the front's peak throughput.
const SHARE: f64 = 0.8;
/// Duration of the measurement of the peak.
const PEAK: Duration = Duration::from_secs(5);
/// Time after which memory should not grow; in a short run, a fifth of the run.
const SETTLED: Duration = Duration::from_secs(60);

/// Results of one front.
pub(crate) struct Soak {
    pub(super) name: &'static str,
    /// Requests per second: the peak, and the load.
    pub(super) peak: f64,
    pub(super) asked: f64,
    pub(super) requests: u64,
    pub(super) errors: u64,
    /// First error.
    pub(super) error: Option<String>,
    pub(super) times: Times,
    /// Resident set in bytes: once settled, and at the end.
    pub(super) settled: u64,
    pub(super) end: u64,
}

/// Runs each front for this long.
pub(crate) fn soak(gateway: &Path, time: Duration) -> Result<Vec<Soak>> {
    let cores = Cores::apart()?;
    cores.runtime()?.block_on(async {
        let upstream = Contestant::upstream(&cores, cores.load())?;
        let embedded = Contestant::embedded(&cores, gateway, &upstream).await?;
        let embedded = soak_front(&embedded, time).await?;
        let envoy = Contestant::envoy(&cores, &upstream).await?;
        Ok(vec![embedded, soak_front(&envoy, time).await?])
    })
}

#[allow(clippy::cast_precision_loss, reason = "requests of seconds")]
async fn soak_front(front: &Contestant, time: Duration) -> Result<Soak> {
    let most = turn(front, Work::All, PEAK).await?;
    let peak = most.requests as f64 / most.time.as_secs_f64();
    let asked = peak * SHARE;
    let pause = Duration::from_secs_f64(f64::from(CONNECTIONS) / asked);

    let errors = Arc::new(AtomicU64::new(0));
    let (connections, _tasks) = connect(front, Work::All).await?;
    let mut calling = JoinSet::new();
    let started = Instant::now();
    for (number, connection) in (0..).zip(connections) {
        let first = started + pause * number / CONNECTIONS;
        calling.spawn(steady(front.clone(), connection, first, pause, started + time, Arc::clone(&errors)));
    }
    tokio::time::sleep(SETTLED.min(time / 5)).await;
    let settled = front.resident()?;
    let mut soak =
        Soak { name: front.name, peak, asked, requests: 0, errors: 0, error: None, times: times()?, settled, end: 0 };
    while let Some(ended) = calling.join_next().await {
        let (times, error) = ended??;
        soak.times.add(times)?;
        soak.error = soak.error.or(error);
    }
    soak.requests = soak.times.len();
    soak.errors = errors.load(Ordering::Relaxed);
    soak.end = front.resident()?;
    Ok(soak)
}

/// Calls at a fixed rate and catches up after a delay. Returns the latencies, measured from when the calls were due,
/// and the first error.
async fn steady(
    front: Contestant,
    mut connection: Connection,
    first: Instant,
    pause: Duration,
    end: Instant,
    errors: Arc<AtomicU64>,
) -> Result<(Times, Option<String>)> {
    let (mut times, mut error) = (times()?, None);
    let mut due = first;
    // Driver tasks of reopened connections.
    let mut tasks = Vec::new();
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        match connection.call().await {
            Ok(()) => times.record(u64::try_from(due.elapsed().as_micros())?)?,
            Err(reason) => {
                errors.fetch_add(1, Ordering::Relaxed);
                error.get_or_insert(reason.to_string());
                let (opened, running) = connect(&front, Work::All).await?;
                connection = opened.into_iter().next().ok_or("no connection")?;
                tasks.push(running);
            }
        }
        due += pause;
    }
    Ok((times, error))
}
