//! Caches the data keys of people: fetched from vault, kept briefly, wiped.
//!
//! The life of a cached key bounds the time that text stays readable after vault has destroyed its key: a key is unused
//! once its request to vault is older than [`Config::data_key_life`], except by a request under way that holds it
//! already. The system's clock measures this: setting it back lengthens a life by as much, and at most by another life
//! each time.

mod cache;
mod config;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{Context, Platform};
use dynamo::seal::SealingKey;
use kernel::{Clock, Error, Kind, Result, UserId};
use proto::vault::v1::vault_service_client::VaultServiceClient;
use proto::vault::v1::{BatchGetDataKeysRequest, BatchGetDataKeysResponse, GetDataKeyRequest, GetDataKeyResponse};
use zeroize::Zeroizing;

pub use config::Config;

use crate::cache::{Cache, FetchGuard, Lookup};

/// Maximum keys in one call of vault.
const MAX_BATCH: usize = 200;

/// Cache of this process' data keys. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    vault: Upstream,
    cache: Arc<Cache<SealingKey>>,
    clock: Arc<dyn Clock>,
}

impl Keyring {
    /// Creates an empty keyring and spawns the background task that wipes expired keys.
    #[must_use]
    pub fn new(vault: Upstream, config: &Config, platform: &Platform) -> Self {
        let cache = Arc::new(Cache::new(config.data_key_life));
        platform.tasks.spawn(cache::wipe(Arc::clone(&cache), Arc::clone(&platform.clock)));
        Self(Arc::new(Inner { vault, cache, clock: Arc::clone(&platform.clock) }))
    }

    /// Returns the key of a person, which vault makes if there was never one; none if it was destroyed.
    ///
    /// Concurrent calls for one person's key make one call of vault at a time.
    ///
    /// # Errors
    /// UNAVAILABLE or DEADLINE_EXCEEDED when vault doesn't answer and no key is held; INTERNAL.
    pub async fn key(&self, context: &Context, person: UserId) -> Result<Option<SealingKey>> {
        let Inner { vault, cache, clock } = &*self.0;
        loop {
            let lookup = tokio::time::timeout_at(context.deadline, cache.get(person, &**clock));
            let guard = match lookup.await.map_err(|_| exceeded())? {
                Ok(key) => return Ok(Some(key)),
                Err(guard) => guard,
            };
            let asked = clock.now();
            let Some(key) = fetch(vault, context, person).await? else { return Ok(None) };
            // An answer that is older than a key's life is dropped: the key may be destroyed by now.
            if cache.is_fresh(asked, clock.now()) {
                guard.insert(key.clone(), asked);
                return Ok(Some(key));
            }
        }
    }

    /// Returns the keys of several people, each as [`Keyring::key`] returns it. Destroyed keys are left out.
    ///
    /// Makes one call of vault for each 200 keys that are neither cached nor being fetched by another call.
    ///
    /// # Errors
    /// As of [`Keyring::key`].
    pub async fn keys(
        &self,
        context: &Context,
        people: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, SealingKey>> {
        let Inner { vault: _, cache, clock } = &*self.0;
        let (mut wanted, mut keys) = (people.into_iter().collect::<HashSet<_>>(), HashMap::new());
        loop {
            let mut guards = Vec::new();
            wanted.retain(|person| match cache.try_get(*person, &**clock) {
                Lookup::Cached(key) => {
                    keys.insert(*person, key);
                    false
                }
                Lookup::Vacant(guard) => {
                    guards.push((*person, guard));
                    false
                }
                Lookup::InFlight => true,
            });
            if !guards.is_empty() {
                wanted.extend(self.fetch_all(context, guards, &mut keys).await?);
                continue;
            }
            let Some(person) = wanted.iter().next().copied() else { return Ok(keys) };
            wanted.remove(&person);
            keys.extend(self.key(context, person).await?.map(|key| (person, key)));
        }
    }

    /// Fetches keys, and returns the people whose keys came so late that they may be destroyed by now.
    async fn fetch_all(
        &self,
        context: &Context,
        guards: Vec<(UserId, FetchGuard<'_, SealingKey>)>,
        keys: &mut HashMap<UserId, SealingKey>,
    ) -> Result<Vec<UserId>> {
        let Inner { vault, cache, clock } = &*self.0;
        let (mut late, mut guards) = (Vec::new(), guards.into_iter());
        loop {
            let chunk: Vec<_> = guards.by_ref().take(MAX_BATCH).collect();
            if chunk.is_empty() {
                return Ok(late);
            }
            let asked = clock.now();
            let fetched = fetch_many(vault, context, chunk.iter().map(|(person, _)| *person)).await?;
            for ((person, guard), key) in chunk.into_iter().zip(fetched) {
                match key {
                    Some(key) if cache.is_fresh(asked, clock.now()) => {
                        guard.insert(key.clone(), asked);
                        keys.insert(person, key);
                    }
                    Some(_) => late.push(person),
                    None => {}
                }
            }
        }
    }

    /// Removes a person's key before its life is over, because it was destroyed.
    pub fn forget(&self, person: UserId) {
        self.0.cache.forget(person);
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring")
    }
}

async fn fetch(vault: &Upstream, context: &Context, person: UserId) -> Result<Option<SealingKey>> {
    let request = GetDataKeyRequest { person_id: person.to_string() };
    let get = |transport, request| async move { VaultServiceClient::new(transport).get_data_key(request).await };
    opened(vault.call(context, request, get).await?)
}

/// Fetches the keys of these people, in their order.
async fn fetch_many(
    vault: &Upstream,
    context: &Context,
    people: impl ExactSizeIterator<Item = UserId>,
) -> Result<Vec<Option<SealingKey>>> {
    let person_ids: Vec<_> = people.map(|person| person.to_string()).collect();
    let asked = person_ids.len();
    let request = BatchGetDataKeysRequest { person_ids };
    let get = |transport, request| async move { VaultServiceClient::new(transport).batch_get_data_keys(request).await };
    let BatchGetDataKeysResponse { keys } = vault.call(context, request, get).await?;
    if keys.len() != asked {
        return Err(Error::internal("vault answered another number of data keys than it was asked for"));
    }
    keys.into_iter().map(opened).collect()
}

fn opened(answer: GetDataKeyResponse) -> Result<Option<SealingKey>> {
    let GetDataKeyResponse { destroyed, key } = answer;
    // The answer's buffers are hyper's and prost's, which wipe nothing; this copy is wiped.
    let key = Zeroizing::new(key);
    if destroyed {
        return Ok(None);
    }
    let key =
        key.as_slice().try_into().map_err(|_| Error::internal("vault answered a data key that has not 32 bytes"))?;
    SealingKey::new(key).map(Some)
}

fn exceeded() -> Error {
    Error::new(Kind::DeadlineExceeded, "DEADLINE_EXCEEDED", "the time given to the call is over")
}
