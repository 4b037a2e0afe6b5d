//! Seals stored text of people with AES-256-GCM (NIST SP 800-38D) under the key of one person.
//!
//! The additional data of a seal is its place: table, key of the item, attribute and version of its form. Moved to any
//! other place, it does not open.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use kernel::{Entropy, Error, Result};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::frame::frame;
use crate::item::Key;
use crate::table::Table;

/// A key that seals and opens. Wiped from memory when the last clone is dropped.
///
/// Nonces are random: NIST allows 2^32 seals under one key, more than one person writes.
#[derive(Clone)]
pub struct SealingKey(Arc<LessSafeKey>);

/// The place of sealed content in the store.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table. Its prefix is no part of it, so that a table can be restored under another one.
    pub table: &'a Table,
    /// The key of the item.
    pub key: &'a Key,
    /// The attribute.
    pub attribute: &'static str,
    /// The version of the form that the content has.
    pub version: u8,
}

/// Sealed content: a binary attribute. It reveals the length of the content and nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(#[serde(with = "serde_bytes")] Vec<u8>);

impl SealingKey {
    /// Creates a key of these bytes.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn new(bytes: &[u8; 32]) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| Error::internal("AES-256-GCM refuses a key"))?;
        Ok(Self(Arc::new(LessSafeKey::new(key))))
    }

    /// Seals content for one place.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn seal(&self, place: &Place<'_>, content: &[u8], entropy: &dyn Entropy) -> Result<Sealed> {
        let nonce: [u8; NONCE_LEN] = entropy.array();
        let mut sealed = Vec::with_capacity(NONCE_LEN + content.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(content);
        let (_, text) = sealed.split_at_mut(NONCE_LEN);
        let tag = self.0.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), place.aad(), text);
        sealed.extend_from_slice(tag.map_err(|_| Error::internal("content can't be sealed"))?.as_ref());
        Ok(Sealed(sealed))
    }

    /// Opens content that was sealed for this place.
    ///
    /// # Errors
    /// INTERNAL when it was sealed for another place or with another key, or was changed since.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        self.unseal(place, sealed).ok_or_else(|| {
            Error::internal(format!("a sealed {} of {} does not open", place.attribute, place.table.def.name))
        })
    }

    fn unseal(&self, place: &Place<'_>, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.0.split_first_chunk::<NONCE_LEN>()?;
        let mut content = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, place.aad(), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

impl Place<'_> {
    fn aad(&self) -> Aad<Vec<u8>> {
        let (partition, sort) = self.key.parts();
        let version = [self.version];
        Aad::from(frame([
            self.table.def.name.as_bytes(),
            partition.as_bytes(),
            sort.as_bytes(),
            self.attribute.as_bytes(),
            version.as_slice(),
        ]))
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}
