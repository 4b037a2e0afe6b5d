//! Asks auth whether logins are still open.
//!
//! An access token outlives its login by up to its own life. Services that do what can't be undone therefore ask auth
//! before they do it: uncached, and answered from a consistent read. Without an answer they refuse.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{Error, Kind, LoginId, Result, Timestamp, UserId};
use proto::auth::v1::login_service_client::LoginServiceClient;
use proto::auth::v1::{ListEndedLoginsRequest, Login};

/// Maximum logins in one call.
const MAX_BATCH: usize = 200;

/// Client of auth's `LoginService`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logins(Upstream);

impl Logins {
    /// A client that calls auth at this upstream.
    #[must_use]
    pub const fn new(auth: Upstream) -> Self {
        Self(auth)
    }

    /// Checks that the caller's login is open.
    ///
    /// # Errors
    /// UNAUTHENTICATED (`LOGIN_ENDED`) when it has ended; UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL when auth gives no
    /// answer.
    pub async fn must_be_open(&self, context: &Context) -> Result<()> {
        let person = context.person()?;
        if self.ended(context, &[(person.user_id, person.login_id)]).await?.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Unauthenticated, "LOGIN_ENDED", "this login is over; log in again"))
    }

    /// Checks that the caller's login is open, and that the person proved the password recently.
    ///
    /// # Errors
    /// As [`Logins::must_be_open`] and [`Context::must_be_recently_authenticated`], in this order.
    pub async fn must_be_open_and_recent(&self, context: &Context, now: Timestamp) -> Result<()> {
        self.must_be_open(context).await?;
        context.must_be_recently_authenticated(now)
    }

    /// Returns those of these logins that have ended.
    ///
    /// # Errors
    /// UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL when auth gives no answer.
    pub async fn ended(&self, context: &Context, logins: &[(UserId, LoginId)]) -> Result<Vec<LoginId>> {
        let mut ended = Vec::new();
        for logins in logins.chunks(MAX_BATCH) {
            let login =
                |(user, login): &(UserId, LoginId)| Login { user_id: user.to_string(), login_id: login.to_string() };
            let request = ListEndedLoginsRequest { logins: logins.iter().map(login).collect() };
            let list =
                |transport, request| async move { LoginServiceClient::new(transport).list_ended_logins(request).await };
            let answer = self.0.call(context, request, list).await?;
            for id in answer.login_ids {
                ended.push(id.parse().map_err(|_| Error::internal("auth names a login by an id that is none"))?);
            }
        }
        Ok(ended)
    }
}
