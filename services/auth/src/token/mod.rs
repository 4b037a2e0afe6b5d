//! Tokens: access tokens (RFC 9068) signed with keys that rotate, and refresh tokens that are good for one use.

mod access;
mod refresh;
mod ring;

pub(crate) use access::AccessSigner;
pub(crate) use refresh::RefreshTokens;
pub(crate) use ring::{PublicKey, SigningKeys};
