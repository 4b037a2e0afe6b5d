use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation, decode, decode_header, encode};
use kernel::{BoxError, Clock};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::person::fingerprint;
use super::{KeySet, Keys};

/// The audience (`aud`) of workload tokens: what a projected service-account token is asked for.
const AUDIENCE: &str = "therapy-mesh-internal";
const CACHE_CAPACITY: usize = 1_000;
/// Interval at which token and key files are read again: the cluster renews them.
const REREAD_INTERVAL: Duration = Duration::from_secs(60);

/// Files of a service's own token and of the keys that verify those of others.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Workload identity")]
pub struct WorkloadConfig {
    /// The file with this service's own token: a projected service-account token, or one that `mesh workload-keys`
    /// wrote.
    #[arg(long, env = "MESH_WORKLOAD_TOKEN_FILE")]
    pub workload_token_file: PathBuf,

    /// The file with the JSON Web Key Set that verifies the tokens of other services.
    #[arg(long, env = "MESH_WORKLOAD_JWKS_FILE")]
    pub workload_jwks_file: PathBuf,

    /// The issuer (`iss`) of workload tokens.
    #[arg(long, env = "MESH_WORKLOAD_ISSUER", default_value = Issuer::NAME)]
    pub workload_issuer: String,

    /// Prefix of the service's name in the subject (`sub`) of its token.
    #[arg(long, env = "MESH_WORKLOAD_SUBJECT_PREFIX", default_value = Issuer::SUBJECT_PREFIX)]
    pub workload_subject_prefix: String,
}

/// A service's own tokens and the verifier of others'.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The service's own tokens.
    pub tokens: WorkloadTokens,
    /// The verifier of others'.
    pub verifier: WorkloadVerifier,
}

impl Workload {
    /// Reads the files that the configuration names, and again every minute in a background task.
    ///
    /// # Errors
    /// If a file can't be read, or holds no token or no keys.
    pub async fn from_files(config: &WorkloadConfig, platform: &crate::Platform) -> Result<Self, BoxError> {
        let (jwks, token) = (config.workload_jwks_file.clone(), config.workload_token_file.clone());
        let (keys, keys_now) = tokio::sync::watch::channel(Arc::new(read_keys(&jwks).await?));
        let (own, own_now) = tokio::sync::watch::channel(read_token(&token).await?);
        platform.tasks.spawn(async move {
            loop {
                tokio::time::sleep(REREAD_INTERVAL).await;
                match read_keys(&jwks).await {
                    Ok(read) => drop(keys.send_replace(Arc::new(read))),
                    Err(error) => tracing::warn!(error, "the workload keys could not be read again; the old ones stay"),
                }
                match read_token(&token).await {
                    Ok(read) => drop(own.send_replace(read)),
                    Err(error) => {
                        tracing::warn!(error, "the workload token could not be read again; the old one stays")
                    }
                }
            }
        });
        let verifier = WorkloadVerifier::new(
            Keys::of_owner(keys_now),
            &config.workload_issuer,
            &config.workload_subject_prefix,
            Arc::clone(&platform.clock),
        );
        Ok(Self { tokens: WorkloadTokens(Source::File(own_now)), verifier })
    }
}

async fn read_keys(path: &Path) -> Result<KeySet, BoxError> {
    let json = tokio::fs::read(path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    let keys =
        KeySet::parse(&json).map_err(|error| format!("{}: is not a JSON Web Key Set: {error}", path.display()))?;
    if keys.is_empty() { Err(format!("{}: holds no keys", path.display()).into()) } else { Ok(keys) }
}

async fn read_token(path: &Path) -> Result<Arc<str>, BoxError> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    match text.trim() {
        "" => Err(format!("{}: holds no token", path.display()).into()),
        token => Ok(Arc::from(token)),
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    iat: i64,
    exp: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Verifies workload tokens, and caches those it has verified until they expire or the keys are replaced.
#[derive(Clone)]
pub struct WorkloadVerifier {
    keys: Keys,
    issuer: Arc<str>,
    subject_prefix: Arc<str>,
    clock: Arc<dyn Clock>,
    verified: Arc<Cache<[u8; 32], Verified>>,
}

#[derive(Clone)]
struct Verified {
    /// The name of the service.
    name: Arc<str>,
    /// In seconds since 1970.
    expires: i64,
    /// The keys that the token was verified with: when they are replaced, its key may be gone.
    keys: Arc<KeySet>,
}

impl WorkloadVerifier {
    /// A verifier that trusts `keys` of `issuer`; a service's name is its subject without the prefix.
    #[must_use]
    pub fn new(keys: Keys, issuer: &str, subject_prefix: &str, clock: Arc<dyn Clock>) -> Self {
        let verified = Arc::new(Cache::new(CACHE_CAPACITY));
        Self { keys, issuer: Arc::from(issuer), subject_prefix: Arc::from(subject_prefix), clock, verified }
    }

    /// Returns the name of the service that a token speaks for, if the token is valid.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Arc<str>> {
        let fingerprint = fingerprint(token);
        let verified = match self.verified.get(&fingerprint) {
            Some(verified) if Arc::ptr_eq(&verified.keys, &self.keys.now()) => verified,
            _ => {
                let verified = self.verify_anew(token)?;
                self.verified.insert(fingerprint, verified.clone());
                verified
            }
        };
        (verified.expires > self.clock.now().as_second()).then_some(verified.name)
    }

    fn verify_anew(&self, token: &str) -> Option<Verified> {
        let header = decode_header(token).ok()?;
        let keys = self.keys.now();
        let (algorithm, key) = keys.get(header.kid.as_deref()?)?;
        let mut validation = Validation::new(*algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, key, &validation).ok()?.claims;
        let name = claims.sub.strip_prefix(&*self.subject_prefix)?;
        Some(Verified { name: Arc::from(name), expires: claims.exp, keys })
    }
}

impl std::fmt::Debug for WorkloadVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkloadVerifier").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// A service's own token, renewed in time.
#[derive(Clone)]
pub struct WorkloadTokens(Source);

#[derive(Clone)]
enum Source {
    File(tokio::sync::watch::Receiver<Arc<str>>),
    Issuer { issuer: Arc<Issuer>, name: Arc<str>, minted: Arc<Mutex<Option<Minted>>> },
}

/// Token, and the time of its renewal in seconds since 1970.
type Minted = (Arc<str>, i64);

impl std::fmt::Debug for WorkloadTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkloadTokens")
    }
}

impl WorkloadTokens {
    /// The present token.
    #[must_use]
    pub fn current(&self) -> Arc<str> {
        match &self.0 {
            Source::File(token) => Arc::clone(&token.borrow()),
            Source::Issuer { issuer, name, minted } => {
                let mut minted = minted.lock().unwrap_or_else(PoisonError::into_inner);
                let now = issuer.clock.now().as_second();
                if let Some((token, renew_at)) = &*minted
                    && *renew_at > now
                {
                    return Arc::clone(token);
                }
                let token: Arc<str> = Arc::from(issuer.mint(name, Issuer::LIFE));
                let half = i64::try_from(Issuer::LIFE.as_secs() / 2).unwrap_or(i64::MAX);
                *minted = Some((Arc::clone(&token), now.saturating_add(half)));
                token
            }
        }
    }
}

/// Issues workload tokens where no cluster does: inside the all-in-one, and in files that a command writes.
pub struct Issuer {
    key: EncodingKey,
    kid: String,
    jwks: serde_json::Value,
    clock: Arc<dyn Clock>,
}

impl Issuer {
    /// The issuer's name.
    pub const NAME: &str = "therapy-mesh-workloads";
    /// Prefix of a service's name in its subject, as in a cluster.
    pub const SUBJECT_PREFIX: &str = "system:serviceaccount:therapy:";
    /// Lifetime of a token that is renewed by itself.
    const LIFE: Duration = Duration::from_secs(3600);

    /// An issuer with a new key (Ed25519).
    ///
    /// # Errors
    /// If the key can't be made.
    pub fn generate(clock: Arc<dyn Clock>) -> Result<Self, BoxError> {
        Self::of(&Ed25519KeyPair::generate()?, clock)
    }

    /// An issuer whose key (Ed25519) is made of a secret seed: two of the same seed are the same issuer.
    ///
    /// # Errors
    /// If the key can't be made.
    pub fn from_seed(seed: &[u8; 32], clock: Arc<dyn Clock>) -> Result<Self, BoxError> {
        Self::of(&Ed25519KeyPair::from_seed_unchecked(seed)?, clock)
    }

    fn of(pair: &Ed25519KeyPair, clock: Arc<dyn Clock>) -> Result<Self, BoxError> {
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let kid = x[..16].to_owned();
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1()?.as_ref());
        let jwks = serde_json::json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA",
        }]});
        Ok(Self { key, kid, jwks, clock })
    }

    /// The JSON Web Key Set that verifies what it issues.
    #[must_use]
    pub const fn jwks(&self) -> &serde_json::Value {
        &self.jwks
    }

    /// A token for the service of that name, good for `life`.
    #[must_use]
    #[allow(clippy::expect_used, reason = "plain claims under a key that was just made can always be signed")]
    pub fn mint(&self, name: &str, life: Duration) -> String {
        let iat = self.clock.now().as_second();
        let claims = Claims {
            iss: Self::NAME.to_owned(),
            aud: Audience::One(AUDIENCE.to_owned()),
            sub: format!("{}{name}", Self::SUBJECT_PREFIX),
            iat,
            exp: iat.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX)),
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &self.key).expect("claims are JSON and the key signs")
    }

    /// The workload of the service of that name, by tokens of this issuer.
    #[must_use]
    pub fn workload(self: &Arc<Self>, name: &str) -> Workload {
        let keys = KeySet::parse(self.jwks.to_string().as_bytes()).unwrap_or_default();
        Workload {
            tokens: WorkloadTokens(Source::Issuer {
                issuer: Arc::clone(self),
                name: Arc::from(name),
                minted: Arc::default(),
            }),
            verifier: WorkloadVerifier::new(
                Keys::fixed(keys),
                Self::NAME,
                Self::SUBJECT_PREFIX,
                Arc::clone(&self.clock),
            ),
        }
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use kernel::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn token_of_replaced_key_is_rejected() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let (old, new) = (Issuer::generate(Arc::clone(&clock)).unwrap(), Issuer::generate(Arc::clone(&clock)).unwrap());
        let keys = |issuer: &Issuer| Arc::new(KeySet::parse(issuer.jwks().to_string().as_bytes()).unwrap());
        let (replace, current) = tokio::sync::watch::channel(keys(&old));
        let verifier = WorkloadVerifier::new(Keys::of_owner(current), Issuer::NAME, Issuer::SUBJECT_PREFIX, clock);
        let token = old.mint("clients", Duration::from_secs(3600));
        assert_eq!(verifier.verify(&token).as_deref(), Some("clients"));
        assert_eq!(verifier.verify(&token).as_deref(), Some("clients"));
        replace.send_replace(keys(&new));
        assert_eq!(verifier.verify(&token), None);
    }

    #[test]
    fn token_is_not_printed() {
        let issuer = Arc::new(Issuer::generate(Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH))).unwrap());
        let workload = issuer.workload("clients");
        let token = workload.tokens.current();
        assert!(!format!("{workload:?}").contains(&*token));
    }
}
