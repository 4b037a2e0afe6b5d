//! The process of the embedded gateway.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use chassis::identity::{Workload, WorkloadConfig};
use chassis::{Platform, config};
use clap::Parser;
use gateway::{FrontServer, ServerSetup, UpstreamAddress};
use ipnet::IpNet;
use kernel::BoxError;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use transport::listener;

const NAME: &str = "gateway";
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
const TASKS_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves REST, and gRPC on the same port, in front of the services of the mesh.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
struct Cli {
    /// Address to listen on.
    #[arg(long, env = "MESH_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Addresses of the services: name=http://host:port, separated by commas.
    #[arg(long, env = "MESH_UPSTREAMS", value_delimiter = ',', required = true)]
    upstreams: Vec<UpstreamAddress>,

    /// Networks whose `x-forwarded-for` is trusted, such as 10.0.0.0/8.
    #[arg(long, env = "MESH_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<IpNet>,

    #[command(flatten)]
    front: gateway::Config,

    #[command(flatten)]
    connections: listener::Config,

    #[command(flatten)]
    workload: WorkloadConfig,

    #[command(flatten)]
    telemetry: telemetry::Config,
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// Requests run on threads of their own.
#[tokio::main(worker_threads = 1)]
async fn main() -> ExitCode {
    match run(config::read::<Cli>()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report_error(&*error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "a process that can't start says why where its operator looks")]
fn report_error(error: &(dyn std::error::Error + 'static)) {
    eprintln!("{NAME}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}

async fn run(cli: Cli) -> Result<(), BoxError> {
    let hosts = cli.front.hosts_at(cli.listen)?;
    let telemetry = telemetry::init(NAME, &cli.telemetry)?;
    let platform = Platform::system();
    let tokens = Workload::from_files(&cli.workload, &platform).await?.tokens;
    let stop = CancellationToken::new();
    let front = FrontServer::new(ServerSetup {
        upstreams: cli.upstreams,
        tokens,
        trusted_proxies: cli.trusted_proxies,
        hosts,
        config: cli.front,
        connections: cli.connections,
        stop: stop.clone(),
    })?;

    let listener = TcpListener::bind(cli.listen).await.map_err(|error| format!("{}: {error}", cli.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown_signal = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    };
    let (drained, ()) = tokio::join!(front.serve(listener), shutdown_signal);
    let ended = platform.tasks.shutdown(TASKS_TIMEOUT).await;
    telemetry.shutdown(FLUSH_TIMEOUT).await;
    if drained && ended { Ok(()) } else { Err("requests were cut off: they took longer than the drain timeout".into()) }
}
