use std::fmt;

use dynamo::seal::Sealed;
use kernel::{Entropy, Error, Result};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A person's key: 32 bytes for AES-256-GCM. Wiped from memory when dropped; has no Debug.
///
/// It is on the heap, because moving a value on the stack leaves copies behind that are not wiped.
pub(crate) struct DataKey(Box<Zeroizing<[u8; 32]>>);

impl DataKey {
    /// Generates a new key.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        entropy.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl TryFrom<&[u8]> for DataKey {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        if bytes.len() != key.len() {
            return Err(Error::internal("an unwrapped data key has not 32 bytes"));
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }
}

/// Id of a key-encryption key. It reveals nothing about the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KekId(String);

impl KekId {
    pub(crate) const fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A data key as it is stored: only its key-encryption key opens it, and only for the person it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub(crate) kek: KekId,
    pub(crate) sealed: Sealed,
}
