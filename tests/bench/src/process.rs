//! The mesh as a child process, and its resource usage from proc(5).

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

const POLL: Duration = Duration::from_millis(1);
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running mesh. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Mesh {
    child: Child,
    /// Startup time.
    pub(crate) ready_after: Duration,
    /// URL of the front, `http://host:port`.
    pub(crate) front: String,
    /// Addresses of the services, as the mesh prints them.
    services: String,
    /// URL of the embedded DynamoDB.
    pub(crate) dynamodb: String,
    /// Access key ID of that DynamoDB.
    pub(crate) access_key: String,
    _said: Lines<BufReader<ChildStdout>>,
}

/// Builds the binary of this package, which is placed beside this one.
pub(crate) fn build(name: &str) -> Result<PathBuf> {
    if cfg!(debug_assertions) {
        return Err("this measures release builds: cargo run --release -p bench".into());
    }
    let built = Command::new(env!("CARGO")).args(["build", "--release", "--quiet", "--package", name]).status()?;
    if built.success() {
        Ok(std::env::current_exe()?.with_file_name(name))
    } else {
        Err(format!("{name} can't be built").into())
    }
}

impl Mesh {
    pub(crate) async fn start(binary: &Path, data: &Path) -> Result<Self> {
        Self::start_with(binary, data, &[]).await
    }

    /// Starts a mesh with additional flags.
    pub(crate) async fn start_with(binary: &Path, data: &Path, flags: &[&str]) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0", "--services-port", "0", "--dynamodb-port", "0", "--data-dir"])
            .arg(data)
            // Request logs would distort the measurement and fill the terminal.
            .env("MESH_LOG", "error")
            .args(flags)
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
        let access_key = embedded_dynamodb::access_key(data)?.ok_or("the engine has an access key")?;
        let ready_after = Duration::ZERO;
        let mut mesh = Self { child, ready_after, front, services, dynamodb, access_key, _said: lines };
        while reqwest::get(format!("{}/healthz", mesh.front)).await?.status() != 200 {
            if started.elapsed() > TIMEOUT {
                return Err("the mesh does not get ready".into());
            }
            tokio::time::sleep(POLL).await;
        }
        mesh.ready_after = started.elapsed();
        Ok(mesh)
    }

    /// Returns the URL of a service, `http://host:port`.
    pub(crate) fn service(&self, name: &str) -> Result<String> {
        let of = |listed: &str| listed.strip_prefix(name)?.strip_prefix(' ').map(|address| format!("http://{address}"));
        self.services.split(", ").find_map(of).ok_or_else(|| format!("there is no service {name}").into())
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the resident set, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        resident(self.child.id())
    }

    /// Returns the CPU time of the threads that hash passwords.
    pub(crate) fn hashing(&self) -> Result<Duration> {
        let mut hashed = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let Stat { name, cpu, .. } = stat(&thread?.path())?;
            if name == "hash" {
                hashed += cpu;
            }
        }
        Ok(hashed)
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

/// Parsed `stat` file of a process or a thread.
struct Stat {
    name: String,
    parent: u32,
    cpu: Duration,
}

fn stat(directory: &Path) -> Result<Stat> {
    let stat = fs::read_to_string(directory.join("stat"))?;
    // The name is in parentheses, and may hold anything; the parent is the second field after it, utime and stime are
    // the 12th and 13th.
    let (head, rest) = stat.rsplit_once(") ").ok_or("no name")?;
    let (_, name) = head.split_once('(').ok_or("no name")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let mut ticks = 0;
    for field in fields.get(11..13).ok_or("no times")? {
        ticks += field.parse::<u64>()?;
    }
    let cpu = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second());
    Ok(Stat { name: name.to_owned(), parent: fields.get(1).ok_or("no parent")?.parse()?, cpu })
}

fn of(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// Returns the CPU time of all threads of a process.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    Ok(stat(&of(pid))?.cpu)
}

/// Returns the resident set of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(of(pid).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Returns a descendant of this process whose name has this prefix.
pub(crate) fn descendant(name: &str) -> Result<u32> {
    let own = std::process::id();
    for process in fs::read_dir("/proc")? {
        let path = process?.path();
        let pid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let (Some(pid), Ok(found)) = (pid, stat(&path)) else { continue };
        let mut above = found.parent;
        while found.name.starts_with(name) && above > 1 {
            if above == own {
                return Ok(pid);
            }
            above = stat(&of(above))?.parent;
        }
    }
    Err(format!("no {name} runs").into())
}
