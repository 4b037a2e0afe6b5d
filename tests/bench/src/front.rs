//! Cost of the REST front: the embedded gateway compared with Envoy, a front written by hand, and direct gRPC.
//!
//! There are two comparisons. All contestants of a comparison have the same service behind them, run on the same cores,
//! and answer 32 connections, one call at a time on each.
//!
//! **Throughput of fronts.** The `gateway` binary; Envoy with the configuration of production; axum handlers that call
//! the service by its generated client and serialise the same structs with serde, as somebody would write them by hand.
//! Each has a core for itself, with one worker thread; the load and the service share another. The service is a bare
//! tonic one that only clones and encodes fixed entries of a journal, so the front is the bottleneck. Both fronts write
//! their access log to a file, and both leave access tokens to the services: in production Envoy verifies them too,
//! which the embedded gateway never does. The handlers do neither. As an upper bound, axum handlers that hold the
//! entries themselves, without a service behind them, are measured too.
//!
//! **Front compared with a direct call.** A whole mesh, as shipped: its front, and its journals service, which
//! verifies, authorises, reads its table and decrypts. The load and the mesh share two cores, so the throughput
//! includes the cost of each hop. The same is reported, without a target, for the `gateway` binary and the bare
//! service: the cost of the hop without any work.
//!
//! The report shows the contestant's CPU time per request beside each rate, and its share of its cores: other processes
//! affect a rate, but hardly the CPU time. A front that used less than its core was not the bottleneck.
//!
//! **Order.** Turns of a second, each contestant once in each round, so that noise affects all alike; rates are medians
//! of the rounds, and ratios are medians of the ratios within each round.
//!
//! **Requests.** Reading one entry, a list of 100 and adding one, over HTTP/1.1 with keep-alive, or over HTTP/2 for
//! direct gRPC. The load sends prepared bytes and checks only the status and the length of an answer, so that no
//! contestant gains by a better client. Before the turns it checks that the REST contestants of a comparison return the
//! same JSON.

mod by_hand;
mod contestant;
mod grpc;
mod load;
mod pages;
mod plain;
mod rest;
mod serve;
mod soak;
mod upstream;
mod work;

use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use serve::{Served, serve};
pub(crate) use soak::{Soak, soak};

use crate::Result;
use contestant::{Contestant, Cores};
use work::Work;

const TURN: Duration = Duration::from_secs(1);
/// Measured requests, in this order.
const WORKS: [Work; 3] = [Work::Get, Work::List, Work::Post];

/// Measurements of one contestant with one kind of request.
#[derive(Default)]
struct Samples {
    /// Requests per second, by round.
    rates: Vec<f64>,
    requests: u64,
    cpu: Duration,
    time: Duration,
}

/// Measurements of one contestant, for each of [`WORKS`].
struct Measurement {
    name: &'static str,
    samples: [Samples; WORKS.len()],
    /// Resident set after all turns, in bytes.
    resident: u64,
}

/// Results of the comparisons.
pub(crate) struct Fronts {
    /// Each on its own core: the embedded gateway, Envoy, and axum with and without the service.
    apart: [Measurement; 4],
    /// Everything on the same cores: a mesh through its front, and directly on one and on many connections.
    mesh: [Measurement; 3],
    /// The same with the bare service.
    bare: [Measurement; 3],
}

/// Measures for about this long per kind of request and contestant.
pub(crate) fn fronts(gateway: &Path, mesh: &Path, time: Duration) -> Result<Fronts> {
    let cores = Cores::apart()?;
    let apart = cores.runtime()?.block_on(async {
        let upstream = Contestant::upstream(&cores, cores.load())?;
        let embedded = Contestant::embedded(&cores, gateway, &upstream).await?;
        let envoy = Contestant::envoy(&cores, &upstream).await?;
        let by_hand = Contestant::by_hand(&cores, &upstream)?;
        measure([embedded, envoy, by_hand, Contestant::plain(&cores)?], time).await
    })?;
    let cores = Cores::together()?;
    let runtime = cores.runtime()?;
    let mesh = runtime.block_on(async {
        let [front, service] = Contestant::mesh(mesh).await?;
        measure([front, service.on_one_connection(), service], time).await
    })?;
    let bare = runtime.block_on(async {
        let upstream = Contestant::upstream(&cores, cores.contestant())?;
        let embedded = Contestant::embedded(&cores, gateway, &upstream).await?;
        measure([embedded, upstream.on_one_connection(), upstream], time).await
    })?;
    Ok(Fronts { apart, mesh, bare })
}

async fn measure<const N: usize>(contestants: [Contestant; N], time: Duration) -> Result<[Measurement; N]> {
    work::compare(&contestants).await?;
    let mut measurements =
        contestants.each_ref().map(|one| Measurement { name: one.name, samples: Default::default(), resident: 0 });
    let started = Instant::now();
    while started.elapsed() < time * u32::try_from(WORKS.len() * N)? {
        for (number, work) in WORKS.into_iter().enumerate() {
            for (measurement, contestant) in measurements.iter_mut().zip(&contestants) {
                measurement.samples[number].take(contestant, work).await?;
            }
        }
    }
    for (measurement, contestant) in measurements.iter_mut().zip(&contestants) {
        measurement.resident = contestant.resident()?;
    }
    Ok(measurements)
}

impl Samples {
    #[allow(clippy::cast_precision_loss, reason = "requests of a second")]
    async fn take(&mut self, contestant: &Contestant, work: Work) -> Result<()> {
        let turn = load::turn(contestant, work, TURN).await?;
        self.rates.push(turn.requests as f64 / turn.time.as_secs_f64());
        self.requests += turn.requests;
        self.cpu += turn.cpu;
        self.time += turn.time;
        Ok(())
    }

    fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// Returns the CPU time per request, in microseconds.
    #[allow(clippy::cast_precision_loss, reason = "requests of minutes")]
    fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// Returns the share of its core that the contestant used.
    fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }

    /// Returns the ratio of the rates to those of another.
    fn ratio(&self, other: &Self) -> f64 {
        median(self.rates.iter().zip(&other.rates).map(|(this, other)| this / other).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
