//! Key-encryption keys, which wrap data keys.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dynamo::Table;
use dynamo::seal::{Place, SealingKey};
use dynamo::secret::Secrets;
use kernel::{Entropy, Error, Result, UserId};

use crate::model::{DataKey, KekId, Wrapped};
use crate::store::{WRAPPED, key_of};

/// Provider that wraps and unwraps data keys. The key-encryption keys themselves never leave it.
///
/// A wrapped key is bound to the table and to the person: moved to another person's item, it does not unwrap.
#[tonic::async_trait]
pub(crate) trait KeyEncryption: Send + Sync {
    /// Returns the id of the key-encryption key that wraps.
    fn current(&self) -> &KekId;

    /// Returns whether data keys that this key-encryption key wrapped can be unwrapped.
    fn has(&self, id: &KekId) -> bool;

    /// Wraps a person's key by the current key-encryption key.
    async fn wrap(&self, key: &DataKey, person: UserId) -> Result<Wrapped>;

    /// Unwraps a person's key.
    ///
    /// # Errors
    /// INTERNAL when the key-encryption key is missing, or the key was wrapped for another person or changed since.
    async fn unwrap(&self, wrapped: &Wrapped, person: UserId) -> Result<DataKey>;
}

/// Derivation purpose of the ids of key-encryption keys.
const ID: &str = "vault/key-encryption-key/id";
/// Derivation purpose of the keys that wrap.
const WRAP: &str = "vault/key-encryption-key/wrap";
/// Bytes of a derived id: enough that no two keys ever share one.
const ID_LEN: usize = 12;
/// Version of the format of wrapped keys.
const VERSION: u8 = 1;

/// Key-encryption keys from a file, in the memory of this process.
pub(crate) struct LocalKeys {
    current: LocalKey,
    previous: Vec<LocalKey>,
    table: Table,
    entropy: Arc<dyn Entropy>,
}

struct LocalKey {
    id: KekId,
    sealer: SealingKey,
}

impl LocalKeys {
    pub(crate) fn new(secrets: &Secrets, table: Table, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let (ids, sealers) = (secrets.derive_all(ID)?, secrets.derive_all(WRAP)?);
        let keys = ids.iter().zip(&sealers).map(|(id, sealer)| {
            let id = KekId::new(URL_SAFE_NO_PAD.encode(&id[..ID_LEN]));
            Ok(LocalKey { id, sealer: SealingKey::new(sealer)? })
        });
        let mut keys = keys.collect::<Result<Vec<_>>>()?.into_iter();
        let current = keys.next().ok_or_else(|| Error::internal("there is no key-encryption key"))?;
        Ok(Self { current, previous: keys.collect(), table, entropy })
    }

    fn find(&self, id: &KekId) -> Option<&LocalKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == *id)
    }
}

#[tonic::async_trait]
impl KeyEncryption for LocalKeys {
    fn current(&self) -> &KekId {
        &self.current.id
    }

    fn has(&self, id: &KekId) -> bool {
        self.find(id).is_some()
    }

    async fn wrap(&self, key: &DataKey, person: UserId) -> Result<Wrapped> {
        let item = key_of(person);
        let place = Place { table: &self.table, key: &item, attribute: WRAPPED, version: VERSION };
        let sealed = self.current.sealer.seal(&place, key.as_bytes(), &*self.entropy)?;
        Ok(Wrapped { kek: self.current.id.clone(), sealed })
    }

    async fn unwrap(&self, wrapped: &Wrapped, person: UserId) -> Result<DataKey> {
        let Some(key) = self.find(&wrapped.kek) else {
            return Err(Error::internal(missing(&wrapped.kek)));
        };
        let item = key_of(person);
        let place = Place { table: &self.table, key: &item, attribute: WRAPPED, version: VERSION };
        let opened = key.sealer.open(&place, &wrapped.sealed).map_err(|error| {
            let what = format!("a stored data key is damaged or another person's: {} does not unwrap it", wrapped.kek);
            Error::internal(what).caused_by(error)
        })?;
        DataKey::try_from(opened.as_slice())
    }
}

/// Returns the error message for a missing key-encryption key, with its remedy.
pub(crate) fn missing(id: &KekId) -> String {
    format!(
        "data keys are wrapped by the key-encryption key {id}, which MESH_KEY_ENCRYPTION_KEYS_FILE does not hold: put \
         its line back below the first, and keep it there until `rewrap-keys` finds nothing more to do"
    )
}
