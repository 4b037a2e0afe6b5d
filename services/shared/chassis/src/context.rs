use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use kernel::{Error, Expected, Kind, Person, Timestamp};
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};

use crate::caller::Caller;

/// The header in which a person's access token comes (RFC 6750).
pub const AUTHORIZATION: &str = "authorization";
/// The header in which a service's own token comes (draft-ietf-wimse-s2s-protocol).
pub const WORKLOAD_TOKEN: &str = "workload-identity-token";
/// The header that makes a POST repeatable (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Time by which a callee's deadline is earlier than the caller's, so that the callee gives up first.
const HOP_MARGIN: Duration = Duration::from_millis(20);
/// Maximum age of the proof of the password for what asks for a recent login.
const RECENT_SECONDS: i64 = 10 * 60;

/// Instant at which the caller stops waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline(pub(crate) Instant);

/// Address of the client: the peer, or what a trusted front says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Times of the access token that came with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenTimes {
    /// Expiry of the token.
    pub(crate) expires: Timestamp,
    /// Time at which the person proved the password; none in tokens that don't say it.
    pub(crate) authenticated: Option<Timestamp>,
}

/// Facts that the layers found about a request, for the code that answers it.
#[derive(Clone)]
pub struct Context {
    /// Verified caller.
    pub caller: Caller,
    /// Instant at which the caller stops waiting.
    pub deadline: Instant,
    /// Address of the client.
    pub source: IpAddr,
    /// The key that makes a POST repeatable, if one was sent.
    pub idempotency_key: Option<String>,
    /// The etags that a change expects of the resource, by `If-Match`.
    pub expected: Expected,
    /// Expiry of the person's access token, if one came with the call: an answer that is a stream ends then.
    pub token_expires: Option<Timestamp>,
    /// Time at which the person proved the password, if the access token says it.
    authenticated: Option<Timestamp>,
    access_token: Option<MetadataValue<Ascii>>,
}

impl Context {
    /// The context of a request that came through the layers.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        let extensions = request.extensions();
        let key = request.metadata().get(IDEMPOTENCY_KEY);
        let times = extensions.get::<TokenTimes>();
        Self {
            caller: extensions.get::<Caller>().cloned().unwrap_or_default(),
            deadline: extensions.get::<Deadline>().map_or_else(Instant::now, |deadline| deadline.0),
            source: extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0),
            idempotency_key: key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned()),
            expected: extensions.get::<Expected>().cloned().unwrap_or_default(),
            token_expires: times.map(|times| times.expires),
            authenticated: times.and_then(|times| times.authenticated),
            access_token: request.metadata().get(AUTHORIZATION).cloned().map(sensitive),
        }
    }

    /// The context of work that no person asked for just now, such as a recovery.
    #[must_use]
    pub fn background(timeout: Duration) -> Self {
        Self {
            caller: Caller::default(),
            deadline: Instant::now() + timeout,
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            idempotency_key: None,
            expected: Expected::Anything,
            token_expires: None,
            authenticated: None,
            access_token: None,
        }
    }

    /// The same caller with another deadline, for the next part of an answer that is a stream: it outlives the deadline
    /// of its request.
    #[must_use]
    pub fn renewed(&self, timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, ..self.clone() }
    }

    /// The person who calls.
    ///
    /// # Errors
    /// UNAUTHENTICATED, where the rule of the RPC lets anyone in.
    pub fn person(&self) -> Result<Person, Error> {
        self.caller.person.ok_or_else(|| {
            Error::new(Kind::Unauthenticated, "TOKEN_MISSING", "authorization: send `Bearer` and an access token")
        })
    }

    /// Checks that the person proved the password in the last ten minutes. A token that doesn't say when counts as old.
    ///
    /// # Errors
    /// PERMISSION_DENIED (`REAUTHENTICATION_REQUIRED`).
    pub fn must_be_recently_authenticated(&self, now: Timestamp) -> Result<(), Error> {
        let is_recent = |at: Timestamp| now.duration_since(at).as_secs() <= RECENT_SECONDS;
        if self.authenticated.is_some_and(is_recent) {
            return Ok(());
        }
        let message =
            "this needs a login of the last 10 minutes: log in again with the password, and repeat the request";
        Err(Error::new(Kind::PermissionDenied, "REAUTHENTICATION_REQUIRED", message))
    }

    /// A request to another service within this context: on behalf of the same person, with the time until `deadline`.
    pub(crate) fn outgoing<T>(&self, deadline: Instant, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(deadline.saturating_duration_since(Instant::now()).saturating_sub(HOP_MARGIN));
        if let Some(token) = &self.access_token {
            request.metadata_mut().insert(AUTHORIZATION, token.clone());
        }
        request
    }
}

/// Marks a token so that neither logs nor the compression of HTTP/2 headers keep it.
fn sensitive(mut token: MetadataValue<Ascii>) -> MetadataValue<Ascii> {
    token.set_sensitive(true);
    token
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("caller", &self.caller)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_of_last_ten_minutes_is_recent() {
        let now = Timestamp::from_second(4_102_444_800).unwrap();
        let reason = |authenticated: Option<i64>| {
            let authenticated = authenticated.map(|ago| Timestamp::from_second(now.as_second() - ago).unwrap());
            let context = Context { authenticated, ..Context::background(Duration::ZERO) };
            context.must_be_recently_authenticated(now).map_err(|error| error.reason())
        };
        // Another replica's clock may be ahead.
        for recent in [0, 600, -30] {
            assert_eq!(reason(Some(recent)), Ok(()), "{recent}");
        }
        for old in [Some(601), Some(86_400), None] {
            assert_eq!(reason(old), Err("REAUTHENTICATION_REQUIRED"), "{old:?}");
        }
    }
}
