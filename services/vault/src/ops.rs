//! Use cases of data keys.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{BoxError, Clock, Entropy, Error, UserId};

use crate::kek::{KeyEncryption, missing};
use crate::model::DataKey;
use crate::store::{Added, Store, Stored};

/// Maximum first keys created concurrently: few, so that other requests aren't delayed.
const CONCURRENCY: usize = 16;

/// Use cases with their dependencies.
///
/// Authorization is up to the rules beside the RPCs alone: a service that is trusted with one person's key is trusted
/// with everyone's.
pub(crate) struct Vault {
    pub(crate) store: Store,
    pub(crate) keys: Arc<dyn KeyEncryption>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// Checks that every stored key can be unwrapped, and records the key-encryption key that will wrap.
    pub(crate) async fn prepare(&self) -> Result<(), BoxError> {
        for id in self.store.keks().await?.iter().filter(|id| !self.keys.has(id)) {
            if !self.store.wrapped_by(id, 1, None).await?.persons.is_empty() {
                return Err(missing(id).into());
            }
        }
        tracing::debug!(key_encryption_key = %self.keys.current(), "new data keys are wrapped by it");
        Ok(self.store.record_kek(self.keys.current(), self.clock.now()).await?)
    }

    /// Returns a person's key, created if there was never one; `None` if it was destroyed.
    pub(crate) async fn key(&self, person: UserId) -> Result<Option<DataKey>, Error> {
        match self.store.read(person).await? {
            None => self.create(person).await,
            Some(stored) => self.unwrap(stored, person).await,
        }
    }

    /// Returns the keys of these people, in their order, each as [`Vault::key`] does. Existing keys cost one read for
    /// each hundred people.
    pub(crate) async fn keys(&self, persons: &[UserId]) -> Result<Vec<Option<DataKey>>, Error> {
        let stored = self.store.read_all(persons).await?;
        let found: Vec<_> = persons.iter().map(|person| (*person, stored.get(person).cloned())).collect();
        let keys = stream::iter(found).map(|(person, stored)| async move {
            match stored {
                None => self.create(person).await,
                Some(stored) => self.unwrap(stored, person).await,
            }
        });
        keys.buffered(CONCURRENCY).try_collect().await
    }

    /// Destroys a person's key. Idempotent.
    pub(crate) async fn destroy(&self, person: UserId) -> Result<(), Error> {
        self.store.destroy(person, self.clock.now()).await
    }

    /// Creates a person's first key. Concurrent callers all get the one that was stored.
    async fn create(&self, person: UserId) -> Result<Option<DataKey>, Error> {
        let key = DataKey::generate(&*self.entropy);
        let wrapped = self.keys.wrap(&key, person).await?;
        match self.store.add(person, &wrapped, self.clock.now()).await? {
            Added::Done => Ok(Some(key)),
            Added::Exists(stored) => self.unwrap(stored, person).await,
        }
    }

    async fn unwrap(&self, stored: Stored, person: UserId) -> Result<Option<DataKey>, Error> {
        match stored {
            Stored::Key(wrapped) => self.keys.unwrap(&wrapped, person).await.map(Some),
            Stored::Destroyed => Ok(None),
        }
    }
}
