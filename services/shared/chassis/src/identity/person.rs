use std::str::FromStr as _;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use kernel::{Clock, Error, Kind, LoginId, Person, Role, Timestamp, UserId};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::keys::Missing;
use super::{Config, KeySet, Keys};

/// The `typ` of an access token (RFC 9068, section 2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// Maximum verified tokens in the cache.
const CACHE_CAPACITY: usize = 10_000;
/// Maximum time that another machine's clock may be ahead of ours.
const SKEW_SECONDS: i64 = 60;

/// The claims of an access token (RFC 9068, section 2.2).
#[derive(Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The account.
    pub sub: String,
    /// CLIENT or THERAPIST.
    pub role: String,
    /// The login.
    pub sid: String,
    /// Time of issue, in seconds since 1970.
    pub iat: i64,
    /// Expiry, in seconds since 1970.
    pub exp: i64,
    /// The token's own id.
    pub jti: String,
    /// Time at which the person last proved the password, in seconds since 1970 (OpenID Connect Core, section 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
}

/// Verifies access tokens, and caches those it has verified until they expire or the keys are replaced.
#[derive(Clone)]
pub struct AccessTokens {
    keys: Keys,
    clock: Arc<dyn Clock>,
    validation: Arc<Validation>,
    verified: Arc<Cache<[u8; 32], CachedToken>>,
}

/// Contents of a verified token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The person that it speaks for.
    pub person: Person,
    /// Its expiry.
    pub expires: Timestamp,
    /// Time at which the person proved the password; none in tokens that don't say it.
    pub authenticated: Option<Timestamp>,
}

#[derive(Clone)]
struct CachedToken {
    verified: Verified,
    /// The keys that it was verified with: when they are replaced, the key of the token may be gone.
    keys: Arc<KeySet>,
}

impl AccessTokens {
    /// A verifier that trusts `keys`.
    #[must_use]
    pub fn new(config: &Config, keys: Keys, clock: Arc<dyn Clock>) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&config.token_issuer]);
        validation.set_audience(&[&config.token_audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Time is judged by our clock, below.
        validation.validate_exp = false;
        Self { keys, clock, validation: Arc::new(validation), verified: Arc::new(Cache::new(CACHE_CAPACITY)) }
    }

    /// Returns the contents of a token, if it is valid.
    ///
    /// # Errors
    /// UNAUTHENTICATED (`TOKEN_INVALID`, `TOKEN_EXPIRED`); UNAVAILABLE while the keys of auth can't be fetched.
    pub async fn verify(&self, token: &str) -> Result<Verified, Error> {
        let fingerprint = fingerprint(token);
        let verified = match self.verified.get(&fingerprint) {
            Some(known) if Arc::ptr_eq(&known.keys, &self.keys.now()) => known.verified,
            _ => {
                let known = self.verify_anew(token).await?;
                self.verified.insert(fingerprint, known.clone());
                known.verified
            }
        };
        if verified.expires > self.clock.now() { Ok(verified) } else { Err(expired()) }
    }

    async fn verify_anew(&self, token: &str) -> Result<CachedToken, Error> {
        let header = decode_header(token).map_err(|error| invalid().caused_by(error))?;
        let kid = acceptable(&header).ok_or_else(invalid)?;
        let keys = self.keys.with(kid).await.map_err(|missing| match missing {
            Missing::Unknown => invalid(),
            Missing::NotFetched => Error::unavailable("the keys that verify access tokens could not be fetched"),
        })?;
        let (_, key) = keys.get(kid).ok_or_else(invalid)?;
        let claims =
            decode::<AccessClaims>(token, key, &self.validation).map_err(|error| invalid().caused_by(error))?;
        let claims = claims.claims;
        let verified = self.read(&claims).ok_or_else(invalid)?;
        Ok(CachedToken { verified, keys })
    }

    fn read(&self, claims: &AccessClaims) -> Option<Verified> {
        let now = self.clock.now().as_second();
        let person = Person {
            user_id: UserId::from_str(&claims.sub).ok()?,
            role: Role::from_str(&claims.role).ok()?,
            login_id: LoginId::from_str(&claims.sid).ok()?,
        };
        let plausible = claims.iat <= now.saturating_add(SKEW_SECONDS) && claims.iat < claims.exp;
        let expires = Timestamp::from_second(claims.exp).ok()?;
        let authenticated = claims.auth_time.map(Timestamp::from_second).transpose().ok()?;
        plausible.then_some(Verified { person, expires, authenticated })
    }
}

/// Returns the key id of a header that an access token of ours can have. A header that brings its own key, or points to
/// one, is no such header, nor one with extensions that must be understood (RFC 7515, section 4.1.11): we know none.
fn acceptable(header: &Header) -> Option<&str> {
    let typ = header.typ.as_deref()?;
    let brings_key = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some();
    let plain = !brings_key && header.crit.is_none();
    let ours = typ.eq_ignore_ascii_case(ACCESS_TOKEN_TYPE) && header.alg == Algorithm::EdDSA && plain;
    header.kid.as_deref().filter(|_| ours)
}

pub(super) fn fingerprint(token: &str) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    fingerprint
}

pub(crate) fn invalid() -> Error {
    Error::new(Kind::Unauthenticated, "TOKEN_INVALID", "authorization: the access token is not valid; log in again")
}

pub(crate) fn expired() -> Error {
    Error::new(Kind::Unauthenticated, "TOKEN_EXPIRED", "authorization: the access token has expired; refresh it")
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokens").field("keys", &self.keys).finish_non_exhaustive()
    }
}
