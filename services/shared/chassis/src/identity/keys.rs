use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey};
use kernel::BoxError;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// A public key of a JSON Web Key Set (RFC 7517), as jsonwebtoken reads it.
pub type Jwk = jsonwebtoken::jwk::Jwk;

/// The public keys of one issuer, by key id.
#[derive(Default)]
pub struct KeySet(HashMap<String, (Algorithm, DecodingKey)>);

impl KeySet {
    /// The keys of a JSON Web Key Set that can verify a signature; others are passed over, as RFC 7517 asks.
    #[must_use]
    pub fn of(jwks: &JwkSet) -> Self {
        Self(jwks.keys.iter().filter_map(entry).collect())
    }

    /// Ed25519 keys by their ids and their points (base64url, RFC 8037).
    #[must_use]
    pub fn ed25519<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let key = |x| Some((Algorithm::EdDSA, DecodingKey::from_ed_components(x).ok()?));
        Self(keys.into_iter().filter_map(|(kid, x)| Some((kid.to_owned(), key(x)?))).collect())
    }

    /// The keys of the text of a JSON Web Key Set.
    ///
    /// # Errors
    /// If the text is not one.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self::of(&serde_json::from_slice(json)?))
    }

    pub(super) fn get(&self, kid: &str) -> Option<&(Algorithm, DecodingKey)> {
        self.0.get(kid)
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The algorithm is the key's, never the token's word alone: so no token can choose to be verified in another way.
#[allow(clippy::wildcard_enum_match_arm, reason = "a kind of key that we don't know verifies nothing")]
fn entry(jwk: &Jwk) -> Option<(String, (Algorithm, DecodingKey))> {
    use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, KeyAlgorithm};
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_)
            if !matches!(jwk.common.key_algorithm, Some(KeyAlgorithm::RSA1_5 | KeyAlgorithm::RSA_OAEP)) =>
        {
            Algorithm::RS256
        }
        _ => return None,
    };
    Some((jwk.common.key_id.clone()?, (algorithm, DecodingKey::from_jwk(jwk).ok()?)))
}

/// The present keys of an issuer, and a way to ask for newer ones.
#[derive(Debug, Clone)]
pub struct Keys {
    current: watch::Receiver<Arc<KeySet>>,
    wanted: Option<Arc<Notify>>,
}

/// How long a caller waits for newer keys.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often keys are fetched at most, whatever key ids callers make up.
const SPACING: Duration = Duration::from_secs(1);
/// How long keys are used before newer ones are looked for.
const FRESH: Duration = Duration::from_secs(300);

impl Keys {
    /// Keys that their owner changes.
    #[must_use]
    pub const fn of_owner(current: watch::Receiver<Arc<KeySet>>) -> Self {
        Self { current, wanted: None }
    }

    /// Keys that never change.
    #[must_use]
    pub fn fixed(keys: KeySet) -> Self {
        Self { current: watch::channel(Arc::new(keys)).1, wanted: None }
    }

    /// Keys that [`KeysRefresher::run`] fetches; none until it has.
    #[must_use]
    pub fn fetched() -> (Self, KeysRefresher) {
        let (sender, current) = watch::channel(Arc::default());
        let wanted = Arc::new(Notify::new());
        (Self { current, wanted: Some(Arc::clone(&wanted)) }, KeysRefresher { sender, wanted })
    }

    /// The present keys.
    pub(super) fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.borrow())
    }

    /// Whether there are any keys yet.
    #[must_use]
    pub fn are_there(&self) -> bool {
        !self.current.borrow().0.is_empty()
    }

    /// Waits until there are keys, at most so long.
    pub async fn wait(&self, patience: Duration) {
        let mut current = self.current.clone();
        // Who comes too early is told to try again: that is no reason not to start.
        let _ = tokio::time::timeout(patience, current.wait_for(|keys| !keys.0.is_empty())).await;
    }

    /// The keys after the next fetch, for a key id that is not among the present ones.
    pub(super) async fn newer(&self) -> Arc<KeySet> {
        if let Some(wanted) = &self.wanted {
            let mut current = self.current.clone();
            current.mark_unchanged();
            wanted.notify_one();
            // Whether the fetch came in time is seen in what is there now.
            let _ = tokio::time::timeout(PATIENCE, current.changed()).await;
        }
        self.now()
    }
}

/// Fetches keys when they grow old or when a caller needs newer ones, but not more often than once a second.
#[derive(Debug)]
pub struct KeysRefresher {
    sender: watch::Sender<Arc<KeySet>>,
    wanted: Arc<Notify>,
}

impl KeysRefresher {
    /// Fetches again and again. Ends only by being dropped.
    pub async fn run<F, Fut>(self, fetch: F)
    where
        F: Fn() -> Fut + Send,
        Fut: Future<Output = Result<KeySet, BoxError>> + Send,
    {
        loop {
            let started = Instant::now();
            let fetched = fetch().await;
            let pause = match fetched {
                Ok(keys) => {
                    self.sender.send_replace(Arc::new(keys));
                    FRESH
                }
                Err(error) => {
                    tracing::warn!(error, "the keys that verify access tokens could not be fetched; trying again");
                    // Who waits for newer keys learns that there are none.
                    self.sender.send_modify(|_| ());
                    SPACING
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => tokio::time::sleep_until(started + SPACING).await,
            }
        }
    }
}
