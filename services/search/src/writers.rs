//! Writes of the index that go on when whoever asked for them has hung up.
//!
//! A long text is thousands of postings, which may take longer than the delivery of an event lasts. Its write goes on,
//! and a later delivery finds it done.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::Tasks;
use kernel::{Error, Result, UserId};
use opentelemetry::trace::FutureExt as _;
use tokio::sync::oneshot;

use crate::index::DocumentId;

/// Maximum writes of one owner at a time, so that nobody's long texts hold up those of others.
const MAX_PER_OWNER: usize = 2;
/// Time for which a delivery waits for its write: less than a delivery lasts.
const PATIENCE: Duration = Duration::from_secs(3);
/// Maximum time of a write.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The writes of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writers {
    running: Running,
    tasks: Tasks,
    patience: Duration,
}

/// Documents that are being written, by their owners.
type Running = Arc<Mutex<HashMap<UserId, HashSet<DocumentId>>>>;

/// The right to write a document, until it is dropped.
struct Claim {
    running: Running,
    owner: UserId,
    document: DocumentId,
}

impl Writers {
    pub(crate) fn new(tasks: &Tasks) -> Self {
        Self { running: Running::default(), tasks: tasks.clone(), patience: PATIENCE }
    }

    /// Runs a write, and waits for a few seconds until it is done.
    ///
    /// # Errors
    /// UNAVAILABLE when the document is being written already, when its owner has too many writes under way, or when the
    /// write takes longer: it then goes on; those of the write.
    pub(crate) async fn run(
        &self,
        owner: UserId,
        document: DocumentId,
        write: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        let Some(claim) = Claim::take(&self.running, owner, document) else {
            return Err(Error::unavailable("a text of this owner is being indexed"));
        };
        let (done, outcome) = oneshot::channel();
        // The calls that it makes belong to the trace of the delivery.
        let write = write.with_current_context();
        self.tasks.spawn(async move {
            let written = tokio::time::timeout(TIMEOUT, write).await;
            drop(claim);
            // Nobody waits any more if the write took long.
            drop(done.send(written.unwrap_or_else(|_| Err(Error::unavailable("a text takes too long to index")))));
        });
        match tokio::time::timeout(self.patience, outcome).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(Error::unavailable("the process stops")),
            Err(_) => Err(Error::unavailable("a text takes long to index; that goes on")),
        }
    }
}

impl Claim {
    fn take(running: &Running, owner: UserId, document: DocumentId) -> Option<Self> {
        let mut writes = lock(running);
        let own = writes.entry(owner).or_default();
        let is_free = own.len() < MAX_PER_OWNER && own.insert(document);
        is_free.then(|| Self { running: Arc::clone(running), owner, document })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut writes = lock(&self.running);
        if let Some(own) = writes.get_mut(&self.owner) {
            own.remove(&self.document);
            if own.is_empty() {
                writes.remove(&self.owner);
            }
        }
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashMap<UserId, HashSet<DocumentId>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use kernel::Kind;

    use super::*;

    const OWNER: UserId = UserId::from_bytes([1; 16]);
    const OTHER: UserId = UserId::from_bytes([2; 16]);

    #[tokio::test]
    async fn long_write_goes_on_and_blocks_only_its_owner() {
        let writers = Writers::new(&Tasks::default());
        let impatient = Writers { patience: Duration::ZERO, ..writers.clone() };
        let (finish, finished) = oneshot::channel::<()>();
        let long = async move { finished.await.map_err(Error::internal) };
        let refused = |outcome: Result<()>| outcome.unwrap_err().kind();
        assert_eq!(refused(impatient.run(OWNER, [1; 16], long).await), Kind::Unavailable, "it takes long");
        assert_eq!(refused(writers.run(OWNER, [1; 16], async { Ok(()) }).await), Kind::Unavailable, "it goes on");
        assert_eq!(refused(impatient.run(OWNER, [2; 16], pending()).await), Kind::Unavailable);
        assert_eq!(refused(writers.run(OWNER, [3; 16], async { Ok(()) }).await), Kind::Unavailable, "too many");
        writers.run(OTHER, [1; 16], async { Ok(()) }).await.unwrap();
        finish.send(()).unwrap();
        kit::wait::until("the long write is over", async || !lock(&writers.running)[&OWNER].contains(&[1; 16])).await;
        writers.run(OWNER, [1; 16], async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn error_of_write_is_answered() {
        let writers = Writers::new(&Tasks::default());
        let failed = writers.run(OWNER, [1; 16], async { Err(Error::internal("broken")) }).await;
        assert_eq!(failed.unwrap_err().kind(), Kind::Internal);
        assert!(lock(&writers.running).is_empty());
    }
}
