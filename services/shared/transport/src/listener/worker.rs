//! Runs each connection, with everything that is done for it, on one worker.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle, available_parallelism};

use kernel::BoxError;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// A runtime and the service that answers there.
#[derive(Debug)]
pub struct Worker<S> {
    pub(super) runtime: Handle,
    pub(super) service: S,
    /// One more reference for each connection.
    pub(super) connections: Arc<()>,
}

impl<S> Worker<S> {
    /// Returns a worker on the runtime that runs this.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn here(service: S) -> Self {
        Self::on(Handle::current(), service)
    }

    fn on(runtime: Handle, service: S) -> Self {
        Self { runtime, service, connections: Arc::default() }
    }
}

/// Returns the worker with the fewest connections.
pub(super) fn least_busy<S>(workers: &[Worker<S>]) -> Option<&Worker<S>> {
    workers.iter().min_by_key(|worker| Arc::strong_count(&worker.connections))
}

/// Pool of one thread for each core, each with a runtime of its own: work for a request never waits for another thread
/// to wake up, which costs more than the work of a front.
#[derive(Debug)]
pub struct WorkerPool {
    runtimes: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    end: CancellationToken,
}

impl WorkerPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn start(name: &str) -> io::Result<Self> {
        let mut pool = Self { runtimes: Vec::new(), threads: Vec::new(), end: CancellationToken::new() };
        for number in 0..available_parallelism()?.get() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            pool.runtimes.push(runtime.handle().clone());
            let end = pool.end.clone();
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            pool.threads.push(thread.spawn(move || runtime.block_on(end.cancelled()))?);
        }
        Ok(pool)
    }

    /// Returns a worker on each thread, with a service that is made there: so its connections to others are that
    /// thread's too.
    ///
    /// # Errors
    /// If a service can't be made.
    pub fn workers<S>(&self, service: impl Fn() -> Result<S, BoxError>) -> Result<Vec<Worker<S>>, BoxError> {
        let worker = |runtime: &Handle| {
            let _here = runtime.enter();
            Ok(Worker::on(runtime.clone(), service()?))
        };
        self.runtimes.iter().map(worker).collect()
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.end.cancel();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}
