//! Seals stored text of people with AES-256-GCM (NIST SP 800-38D) under the key of one person.
//!
//! The additional data of a seal is its place: table, key of the item, attribute and version of its form. Moved to any
//! other place, it does not open.
//!
//! The key of a person also gives keys that authenticate, one for each purpose ([`SealingKey::derive`]).

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::hmac;
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
pub struct SealingKey(Arc<Keys>);

struct Keys {
    sealing: LessSafeKey,
    derivation: Prk,
}

/// A key that authenticates for one purpose (HMAC-SHA256). Wiped from memory when the last clone is dropped.
#[derive(Clone)]
pub struct MacKey(Arc<hmac::Key>);

/// HKDF salt of the keys derived from a person's data key.
const SALT: &[u8] = b"therapy-mesh/data-key/v1";

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
        let derivation = Salt::new(HKDF_SHA256, SALT).extract(bytes);
        Ok(Self(Arc::new(Keys { sealing: LessSafeKey::new(key), derivation })))
    }

    /// Derives the key of a purpose (HKDF-SHA256, RFC 5869), which tells nothing about this key or that of another
    /// purpose. A purpose is a list: `["ab", "c"]` is another one than `["a", "bc"]`.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn derive(&self, purpose: &[&[u8]]) -> Result<MacKey> {
        let info = frame(purpose.iter().copied());
        let info = [info.as_slice()];
        let key = self.0.derivation.expand(&info, hmac::HMAC_SHA256).map_err(|_| Error::internal("HKDF failed"))?;
        Ok(MacKey(Arc::new(hmac::Key::from(key))))
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
        let tag = self.0.sealing.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), place.aad(), text);
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
        let length = self.0.sealing.open_in_place(nonce, place.aad(), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

impl MacKey {
    /// Returns the MAC of a list: that of `["ab", "c"]` is another one than that of `["a", "bc"]`.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.0, &frame(parts.iter().copied())).as_ref());
        mac
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(…)")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed from the definitions of HKDF and HMAC by another program: stored MACs depend on it.
    #[test]
    fn derived_key_is_hkdf_of_salt_and_framed_purpose() {
        let key = SealingKey::new(&[7; 32]).unwrap().derive(&[b"purpose", b"one"]).unwrap();
        let expected = "64750ee5b4e806ed1a756dde7bf907d4209c101f7c5b1bcffad64032ee930cc3";
        let hex: String = key.mac(&[b"ab", b"c"]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn keys_purposes_and_messages_have_distinct_macs() {
        let (own, other) = (SealingKey::new(&[1; 32]).unwrap(), SealingKey::new(&[2; 32]).unwrap());
        let mac = |key: &SealingKey, purpose: &[&[u8]], parts: &[&[u8]]| key.derive(purpose).unwrap().mac(parts);
        let first = mac(&own, &[b"ab", b"c"], &[b"de", b"f"]);
        assert_eq!(mac(&own.clone(), &[b"ab", b"c"], &[b"de", b"f"]), first);
        assert_ne!(mac(&other, &[b"ab", b"c"], &[b"de", b"f"]), first);
        for purpose in [&[b"a".as_slice(), b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[]] {
            assert_ne!(mac(&own, purpose, &[b"de", b"f"]), first);
        }
        for message in [&[b"d".as_slice(), b"ef"][..], &[b"def"], &[b"de", b"f", b""], &[]] {
            assert_ne!(mac(&own, &[b"ab", b"c"], message), first);
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let key = SealingKey::new(&[1; 32]).unwrap();
        assert_eq!(format!("{key:?} {:?}", key.derive(&[]).unwrap()), "SealingKey(…) MacKey(…)");
    }
}
