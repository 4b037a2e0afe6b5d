//! What the REST front costs: the embedded gateway beside Envoy, a front written by hand, and direct gRPC.
//!
//! Two questions, each with its place. All contestants of a question have the same service behind them, run on the same
//! cores, and answer 32 connections, one call at a time on each.
//!
//! **Which front answers more?** The `gateway` binary; Envoy with the configuration of production; axum handlers that call
//! the service by its generated client and serialise the same structs with serde, as somebody would write them by hand.
//! Each has a core for itself, with one worker thread; the load and the service share another. The service is a bare tonic
//! one that does no work but to clone and encode fixed entries of a journal: so what is measured is the front. Both fronts
//! write their access log to a file, and both leave access tokens to the services: in production Envoy verifies them too,
//! which the embedded gateway has no part in. The handlers do neither. What axum handlers answer that have no service
//! behind them, but the entries themselves, is told beside it: so much a server can answer that is no front.
//!
//! **What does the front cost whoever could call the service?** A whole mesh, as it is shipped: its front, and its service
//! of journals, which verifies, decides, reads its table and opens what is sealed. The load and the mesh share two cores,
//! so that a turn measures what the machine answers, each hop paid for. The same is told, without a target, of the
//! `gateway` binary and the bare service: so much the hop costs where there is no work at all.
//!
//! The CPU time of the contestant per request is printed beside each rate, and how much of its cores it had: a rate
//! suffers from what else the machine does, CPU time hardly. A front that had less than its core was not the limit.
//!
//! **When.** In turns of a second, each contestant once in each round, so that noise hits all alike; rates are medians
//! of the rounds, and ratios are medians of the ratios within each round.
//!
//! **What.** Reading one entry, a list of 100 and adding one, over HTTP/1.1 with keep-alive, or over HTTP/2 for direct
//! gRPC. The load sends bytes that it made before, and looks at nothing in an answer but its status and its length: no
//! side gains by a better client. Before the turns the JSON of the REST contestants of each place is compared: it is the same.

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
/// The works that are timed, in this order, and who is timed at them.
const WORKS: [Work; 3] = [Work::Get, Work::List, Work::Post];

/// What one contestant did in its turns at one work.
#[derive(Default)]
struct Lane {
    /// Requests per second, by round.
    rates: Vec<f64>,
    requests: u64,
    cpu: Duration,
    time: Duration,
}

/// One contestant, with a lane for each of [`WORKS`].
struct Track {
    name: &'static str,
    lanes: [Lane; WORKS.len()],
    /// After all turns, in bytes.
    resident: u64,
}

/// What the fronts cost.
pub(crate) struct Fronts {
    /// Each on its core: the embedded gateway, Envoy, and axum with and without the service.
    apart: [Track; 4],
    /// With everything on the same cores: a mesh by its front, and directly on one and on many connections.
    mesh: [Track; 3],
    /// Likewise, with the bare service.
    bare: [Track; 3],
}

/// Measures for about this long at each work and contestant.
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

async fn measure<const N: usize>(contestants: [Contestant; N], time: Duration) -> Result<[Track; N]> {
    work::compare(&contestants).await?;
    let mut tracks = contestants.each_ref().map(|one| Track { name: one.name, lanes: Default::default(), resident: 0 });
    let started = Instant::now();
    while started.elapsed() < time * u32::try_from(WORKS.len() * N)? {
        for (number, work) in WORKS.into_iter().enumerate() {
            for (track, contestant) in tracks.iter_mut().zip(&contestants) {
                track.lanes[number].take(contestant, work).await?;
            }
        }
    }
    for (track, contestant) in tracks.iter_mut().zip(&contestants) {
        track.resident = contestant.resident()?;
    }
    Ok(tracks)
}

impl Lane {
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

    /// CPU time per request, in microseconds.
    #[allow(clippy::cast_precision_loss, reason = "requests of minutes")]
    fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// How much of its core the contestant had.
    fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }

    /// How many times the rate of another.
    fn ratio(&self, other: &Self) -> f64 {
        median(self.rates.iter().zip(&other.rates).map(|(this, other)| this / other).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
