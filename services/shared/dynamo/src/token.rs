use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Entropy, Error, FieldError, FieldReason, Page, PageSize, Result};

use crate::frame::{frame, unframe};
use crate::item::{Cursor, Item};
use crate::query::Query;
use crate::secret::Secrets;

/// Seals and opens page tokens: a cursor sealed with AES-256-GCM, bound to the caller and the query.
///
/// A token is opaque and valid only for the next page of the same list for the same caller.
pub struct PageTokens {
    /// The first seals; all open.
    keys: Vec<LessSafeKey>,
    entropy: Arc<dyn Entropy>,
}

/// Maximum length of a token in characters: it travels in a header.
pub const MAX_TOKEN_LEN: usize = 4096;

/// Maximum items that a filter reads for one page.
const MAX_FILTERED: u16 = 500;
/// Items that the first Query of a filtered page reads beyond twice the page size.
const SPARE: u16 = 20;

/// A caller's request for a page of a list.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// The bytes of the caller's id.
    pub caller: &'a [u8],
    /// The request's page token; empty for the first page.
    pub token: &'a str,
    /// The page size.
    pub size: PageSize,
    /// Everything beside the query itself that decides the answer, such as filters that run after reading. Empty if
    /// nothing.
    pub filters: &'a [u8],
}

impl PageTokens {
    /// Creates the tokens of one purpose, such as `"clients.list"`. Another purpose refuses them.
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

    /// Seals the token of a cursor.
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

    /// Opens a token and returns its cursor.
    ///
    /// # Errors
    /// INVALID_ARGUMENT on `pageToken` unless it is a token of ours for this caller and this query.
    pub fn open(&self, caller: &[u8], query: &[u8], token: &str) -> Result<Cursor> {
        self.unseal(caller, query, token).ok_or_else(refused)
    }

    /// Reads one page of a query by one Query of DynamoDB: it starts at the token and returns the next token.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a token that is not of this caller and query; UNAVAILABLE or INTERNAL of the Query.
    pub async fn page(&self, query: Query, request: PageRequest<'_>) -> Result<Page<Item>> {
        let (binding, after) = self.start(&query, request)?;
        let rows = query.limit(request.size.get()).starting_after(after).page().await?;
        let next = rows.next.map(|cursor| self.seal(request.caller, &binding, &cursor)).transpose()?;
        Ok(Page { items: rows.items, next })
    }

    /// Reads one page of the items of a query that `shown` keeps: as many as the page size, unless the list ends or 500
    /// items were read. So a page may be short or empty without being the last. The filters of the request must
    /// identify what `shown` does.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a token that is not of this caller, query and filters; those of `shown`; UNAVAILABLE or
    /// INTERNAL of the Queries.
    pub async fn filtered<T>(
        &self,
        query: Query,
        request: PageRequest<'_>,
        mut shown: impl FnMut(Item) -> Result<Option<T>>,
    ) -> Result<Page<T>> {
        let (binding, mut after) = self.start(&query, request)?;
        let size = usize::from(request.size.get());
        let (mut items, mut left) = (Vec::new(), MAX_FILTERED);
        let mut limit = request.size.get().saturating_mul(2).saturating_add(SPARE);
        while left > 0 && items.len() < size {
            let rows = query.clone().limit(limit.min(left)).starting_after(after).page().await?;
            left = left.saturating_sub(u16::try_from(rows.items.len()).unwrap_or(u16::MAX));
            limit = MAX_FILTERED;
            after = rows.next;
            let mut read = rows.items.into_iter();
            while items.len() < size
                && let Some(item) = read.next()
            {
                let place = if items.len() + 1 == size { Some(query.cursor_of(&item)?) } else { None };
                items.extend(shown(item)?);
                if items.len() == size && !read.as_slice().is_empty() {
                    after = place;
                }
            }
            if after.is_none() {
                break;
            }
        }
        let next = after.map(|place| self.seal(request.caller, &binding, &place)).transpose()?;
        Ok(Page { items, next })
    }

    /// Returns the data that the request's tokens are bound to, and the cursor where its page begins, unless it is the
    /// first.
    fn start(&self, query: &Query, request: PageRequest<'_>) -> Result<(Vec<u8>, Option<Cursor>)> {
        let PageRequest { caller, token, size: _, filters } = request;
        let binding = frame([query.binding().as_slice(), filters]);
        if token.is_empty() {
            return Ok((binding, None));
        }
        let place = self.open(caller, &binding, token)?;
        if query.accepts(&place) { Ok((binding, Some(place))) } else { Err(refused()) }
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
    Error::invalid(
        "pageToken",
        FieldError::new(
            FieldReason::Malformed,
            "is not a token of this list; leave it out to start from the first page",
        ),
    )
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use kernel::Kind;
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    #[derive(Default)]
    struct Counter(AtomicU8);

    impl Entropy for Counter {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn tokens(secrets: &[u8], purpose: &str) -> PageTokens {
        let mut secrets = secrets.iter().map(|byte| Secret::new([*byte; 32]));
        let secrets = Secrets::new(secrets.next().unwrap(), secrets.collect());
        PageTokens::new(&secrets, purpose, Arc::new(Counter::default())).unwrap()
    }

    fn refused(outcome: Result<Cursor>) -> bool {
        outcome.is_err_and(|error| error.kind() == Kind::InvalidArgument && error.violations()[0].field == "pageToken")
    }

    fn cursor() -> impl Strategy<Value = Cursor> {
        proptest::collection::vec((".{0,20}", ".{0,100}"), 0..5).prop_map(Cursor::new)
    }

    proptest! {
        #[test]
        fn sealed_token_opens_and_altered_token_does_not(
            cursor in cursor(), caller: Vec<u8>, query: Vec<u8>, other: Vec<u8>, bit: proptest::sample::Index,
        ) {
            let tokens = tokens(&[1], "list");
            let token = tokens.seal(&caller, &query, &cursor).unwrap();
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(tokens.open(&caller, &query, &token).unwrap(), cursor);
            if other != caller {
                prop_assert!(refused(tokens.open(&other, &query, &token)));
            }
            if other != query {
                prop_assert!(refused(tokens.open(&caller, &other, &token)));
            }
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(refused(tokens.open(&caller, &query, &URL_SAFE_NO_PAD.encode(bytes))));
        }

        #[test]
        fn malformed_token_is_refused_without_panic(token in ".*") {
            prop_assert!(refused(tokens(&[1], "list").open(b"caller", b"query", &token)));
        }
    }

    #[test]
    fn token_binding_separates_caller_from_query() {
        let tokens = tokens(&[1], "list");
        let token = tokens.seal(b"ab", b"c", &Cursor::new([])).unwrap();
        assert!(refused(tokens.open(b"a", b"bc", &token)));
    }

    #[test]
    fn previous_secret_opens_token_other_purpose_does_not() {
        let cursor = Cursor::new([("pk".to_owned(), "a".to_owned())]);
        let token = tokens(&[1], "list").seal(b"caller", b"query", &cursor).unwrap();
        assert_eq!(tokens(&[2, 1], "list").open(b"caller", b"query", &token).unwrap(), cursor);
        assert!(refused(tokens(&[2], "list").open(b"caller", b"query", &token)));
        assert!(refused(tokens(&[1], "other").open(b"caller", b"query", &token)));
    }

    #[test]
    fn tokens_of_one_cursor_differ_and_are_bounded() {
        let tokens = tokens(&[1], "list");
        let place = |length| Cursor::new([("pk".to_owned(), "a".repeat(length))]);
        let seal = |length| tokens.seal(b"caller", b"query", &place(length));
        assert_ne!(seal(1).unwrap(), seal(1).unwrap());
        assert!(seal(2900).unwrap().len() <= MAX_TOKEN_LEN);
        assert_eq!(seal(4000).unwrap_err().kind(), Kind::Internal);
        assert!(refused(tokens.open(b"caller", b"query", &"A".repeat(MAX_TOKEN_LEN + 1))));
    }
}

#[cfg(test)]
mod fuzz {
    use std::sync::{Arc, LazyLock};

    use kernel::{Entropy, Kind};
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseResult;

    use super::PageTokens;
    use crate::item::Cursor;
    use crate::secret::{Secret, Secrets};

    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    static TOKENS: LazyLock<PageTokens> = LazyLock::new(|| {
        let secrets = Secrets::new(Secret::new([1; 32]), vec![Secret::new([2; 32])]);
        PageTokens::new(&secrets, "list", Arc::new(Fixed)).unwrap()
    });

    fn place() -> Cursor {
        Cursor::new([("pk".to_owned(), "CLIENT#1".to_owned()), ("sk".to_owned(), "ENTRY#2".to_owned())])
    }

    fn good() -> String {
        TOKENS.seal(b"caller", b"query", &place()).unwrap()
    }

    fuzz::target!(
        page_tokens,
        prop_oneof![
            4 => fuzz::damaged(Just(good().into_bytes())),
            1 => fuzz::bytes(&["A", "_", "-", "=", "+", "/", "\0", "é"]),
        ]
    );

    /// Exactly one text opens: the sealed token.
    fn page_tokens(token: Vec<u8>) -> TestCaseResult {
        let Ok(token) = String::from_utf8(token) else { return Ok(()) };
        match TOKENS.open(b"caller", b"query", &token) {
            Ok(opened) => {
                prop_assert_eq!(token, good());
                prop_assert_eq!(opened, place());
            }
            Err(error) => {
                prop_assert_ne!(token, good());
                prop_assert_eq!(error.kind(), Kind::InvalidArgument);
            }
        }
        Ok(())
    }
}
