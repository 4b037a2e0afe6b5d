use std::hash::{BuildHasher as _, Hash, RandomState};

use kernel::{Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many have a turn at once, more or less: some share one.
const TURNS: usize = 1024;

/// One at a time for each key: so requests at once are counted like requests one after the other, within one process.
pub struct Turns {
    turns: Vec<Semaphore>,
    stripes: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self { turns: (0..TURNS).map(|_| Semaphore::new(1)).collect(), stripes: RandomState::new() }
    }
}

impl Turns {
    /// Waits until nobody else has the turn of this key. It ends when the permit is dropped.
    ///
    /// # Errors
    /// INTERNAL, which is a fault of ours.
    pub async fn take(&self, key: impl Hash) -> Result<SemaphorePermit<'_>> {
        let stripe = usize::try_from(self.stripes.hash_one(key) % TURNS as u64).unwrap_or_default();
        let turn = self.turns.get(stripe).ok_or_else(|| Error::internal("a key has no turn"))?;
        turn.acquire().await.map_err(Error::internal)
    }
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turns")
    }
}
