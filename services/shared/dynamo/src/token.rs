use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Entropy, Error, Page, PageSize, Result};

use crate::frame::{frame, unframe};
use crate::item::{Cursor, Item};
use crate::query::Query;
use crate::secret::Secrets;

/// Makes and opens page tokens: a cursor sealed with AES-256-GCM, bound to who asked and for what.
///
/// A token tells its holder nothing and is good for one thing: the next page of the same list for the same caller.
pub struct PageTokens {
    /// The first seals; all open.
    keys: Vec<LessSafeKey>,
    entropy: Arc<dyn Entropy>,
}

/// The longest token that is made or looked at, in characters: it travels in a header.
pub const MAX_TOKEN_LEN: usize = 4096;

/// What a caller asked of a list.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Who asks: the bytes of the caller's id.
    pub caller: &'a [u8],
    /// The token that the caller brought; empty for the first page.
    pub token: &'a str,
    /// How many items.
    pub size: PageSize,
    /// What else decides the answer beside the query itself: filters that run after reading, say. Empty if nothing.
    pub filters: &'a [u8],
}

impl PageTokens {
    /// Tokens for one purpose, such as `"clients.list"`. Tokens of one purpose are refused by another.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn new(secrets: &Secrets, purpose: &str, entropy: Arc<dyn Entropy>) -> Result<Self> {
        let keys = secrets
            .derive_all(&format!("page-token/{purpose}"))?
            .iter()
            .map(|key| UnboundKey::new(&AES_256_GCM, key.as_slice()).map(LessSafeKey::new))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| Error::internal("AES-256-GCM refuses a key"))?;
        Ok(Self { keys, entropy })
    }

    /// The token for a place in a list.
    ///
    /// # Errors
    /// INTERNAL when the key is too long for a token, or the cryptographic library fails.
    pub fn seal(&self, caller: &[u8], query: &[u8], cursor: &Cursor) -> Result<String> {
        let failed = || Error::internal("a page token can't be sealed");
        let key = self.keys.first().ok_or_else(failed)?;
        let nonce: [u8; NONCE_LEN] = self.entropy.array();
        let mut sealed = frame(cursor.parts());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(caller, query), &mut sealed)
            .map_err(|_| failed())?;
        let token = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        if token.len() > MAX_TOKEN_LEN { Err(Error::internal("a key is too long for a page token")) } else { Ok(token) }
    }

    /// The place that a token stands for.
    ///
    /// # Errors
    /// INVALID_ARGUMENT on `pageToken` for whatever is not a token of ours for this caller and this query.
    pub fn open(&self, caller: &[u8], query: &[u8], token: &str) -> Result<Cursor> {
        self.unseal(caller, query, token).ok_or_else(refused)
    }

    /// One page of a query, by one Query of DynamoDB: it goes on where the token says, and brings the next token.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a token that is not of this caller and query; UNAVAILABLE or INTERNAL of the Query.
    pub async fn page(&self, query: Query, request: PageRequest<'_>) -> Result<Page<Item>> {
        let PageRequest { caller, token, size, filters } = request;
        let binding = frame([query.binding().as_slice(), filters]);
        let query = if token.is_empty() {
            query
        } else {
            let cursor = self.open(caller, &binding, token)?;
            if !query.accepts(&cursor) {
                return Err(refused());
            }
            query.after(cursor)
        };
        let rows = query.limit(size.get()).page().await?;
        let next = rows.next.map(|cursor| self.seal(caller, &binding, &cursor)).transpose()?;
        Ok(Page { items: rows.items, next })
    }

    fn unseal(&self, caller: &[u8], query: &[u8], token: &str) -> Option<Cursor> {
        if token.len() > MAX_TOKEN_LEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let framed = key.open_in_place(nonce, aad(caller, query), &mut sealed).ok()?;
            cursor(framed)
        })
    }
}

fn refused() -> Error {
    Error::invalid("pageToken", "is not a token of this list; leave it out to start from the first page")
}

fn aad(caller: &[u8], query: &[u8]) -> Aad<Vec<u8>> {
    Aad::from(frame([caller, query]))
}

fn cursor(framed: &[u8]) -> Option<Cursor> {
    let parts = unframe(framed)?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let (pairs, []) = parts.as_chunks::<2>() else { return None };
    pairs.iter().map(|[name, value]| Some((text(name)?, text(value)?))).collect::<Option<Vec<_>>>().map(Cursor::new)
}
