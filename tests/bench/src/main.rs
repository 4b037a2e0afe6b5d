//! What the mesh costs: latency, throughput, memory, time to be ready, and what a flood of logins does to the rest.
//!
//! ```sh
//! cargo run --release -p bench            # about six minutes
//! cargo run --release -p bench -- --check # fails if a target is missed
//! ```
//!
//! The release binary `mesh` runs as a child process on a new data directory on disk, with what it is shipped with; the
//! load comes from this process, so that the server's memory and threads are its own. Both share the machine: on two cores
//! the load takes as much from the server as the server works for it, which hits every side of a ratio alike. Figures are
//! compared within one run only, and what is compared is measured in turns, so that what else the machine does hits both:
//!
//! - **Latency**: one caller, one call at a time, in turns: the raw SDK's GetItem of the profile (consistent, on the same
//!   engine), GetClient by gRPC at the service, and `GET /clients/{id}` at the front. Medians are compared, since the
//!   rest of the distribution is the machine's.
//! - **Throughput**: 32 callers without pause, in turns of a second: GetClient at the service (one HTTP/2 connection, as a
//!   service has) and `GET /clients/{id}` at the front (HTTP/1.1, a connection each, as apps have).
//! - **Start**: from the start of the process until `GET /healthz` says 200, the database file being there; the median of
//!   five. Memory is the resident set when it is idle after its first start, before any load.
//! - **Logins**: GetClient from one caller, in turns without and with 64 callers that log in without pause. The share of
//!   hashing is the CPU time of the threads named `hash` over the time that all cores had.
//! - **Journals**: one of 10^3 and one of 10^5 entries, filled over gRPC. The newest 50 of each in turns, and what DynamoDB
//!   counts for the same pages; adding an entry over REST in turns with the raw SDK's PutItem of that size; lists of 100
//!   entries, 32 callers, opened by the service in turns with the same Query by the raw SDK.
//! - **Practice**: conversations of 10^2 and of 10^5 messages, filled over gRPC, and the newest 50 of each in turns; sending
//!   over REST in turns with the raw SDK's PutItem of that size; 200 clients who watch over REST, and how long after its
//!   acknowledgement a message is there; the free slots of a week, of a therapist who offers that week and of one who
//!   offers 10^4 slots, in turns.

mod account;
mod callers;
mod journal;
mod load;
mod practice;
mod process;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::callers::Callers;
use crate::journal::journals;
use crate::load::{latencies, latency_under, throughput};
use crate::practice::practice;
use crate::process::Mesh;
use crate::report::Report;

/// What can go wrong ends the run.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const STARTS: usize = 5;

#[derive(Parser)]
#[command(about = "What the mesh costs", max_term_width = 110)]
struct Cli {
    /// Fail if a target is missed.
    #[arg(long)]
    check: bool,

    /// How long each load runs, in seconds.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// The binary to measure; that of this checkout, which is built first, unless told.
    #[arg(long)]
    mesh: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { check, seconds, mesh } = Cli::parse();
    let missed = match run(mesh, Duration::from_secs(seconds)).await {
        Ok(report) => report.print(),
        Err(error) => {
            report::complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn run(mesh: Option<PathBuf>, time: Duration) -> Result<Report> {
    let binary = mesh.map_or_else(process::build, Ok)?;
    let data = tempfile::tempdir()?;
    let mut report = Report::default();

    let first = Mesh::start(&binary, data.path()).await?;
    Callers::new(&first).await?;
    first.stop()?;
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..STARTS {
        let mesh = Mesh::start(&binary, data.path()).await?;
        starts.push(mesh.ready_after);
        resident.push(mesh.resident()?);
        mesh.stop()?;
    }
    starts.sort_unstable();
    report.ready(starts[STARTS / 2]);
    report.resident(resident.into_iter().max().unwrap_or_default());

    let mesh = Mesh::start(&binary, data.path()).await?;
    let callers = Callers::new(&mesh).await?;
    report.latency(&latencies(&callers, time).await?);
    report.throughput(&throughput(&callers, time).await?);
    report.logins(&latency_under(&mesh, &callers, time).await?);
    report.journals(&journals(&mesh, time).await?);
    report.practice(&practice(&mesh, time).await?);
    mesh.stop()?;
    Ok(report)
}
