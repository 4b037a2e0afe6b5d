//! Writes the configuration of Envoy into a directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io, mem};

use clap::{Parser, value_parser};
use envoy_config::{MAX_BODY, Rate, Settings, Target, Tls, Upstream};
use front_settings::{HostPattern, Origin};

/// Writes envoy.yaml, front.lua, query.lua and descriptors.pb; with a workload token workload.yaml, with TLS certificate.yaml.
/// Start Envoy with `envoy --disable-hot-restart --config-path <DIRECTORY>/envoy.yaml`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
struct Cli {
    /// Deployment that Envoy is the front of.
    #[arg(long = "for", value_enum)]
    target: Target,

    /// Directory to write to. It is created if absent.
    directory: PathBuf,

    /// Directory where Envoy finds the files. Default: /etc/envoy in containers, the directory itself locally.
    #[arg(long)]
    read_from: Option<String>,

    /// Address that Envoy listens on.
    #[arg(long)]
    listen: Option<SocketAddr>,

    /// Hosts that Envoy answers to, such as api.example.org or *.example.org, with a port where only that one counts. Default:
    /// localhost and its like, and in containers the name within the cluster; on loopback, localhost always.
    #[arg(long, value_delimiter = ',')]
    hosts: Vec<HostPattern>,

    /// Origins whose pages may call, such as https://app.example.org, or http://localhost:* for every port of a host; *
    /// for any.
    #[arg(long, value_delimiter = ',')]
    cors_origins: Vec<Origin>,

    /// Number of our own proxies before Envoy.
    #[arg(long, default_value_t = 0)]
    trusted_hops: u32,

    /// The file with the certificate, in PEM, as Envoy sees it.
    #[arg(long, requires = "tls_key")]
    tls_certificate: Option<String>,

    /// The file with its key.
    #[arg(long, requires = "tls_certificate")]
    tls_key: Option<String>,

    /// The file with Envoy's own workload token, as Envoy sees it.
    #[arg(long)]
    workload_token: Option<String>,

    /// A collector of traces by OTLP/gRPC, as host:port.
    #[arg(long)]
    otlp: Option<Upstream>,

    /// Maximum concurrent connections of all sources together: Envoy doesn't count them by source.
    #[arg(long, value_parser = value_parser!(u32).range(1..), default_value_t = 10_000)]
    max_connections: u32,

    /// Rate limit of one source: requests a second, and requests at once. Default: 200:2000. A /56 of IPv6 may send four
    /// times as much as the /64 that is a source, a /48 sixteen times.
    #[arg(long, value_name = "RATE:BURST")]
    rate: Option<Rate>,

    /// Additional rate limit of one source for auth. Default: 5:100.
    #[arg(long, value_name = "RATE:BURST")]
    auth_rate: Option<Rate>,

    /// The largest body of a request, in bytes: at most what services take, which is the default.
    #[arg(long, value_parser = value_parser!(u32).range(1..=i64::from(MAX_BODY)), default_value_t = MAX_BODY)]
    max_body: u32,

    /// The issuer (`iss`) of access tokens: the services' MESH_TOKEN_ISSUER. Default: therapy-mesh.
    #[arg(long)]
    token_issuer: Option<String>,

    /// The audience (`aud`) of access tokens: the services' MESH_TOKEN_AUDIENCE. Default: therapy-mesh-api.
    #[arg(long)]
    token_audience: Option<String>,

    /// Interval of the health checks of each replica. Default: 2s. A replica that stops should report it for three times as
    /// long: the services' MESH_STOP_NOTICE.
    #[arg(long, value_parser = interval)]
    health_interval: Option<Duration>,
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than nothing, such as 2s".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

fn main() -> ExitCode {
    match write(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report_error(&error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "a command that fails says why where it was called")]
fn report_error(error: &io::Error) {
    eprintln!("envoy-config: {error}");
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn write(cli: Cli) -> io::Result<()> {
    let directory = cli.directory.clone();
    fs::create_dir_all(&directory).map_err(|error| named(&directory, &error))?;
    for (name, content) in settings(cli)?.files().map_err(io::Error::other)? {
        let path = directory.join(name);
        fs::write(&path, content).map_err(|error| named(&path, &error))?;
    }
    Ok(())
}

fn settings(cli: Cli) -> io::Result<Settings> {
    let mut settings = Settings::of(cli.target);
    settings.directory = match cli.read_from {
        Some(directory) => directory,
        None if cli.target == Target::Local => {
            let whole = fs::canonicalize(&cli.directory).map_err(|error| named(&cli.directory, &error))?;
            whole.display().to_string()
        }
        None => settings.directory,
    };
    settings.listen = cli.listen.unwrap_or(settings.listen);
    if !cli.hosts.is_empty() {
        settings.hosts = cli.hosts;
    }
    settings.cors_origins = cli.cors_origins.into_iter().filter(|origin| !origin.is_none()).collect();
    settings.max_connections = cli.max_connections;
    settings.trusted_hops = cli.trusted_hops;
    settings.tls = cli.tls_certificate.zip(cli.tls_key).map(|(certificate, key)| Tls { certificate, key });
    settings.workload_token = cli.workload_token.or(settings.workload_token);
    settings.otlp = cli.otlp;
    settings.max_body = cli.max_body;
    settings.rate = cli.rate.unwrap_or(settings.rate);
    settings.auth_rate = cli.auth_rate.unwrap_or(settings.auth_rate);
    settings.health_interval = cli.health_interval.unwrap_or(settings.health_interval);
    if let Some(tokens) = &mut settings.tokens {
        tokens.issuer = cli.token_issuer.unwrap_or_else(|| mem::take(&mut tokens.issuer));
        tokens.audience = cli.token_audience.unwrap_or_else(|| mem::take(&mut tokens.audience));
    }
    Ok(settings)
}
