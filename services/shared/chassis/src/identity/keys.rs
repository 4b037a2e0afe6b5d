use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use kernel::{BoxError, Clock, Timestamp};
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

/// The public keys of one issuer, by key id.
#[derive(Default)]
pub struct KeySet(HashMap<String, (Algorithm, DecodingKey)>);

impl KeySet {
    /// Ed25519 keys by their ids and their points (base64url, RFC 8037).
    #[must_use]
    pub fn ed25519<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let key = |x| Some((Algorithm::EdDSA, DecodingKey::from_ed_components(x).ok()?));
        Self(keys.into_iter().filter_map(|(kid, x)| Some((kid.to_owned(), key(x)?))).collect())
    }

    /// Parses the keys of a JSON Web Key Set that can verify a signature. Others, also of kinds that are unknown here,
    /// are skipped, as RFC 7517 (section 5) asks.
    ///
    /// # Errors
    /// If the text is no such set.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<serde_json::Value>,
        }
        let jwks: Jwks = serde_json::from_slice(json)?;
        let known = jwks.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(Self(known.filter_map(|key| entry(&key)).collect()))
    }

    /// Returns whether it holds no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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

/// Returns the id, the algorithm and the key. The algorithm is the key's, so that no token can choose how it is
/// verified.
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
    refresh: Option<Arc<Refresh>>,
}

/// State that callers who want keys and the task that fetches them share.
struct Refresh {
    wanted: Notify,
    /// Permits of callers that wait for a fetch: each holds a permit of a request too.
    waiters: Semaphore,
    /// Start of the fetch that brought the present keys.
    fetched: watch::Sender<Option<Timestamp>>,
    clock: Arc<dyn Clock>,
}

/// Reason for which there is no key of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The issuer has no such key.
    Unknown,
    /// The issuer could not be asked: it may have one.
    NotFetched,
}

/// Maximum time that a caller waits for newer keys.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);
/// Minimum interval between fetches, whatever key ids callers make up.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Interval after which newer keys are fetched.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// Time for which a key set is taken to hold every key that signs: far less than the time between the publication of a
/// key and its first signature (15 minutes or more), so that a key id made up costs no fetch and no wait.
const COMPLETE_FOR: Duration = Duration::from_secs(30);
/// Maximum callers that wait for newer keys; one more is told to try again.
const MAX_WAITERS: usize = 32;

impl Keys {
    /// Keys that their owner changes.
    #[must_use]
    pub const fn of_owner(current: watch::Receiver<Arc<KeySet>>) -> Self {
        Self { current, refresh: None }
    }

    /// Keys that never change.
    #[must_use]
    pub fn fixed(keys: KeySet) -> Self {
        Self { current: watch::channel(Arc::new(keys)).1, refresh: None }
    }

    /// Keys that [`KeysRefresher::run`] fetches; none until it has. Their age is judged by `clock`.
    #[must_use]
    pub fn fetched(clock: Arc<dyn Clock>) -> (Self, KeysRefresher) {
        let (sender, current) = watch::channel(Arc::default());
        let refresh = Arc::new(Refresh {
            wanted: Notify::new(),
            waiters: Semaphore::new(MAX_WAITERS),
            fetched: watch::Sender::new(None),
            clock,
        });
        (Self { current, refresh: Some(Arc::clone(&refresh)) }, KeysRefresher { sender, refresh })
    }

    /// The present keys.
    pub(super) fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.borrow())
    }

    /// Waits until there are keys, at most `timeout`.
    pub async fn wait(&self, timeout: Duration) {
        let mut current = self.current.clone();
        // Callers that come too early are told to try again: that is no reason not to start.
        let _ = tokio::time::timeout(timeout, current.wait_for(|keys| !keys.is_empty())).await;
    }

    /// Returns the keys with the one of that id among them. If it is missing, waits for the next fetch, unless the last
    /// one is so young that it would have brought it.
    pub(super) async fn with(&self, kid: &str) -> Result<Arc<KeySet>, Missing> {
        let mut current = self.current.clone();
        let present = Arc::clone(&current.borrow_and_update());
        if present.get(kid).is_some() {
            return Ok(present);
        }
        if let Some(refresh) = self.refresh.as_ref().filter(|refresh| !refresh.is_complete()) {
            let _permit = refresh.waiters.try_acquire().map_err(|_| Missing::NotFetched)?;
            refresh.wanted.notify_one();
            // The keys that are there now tell whether the fetch came in time.
            let _ = tokio::time::timeout(REFRESH_TIMEOUT, current.changed()).await;
        }
        let now = self.now();
        match &self.refresh {
            _ if now.get(kid).is_some() => Ok(now),
            Some(refresh) if !refresh.is_complete() => Err(Missing::NotFetched),
            _ if now.is_empty() => Err(Missing::NotFetched),
            _ => Err(Missing::Unknown),
        }
    }
}

impl Refresh {
    /// Returns whether the present keys are so young that every key that signs is among them.
    fn is_complete(&self) -> bool {
        let until = |fetched: Timestamp| fetched.saturating_add(COMPLETE_FOR).unwrap_or(Timestamp::MAX);
        self.fetched.borrow().is_some_and(|fetched| self.clock.now() < until(fetched))
    }
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresh").field("fetched", &*self.fetched.borrow()).finish_non_exhaustive()
    }
}

/// Fetches keys when they grow old or when a caller needs newer ones, but not more often than once a second.
#[derive(Debug)]
pub struct KeysRefresher {
    sender: watch::Sender<Arc<KeySet>>,
    refresh: Arc<Refresh>,
}

impl KeysRefresher {
    /// Fetches again and again. Ends only by being dropped.
    pub async fn run<F, Fut>(self, fetch: F)
    where
        F: Fn() -> Fut + Send,
        Fut: Future<Output = Result<KeySet, BoxError>> + Send,
    {
        loop {
            let (started, asked) = (Instant::now(), self.refresh.clock.now());
            let fetched = fetch().await;
            let pause = match fetched {
                Ok(keys) => {
                    self.refresh.fetched.send_replace(Some(asked));
                    self.sender.send_replace(Arc::new(keys));
                    REFRESH_INTERVAL
                }
                Err(error) => {
                    tracing::warn!(error, "the keys that verify access tokens could not be fetched; trying again");
                    // Callers that wait for newer keys learn that there are none.
                    self.sender.send_modify(|_| ());
                    MIN_REFRESH_INTERVAL
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.refresh.wanted.notified() => tokio::time::sleep_until(started + MIN_REFRESH_INTERVAL).await,
            }
        }
    }
}

#[cfg(test)]
mod tests;
