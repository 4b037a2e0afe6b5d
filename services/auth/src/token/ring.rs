use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::identity::KeySet;
use dynamo::secret::Secrets;
use jsonwebtoken::EncodingKey;
use kernel::{Clock, Entropy, Error, Result, Timestamp};
use tokio::sync::{Semaphore, watch};
use zeroize::Zeroizing;

use crate::store::{KeyRecord, Store};

const PURPOSE: &str = "auth/signing-keys";
const NONCE: usize = 12;
/// Maximum age of the cached keys: another replica may have made one.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum time that a key is published before it signs. Verifiers look for new keys every five minutes.
const LEAD: Duration = Duration::from_secs(24 * 3600);
/// Time that a key stays published after the last token that it may have signed has expired.
const SLACK: Duration = Duration::from_secs(3600);

/// Keys that sign access tokens: made here, stored with their private half sealed, and replaced by the clock.
///
/// Replicas agree by the table: a key has a number, and only one of them can store the next.
#[derive(Clone)]
pub(crate) struct SigningKeys(Arc<Inner>);

struct Inner {
    store: Store,
    sealers: Vec<RandomizedNonceKey>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    period: Duration,
    token_life: Duration,
    ring: watch::Sender<Arc<Ring>>,
    verifiers: watch::Sender<Arc<KeySet>>,
    /// Lock of the read from the table.
    reading: Semaphore,
}

#[derive(Default)]
struct Ring {
    keys: Vec<Arc<SigningKey>>,
    read_at: Timestamp,
}

/// An opened signing key.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
    public: String,
    active_from: Timestamp,
}

/// Public half of a signing key.
pub(crate) struct PublicKey {
    pub(crate) kid: String,
    /// The point, base64url (RFC 8037).
    pub(crate) x: String,
}

impl SigningKeys {
    pub(crate) fn new(
        store: Store,
        secrets: &Secrets,
        config: &crate::Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self> {
        let keys = secrets.derive_all(PURPOSE)?;
        let sealers = keys.iter().map(|key| RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()));
        Ok(Self(Arc::new(Inner {
            store,
            sealers: sealers.collect::<std::result::Result<_, _>>().map_err(Error::internal)?,
            clock,
            entropy,
            period: config.signing_key_period,
            token_life: config.access_token_life,
            ring: watch::Sender::default(),
            verifiers: watch::Sender::default(),
            reading: Semaphore::new(1),
        })))
    }

    /// Returns the keys that verify these tokens, for auth's own layers.
    pub(crate) fn verifiers(&self) -> watch::Receiver<Arc<KeySet>> {
        self.0.verifiers.subscribe()
    }

    /// Returns the key that signs now.
    pub(crate) async fn signer(&self) -> Result<Arc<SigningKey>> {
        let (ring, now) = (self.ring().await?, self.0.clock.now());
        let active = ring.keys.iter().rev().find(|key| key.active_from <= now).or(ring.keys.first());
        active.cloned().ok_or_else(|| Error::internal("there is no signing key"))
    }

    /// Returns every key that a valid token may be signed with, now or soon.
    pub(crate) async fn published(&self) -> Result<Vec<PublicKey>> {
        let ring = self.ring().await?;
        Ok(ring.keys.iter().map(|key| PublicKey { kid: key.kid.clone(), x: key.public.clone() }).collect())
    }

    /// Refreshes the keys periodically, so that a replica that signs nothing verifies what the others sign.
    pub(crate) async fn watch(self) {
        loop {
            tokio::time::sleep(REFRESH_INTERVAL).await;
            if let Err(error) = self.ring().await {
                tracing::warn!(%error, "the signing keys could not be read");
            }
        }
    }

    /// Returns the keys, usually at most a minute old. During a read, and after one that failed, the previous keys
    /// serve.
    async fn ring(&self) -> Result<Arc<Ring>> {
        let now = self.0.clock.now();
        let ring = Arc::clone(&self.0.ring.borrow());
        let known = !ring.keys.is_empty();
        if known && now < after(ring.read_at, REFRESH_INTERVAL) {
            return Ok(ring);
        }
        let Ok(_reading) = self.0.reading.try_acquire() else {
            return if known { Ok(ring) } else { Err(Error::unavailable("the signing keys are being read")) };
        };
        match self.read_keys(now).await {
            Ok(keys) => {
                let ring = Arc::new(Ring { keys, read_at: now });
                self.0.verifiers.send_replace(Arc::new(verifiers(&ring.keys)));
                self.0.ring.send_replace(Arc::clone(&ring));
                Ok(ring)
            }
            Err(error) if known => {
                tracing::warn!(%error, "the signing keys could not be read; the ones before serve");
                Ok(ring)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the keys, makes the next one when it is due, and drops those that no valid token is signed with.
    async fn read_keys(&self, now: Timestamp) -> Result<Vec<Arc<SigningKey>>> {
        let inner = &self.0;
        let mut records = inner.store.signing_keys().await?;
        if let Some(next) = self.due(records.last(), now)? {
            inner.store.add_signing_key(&next).await?;
            records = inner.store.signing_keys().await?;
        }
        let successors = records.iter().skip(1).map(|next| Some(next.active_from)).chain([None]).collect::<Vec<_>>();
        let mut keys = Vec::new();
        for (record, successor) in records.iter().zip(successors) {
            let over = successor.is_some_and(|from| after(from, inner.token_life + SLACK) < now);
            if over {
                inner.store.drop_signing_key(record).await?;
            } else {
                keys.push(Arc::new(self.open(record)?));
            }
        }
        Ok(keys)
    }

    /// Returns the next key, if it is due for publication.
    fn due(&self, newest: Option<&KeyRecord>, now: Timestamp) -> Result<Option<KeyRecord>> {
        let lead = LEAD.min(self.0.period / 4);
        match newest {
            None => self.make(1, now).map(Some),
            Some(newest) => {
                let end = after(newest.active_from, self.0.period);
                let due = after(now, lead) >= end;
                due.then(|| self.make(newest.number + 1, end.max(after(now, lead)))).transpose()
            }
        }
    }

    fn make(&self, number: u32, active_from: Timestamp) -> Result<KeyRecord> {
        let seed = Zeroizing::new(self.0.entropy.array::<32>());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(Error::internal)?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        let kid = URL_SAFE_NO_PAD.encode(self.0.entropy.array::<12>());
        let sealed = self.seal(&kid, seed.as_slice())?;
        Ok(KeyRecord { number, kid, public, sealed, active_from })
    }

    fn seal(&self, kid: &str, seed: &[u8]) -> Result<Vec<u8>> {
        let sealer = self.0.sealers.first().ok_or_else(|| Error::internal("no secret to seal with"))?;
        let mut sealed = seed.to_vec();
        let nonce = sealer.seal_in_place_append_tag(aad(kid), &mut sealed).map_err(Error::internal)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    fn open(&self, record: &KeyRecord) -> Result<SigningKey> {
        let unreadable = || {
            Error::internal(format!(
                "signing key {} can't be opened: the secrets file must keep the secret it was sealed under",
                record.kid
            ))
        };
        let (nonce, sealed) = record.sealed.split_first_chunk::<NONCE>().ok_or_else(unreadable)?;
        let seed = self.0.sealers.iter().find_map(|sealer| {
            let mut sealed = Zeroizing::new(sealed.to_vec());
            let length = sealer.open_in_place(Nonce::from(nonce), aad(&record.kid), &mut sealed).ok()?.len();
            sealed.truncate(length);
            Some(sealed)
        });
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed.ok_or_else(unreadable)?).map_err(Error::internal)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(Error::internal)?;
        Ok(SigningKey {
            kid: record.kid.clone(),
            key: EncodingKey::from_ed_der(pkcs8.as_ref()),
            public: record.public.clone(),
            active_from: record.active_from,
        })
    }
}

fn aad(kid: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("{PURPOSE}/v1/{kid}").into_bytes())
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    time.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

fn verifiers(keys: &[Arc<SigningKey>]) -> KeySet {
    KeySet::ed25519(keys.iter().map(|key| (key.kid.as_str(), key.public.as_str())))
}
