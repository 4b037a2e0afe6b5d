use std::hash::{BuildHasher as _, Hash, RandomState};

use kernel::{Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Number of stripes: keys of the same stripe exclude each other too.
const STRIPES: usize = 1024;

/// Mutex for each key: so concurrent requests are counted like sequential ones, within one process.
pub struct KeyedMutex {
    stripes: Vec<Semaphore>,
    hasher: RandomState,
}

impl Default for KeyedMutex {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Semaphore::new(1)).collect(), hasher: RandomState::new() }
    }
}

impl KeyedMutex {
    /// Waits until nobody else holds this key. Dropping the permit releases it.
    ///
    /// # Errors
    /// INTERNAL, which is a fault of ours.
    pub async fn take(&self, key: impl Hash) -> Result<SemaphorePermit<'_>> {
        let index = usize::try_from(self.hasher.hash_one(key) % STRIPES as u64).unwrap_or_default();
        let stripe = self.stripes.get(index).ok_or_else(|| Error::internal("a key has no turn"))?;
        stripe.acquire().await.map_err(Error::internal)
    }
}

impl std::fmt::Debug for KeyedMutex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedMutex")
    }
}
