//! Writes the configuration of Envoy into a directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;
use envoy_config::{Settings, Target, Tls, Upstream};
use kernel::Origin;

/// Writes envoy.yaml, front.lua, query.lua and descriptors.pb; with a workload token workload.yaml, with TLS certificate.yaml. Start Envoy
/// with `envoy --disable-hot-restart --config-path <DIRECTORY>/envoy.yaml`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
struct Cli {
    /// What Envoy stands before.
    #[arg(long = "for", value_enum)]
    target: Target,

    /// Where to write. It is made if it is not there.
    directory: PathBuf,

    /// Where Envoy finds the files; /etc/envoy in containers and the directory itself locally, unless told.
    #[arg(long)]
    read_from: Option<String>,

    /// Where Envoy listens.
    #[arg(long)]
    listen: Option<SocketAddr>,

    /// Origins whose pages may call, such as https://app.example.org; * for any.
    #[arg(long, value_delimiter = ',')]
    cors_origins: Vec<Origin>,

    /// How many proxies of ours stand before Envoy.
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
}

fn main() -> ExitCode {
    match write(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "a command that fails says why where it was called")]
fn complain(error: &io::Error) {
    eprintln!("envoy-config: {error}");
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn write(cli: Cli) -> io::Result<()> {
    fs::create_dir_all(&cli.directory).map_err(|error| named(&cli.directory, &error))?;
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
    settings.cors_origins = cli.cors_origins;
    settings.trusted_hops = cli.trusted_hops;
    settings.tls = cli.tls_certificate.zip(cli.tls_key).map(|(certificate, key)| Tls { certificate, key });
    settings.workload_token = cli.workload_token.or(settings.workload_token);
    settings.otlp = cli.otlp;
    for (name, content) in settings.files().map_err(io::Error::other)? {
        let path = cli.directory.join(name);
        fs::write(&path, content).map_err(|error| named(&path, &error))?;
    }
    Ok(())
}
