//! Master secrets, and the keys derived from them.
//!
//! A service has one secret and derives a key for each purpose (HKDF-SHA256, RFC 5869), so that a leaked key tells
//! nothing about another. Secrets rotate: the current one seals and signs, the previous ones still open and verify.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Error, Result};
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

/// The length of a secret and of a derived key, in bytes.
pub const SECRET_LEN: usize = 32;

/// A derived key. Wiped from memory when dropped.
pub type DerivedKey = Zeroizing<[u8; SECRET_LEN]>;

/// A master secret: 32 random bytes. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct Secret([u8; SECRET_LEN]);

impl Secret {
    /// A secret of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }
}

/// The text is not a secret. The message names the expected form and never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseSecretError;

impl fmt::Display for ParseSecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be 32 random bytes in base64, as `openssl rand -base64 32` prints them")
    }
}

impl std::error::Error for ParseSecretError {}

impl FromStr for Secret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> std::result::Result<Self, ParseSecretError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| ParseSecretError)?);
        <[u8; SECRET_LEN]>::try_from(bytes.as_slice()).map(Self).map_err(|_| ParseSecretError)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A master secret and its predecessors.
#[derive(Debug, Clone)]
pub struct Secrets {
    current: Secret,
    previous: Vec<Secret>,
}

impl Secrets {
    /// Combines the current secret, which seals and signs, with the previous ones, which still open and verify.
    #[must_use]
    pub const fn new(current: Secret, previous: Vec<Secret>) -> Self {
        Self { current, previous }
    }

    /// Derives the current key for a purpose, such as `"page-token"`.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn derive(&self, purpose: &str) -> Result<DerivedKey> {
        derive(&self.current, purpose)
    }

    /// Derives the keys for a purpose, the current one first.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn derive_all(&self, purpose: &str) -> Result<Vec<DerivedKey>> {
        std::iter::once(&self.current).chain(&self.previous).map(|secret| derive(secret, purpose)).collect()
    }
}

/// HKDF salt, which separates our keys from those that another product derives from the same secret.
const SALT: &[u8] = b"therapy-mesh/v1";

fn derive(secret: &Secret, purpose: &str) -> Result<DerivedKey> {
    let mut key = Zeroizing::new([0; SECRET_LEN]);
    let derived = Salt::new(HKDF_SHA256, SALT)
        .extract(&secret.0)
        .expand(&[purpose.as_bytes()], HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()));
    if derived.is_err() {
        key.zeroize();
        return Err(Error::internal("HKDF failed"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_secrets_derive_distinct_keys() {
        let secrets = Secrets::new(Secret::new([1; 32]), vec![Secret::new([2; 32])]);
        let tokens = secrets.derive_all("page-token").unwrap();
        assert_eq!(tokens.len(), 2);
        assert_ne!(tokens[0], tokens[1]);
        assert_eq!(tokens[0], secrets.derive("page-token").unwrap());
        assert_ne!(tokens[0], secrets.derive("idempotency").unwrap());
    }

    #[test]
    fn secret_is_32_base64_bytes_and_not_printed() {
        let text = STANDARD.encode([7; 32]);
        let secret: Secret = text.parse().unwrap();
        assert_eq!(secret, Secret::new([7; 32]));
        assert_eq!(format!("{:?}", Secrets::new(secret, vec![])), "Secrets { current: Secret(…), previous: [] }");
        for bad in ["", "short", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33]), &"!".repeat(44)] {
            assert_eq!(bad.parse::<Secret>(), Err(ParseSecretError), "{bad}");
        }
    }
}
