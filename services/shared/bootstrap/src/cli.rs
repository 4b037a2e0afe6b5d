use std::net::SocketAddr;
use std::time::Duration;

use chassis::identity::WorkloadConfig;
use chassis::server;
use clap::{Args, Parser, Subcommand};
use kernel::setting;

use crate::SecretsConfig;

/// One service of a therapy-journaling mesh, as a process of its own.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub struct Cli<C: Args> {
    #[command(subcommand)]
    pub(crate) command: Command<C>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command<C: Args> {
    /// Serves until SIGTERM or Ctrl-C, then lets the requests under way end.
    Serve(Box<Serve<C>>),

    /// Creates missing tables, and verifies existing ones.
    CreateTables(dynamo::Config),

    /// Verifies that the tables are there and as they must be.
    VerifyTables(dynamo::Config),

    /// Asks the service that runs on this machine whether it can serve, and fails if not: for a container's health
    /// check.
    Health(Health),
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Health {
    /// Address of the service.
    #[arg(long, env = "MESH_LISTEN", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,
}

const DEFAULT_LISTEN: &str = "127.0.0.1:50051";

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Serve<C: Args> {
    /// Address to listen on.
    #[arg(long, env = "MESH_LISTEN", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,

    /// Address of auth, for the keys that verify access tokens and for ending accounts. auth itself needs none.
    #[arg(long, env = "MESH_AUTH_ADDRESS", default_value = proto::registry::AUTH.address)]
    pub(crate) auth_address: String,

    /// Time that the service goes on serving after a signal to stop, while its health says NOT_SERVING: as long as a
    /// front takes to notice. None unless set.
    #[arg(long, env = "MESH_STOP_NOTICE", value_parser = setting::duration)]
    pub(crate) stop_notice: Option<Duration>,

    #[command(flatten)]
    pub(crate) secrets: SecretsConfig,

    #[command(flatten)]
    pub(crate) domain: C,

    #[command(flatten)]
    pub(crate) server: server::Config,

    #[command(flatten)]
    pub(crate) workload: WorkloadConfig,

    #[command(flatten)]
    pub(crate) dynamodb: dynamo::Config,

    #[command(flatten)]
    pub(crate) telemetry: telemetry::Config,
}
