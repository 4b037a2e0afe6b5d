//! What can be done with a person's key.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kernel::{BoxError, Clock, Entropy, Error, UserId};

use crate::kek::{KeyEncryption, missing};
use crate::model::DataKey;
use crate::store::{Added, Store, Stored};

/// How many first keys are made at once: few, so that it takes nothing from people who wait.
const AT_ONCE: usize = 16;

/// The use cases and what they need.
///
/// Who may ask is decided by the rules beside the RPCs alone: a service that is trusted with one person's key is trusted
/// with everyone's.
pub(crate) struct Vault {
    pub(crate) store: Store,
    pub(crate) keys: Arc<dyn KeyEncryption>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// Makes sure that every stored key can be unwrapped, and notes the key-encryption key that is going to wrap.
    pub(crate) async fn prepare(&self) -> Result<(), BoxError> {
        for id in self.store.keks().await?.iter().filter(|id| !self.keys.has(id)) {
            if !self.store.wrapped_by(id, 1, None).await?.persons.is_empty() {
                return Err(missing(id).into());
            }
        }
        tracing::debug!(key_encryption_key = %self.keys.current(), "new data keys are wrapped by it");
        Ok(self.store.note_kek(self.keys.current(), self.clock.now()).await?)
    }

    /// A person's key, made if there was never one; nothing, if it was destroyed.
    pub(crate) async fn key(&self, person: UserId) -> Result<Option<DataKey>, Error> {
        match self.store.read(person).await? {
            None => self.make(person).await,
            Some(stored) => self.unwrap(stored, person).await,
        }
    }

    /// The keys of these people, in their order, each as [`Vault::key`] gives it. Those that there are cost one read for each
    /// hundred people.
    pub(crate) async fn keys(&self, persons: &[UserId]) -> Result<Vec<Option<DataKey>>, Error> {
        let stored = self.store.read_all(persons).await?;
        let found: Vec<_> = persons.iter().map(|person| (*person, stored.get(person).cloned())).collect();
        let keys = stream::iter(found).map(|(person, stored)| async move {
            match stored {
                None => self.make(person).await,
                Some(stored) => self.unwrap(stored, person).await,
            }
        });
        keys.buffered(AT_ONCE).try_collect().await
    }

    /// Destroys a person's key. It can be repeated.
    pub(crate) async fn destroy(&self, person: UserId) -> Result<(), Error> {
        self.store.destroy(person, self.clock.now()).await
    }

    /// Of many who make a person's first key at once, all get the one that was stored.
    async fn make(&self, person: UserId) -> Result<Option<DataKey>, Error> {
        let key = DataKey::generate(&*self.entropy);
        let wrapped = self.keys.wrap(&key, person).await?;
        match self.store.add(person, &wrapped, self.clock.now()).await? {
            Added::Done => Ok(Some(key)),
            Added::There(stored) => self.unwrap(stored, person).await,
        }
    }

    async fn unwrap(&self, stored: Stored, person: UserId) -> Result<Option<DataKey>, Error> {
        match stored {
            Stored::Key(wrapped) => self.keys.unwrap(&wrapped, person).await.map(Some),
            Stored::Destroyed => Ok(None),
        }
    }
}
