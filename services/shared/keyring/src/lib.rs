//! The data keys of people, as services hold them: fetched from vault, kept briefly, wiped.
//!
//! How long a key is kept bounds how long text can be read after vault has destroyed its key: nothing is opened by a key
//! that vault was asked for longer ago than [`Config::data_key_life`], but for what a request under way holds already. That is
//! as long by the system's clock: one that is set back lengthens a life by as much, and at most by another life each time.

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

use crate::cache::{Cache, Looked, Place};

/// The most keys that vault gives by one call.
const MOST_AT_ONCE: usize = 200;

/// The keys that this process holds. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    vault: Upstream,
    cache: Arc<Cache<SealingKey>>,
    clock: Arc<dyn Clock>,
}

impl Keyring {
    /// A keyring that holds nothing yet, and the background task that wipes what is over.
    #[must_use]
    pub fn new(vault: Upstream, config: &Config, platform: &Platform) -> Self {
        let cache = Arc::new(Cache::new(config.data_key_life));
        platform.tasks.spawn(cache::wipe(Arc::clone(&cache), Arc::clone(&platform.clock)));
        Self(Arc::new(Inner { vault, cache, clock: Arc::clone(&platform.clock) }))
    }

    /// The key of a person, made by vault if there was never one; nothing, if it was destroyed.
    ///
    /// However many ask for a person's key at once, vault is asked by one of them at a time.
    ///
    /// # Errors
    /// UNAVAILABLE or DEADLINE_EXCEEDED when vault doesn't answer and no key is held; INTERNAL.
    pub async fn key(&self, context: &Context, person: UserId) -> Result<Option<SealingKey>> {
        let Inner { vault, cache, clock } = &*self.0;
        loop {
            let looked = tokio::time::timeout_at(context.deadline, cache.look(person, &**clock));
            let place = match looked.await.map_err(|_| exceeded())? {
                Ok(key) => return Ok(Some(key)),
                Err(place) => place,
            };
            let asked = clock.now();
            let Some(key) = fetch(vault, context, person).await? else { return Ok(None) };
            // An answer that took so long that the key may be destroyed by now is no answer.
            if cache.is_good(asked, clock.now()) {
                place.hold(key.clone(), asked);
                return Ok(Some(key));
            }
        }
    }

    /// The keys of several people, each as [`Keyring::key`] gives it. Whose key was destroyed is not in it.
    ///
    /// Vault is asked by one call for each 200 whose keys are neither held nor just being fetched by somebody else.
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
            let mut places = Vec::new();
            wanted.retain(|person| match cache.try_look(*person, &**clock) {
                Looked::Held(key) => {
                    keys.insert(*person, key);
                    false
                }
                Looked::Free(place) => {
                    places.push((*person, place));
                    false
                }
                Looked::Taken => true,
            });
            if !places.is_empty() {
                wanted.extend(self.fetch_all(context, places, &mut keys).await?);
                continue;
            }
            let Some(person) = wanted.iter().next().copied() else { return Ok(keys) };
            wanted.remove(&person);
            keys.extend(self.key(context, person).await?.map(|key| (person, key)));
        }
    }

    /// Fetches keys, and answers whose key came so late that it may be destroyed by now.
    async fn fetch_all(
        &self,
        context: &Context,
        places: Vec<(UserId, Place<'_, SealingKey>)>,
        keys: &mut HashMap<UserId, SealingKey>,
    ) -> Result<Vec<UserId>> {
        let Inner { vault, cache, clock } = &*self.0;
        let (mut late, mut places) = (Vec::new(), places.into_iter());
        loop {
            let chunk: Vec<_> = places.by_ref().take(MOST_AT_ONCE).collect();
            if chunk.is_empty() {
                return Ok(late);
            }
            let asked = clock.now();
            let fetched = fetch_many(vault, context, chunk.iter().map(|(person, _)| *person)).await?;
            for ((person, place), key) in chunk.into_iter().zip(fetched) {
                match key {
                    Some(key) if cache.is_good(asked, clock.now()) => {
                        place.hold(key.clone(), asked);
                        keys.insert(person, key);
                    }
                    Some(_) => late.push(person),
                    None => {}
                }
            }
        }
    }

    /// Lets go of a person's key before its life is over: it was destroyed.
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

/// The keys of these people, in their order.
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
    // The buffers that it came in are hyper's and prost's, which wipe nothing; this copy is ours.
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
