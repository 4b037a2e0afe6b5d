use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::identity::{ACCESS_TOKEN_TYPE, AccessClaims, Config as Identity};
use jsonwebtoken::{Algorithm, Header, encode};
use kernel::{Clock, Entropy, Error, Person, Result};

use super::SigningKeys;

/// Signs access tokens (RFC 9068) with the present key.
pub(crate) struct AccessSigner {
    pub(crate) keys: SigningKeys,
    pub(crate) identity: Identity,
    pub(crate) life: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl AccessSigner {
    /// Returns a token for a person, with the time at which the person proved the password.
    pub(crate) async fn sign(&self, person: Person, auth_time: Option<i64>) -> Result<String> {
        let signer = self.keys.signer().await?;
        let now = self.clock.now().as_second();
        let claims = AccessClaims {
            iss: self.identity.token_issuer.clone(),
            aud: self.identity.token_audience.clone(),
            sub: person.user_id.to_string(),
            role: person.role.as_str().to_owned(),
            sid: person.login_id.to_string(),
            iat: now,
            exp: now.saturating_add_unsigned(self.life.as_secs()),
            jti: URL_SAFE_NO_PAD.encode(self.entropy.array::<16>()),
            auth_time,
        };
        let typ = Some(ACCESS_TOKEN_TYPE.to_owned());
        let header = Header { typ, kid: Some(signer.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &signer.key).map_err(Error::internal)
    }
}
