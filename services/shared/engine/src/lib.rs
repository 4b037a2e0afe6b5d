//! The embedded DynamoDB: dynoxide on a loopback port, on a thread of its own.
//!
//! For a laptop and for tests. It speaks DynamoDB's protocol over HTTP, so that every service talks to it through the AWS
//! SDK as it talks to AWS. It answers whoever reaches the port, whatever the credentials: it listens on 127.0.0.1 only.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dynoxide::{Database, server};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Where the items are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a file in this directory, which is made if it is not there. What was acknowledged survives a power failure.
    Directory(PathBuf),
    /// Nowhere: they are gone when the engine stops.
    Memory,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process has the data.
    #[error("the data directory {} is in use by another process; stop that one, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// The data can't be read or written.
    #[error("the data directory {} can't be used; check that it is a directory you may write to", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The file is there but can't be opened.
    #[error("the data in {path} can't be opened: {1}; if it was damaged, restore a copy or remove the file", path = .0.display())]
    Open(PathBuf, String),
    /// The port can't be had.
    #[error("the engine can't listen on port {0}; choose another, or 0 for any that is free")]
    Port(u16, #[source] io::Error),
    /// The operating system gives no thread.
    #[error("the engine gets no thread")]
    Thread(#[source] io::Error),
    /// The thread ended before it was ready.
    #[error("the engine ended while it started; the log says why")]
    Ended,
}

/// The engine did not end in time, or not well: requests were under way or the server failed.
#[derive(Debug, thiserror::Error)]
#[error("the engine did not stop well: {0}")]
pub struct StopError(String);

/// A running engine. It stops when dropped; [`stop`](Self::stop) lets requests end first.
#[derive(Debug)]
pub struct Engine {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<Result<(), StopError>>,
}

/// How often expired items are deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long requests under way may take when the engine stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Requests are parsed and answered on these; SQLite runs on one at a time, whatever their number.
const WORKERS: usize = 2;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

const DATABASE_FILE: &str = "dynamodb.sqlite";
const LOCK_FILE: &str = "lock";

/// Whether a directory holds the items of an engine.
#[must_use]
pub fn has_data(directory: &Path) -> bool {
    directory.join(DATABASE_FILE).exists()
}

impl Engine {
    /// Starts an engine on 127.0.0.1 and waits until it listens. Port 0 is any that is free.
    ///
    /// # Errors
    /// [`StartError`], each with its remedy.
    pub async fn start(storage: Storage, port: u16) -> Result<Self, StartError> {
        let (ready, address) = oneshot::channel();
        let (stop, stopping) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        let run = move || match Opened::new(&storage, port) {
            Ok((opened, address)) => {
                if ready.send(Ok(address)).is_ok() {
                    // Whoever dropped the engine does not ask how it ended.
                    let _ = done.send(opened.serve(stopping));
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        };
        thread::Builder::new().name("dynamodb".to_owned()).spawn(run).map_err(StartError::Thread)?;
        let address = address.await.map_err(|_| StartError::Ended)??;
        Ok(Self { address, stop, stopped })
    }

    /// The address to give to the SDK, such as `http://127.0.0.1:8000`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops: takes no more connections, lets the requests under way end, closes the file and frees the directory.
    ///
    /// # Errors
    /// [`StopError`] when a request took longer than 5 s or the server failed.
    pub async fn stop(self) -> Result<(), StopError> {
        let _ = self.stop.send(());
        self.stopped.await.unwrap_or_else(|_| Err(StopError("its thread panicked".to_owned())))
    }
}

/// Everything that must be had before the first request.
struct Opened {
    runtime: Runtime,
    listener: TcpListener,
    database: Database,
    /// Released last: only then may another process open the file.
    lock: Option<File>,
}

impl Opened {
    fn new(storage: &Storage, port: u16) -> Result<(Self, SocketAddr), StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("dynamodb")
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (database, lock) = open(storage)?;
        let (listener, address) = {
            let _context = runtime.enter();
            listen(port).map_err(|error| StartError::Port(port, error))?
        };
        Ok((Self { runtime, listener, database, lock }, address))
    }

    fn serve(self, stopping: oneshot::Receiver<()>) -> Result<(), StopError> {
        let Self { runtime, listener, database, lock } = self;
        let outcome = runtime.block_on(async {
            let mut sweeping = JoinSet::new();
            sweeping.spawn(sweep(database.clone()));
            let (asked, mut late) = oneshot::channel::<()>();
            let shutdown = async move {
                // An engine that was dropped stops too.
                let _ = stopping.await;
                drop(asked);
            };
            let serving = server::serve_with_shutdown(listener, database, shutdown);
            tokio::pin!(serving);
            let outcome = tokio::select! {
                outcome = &mut serving => outcome,
                _ = &mut late => timeout(STOP_WITHIN, serving).await.unwrap_or_else(|_| Err("a request did not end".to_owned())),
            };
            sweeping.shutdown().await;
            outcome.map_err(StopError)
        });
        // Ends what holds the database, and with it closes the file.
        runtime.shutdown_timeout(Duration::from_secs(1));
        drop(lock);
        outcome
    }
}

/// DynamoDB deletes what is expired by itself; the engine has to be told.
async fn sweep(database: Database) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let database = database.clone();
        match spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "expired items can't be deleted"),
            Err(_) => return,
        }
    }
}

fn open(storage: &Storage) -> Result<(Database, Option<File>), StartError> {
    match storage {
        Storage::Memory => {
            let database = Database::memory();
            Ok((database.map_err(|error| StartError::Open("memory".into(), error.to_string()))?, None))
        }
        Storage::Directory(directory) => {
            let lock = lock(directory)?;
            let file = directory.join(DATABASE_FILE);
            let failed = |error: String| StartError::Open(file.clone(), error);
            let path = file.to_str().ok_or_else(|| failed("its path is not UTF-8".to_owned()))?;
            let database = Database::new(path).map_err(|error| failed(error.to_string()))?;
            Ok((database, Some(lock)))
        }
    }
}

/// Two processes with the same file would each believe what the other has changed since.
fn lock(directory: &Path) -> Result<File, StartError> {
    let failed = |error| StartError::Directory(directory.to_owned(), error);
    // The file holds what people confide.
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it; without it each answer waits for the client's delayed acknowledgement.
    socket.set_nodelay(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
