use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dynamo::secret::Secrets;
use kernel::{LoginId, Result, UserId};

use crate::model::RefreshToken;

const PURPOSE: &str = "auth/refresh-token";
const BODY: usize = 16 + 16 + 8;
const TAG: usize = 32;

/// Seals and opens refresh tokens.
///
/// A token is opaque to its holder and carries a MAC (HMAC-SHA256), which tells a used token from a forged one: so a
/// forged token can't end a login.
pub(crate) struct RefreshTokens {
    /// The first signs; all verify.
    keys: Vec<hmac::Key>,
}

impl RefreshTokens {
    pub(crate) fn new(secrets: &Secrets) -> Result<Self> {
        let keys = secrets.derive_all(PURPOSE)?;
        Ok(Self { keys: keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())).collect() })
    }

    /// Returns the text of a token.
    pub(crate) fn seal(&self, token: RefreshToken) -> String {
        let mut bytes = Vec::with_capacity(BODY + TAG);
        bytes.extend_from_slice(token.user.as_bytes());
        bytes.extend_from_slice(token.login.as_bytes());
        bytes.extend_from_slice(&token.generation.to_be_bytes());
        if let Some(key) = self.keys.first() {
            let tag = hmac::sign(key, &bytes);
            bytes.extend_from_slice(tag.as_ref());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the token of a text, if its MAC is valid.
    pub(crate) fn open(&self, text: &str) -> Option<RefreshToken> {
        let bytes: [u8; BODY + TAG] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (body, tag) = bytes.split_first_chunk::<BODY>()?;
        self.keys.iter().find(|key| hmac::verify(key, body, tag).is_ok())?;
        let (user, rest) = body.split_first_chunk::<16>()?;
        let (login, rest) = rest.split_first_chunk::<16>()?;
        let generation = u64::from_be_bytes(*rest.first_chunk::<8>()?);
        Some(RefreshToken { user: UserId::from_bytes(*user), login: LoginId::from_bytes(*login), generation })
    }
}

#[cfg(test)]
mod tests {
    use dynamo::secret::Secret;
    use proptest::prelude::*;

    use super::*;

    fn tokens(current: u8, previous: &[u8]) -> RefreshTokens {
        let previous = previous.iter().map(|&byte| Secret::new([byte; 32])).collect();
        RefreshTokens::new(&Secrets::new(Secret::new([current; 32]), previous)).unwrap()
    }

    proptest! {
        #[test]
        fn token_roundtrips_and_changed_token_is_rejected(
            user: [u8; 16], login: [u8; 16], generation: u64, at in 0_usize..BODY + TAG, flip in 1_u8..,
        ) {
            let token = RefreshToken { user: UserId::from_bytes(user), login: LoginId::from_bytes(login), generation };
            let text = tokens(1, &[]).seal(token);
            prop_assert_eq!(tokens(1, &[]).open(&text), Some(token));
            prop_assert_eq!(tokens(2, &[1]).open(&text), Some(token));
            prop_assert_eq!(tokens(2, &[]).open(&text), None);
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            bytes[at] ^= flip;
            prop_assert_eq!(tokens(1, &[]).open(&URL_SAFE_NO_PAD.encode(bytes)), None);
        }
    }
}

#[cfg(test)]
mod fuzz {
    use dynamo::secret::{Secret, Secrets};
    use kernel::{LoginId, UserId};
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseResult;

    use super::RefreshTokens;
    use crate::model::RefreshToken;

    fn tokens() -> RefreshTokens {
        RefreshTokens::new(&Secrets::new(Secret::new([1; 32]), vec![Secret::new([2; 32])])).unwrap()
    }

    fn good() -> (RefreshToken, String) {
        let (user, login) = (UserId::from_bytes([3; 16]), LoginId::from_bytes([4; 16]));
        let token = RefreshToken { user, login, generation: 5 };
        (token, tokens().seal(token))
    }

    fuzz::target!(
        refresh_tokens,
        prop_oneof![
            4 => fuzz::damaged(Just(good().1.into_bytes())),
            1 => fuzz::bytes(&["A", "_", "-", "=", "+", "/", "\0", "é"]),
        ]
    );

    /// Of all texts, only the sealed one opens.
    fn refresh_tokens(text: Vec<u8>) -> TestCaseResult {
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        let (token, sealed) = good();
        prop_assert_eq!(tokens().open(&text), (text == sealed).then_some(token));
        Ok(())
    }
}
