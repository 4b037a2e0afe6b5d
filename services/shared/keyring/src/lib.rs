//! The data keys of people, as services hold them: fetched from vault, kept briefly, wiped.
//!
//! How long a key is kept bounds how long text can be read after vault has destroyed its key: nothing is opened by a key
//! that vault was asked for longer ago than [`Config::data_key_life`], but for what a request under way holds already. That is
//! as long by the system's clock: one that is set back lengthens a life by as much, and at most by another life each time.

mod cache;
mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{Context, Platform};
use dynamo::seal::SealingKey;
use kernel::{Clock, Error, Kind, Result, UserId};
use proto::vault::v1::vault_service_client::VaultServiceClient;
use proto::vault::v1::{GetDataKeyRequest, GetDataKeyResponse};
use zeroize::Zeroizing;

pub use config::Config;

use crate::cache::Cache;

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
    let GetDataKeyResponse { destroyed, key } = vault.call(context, request, get).await?;
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
