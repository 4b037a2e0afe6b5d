//! Computes the parts of a chain: digests (SHA-256, FIPS 180-4) and signatures (Ed25519, RFC 8032).
//!
//! Every digested or signed input begins with the name of its kind and version, and each part is preceded by its
//! length, so that different inputs never give the same bytes.
//!
//! The chain holds salted digests of personal data, not the data: once the salt is removed, the data can't be guessed
//! from the digests, and the chain still verifies.

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use dynamo::secret::Secrets;
use kernel::{ClientId, Error, Result, Timestamp};

use crate::model::{Digest, Facts, Head, Link, People, Personal};

const RECORD: &str = "therapy-mesh/audit/record/v1";
const FIELD: &str = "therapy-mesh/audit/field/v1";
const HEAD: &str = "therapy-mesh/audit/head/v1";

/// A digest of length-prefixed parts.
struct Framed(Context);

impl Framed {
    fn new(kind: &str) -> Self {
        Self(Context::new(&SHA256)).part(kind.as_bytes())
    }

    fn part(mut self, part: &[u8]) -> Self {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn digest(self) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        Digest::new(digest)
    }
}

impl People {
    /// Computes the digests for a record of this client.
    pub(crate) fn of(client: ClientId, personal: &Personal) -> Self {
        let field = |name: &str, value: &[u8]| {
            Framed::new(FIELD).part(&personal.salt).part(name.as_bytes()).part(value).digest()
        };
        Self {
            client: field("client_id", client.as_bytes()),
            therapist: field("therapist_id", personal.therapist.as_bytes()),
            entry: field("entry_id", personal.entry_id.as_bytes()),
            grant: field("grant_id", personal.grant_id.as_bytes()),
        }
    }
}

impl Facts {
    /// Computes the digest of this record at this place of a chain.
    pub(crate) fn digest(&self, seq: u64, previous: &Digest) -> Digest {
        let Self { id, time, action, entry_count, people: People { client, therapist, entry, grant } } = self;
        Framed::new(RECORD)
            .part(&seq.to_be_bytes())
            .part(previous.as_bytes())
            .part(id.as_bytes())
            .part(&time.as_nanosecond().to_be_bytes())
            .part(action.as_str().as_bytes())
            .part(&entry_count.to_be_bytes())
            .part(client.as_bytes())
            .part(therapist.as_bytes())
            .part(entry.as_bytes())
            .part(grant.as_bytes())
            .digest()
    }

    /// Returns the link of this record after another place, or after [`Digest::NONE`] for the first of a chain.
    pub(crate) fn after(&self, seq: u64, previous: Digest) -> Link {
        let seq = seq.saturating_add(1);
        Link { seq, previous, digest: self.digest(seq, &previous) }
    }
}

/// Reasons for rejecting a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// The head names a key that is not derived from the secrets.
    UnknownKey,
    /// The signature of the head is not valid for the key that it names.
    Forged,
}

/// The key pairs of heads: the first signs, all verify.
pub(crate) struct Signers(Vec<Signer>);

struct Signer {
    id: String,
    pair: Ed25519KeyPair,
}

impl Signers {
    /// Derives the key pairs from the secrets.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub(crate) fn new(secrets: &Secrets) -> Result<Self> {
        let keys = secrets.derive_all("audit/heads")?;
        keys.iter().map(|seed| Signer::new(seed.as_slice())).collect::<Result<_>>().map(Self)
    }

    /// Signs the head of a client's chain that ends with this digest.
    ///
    /// # Errors
    /// INTERNAL when there is no key.
    pub(crate) fn sign(&self, client: ClientId, seq: u64, digest: Digest, time: Timestamp) -> Result<Head> {
        let signer = self.0.first().ok_or_else(|| Error::internal("there is no key to sign heads with"))?;
        let signed = signed_digest(client, seq, &digest, time);
        let signature = signer.pair.sign(signed.as_bytes()).as_ref().to_vec();
        Ok(Head { seq, digest, time, key_id: signer.id.clone(), signature })
    }

    /// Verifies that the head was signed for this client by one of the keys.
    pub(crate) fn verify(&self, client: ClientId, head: &Head) -> std::result::Result<(), HeadError> {
        let signer = self.0.iter().find(|signer| signer.id == head.key_id).ok_or(HeadError::UnknownKey)?;
        let key = UnparsedPublicKey::new(&ED25519, signer.pair.public_key().as_ref());
        let signed = signed_digest(client, head.seq, &head.digest, head.time);
        key.verify(signed.as_bytes(), &head.signature).map_err(|_| HeadError::Forged)
    }

    /// Returns whether this is the key that signs.
    pub(crate) fn is_current(&self, key_id: &str) -> bool {
        self.0.first().is_some_and(|signer| signer.id == key_id)
    }
}

impl Signer {
    fn new(seed: &[u8]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::internal("Ed25519 refuses a seed"))?;
        let digest = aws_lc_rs::digest::digest(&SHA256, pair.public_key().as_ref());
        let id = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, pair })
    }
}

/// Computes the digest that a head's signature covers.
fn signed_digest(client: ClientId, seq: u64, digest: &Digest, time: Timestamp) -> Digest {
    Framed::new(HEAD)
        .part(client.as_bytes())
        .part(&seq.to_be_bytes())
        .part(digest.as_bytes())
        .part(&time.as_nanosecond().to_be_bytes())
        .digest()
}
