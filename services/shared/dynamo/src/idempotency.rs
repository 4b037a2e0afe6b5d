use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Clock, Error, FieldError, FieldReason, Kind, Result};
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::frame::frame;
use crate::item::{Item, Key};
use crate::secret::Secrets;
use crate::table::{Read, Table};
use crate::transact::{Action, Verdict};

/// Lifetime of a record, and so of its key.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The attribute that says when a record expires, in seconds since 1970. The table that holds the records names it as
/// its [`ttl`](crate::TableDef::ttl).
pub const EXPIRES_AT: &str = "expires_at";

/// Stores records of idempotent requests (those with an `Idempotency-Key`), in the table of the resources they create.
///
/// The record is written in the same transaction as the resource, so that there is never one without the other. It
/// holds the id of the resource and a keyed MAC of the request: nothing of the request itself. Its partition key begins
/// with `IDEM#`, as no other of the table may.
#[derive(Clone)]
pub struct Idempotency {
    table: Table,
    /// The first signs; all verify.
    keys: Arc<[hmac::Key]>,
    clock: Arc<dyn Clock>,
}

/// A request with an `Idempotency-Key`.
#[derive(Debug, Clone, Copy)]
pub struct IdempotentRequest<'a> {
    /// The bytes of the caller's id.
    pub caller: &'a [u8],
    /// The path of the RPC.
    pub rpc: &'static str,
    /// The value of the `Idempotency-Key` header: 1 to 255 printable ASCII characters.
    pub key: &'a str,
    /// The request's bytes, without the key.
    pub body: &'a [u8],
}

impl IdempotentRequest<'_> {
    /// Returns the partition key of the record, which is unique for caller, RPC and key.
    fn partition(&self) -> Result<String> {
        let Self { caller, rpc, key, body: _ } = self;
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Error::invalid(
                "Idempotency-Key",
                FieldError::new(FieldReason::Malformed, "must be 1 to 255 printable ASCII characters"),
            ));
        }
        let name = digest::digest(&digest::SHA256, &frame([caller, rpc.as_bytes(), key.as_bytes()]));
        Ok(format!("IDEM#{}", URL_SAFE_NO_PAD.encode(name)))
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    resource: String,
    #[serde(with = "serde_bytes")]
    mac: Vec<u8>,
    expires_at: i64,
}

impl Idempotency {
    /// Creates the store of records in this table, whose definition names [`EXPIRES_AT`] as its `ttl`.
    ///
    /// # Errors
    /// INTERNAL when the cryptographic library fails.
    pub fn new(table: Table, secrets: &Secrets, clock: Arc<dyn Clock>) -> Result<Self> {
        let keys = secrets.derive_all("idempotency")?;
        let keys = keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())).collect();
        Ok(Self { table, keys, clock })
    }

    /// Returns the claim of a request on its key; none for a request without a key.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub fn claim_if_keyed(
        &self,
        key: Option<&str>,
        caller: &[u8],
        rpc: &'static str,
        body: &[u8],
    ) -> Result<Option<Claim>> {
        key.map(|key| self.claim(IdempotentRequest { caller, rpc, key, body })).transpose()
    }

    /// Returns the claim of a request on its key. Sends nothing yet.
    ///
    /// # Errors
    /// INVALID_ARGUMENT on `Idempotency-Key` when it is not 1 to 255 printable ASCII characters.
    pub fn claim(&self, request: IdempotentRequest<'_>) -> Result<Claim> {
        let (partition, body) = (request.partition()?, request.body);
        let key =
            if self.table.def.key.sort.is_some() { Key::new(partition, "IDEM") } else { Key::partition(partition) };
        Ok(Claim { idempotency: self.clone(), key, body: digest::digest(&digest::SHA256, body) })
    }

    /// Returns the id of the resource that the same request created before, if it did; none for a request without a
    /// key, which reads nothing.
    ///
    /// Use cases call it before they judge a request by anything that changes: the clock, relations or other resources.
    /// Only the caller's own account must be alive.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`IDEMPOTENCY_KEY_REUSED`) when the key came with another request; UNAVAILABLE or INTERNAL.
    pub async fn replayed<Id: FromStr>(claim: Option<&Claim>) -> Result<Option<Id>> {
        let Some(claim) = claim else { return Ok(None) };
        let Some(item) = claim.idempotency.table.get_item(&claim.key, Read::Consistent).await? else {
            return Ok(None);
        };
        let id = claim.resource(item)?.map(|id| id.parse());
        id.transpose().map_err(|_| Error::internal("an idempotency record names no resource of its kind"))
    }
}

/// A request's claim on its key.
pub struct Claim {
    idempotency: Idempotency,
    key: Key,
    body: digest::Digest,
}

impl Claim {
    /// Returns the write of the record, for the transaction that creates the resource with this id.
    pub fn action(&self, resource: &str) -> Action {
        let now = self.idempotency.clock.now().as_second();
        let expires_at = now.saturating_add_unsigned(REMEMBERED.as_secs());
        let mac = self.idempotency.keys.first().map(|key| hmac::sign(key, self.body.as_ref()).as_ref().to_vec());
        let record = Record { resource: resource.to_owned(), mac: mac.unwrap_or_default(), expires_at };
        let free = Condition::absent().or(Condition::le(EXPIRES_AT, now));
        self.idempotency.table.put(&self.key, &record).when(free).into()
    }

    /// Interprets the verdict on [`action`](Self::action) of a failed transaction: returns the id of the resource if
    /// the same request was faster, and none if the claim didn't cause the failure.
    ///
    /// # Errors
    /// ALREADY_EXISTS (`IDEMPOTENCY_KEY_REUSED`) when the key came with another request; INTERNAL.
    pub fn lost(&self, verdict: &Verdict) -> Result<Option<String>> {
        match verdict {
            Verdict::Fine => Ok(None),
            Verdict::ConditionFailed(Some(item)) => self.resource(item.clone()),
            Verdict::ConditionFailed(None) => Err(Error::internal("DynamoDB kept the record that exists to itself")),
        }
    }

    fn resource(&self, item: Item) -> Result<Option<String>> {
        let Record { resource, mac, expires_at } = item.parse()?;
        if expires_at <= self.idempotency.clock.now().as_second() {
            return Ok(None);
        }
        if self.idempotency.keys.iter().any(|key| hmac::verify(key, self.body.as_ref(), &mac).is_ok()) {
            return Ok(Some(resource));
        }
        let message = "Idempotency-Key: this key came with another request; use a new key for a new request";
        Err(Error::new(Kind::AlreadyExists, "IDEMPOTENCY_KEY_REUSED", message))
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseResult;

    use super::IdempotentRequest;

    fuzz::target!(keys, (fuzz::bytes(&TOKENS), fuzz::bytes(&TOKENS)));

    const TOKENS: [&str; 7] = ["k", "K", " ", "~", "\u{7f}", "\n", "é"];

    /// A key has 1 to 255 printable characters of ASCII, and no two keys, callers or RPCs share a record.
    fn keys((one, other): (Vec<u8>, Vec<u8>)) -> TestCaseResult {
        let (one, other) = (String::from_utf8_lossy(&one), String::from_utf8_lossy(&other));
        let of = |caller: &str, rpc, key| {
            IdempotentRequest { caller: caller.as_bytes(), rpc, key, body: &[] }.partition().ok()
        };
        let partition = of("caller", "/rpc", &one);
        let is_printable = one.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        prop_assert_eq!(partition.is_some(), is_printable && (1..256).contains(&one.len()));
        if partition.is_some() {
            prop_assert_eq!(of("caller", "/rpc", &other) == partition, one == other);
            prop_assert_ne!(of(&format!("caller{one}"), "/rpc", &one), partition.clone());
            prop_assert_ne!(of("caller/rpc", "", &one), partition.clone());
            prop_assert_ne!(of("caller", "/other", &one), partition);
        }
        Ok(())
    }
}
