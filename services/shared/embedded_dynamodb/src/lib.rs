//! Embeds DynamoDB: dynoxide behind a loopback listener that requires an access key, on a thread of its own.
//!
//! For a laptop and for tests. It speaks DynamoDB's protocol over HTTP, so that every service talks to it through the
//! AWS SDK as it talks to AWS. It answers only callers with the access key ID of this start ([`Engine::access_key`]),
//! which its owner finds in the data directory ([`access_key`]); it listens on 127.0.0.1 only.

mod admission;
mod capacity;
mod key;
mod operations;
mod server;
mod store;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use kernel::Entropy;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

pub use key::access_key;
pub use store::EraseError;

use crate::key::AccessKey;
use crate::server::{Server, listen};
use crate::store::Store;

/// Storage of the items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// A file in this directory, which is created if it is missing. Acknowledged writes survive a power failure.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Maximum size of the file in bytes. Without it the disk alone bounds it. A file that is larger takes no more.
        limit: Option<u64>,
    },
    /// Memory: the items are gone when the engine stops.
    Memory,
}

/// Reason why the engine does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process uses the data.
    #[error("the data directory {} is in use by another process; stop that one", .0.display())]
    InUse(PathBuf),
    /// The data can't be read or written.
    #[error("the data directory {} can't be used; make it a directory that you may write to", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The file is there but can't be opened.
    #[error("the data in {path} can't be opened: {1}; if it was damaged, restore a copy or remove the file", path = .0.display())]
    Open(PathBuf, String),
    /// The port can't be bound.
    #[error("the embedded DynamoDB can't listen on port {0}")]
    Port(u16, #[source] io::Error),
    /// The operating system gives no thread.
    #[error("the operating system gives the embedded DynamoDB no thread")]
    Thread(#[source] io::Error),
    /// The thread ended before it was ready.
    #[error("the embedded DynamoDB ended while it started; the log says why")]
    Ended,
}

/// The engine did not end in time, or not well: requests were under way or the server failed.
#[derive(Debug, thiserror::Error)]
#[error("the embedded DynamoDB did not stop well: {0}")]
pub struct StopError(String);

/// A running engine. It stops when dropped; [`stop`](Self::stop) lets requests end first.
pub struct Engine {
    address: SocketAddr,
    key: AccessKey,
    store: Weak<Store>,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<Result<(), StopError>>,
}

/// Overwrites what was deleted from a running engine. Cheap to clone.
#[derive(Clone)]
pub struct Eraser(Weak<Store>);

/// Tells whether a running engine has space. Cheap to clone.
#[derive(Clone)]
pub struct Space(Weak<Store>);

/// Interval between deletions of expired items.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Worker threads, which parse and answer requests; SQLite runs on one at a time.
const WORKERS: usize = 2;

const DATABASE_FILE: &str = "dynamodb.sqlite";

/// Returns true if a directory holds the items of an engine.
#[must_use]
pub fn has_data(directory: &Path) -> bool {
    directory.join(DATABASE_FILE).exists()
}

impl Engine {
    /// Starts an engine on 127.0.0.1 and waits until it listens. Port 0 is any that is free.
    ///
    /// # Errors
    /// [`StartError`], each with its remedy.
    pub async fn start(storage: Storage, port: u16, entropy: &dyn Entropy) -> Result<Self, StartError> {
        let key = AccessKey::generate(entropy);
        let (ready, started) = oneshot::channel();
        let (stop, stopping) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        let expected = key.clone();
        let run = move || match Opened::new(&storage, port, expected) {
            Ok((opened, address)) => {
                if ready.send(Ok((address, Arc::downgrade(&opened.store)))).is_ok() {
                    // A dropped engine has no receiver of the outcome.
                    let _ = done.send(opened.serve(stopping));
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        };
        thread::Builder::new().name("dynamodb".to_owned()).spawn(run).map_err(StartError::Thread)?;
        let (address, store) = started.await.map_err(|_| StartError::Ended)??;
        Ok(Self { address, key, store, stop, stopped })
    }

    /// Returns the address for the SDK, such as `http://127.0.0.1:8000`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the access key ID that callers send, in an SDK's credentials or in `Authorization`.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.key.as_str()
    }

    /// Returns the handle that overwrites deleted content.
    #[must_use]
    pub fn eraser(&self) -> Eraser {
        Eraser(Weak::clone(&self.store))
    }

    /// Returns the handle that tells whether there is space.
    #[must_use]
    pub fn space(&self) -> Space {
        Space(Weak::clone(&self.store))
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

impl Eraser {
    /// Overwrites what was deleted before the call: no file holds it when this returns.
    ///
    /// # Errors
    /// [`EraseError`] when the files can't be written. Deleted content of a stopped engine is overwritten at its next
    /// start.
    pub async fn erase(&self) -> Result<(), EraseError> {
        let Some(store) = self.0.upgrade() else { return Ok(()) };
        spawn_blocking(move || store.erase()).await?
    }
}

impl Space {
    /// Returns false from a write that failed for lack of space until there is some again, on the disk and up to the
    /// limit.
    pub async fn is_left(&self) -> bool {
        let Some(store) = self.0.upgrade() else { return true };
        if !store.is_full() {
            return true;
        }
        spawn_blocking(move || !store.is_still_full()).await.unwrap_or(true)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("address", &self.address).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Eraser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eraser").finish_non_exhaustive()
    }
}

/// The resources that an engine acquires before the first request.
struct Opened {
    runtime: Runtime,
    listener: TcpListener,
    store: Arc<Store>,
    key: AccessKey,
    directory: Option<PathBuf>,
}

impl Opened {
    fn new(storage: &Storage, port: u16, key: AccessKey) -> Result<(Self, SocketAddr), StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("dynamodb")
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let store = Arc::new(Store::open(storage)?);
        let (listener, address) = {
            let _context = runtime.enter();
            listen(port).map_err(|error| StartError::Port(port, error))?
        };
        let directory = match storage {
            Storage::Directory { path, .. } => Some(path.clone()),
            Storage::Memory => None,
        };
        if let Some(directory) = &directory {
            key.write(directory).map_err(|error| StartError::Directory(directory.clone(), error))?;
        }
        Ok((Self { runtime, listener, store, key, directory }, address))
    }

    fn serve(self, stopping: oneshot::Receiver<()>) -> Result<(), StopError> {
        let Self { runtime, listener, store, key, directory } = self;
        let held = Arc::clone(&store);
        let outcome = runtime.block_on(async {
            let mut sweeping = JoinSet::new();
            sweeping.spawn(sweep(Arc::clone(&store)));
            let stop = async move {
                // An engine that was dropped stops too.
                let _ = stopping.await;
            };
            let outcome = Server { store, key }.serve(listener, stop).await;
            sweeping.shutdown().await;
            outcome
        });
        if let Some(error) = directory.and_then(|directory| key::remove(&directory).err()) {
            tracing::warn!(%error, "the access key of DynamoDB can't be removed");
        }
        // Ends what holds the database. With the last holder the file is closed and another process may open it.
        runtime.shutdown_timeout(Duration::from_secs(1));
        drop(held);
        outcome
    }
}

/// Deletes expired items periodically: DynamoDB does this by itself, dynoxide only on request.
async fn sweep(store: Arc<Store>) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let store = Arc::clone(&store);
        match spawn_blocking(move || store.sweep()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "expired items can't be deleted"),
            Err(_) => return,
        }
    }
}
