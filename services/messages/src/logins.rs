//! What auth knows of the logins by which people watch.

use chassis::Context;
use chassis::client::Upstream;
use kernel::{LoginId, Result, UserId};
use proto::auth::v1::login_service_client::LoginServiceClient;
use proto::auth::v1::{ListEndedLoginsRequest, Login};

/// About how many logins auth is asked at once.
const MOST_AT_ONCE: usize = 200;

/// The service that knows whose login has ended. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Logins(pub(crate) Upstream);

impl Logins {
    /// Those of these logins that have ended.
    ///
    /// # Errors
    /// UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL when auth doesn't say.
    pub(crate) async fn ended(&self, context: &Context, logins: &[(UserId, LoginId)]) -> Result<Vec<LoginId>> {
        let mut ended = Vec::new();
        for logins in logins.chunks(MOST_AT_ONCE) {
            let login =
                |(user, login): &(UserId, LoginId)| Login { user_id: user.to_string(), login_id: login.to_string() };
            let request = ListEndedLoginsRequest { logins: logins.iter().map(login).collect() };
            let list =
                |transport, request| async move { LoginServiceClient::new(transport).list_ended_logins(request).await };
            let answer = self.0.call(context, request, list).await?;
            ended.extend(answer.login_ids.iter().filter_map(|id| id.parse::<LoginId>().ok()));
        }
        Ok(ended)
    }
}
