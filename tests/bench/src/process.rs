//! The mesh as a child process, and what the kernel knows of it (proc(5)).

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

const POLL: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// A mesh that serves. It is killed when dropped.
pub(crate) struct Mesh {
    child: Child,
    /// How long it took to be ready.
    pub(crate) ready_after: Duration,
    /// The front, `http://host:port`.
    pub(crate) front: String,
    /// Where each service listens, as the mesh tells it.
    services: String,
    /// The embedded DynamoDB.
    pub(crate) dynamodb: String,
    _said: Lines<BufReader<ChildStdout>>,
}

/// Builds the binary, which then lies beside this one.
pub(crate) fn build() -> Result<PathBuf> {
    if cfg!(debug_assertions) {
        return Err("this measures release builds: cargo run --release -p bench".into());
    }
    let built = Command::new(env!("CARGO")).args(["build", "--release", "--quiet", "--package", "mesh"]).status()?;
    if built.success() {
        Ok(std::env::current_exe()?.with_file_name("mesh"))
    } else {
        Err("the mesh can't be built".into())
    }
}

impl Mesh {
    pub(crate) async fn start(binary: &Path, data: &Path) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--services-port", "0", "--dynamodb-port", "0", "--data-dir"])
            .arg(data)
            // What a mesh logs of every request is not what is measured, and would go to the terminal.
            .args(["--log", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("its output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let mut told = |name: &str| -> Result<String> {
            loop {
                let line = lines.next().ok_or("the mesh ended while it started")??;
                if let Some(value) = line.trim_start().strip_prefix(name) {
                    return Ok(value.trim().to_owned());
                }
            }
        };
        let (front, services, dynamodb) = (told("REST and gRPC")?, told("services")?, told("DynamoDB")?);
        let mut mesh = Self { child, ready_after: Duration::ZERO, front, services, dynamodb, _said: lines };
        while reqwest::get(format!("{}/healthz", mesh.front)).await?.status() != 200 {
            if started.elapsed() > PATIENCE {
                return Err("the mesh does not get ready".into());
            }
            tokio::time::sleep(POLL).await;
        }
        mesh.ready_after = started.elapsed();
        Ok(mesh)
    }

    /// A service, `http://host:port`.
    pub(crate) fn service(&self, name: &str) -> Result<String> {
        let of = |listed: &str| listed.strip_prefix(name)?.strip_prefix(' ').map(|address| format!("http://{address}"));
        self.services.split(", ").find_map(of).ok_or_else(|| format!("there is no service {name}").into())
    }

    /// The process' id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The resident set, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// How long the threads that hash passwords have run so far.
    pub(crate) fn hashing(&self) -> Result<Duration> {
        let mut ticks = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = fs::read_to_string(thread?.path().join("stat"))?;
            // The name is in parentheses, and may hold anything; utime and stime are the 12th and 13th field after it.
            let (head, rest) = stat.rsplit_once(") ").ok_or("no name")?;
            if head.ends_with("(hash") {
                let fields: Vec<&str> = rest.split(' ').collect();
                for field in fields.get(11..13).ok_or("no times")? {
                    ticks += field.parse::<u64>()?;
                }
            }
        }
        let millis = ticks * 1000 / rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis(millis))
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let ended = self.child.wait()?;
        if ended.success() { Ok(()) } else { Err(format!("the mesh did not end well: {ended}").into()) }
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
