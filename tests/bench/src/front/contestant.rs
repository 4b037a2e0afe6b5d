//! The measured processes and their cores.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kit::envoy::{Envoy, EnvoySetup};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::upstream::LENGTH;
use super::work::{Target, new_entry};
use crate::Result;
use crate::account::Account;
use crate::process::{Mesh, cpu_time, descendant, resident};

const TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);
/// Key set that the gateway needs to start. Nothing is verified with it here.
const KEYS: &str =
    r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// Health check interval of Envoy, as in production.
const HEALTH_INTERVAL: Duration = Duration::from_secs(2);
const WORKLOAD_TOKEN_LENGTH: usize = 320;

/// CPU sets of the processes.
#[derive(Debug)]
pub(crate) struct Cores {
    /// Cores of the measured process.
    contestant: CpuSet,
    /// Cores of everything else, including this thread.
    load: CpuSet,
}

impl Cores {
    /// Gives the contestant its own core; everything else shares another.
    pub(super) fn apart() -> Result<Self> {
        let [contestant, load] = two()?.map(|core| set(&[core]));
        Self { contestant, load }.begin()
    }

    /// Lets all share two cores.
    pub(super) fn together() -> Result<Self> {
        let both = set(&two()?);
        Self { contestant: both, load: both }.begin()
    }

    fn begin(self) -> Result<Self> {
        sched_setaffinity(None, &self.load)?;
        Ok(self)
    }

    /// Builds a runtime with a thread for each core of the load.
    pub(super) fn runtime(&self) -> Result<Runtime> {
        let mut runtime = match self.load.count() {
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        Ok(runtime.worker_threads(self.load.count() as usize).enable_all().build()?)
    }

    pub(super) const fn contestant(&self) -> CpuSet {
        self.contestant
    }

    pub(super) const fn load(&self) -> CpuSet {
        self.load
    }

    /// Starts a process on these cores: it inherits them from the thread that starts it.
    fn spawn(&self, on: CpuSet, command: &mut Command) -> Result<Process> {
        sched_setaffinity(None, &on)?;
        let child = command.stdin(Stdio::null()).spawn();
        sched_setaffinity(None, &self.load)?;
        Ok(Process(child?))
    }
}

/// Returns the first two cores that this process may use.
fn two() -> Result<[usize; 2]> {
    static USABLE: OnceLock<Vec<usize>> = OnceLock::new();
    let may = sched_getaffinity(None)?;
    let usable = USABLE.get_or_init(|| (0..CpuSet::MAX_CPU).filter(|core| may.is_set(*core)).collect());
    usable.first_chunk().copied().ok_or_else(|| "fronts are measured on two cores".into())
}

fn set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    set
}

/// A process that is killed when dropped.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Resources of a contestant, released when the last clone is dropped.
#[derive(Debug)]
enum Parts {
    Own { _process: Process, _files: Option<TempDir> },
    Envoy { _front: Envoy },
    Mesh { _mesh: Mesh, _data: TempDir },
}

/// Protocol of the calls to a contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Rest,
    /// HTTP/2.
    Grpc,
    /// HTTP/2, all calls on one connection.
    GrpcShared,
}

/// A measured server. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) target: Arc<Target>,
    pid: u32,
    _parts: Arc<Parts>,
}

impl Contestant {
    /// Starts the tonic service.
    pub(super) fn upstream(cores: &Cores, on: CpuSet) -> Result<Self> {
        Self::own(cores, on, &["upstream"], "direct gRPC", Protocol::Grpc)
    }

    /// Starts the axum handlers without a service.
    pub(super) fn plain(cores: &Cores) -> Result<Self> {
        Self::own(cores, cores.contestant, &["plain"], "axum with no service", Protocol::Rest)
    }

    /// Starts the axum handlers in front of the service.
    pub(super) fn by_hand(cores: &Cores, upstream: &Self) -> Result<Self> {
        let before = upstream.address.to_string();
        Self::own(cores, cores.contestant, &["by-hand", "--before", &before], "axum", Protocol::Rest)
    }

    fn own(cores: &Cores, on: CpuSet, what: &[&str], name: &'static str, protocol: Protocol) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = cores.spawn(on, command.arg("--serve").args(what).stdout(Stdio::piped()))?;
        let mut said = String::new();
        BufReader::new(process.0.stdout.take().ok_or("its output is piped")?).read_line(&mut said)?;
        let (address, pid) = (said.trim().parse()?, process.0.id());
        let parts = Parts::Own { _process: process, _files: None };
        Ok(Self { name, address, protocol, target: Arc::new(Target::fixed()), pid, _parts: Arc::new(parts) })
    }

    /// Starts a whole mesh with a journal. Returns its front and its journals service.
    pub(super) async fn mesh(binary: &Path) -> Result<[Self; 2]> {
        let data = tempfile::tempdir()?;
        let mesh = Mesh::start(binary, data.path()).await?;
        let author = Account::join(&mesh, &reqwest::Client::new(), "author", "CLIENT").await?;
        let (path, entry) = (format!("/journal/{}", author.id), serde_json::from_str(&new_entry())?);
        for _ in 1..LENGTH {
            author.post(&path, &entry).await?;
        }
        let last = author.made(&path, &entry).await?;
        let entry = last["entryId"].as_str().ok_or("no entry")?.to_owned();
        let address =
            |url: &str| -> Result<SocketAddr> { Ok(url.strip_prefix("http://").ok_or("no address")?.parse()?) };
        let (front, service, pid) = (address(&mesh.front)?, address(&mesh.service("journals")?)?, mesh.id());
        let target = Arc::new(Target { client: author.id, entry, token: author.token });
        let parts = Arc::new(Parts::Mesh { _mesh: mesh, _data: data });
        let service =
            Self { name: "direct gRPC", address: service, protocol: Protocol::Grpc, target, pid, _parts: parts };
        Ok([Self { name: "embedded gateway", address: front, protocol: Protocol::Rest, ..service.clone() }, service])
    }

    /// Starts the embedded gateway as shipped.
    pub(super) async fn embedded(cores: &Cores, binary: &Path, upstream: &Self) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let at = |name: &str| files.path().join(name);
        fs::write(at("jwks.json"), KEYS)?;
        fs::write(at("token"), "a".repeat(WORKLOAD_TOKEN_LENGTH))?;
        let upstreams: Vec<_> = services()
            .filter_map(|service| Some(format!("{}=http://{}", service.split('.').nth(1)?, upstream.address)))
            .collect();
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0", "--log", "info", "--log-format", "json"]);
        command.args(["--upstreams", &upstreams.join(",")]);
        command.arg("--workload-jwks-file").arg(at("jwks.json")).arg("--workload-token-file").arg(at("token"));
        let process = cores.spawn(cores.contestant, command.stderr(File::create(at("log"))?))?;
        let started = Instant::now();
        let address = loop {
            let log = fs::read_to_string(at("log"))?;
            let told = log.split_once("\"address\":\"").and_then(|(_, rest)| rest.split('"').next());
            if let Some(address) = told {
                break address.parse()?;
            }
            if started.elapsed() > TIMEOUT {
                return Err(format!("the gateway does not start: {log}").into());
            }
            tokio::time::sleep(POLL).await;
        };
        let pid = process.0.id();
        let parts = Parts::Own { _process: process, _files: Some(files) };
        let (name, target) = ("embedded gateway", Arc::clone(&upstream.target));
        Ok(Self { name, address, protocol: Protocol::Rest, target, pid, _parts: Arc::new(parts) })
    }

    /// Starts Envoy, configured as in production, except that it leaves access tokens to the services as the embedded
    /// gateway does.
    pub(super) async fn envoy(cores: &Cores, upstream: &Self) -> Result<Self> {
        let upstreams = services().map(|service| (service.to_owned(), upstream.address)).collect();
        sched_setaffinity(None, &cores.contestant)?;
        let setup = EnvoySetup { descriptor_set: proto::ENVOY_DESCRIPTOR_SET.to_vec(), upstreams };
        let envoy = Envoy::start_with(setup, |settings| {
            settings.tokens = None;
            settings.health_interval = HEALTH_INTERVAL;
        });
        let envoy = envoy.await;
        sched_setaffinity(None, &cores.load)?;
        let pid = descendant("envoy")?;
        let address = envoy.address();
        Ok(Self {
            name: "Envoy",
            address,
            protocol: Protocol::Rest,
            target: Arc::clone(&upstream.target),
            pid,
            _parts: Arc::new(Parts::Envoy { _front: envoy }),
        })
    }

    /// Returns the same contestant with all calls on one connection.
    pub(super) fn on_one_connection(&self) -> Self {
        Self { name: "direct gRPC, one connection", protocol: Protocol::GrpcShared, ..self.clone() }
    }

    /// Returns the resident set, in bytes.
    pub(super) fn resident(&self) -> Result<u64> {
        resident(self.pid)
    }

    /// Returns the CPU time used so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu_time(self.pid)
    }
}

/// Returns the full names of the services that a front routes to.
fn services() -> impl Iterator<Item = &'static str> {
    let public = proto::RPCS.iter().filter(|rpc| !rpc.is_internal());
    let services: BTreeSet<_> = public.filter_map(|rpc| rpc.path.get(1..)?.split('/').next()).collect();
    services.into_iter()
}
