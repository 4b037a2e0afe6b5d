use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::{self, AccessTokens, Keys, Workload, WorkloadTokens};
use chassis::{Platform, Service, SystemEntropy, config, health, server};
use clap::CommandFactory as _;
use dynamo::TableDef;
use dynamo::secret::Secrets;
use kernel::BoxError;
use tokio::net::TcpListener;

use crate::cli::{Cli, Command, Health, Serve};
use crate::{auth_keys, read_secrets, shutdown_signal};

const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
const TASKS_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time between the end of the drain and the end of the process, for settings of a termination grace period.
pub const END: Duration = FLUSH_TIMEOUT.saturating_add(TASKS_TIMEOUT);

/// A domain that has a binary of its own.
pub trait Domain {
    /// The name of the service.
    const NAME: &'static str;
    /// Its description, in one line.
    const ABOUT: &'static str;
    /// Its tables.
    const TABLES: &'static [&'static TableDef];
    /// Its own settings.
    type Config: clap::Args + Send;

    /// Builds the service, with the keys that verify access tokens if it holds them itself.
    fn build(
        config: Self::Config,
        context: ServiceContext,
    ) -> impl Future<Output = Result<(Service, Option<Keys>), BoxError>> + Send;
}

/// The dependencies of a domain.
#[derive(Debug)]
pub struct ServiceContext {
    /// DynamoDB.
    pub dynamodb: dynamo::Client,
    /// The secrets.
    pub secrets: Secrets,
    /// Settings of token verification.
    pub identity: identity::Config,
    /// The service that holds the accounts.
    pub auth: Upstream,
    /// The service's own tokens, for the calls that it makes.
    pub tokens: WorkloadTokens,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

impl ServiceContext {
    /// Returns the upstream of another service.
    ///
    /// # Errors
    /// If the address is not `http://host:port`.
    pub fn upstream(&self, address: &str) -> Result<Upstream, BoxError> {
        Upstream::new(address, self.tokens.clone(), Arc::clone(&self.platform.entropy))
    }
}

/// Checks the command line of a service's own binary: for a test of each, because clap checks it only when the process
/// starts.
///
/// # Panics
/// If two settings have one name, or the help doesn't tell the service from others.
pub fn check<D: Domain>() {
    command::<D>().debug_assert();
    let help = command::<D>().render_help().to_string();
    assert!(help.starts_with(D::ABOUT) && help.contains(&format!("Usage: {} ", D::NAME)), "{help}");
}

/// Returns the command line under the name of the service; all services share its definition.
fn command<D: Domain>() -> clap::Command {
    Cli::<D::Config>::command().name(D::NAME).about(D::ABOUT)
}

/// Connects a command that needs nothing but tables.
async fn connect(config: &dynamo::Config) -> dynamo::Client {
    config.connect(Arc::new(SystemEntropy)).await
}

/// Runs the `main` of a service's own binary.
pub async fn run<D: Domain>() -> ExitCode {
    let cli = config::read_as::<Cli<D::Config>>(command::<D>());
    let done = match cli.command {
        Command::Serve(serve) => serve_until_shutdown::<D>(*serve).await,
        Command::CreateTables(config) => tables::<D>(connect(&config).await.create_or_verify(D::TABLES).await),
        Command::Health(Health { listen }) => check_health(listen).await,
        Command::VerifyTables(config) => tables::<D>(connect(&config).await.verify(D::TABLES).await),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report_error(D::NAME, &*error);
            ExitCode::FAILURE
        }
    }
}

async fn check_health(listen: SocketAddr) -> Result<(), BoxError> {
    let asked = health::ask(&format!("http://{}", connect_address(listen))).await;
    Ok(asked.map_err(|why| format!("{why}; if the service listens elsewhere, set MESH_LISTEN or give --listen"))?)
}

/// Returns the address by which this machine reaches the listener: an unspecified address becomes loopback.
fn connect_address(listen: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = if listen.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(if listen.ip().is_unspecified() { loopback } else { listen.ip() }, listen.port())
}

fn tables<D: Domain>(looked: Result<(), dynamo::SchemaError>) -> Result<(), BoxError> {
    looked?;
    let names = D::TABLES.iter().map(|def| def.name).collect::<Vec<_>>().join(", ");
    writeln!(std::io::stdout(), "{}: the tables are as they must be: {names}", D::NAME)?;
    Ok(())
}

/// Prints the error that ends a process, and its causes, on standard error.
#[allow(clippy::print_stderr, reason = "a process that can't start says why where its operator looks")]
pub fn report_error(name: &str, error: &dyn std::error::Error) {
    eprintln!("{name}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}

async fn serve_until_shutdown<D: Domain>(serve: Serve<D::Config>) -> Result<(), BoxError> {
    let Serve { listen, auth_address, stop_notice, secrets, domain, server, workload, dynamodb, telemetry } = serve;
    let telemetry = telemetry::init(D::NAME, &telemetry)?;
    let platform = Platform::system();
    let secrets = read_secrets(&secrets.secrets_file)?;
    let dynamodb = dynamodb.connect(platform.entropy.clone()).await;
    dynamodb.verify(D::TABLES).await?;
    let workload = Workload::from_files(&workload, &platform).await?;
    let auth = Upstream::new(&auth_address, workload.tokens.clone(), Arc::clone(&platform.entropy))?;
    let identity = server.identity().clone();
    let context = ServiceContext {
        dynamodb,
        secrets,
        identity: identity.clone(),
        auth: auth.clone(),
        tokens: workload.tokens,
        platform: platform.clone(),
    };
    let (service, keys) = D::build(domain, context).await?;
    let keys = keys.unwrap_or_else(|| auth_keys(&auth, &platform));
    let people = AccessTokens::new(&identity, keys, platform.clock.clone());
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}: set MESH_LISTEN"))?;
    let shutdown = shutdown_signal()?;
    let running = server::start(service, listener, &server, people, workload.verifier).await?;
    tracing::info!(service = D::NAME, address = %running.address(), "serving");

    shutdown.await;
    if let Some(notice) = stop_notice {
        tracing::info!(?notice, "about to stop: health says so");
        running.begin_drain();
        tokio::time::sleep(notice).await;
    }
    tracing::info!("stopping: the requests under way may end");
    let drained = running.drain().await;
    let ended = platform.tasks.shutdown(TASKS_TIMEOUT).await;
    telemetry.shutdown(FLUSH_TIMEOUT).await;
    if drained && ended { Ok(()) } else { Err("some requests or tasks did not end in time".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_listen_address_maps_to_loopback() {
        for (listen, asked) in
            [("0.0.0.0:50051", "127.0.0.1:50051"), ("[::]:50051", "[::1]:50051"), ("10.1.2.3:50052", "10.1.2.3:50052")]
        {
            assert_eq!(connect_address(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[tokio::test]
    async fn health_check_without_listener_names_remedy() {
        let listen = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let message = check_health(listen).await.unwrap_err().to_string();
        assert!(message.starts_with(&format!("http://{listen} does not answer: Connection refused")), "{message}");
        assert!(message.ends_with("set MESH_LISTEN or give --listen"), "{message}");
    }
}
