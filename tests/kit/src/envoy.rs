//! The real Envoy, configured as in production (`gateway/envoy`), in front of services that a test runs.
#![allow(clippy::expect_used, clippy::panic, reason = "a test whose front does not start has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use envoy_config::{Rate, Settings, Target, TokenRules};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Self-signed certificate of localhost for tests of TLS. Its key is public.
pub const CERTIFICATE: &str = include_str!("../tls/certificate.pem");
/// Private key of [`CERTIFICATE`].
pub const KEY: &str = include_str!("../tls/key.pem");
/// Successor of [`CERTIFICATE`], for tests of renewal.
pub const RENEWED_CERTIFICATE: &str = include_str!("../tls/renewed-certificate.pem");
/// Private key of [`RENEWED_CERTIFICATE`].
pub const RENEWED_KEY: &str = include_str!("../tls/renewed-key.pem");

/// Startup timeout of Envoy.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Services behind an Envoy.
#[derive(Debug, Clone)]
pub struct EnvoySetup {
    /// Encoded `FileDescriptorSet` that Envoy can load, such as `proto::ENVOY_DESCRIPTOR_SET`.
    pub descriptor_set: Vec<u8>,
    /// Addresses of the reachable services, by full name. Other services of the set have no route.
    pub upstreams: BTreeMap<String, SocketAddr>,
}

/// An Envoy process for one test. It ends with this value or with the test process.
#[derive(Debug)]
pub struct Envoy {
    address: SocketAddr,
    /// Address of the administration interface.
    admin: SocketAddr,
    /// Watchdog shell: kills Envoy when the pipe to it closes, even if this process is killed.
    watchdog: Child,
    _directory: TempDir,
}

impl Envoy {
    /// Starts Envoy on a free loopback port and waits until it answers. Fetches the pinned binary on first use.
    ///
    /// # Panics
    ///
    /// If the binary can't be had or Envoy refuses its configuration; the panic shows Envoy's log.
    pub async fn start(setup: EnvoySetup) -> Self {
        Self::start_with(setup, |_| ()).await
    }

    /// Starts Envoy with changes to the settings of [`settings`].
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(setup: EnvoySetup, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_edited(setup, change, |yaml| yaml).await
    }

    /// Starts Envoy with an edited configuration file: `edit` maps the rendered `envoy.yaml` to the one in use.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start), and if `envoy.yaml` is not UTF-8.
    pub async fn start_edited(
        setup: EnvoySetup,
        change: impl FnOnce(&mut Settings),
        edit: impl FnOnce(String) -> String,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let mut settings = settings(setup, directory.path());
        change(&mut settings);
        for (name, content) in settings.files().expect("the configuration renders") {
            fs::write(at(name), content).expect("the configuration is written");
        }
        let yaml = fs::read_to_string(at("envoy.yaml")).expect("the configuration is text");
        fs::write(at("envoy.yaml"), edit(yaml)).expect("the configuration is written");

        let log = fs::File::create(at("log")).expect("the log is created");
        let watchdog = Command::new("sh")
            .args(["-c", "\"$@\" & pid=$!; cat >/dev/null; kill -KILL $pid; wait $pid", "watchdog"])
            .arg(binary())
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .args(["--file-flush-interval-msec", "50", "--config-path"])
            .arg(at("envoy.yaml"))
            .arg("--admin-address-path")
            .arg(at("admin"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the log is shared"))
            .stderr(log)
            .spawn()
            .expect("a shell starts");

        let started = Instant::now();
        let (address, admin) = loop {
            if let Some(found) = listeners(&at("admin")).await {
                break found;
            }
            if started.elapsed() > START_TIMEOUT {
                panic!(
                    "Envoy is not ready after {START_TIMEOUT:?}:\n{}",
                    fs::read_to_string(at("log")).unwrap_or_default()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        Self { address, admin, watchdog, _directory: directory }
    }

    /// Returns the listen address for REST and gRPC.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the administration interface.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Returns [`address`](Self::address) as a URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        drop(self.watchdog.wait());
    }
}

/// Returns the addresses of the front's listener and of the administration interface once Envoy is ready. Both are
/// configured with port 0, so only Envoy knows them.
async fn listeners(admin: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let admin = fs::read_to_string(admin).ok()?;
    let get = async |path: &str| {
        reqwest::get(format!("http://{admin}{path}")).await.ok()?.error_for_status().ok()?.text().await.ok()
    };
    get("/ready").await?;
    let listeners: serde_json::Value = serde_json::from_str(&get("/listeners?format=json").await?).ok()?;
    let socket = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
    let front = format!("{}:{}", socket["address"].as_str()?, socket["port_value"].as_u64()?);
    Some((front.parse().ok()?, admin.parse().ok()?))
}

/// Returns the path of the pinned binary, fetched on first use by the script that the checks use too.
pub fn binary() -> PathBuf {
    let found = Command::new(format!("{ROOT}/.ci/tools")).arg("envoy").stderr(Stdio::inherit()).output();
    let found = found.expect(".ci/tools runs");
    assert!(found.status.success(), ".ci/tools could not fetch Envoy");
    PathBuf::from(String::from_utf8(found.stdout).expect("a path in UTF-8").trim_end())
}

/// Returns the settings of production, except for a free port, rate limits that no test reaches by accident, and short
/// caches and health intervals: tests rotate keys and stop services within seconds.
fn settings(setup: EnvoySetup, directory: &Path) -> Settings {
    let plenty = Rate { per_second: 100_000, burst: 100_000 };
    let domain = |service: &str| service.split('.').nth(1).expect("a package has a domain").to_owned();
    Settings {
        descriptor_set: setup.descriptor_set.into(),
        upstreams: setup.upstreams.iter().map(|(service, at)| (domain(service), (*at).into())).collect(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        admin_port: 0,
        directory: directory.display().to_string(),
        rate: plenty,
        auth_rate: plenty,
        tokens: Some(TokenRules { keys_cache: Duration::from_secs(1), ..TokenRules::default() }),
        health_interval: Duration::from_millis(250),
        ..Settings::of(Target::Local)
    }
}
