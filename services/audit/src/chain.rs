//! What a chain is made of: digests (SHA-256, FIPS 180-4) and signatures (Ed25519, RFC 8032).
//!
//! Everything that is digested or signed begins with the name of its kind and version, and each part is preceded by its
//! length, so that no two different things give the same bytes.
//!
//! The chain holds salted digests of what names a person, not the thing itself: with the salt removed nobody can find out
//! by trying what it was, and the chain still holds.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use dynamo::secret::Secrets;
use kernel::{ClientId, Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::model::{Facts, Head, Link, Personal};

/// How many random bytes keep the digests of a record from being found by trying.
pub(crate) const SALT_LEN: usize = 16;

const RECORD: &str = "therapy-mesh/audit/record/v1";
const FIELD: &str = "therapy-mesh/audit/field/v1";
const HEAD: &str = "therapy-mesh/audit/head/v1";

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Digest(ByteArray<32>);

impl Digest {
    /// What the first record of a chain follows.
    pub(crate) const NONE: Self = Self(ByteArray::new([0; 32]));

    fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// In hexadecimal.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Parts as one digest.
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
        Digest(ByteArray::new(digest))
    }
}

/// Salted digests of what names a person in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct People {
    pub(crate) client: Digest,
    pub(crate) therapist: Digest,
    pub(crate) entry: Digest,
    pub(crate) grant: Digest,
}

impl People {
    /// Of a record of this client.
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
    /// The digest of this record in this place of a chain.
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

    /// This record behind another place; the first of a chain behind none.
    pub(crate) fn after(&self, seq: u64, previous: Digest) -> Link {
        let seq = seq.saturating_add(1);
        Link { seq, previous, digest: self.digest(seq, &previous) }
    }
}

/// Why a head is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It names a key that is none of ours.
    UnknownKey,
    /// The signature is not that key's of this head.
    Forged,
}

/// The keys that sign heads. The first signs, all verify.
pub(crate) struct Signers(Vec<Signer>);

struct Signer {
    id: String,
    pair: Ed25519KeyPair,
}

impl Signers {
    /// The keys of these secrets.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub(crate) fn new(secrets: &Secrets) -> Result<Self> {
        let keys = secrets.derive_all("audit/heads")?;
        keys.iter().map(|seed| Signer::new(seed.as_slice())).collect::<Result<_>>().map(Self)
    }

    /// The head of a client's chain that ends with this digest.
    ///
    /// # Errors
    /// INTERNAL when there is no key.
    pub(crate) fn sign(&self, client: ClientId, seq: u64, digest: Digest, time: Timestamp) -> Result<Head> {
        let signer = self.0.first().ok_or_else(|| Error::internal("there is no key to sign heads with"))?;
        let said = said(client, seq, &digest, time);
        let signature = signer.pair.sign(said.as_bytes()).as_ref().to_vec();
        Ok(Head { seq, digest, time, key_id: signer.id.clone(), signature })
    }

    /// Whether the head is one that we signed for this client.
    pub(crate) fn judge(&self, client: ClientId, head: &Head) -> std::result::Result<(), Doubt> {
        let signer = self.0.iter().find(|signer| signer.id == head.key_id).ok_or(Doubt::UnknownKey)?;
        let key = UnparsedPublicKey::new(&ED25519, signer.pair.public_key().as_ref());
        let said = said(client, head.seq, &head.digest, head.time);
        key.verify(said.as_bytes(), &head.signature).map_err(|_| Doubt::Forged)
    }

    /// Whether this is the key that signs.
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

/// What a signature of a head is over.
fn said(client: ClientId, seq: u64, digest: &Digest, time: Timestamp) -> Digest {
    Framed::new(HEAD)
        .part(client.as_bytes())
        .part(&seq.to_be_bytes())
        .part(digest.as_bytes())
        .part(&time.as_nanosecond().to_be_bytes())
        .digest()
}
