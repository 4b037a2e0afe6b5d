//! Latency and throughput of calls without pause.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::Result;
use crate::callers::Callers;
use crate::process::Mesh;

/// Histogram of microseconds, to three digits.
pub(crate) type Times = Histogram<u64>;

const WARM_UP: usize = 500;
const TURN: Duration = Duration::from_secs(1);
const CALLERS: usize = 32;
const LOGIN_CALLERS: usize = 64;

/// Latencies of a read by each route.
pub(crate) struct Latencies {
    pub(crate) raw: Times,
    pub(crate) grpc: Times,
    pub(crate) rest: Times,
}

/// Calls per second.
pub(crate) struct Throughput {
    pub(crate) grpc: f64,
    pub(crate) rest: f64,
}

/// Effect of logins on reads.
pub(crate) struct UnderLogins {
    pub(crate) quiet: Times,
    pub(crate) busy: Times,
    /// Logins per second.
    pub(crate) logins: f64,
    /// Share of all cores used by hashing, from 0 to 1.
    pub(crate) hashing: f64,
}

pub(crate) fn times() -> Result<Times> {
    Ok(Times::new(3)?)
}

pub(crate) async fn timed(into: &mut Times, call: impl Future<Output = Result<()>>) -> Result<()> {
    let started = Instant::now();
    call.await?;
    into.record(u64::try_from(started.elapsed().as_micros())?)?;
    Ok(())
}

pub(crate) async fn latencies(callers: &Callers, time: Duration) -> Result<Latencies> {
    for _ in 0..WARM_UP {
        tokio::try_join!(callers.raw(), callers.grpc(), callers.rest())?;
    }
    let mut all = Latencies { raw: times()?, grpc: times()?, rest: times()? };
    let started = Instant::now();
    while started.elapsed() < time {
        timed(&mut all.raw, callers.raw()).await?;
        timed(&mut all.grpc, callers.grpc()).await?;
        timed(&mut all.rest, callers.rest()).await?;
    }
    Ok(all)
}

pub(crate) async fn throughput(callers: &Callers, time: Duration) -> Result<Throughput> {
    let (mut grpc, mut rest) = (Vec::new(), Vec::new());
    let started = Instant::now();
    while started.elapsed() < time {
        grpc.push(rate(callers, |callers| async move { callers.grpc().await }).await?);
        rest.push(rate(callers, |callers| async move { callers.rest().await }).await?);
    }
    // The first turns include connection setup.
    Ok(Throughput { grpc: mean(&grpc), rest: mean(&rest) })
}

#[allow(clippy::cast_precision_loss, reason = "a few turns")]
fn mean(rates: &[f64]) -> f64 {
    let warm = rates.get(1..).filter(|warm| !warm.is_empty()).unwrap_or(rates);
    warm.iter().sum::<f64>() / warm.len() as f64
}

/// Returns the calls per second of 32 callers in one turn.
#[allow(clippy::cast_precision_loss, reason = "calls within seconds")]
pub(crate) async fn rate<C, F>(callers: &C, call: impl Fn(C) -> F + Copy + Send + 'static) -> Result<f64>
where
    C: Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let started = Instant::now();
    let mut calling = JoinSet::new();
    for _ in 0..CALLERS {
        let callers = callers.clone();
        calling.spawn(async move {
            let mut answered = 0_u64;
            while started.elapsed() < TURN {
                call(callers.clone()).await?;
                answered += 1;
            }
            Result::Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(one) = calling.join_next().await {
        answered += one??;
    }
    Ok(answered as f64 / started.elapsed().as_secs_f64())
}

/// Measures reads in turns without and with concurrent logins.
#[allow(clippy::cast_precision_loss, reason = "logins and cores are few")]
pub(crate) async fn latency_under(mesh: &Mesh, callers: &Callers, time: Duration) -> Result<UnderLogins> {
    let mut all = UnderLogins { quiet: times()?, busy: times()?, logins: 0.0, hashing: 0.0 };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get) as f64;
    let (mut spent, mut hashed, mut logins) = (Duration::ZERO, Duration::ZERO, 0);
    let started = Instant::now();
    while started.elapsed() < time {
        read_for(TURN, callers, &mut all.quiet).await?;
        let login_load = LoginLoad::start(callers);
        login_load.first_answer().await?;
        let (turn, before) = (Instant::now(), mesh.hashing()?);
        let logged_in = login_load.logins.load(Ordering::Relaxed);
        read_for(TURN, callers, &mut all.busy).await?;
        hashed += mesh.hashing()?.saturating_sub(before);
        spent += turn.elapsed();
        logins += login_load.logins.load(Ordering::Relaxed) - logged_in;
        login_load.end().await?;
    }
    all.logins = logins as f64 / spent.as_secs_f64();
    all.hashing = hashed.as_secs_f64() / (spent.as_secs_f64() * cores);
    Ok(all)
}

async fn read_for(time: Duration, callers: &Callers, into: &mut Times) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < time {
        timed(into, callers.grpc()).await?;
    }
    Ok(())
}

/// Callers who log in without pause.
struct LoginLoad {
    people: JoinSet<Result<()>>,
    logins: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl LoginLoad {
    fn start(callers: &Callers) -> Self {
        let login_load = Self { people: JoinSet::new(), logins: Arc::default(), over: Arc::default() };
        let Self { mut people, logins, over } = login_load;
        for number in 0..LOGIN_CALLERS {
            let (callers, logins, over) = (callers.clone(), Arc::clone(&logins), Arc::clone(&over));
            people.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    callers.login(number).await?;
                    logins.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Self { people, logins, over }
    }

    /// Waits for the first login, so that the load has begun.
    async fn first_answer(&self) -> Result<()> {
        let wait = async {
            while self.logins.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        Ok(tokio::time::timeout(Duration::from_secs(30), wait).await?)
    }

    /// Waits for the logins in progress, so that the next turn is quiet.
    async fn end(mut self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(person) = self.people.join_next().await {
            person??;
        }
        Ok(())
    }
}
