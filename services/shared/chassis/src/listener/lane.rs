//! Where connections run: each on one lane, with everything that is done for it.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle, available_parallelism};

use kernel::BoxError;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// A runtime and the service that answers there.
#[derive(Debug)]
pub struct Lane<S> {
    pub(super) runtime: Handle,
    pub(super) service: S,
    /// One more reference for each connection.
    pub(super) connections: Arc<()>,
}

impl<S> Lane<S> {
    /// A lane of the runtime that runs this.
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

/// The lane with the fewest connections.
pub(super) fn least_busy<S>(lanes: &[Lane<S>]) -> Option<&Lane<S>> {
    lanes.iter().min_by_key(|lane| Arc::strong_count(&lane.connections))
}

/// A thread for each core, each with a runtime of its own: what is done for a request never waits for another thread to
/// wake up, which costs more than the work of a front.
#[derive(Debug)]
pub struct Threads {
    runtimes: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    end: CancellationToken,
}

impl Threads {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn start(name: &str) -> io::Result<Self> {
        let mut all = Self { runtimes: Vec::new(), threads: Vec::new(), end: CancellationToken::new() };
        for number in 0..available_parallelism()?.get() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            all.runtimes.push(runtime.handle().clone());
            let end = all.end.clone();
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            all.threads.push(thread.spawn(move || runtime.block_on(end.cancelled()))?);
        }
        Ok(all)
    }

    /// A lane on each thread, with a service that is made there: so its connections to others are that thread's too.
    ///
    /// # Errors
    /// If a service can't be made.
    pub fn lanes<S>(&self, service: impl Fn() -> Result<S, BoxError>) -> Result<Vec<Lane<S>>, BoxError> {
        let lane = |runtime: &Handle| {
            let _here = runtime.enter();
            Ok(Lane::on(runtime.clone(), service()?))
        };
        self.runtimes.iter().map(lane).collect()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end.cancel();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}
