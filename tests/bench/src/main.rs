//! Benchmarks of the mesh: latency, throughput, memory, startup time, and the effect of a flood of logins.
//!
//! ```sh
//! cargo run --release -p bench                  # about fourteen minutes
//! cargo run --release -p bench -- --check       # fails if a target is missed
//! cargo run --release -p bench -- --only fronts # the REST front alone, about three minutes
//! cargo run --release -p bench -- --only search # search alone, about five minutes
//! cargo run --release -p bench -- --soak 10m    # ten minutes of load on each front
//! cargo run --release -p bench -- --attacks 30s # other callers during attacks, about eight minutes
//! ```
//!
//! The release binary `mesh` runs as a child process on a new data directory on disk, with its default settings; the
//! load comes from this process, so that the server's memory and threads are its own. Both share the machine: on two
//! cores the load competes with the server, which affects both sides of a ratio alike. Figures are compared within one
//! run only, and measured in alternating turns, so that other processes affect both sides:
//!
//! - **Latency**: one caller, one call at a time, in turns: the raw SDK's GetItem of the profile (consistent, on the
//!   same engine), GetClient by gRPC at the service, and `GET /clients/{id}` at the front. Medians are compared, since
//!   the rest of the distribution depends on the machine.
//! - **Throughput**: 32 callers without pause, in turns of a second: GetClient at the service (one HTTP/2 connection,
//!   as a service has) and `GET /clients/{id}` at the front (HTTP/1.1, a connection each, as apps have).
//! - **Start**: from the start of the process until `GET /healthz` answers 200, with an existing database file; the
//!   median of five. Memory is the resident set when idle after a start, before any load.
//! - **Logins**: GetClient from one caller, in turns without and with 64 callers that log in without pause. The share
//!   of hashing is the CPU time of the threads named `hash` divided by the total time of all cores.
//! - **Journals**: one of 10^3 and one of 10^5 entries, filled over gRPC. The newest 50 of each in turns, and the read
//!   units of the same pages; adding an entry over REST in turns with the raw SDK's PutItem of that size; lists of 100
//!   entries, 32 callers, decrypted by the service in turns with the same Query by the raw SDK.
//! - **Practice**: conversations of 10^2 and of 10^5 messages, filled over gRPC, and the newest 50 of each in turns;
//!   sending over REST in turns with the raw SDK's PutItem of that size; 200 clients who watch over REST, and the delay
//!   from the acknowledgement of a message to its delivery; the free slots of a week, of a therapist who offers only
//!   that week and of one who offers 10^4 slots, in turns.
//! - **Search**: entries of three words, which are imported straight into the tables: sealed and indexed by the same
//!   library code as in the services, in transactions of a hundred items. A therapist searches over REST: in one named
//!   client's journal of 10^3 and of 10^5 entries in turns, for a rare and a common word, which have 20 hits, and for the
//!   newest 50 of two common ones; and for the same in 200 journals of 500 entries. `tests/trace` asserts how many calls
//!   of DynamoDB that takes, and the tests of `search` how many an entry of 200 words does.
//! - **Writing with search**: adding an entry of 200 words over REST, in turns with another mesh. That one has no table
//!   of the index: its search gets the entry's text and gives up at the first call. Each entry is added when the one
//!   before is found, so that its delay from the acknowledgement to the first search that finds it is measured too.
//! - **Fronts**: the embedded gateway compared with Envoy, direct gRPC and axum handlers: see [`front`].
//! - **Attacks**: latency and failures of other callers during attacks on a front: see [`attacks`].

mod account;
mod attacks;
mod callers;
mod front;
mod journal;
mod load;
mod practice;
mod process;
mod report;
mod search;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tokio::runtime::Runtime;

use crate::attacks::AttackArgs;
use crate::callers::Callers;
use crate::front::Served;
use crate::journal::journals;
use crate::load::{latencies, latency_under, throughput};
use crate::practice::practice;
use crate::process::Mesh;
use crate::report::Report;
use crate::search::{searches, writing};

/// Result whose error ends the run.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const STARTS: usize = 5;

#[derive(Parser)]
#[command(about = "Benchmarks of the mesh", max_term_width = 110)]
struct Cli {
    /// Fail if a target is missed.
    #[arg(long)]
    check: bool,

    /// Duration of each load, in seconds.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// Measure one part only.
    #[arg(long)]
    only: Option<Part>,

    /// Instead of measuring, load each front for this long with 80 % of its peak throughput.
    #[arg(long, value_parser = humantime::parse_duration)]
    soak: Option<Duration>,

    /// Instead of measuring, run each attack on each front for this long, while others log in, read and revoke.
    #[arg(long, value_parser = humantime::parse_duration)]
    attacks: Option<Duration>,

    /// Path of the `mesh` binary (default: built from this checkout).
    #[arg(long)]
    mesh: Option<PathBuf>,

    /// Path of the `gateway` binary (default: built from this checkout).
    #[arg(long)]
    gateway: Option<PathBuf>,

    /// Run as one of the measured servers.
    #[arg(long, hide = true)]
    serve: Option<Served>,

    /// Address of the service behind this server.
    #[arg(long, hide = true)]
    before: Option<SocketAddr>,

    #[command(flatten)]
    attack_args: AttackArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The mesh.
    Mesh,
    /// Searches, and the cost of the index.
    Search,
    /// The fronts.
    Fronts,
}

// The load, and the front that the gateway is compared with, allocate as the services do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let check = cli.check;
    match run(cli) {
        Ok(report) => {
            let missed = report.print();
            if check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            report::report_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<Report> {
    let Cli { seconds, only, soak, attacks, mesh, gateway, serve, before, attack_args, .. } = cli;
    let time = Duration::from_secs(seconds);
    let mut report = Report::default();
    if attack_args.run()? {
        return Ok(report);
    }
    if let Some(what) = serve {
        Runtime::new()?.block_on(front::serve(what, before))?;
        return Ok(report);
    }
    let build = |name, told: Option<PathBuf>| told.map_or_else(|| process::build(name), Ok);
    if let Some(time) = soak {
        for front in front::soak(&build("gateway", gateway)?, time)? {
            front.report(&mut report);
        }
        return Ok(report);
    }
    let mesh = build("mesh", mesh)?;
    if let Some(time) = attacks {
        Runtime::new()?.block_on(attacks::attacks(&mesh, time, &mut report))?;
        return Ok(report);
    }
    let is_wanted = |part| only.is_none_or(|only| only == part);
    if is_wanted(Part::Mesh) {
        Runtime::new()?.block_on(measure(&mesh, time, &mut report))?;
    }
    if is_wanted(Part::Search) {
        report.searches(&Runtime::new()?.block_on(searches(&mesh, time))?);
        report.writing(&Runtime::new()?.block_on(writing(&mesh, time))?);
    }
    if is_wanted(Part::Fronts) {
        front::fronts(&build("gateway", gateway)?, &mesh, time)?.report(&mut report);
    }
    Ok(report)
}

async fn measure(binary: &Path, time: Duration, report: &mut Report) -> Result<()> {
    let data = tempfile::tempdir()?;

    let first = Mesh::start(binary, data.path()).await?;
    Callers::new(&first).await?;
    first.stop()?;
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..STARTS {
        let mesh = Mesh::start(binary, data.path()).await?;
        starts.push(mesh.ready_after);
        resident.push(mesh.resident()?);
        mesh.stop()?;
    }
    starts.sort_unstable();
    report.ready(starts[STARTS / 2]);
    report.resident(resident.into_iter().max().unwrap_or_default());

    let mesh = Mesh::start(binary, data.path()).await?;
    let callers = Callers::new(&mesh).await?;
    report.latency(&latencies(&callers, time).await?);
    report.throughput(&throughput(&callers, time).await?);
    report.logins(&latency_under(&mesh, &callers, time).await?);
    report.journals(&journals(&mesh, time).await?);
    report.practice(&practice(&mesh, time).await?);
    mesh.stop()?;
    Ok(())
}
