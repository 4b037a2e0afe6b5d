//! Ending an account from the service that holds its profile.
//!
//! Two tables change, so it is a saga, and its state is one item: the profile is replaced by a [`Tombstone`] that is in
//! the index [`PENDING`]; auth ends the account; the tombstone leaves the index. A crash between any two steps is
//! finished by [`Endings::recover`]. Every step can be repeated.
//!
//! [`Stored`] is what a service finds where a profile belongs; a profile has an attribute `version`.
//!
//! The tombstone stays for a day, so that an access token that is still good can't make the profile anew.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use chassis::client::Upstream;
use dynamo::{Action, Condition, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Read, Table, Transact};
use futures_util::{StreamExt as _, stream};
use kernel::{Clock, Error, Result, UserId, Version};
use proto::auth::v1::EndAccountRequest;
use proto::auth::v1::account_service_client::AccountServiceClient;
use serde::{Deserialize, Serialize};

/// How what was left unfinished is found.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// How often it is looked whether an account is still to be ended.
    #[arg(long, env = "MESH_RECOVERY_INTERVAL", default_value = "10s", value_parser = parse_interval, help_heading = "Ending accounts")]
    pub recovery_interval: Duration,
}

fn parse_interval(text: &str) -> std::result::Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than nothing, such as 10s".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

/// The index of the tombstones whose account auth has not ended yet.
pub const PENDING: IndexDef = IndexDef {
    name: "pending",
    key: KeyDef { partition: "pending", sort: Some("pk") },
    projection: Projection::Include(&[USER_ID]),
};

/// The attribute that a tombstone has, and no profile.
const USER_ID: &str = "user_id";
const ENDING: &str = "ENDING";
/// How long a tombstone stays once the account is ended. It must outlive every access token of the account: the most that
/// auth can be configured to let one live is an hour.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How often a burial is tried against changes of the profile.
const ATTEMPTS: usize = 5;
/// How long recovery waits for one ending.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many tombstones recovery holds in memory.
const BATCH: u16 = 100;
/// How many endings recovery carries out at a time: few, so that it takes nothing from people who wait.
const AT_ONCE: usize = 4;

/// What is left of a profile while and after its account ends: nothing of the person.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tombstone {
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
}

/// What is stored where the profile of an account belongs.
#[derive(Debug)]
pub enum Stored<P> {
    /// There was never a profile.
    Nothing,
    /// The profile.
    Profile(P),
    /// The account is ended, or about to be.
    Tombstone(Tombstone),
}

impl<P: TryFrom<Item, Error = Error>> Stored<P> {
    /// What this item is.
    ///
    /// # Errors
    /// INTERNAL when it is neither a profile nor a tombstone.
    pub fn of(item: Option<Item>) -> Result<Self> {
        match item {
            None => Ok(Self::Nothing),
            Some(item) if item.text(USER_ID).is_some() => item.parse().map(Self::Tombstone),
            Some(item) => item.try_into().map(Self::Profile),
        }
    }

    /// The profile, if there is one.
    #[must_use]
    pub fn profile(self) -> Option<P> {
        match self {
            Self::Profile(profile) => Some(profile),
            Self::Nothing | Self::Tombstone(_) => None,
        }
    }
}

/// The saga of one service.
#[derive(Clone)]
pub struct Endings {
    table: Table,
    auth: Upstream,
    clock: Arc<dyn Clock>,
    key: fn(UserId) -> Key,
}

impl Endings {
    /// The saga over a table that has the index [`PENDING`], whose profiles have the key that `key` gives.
    #[must_use]
    pub fn new(table: Table, auth: Upstream, clock: Arc<dyn Clock>, key: fn(UserId) -> Key) -> Self {
        Self { table, auth, clock, key }
    }

    /// Ends an account, whether it has a profile or not. `burial` gives the version of the profile, and what else goes in
    /// the transaction that replaces it.
    ///
    /// # Errors
    /// NOT_FOUND when the account is ended already; ABORTED (`STALE_ETAG`) when others keep changing the profile;
    /// UNAVAILABLE or DEADLINE_EXCEEDED when auth or DynamoDB doesn't answer: if the tombstone is there, recovery will
    /// finish it.
    pub async fn end<P>(
        &self,
        context: &Context,
        user: UserId,
        burial: impl Fn(P) -> (Version, Option<Action>),
    ) -> Result<()>
    where
        P: TryFrom<Item, Error = Error>,
    {
        let key = (self.key)(user);
        for _ in 0..ATTEMPTS {
            let (unchanged, also) = match Stored::of(self.table.get_item(&key, Read::Consistent).await?)? {
                Stored::Tombstone(Tombstone { pending: None, .. }) => return Err(Error::not_found("account")),
                Stored::Tombstone(_) => return self.carry_out(context, user).await,
                Stored::Nothing => (Condition::absent(), None),
                Stored::Profile(profile) => {
                    let (version, also) = burial(profile);
                    (Condition::eq("version", version), also)
                }
            };
            let tombstone = Tombstone { user_id: user, pending: Some(ENDING.to_owned()) };
            let burial = self.table.put(&key, &tombstone).when(unchanged).into();
            let buried = self.table.transact(std::iter::once(burial).chain(also)).await?;
            if matches!(buried, Transact::Done) {
                return self.carry_out(context, user).await;
            }
        }
        Err(Version::stale())
    }

    /// The steps after the burial. They can be repeated.
    async fn carry_out(&self, context: &Context, user: UserId) -> Result<()> {
        let request = EndAccountRequest { user_id: user.to_string() };
        let end = |transport, request| async move { AccountServiceClient::new(transport).end_account(request).await };
        self.auth.call(context, request, end).await?;
        let over = self.clock.now().saturating_add(KEPT).map_err(Error::internal)?;
        let finished =
            self.table.update(&(self.key)(user)).remove(PENDING.key.partition).set(EXPIRES_AT, over.as_second());
        // A tombstone that is not pending any more was finished by somebody else.
        finished.when(Condition::has(PENDING.key.partition)).run().await.map(|_| ())
    }

    /// Finishes, again and again, what a crash or an outage left.
    pub async fn recover(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            if let Err(error) = self.finish_pending().await {
                tracing::warn!(%error, cause = error.source(), "accounts that are to be ended can't be read");
            }
        }
    }

    /// Tries everything that is pending once. An ending that fails holds up no other, and is tried again in the next
    /// round.
    async fn finish_pending(&self) -> Result<()> {
        let first = self.table.query_index(&PENDING, ENDING).limit(BATCH);
        let mut page = first.clone().page().await?;
        loop {
            stream::iter(page.items).for_each_concurrent(AT_ONCE, |item| self.finish(item)).await;
            let Some(cursor) = page.next else { return Ok(()) };
            page = first.clone().after(cursor).page().await?;
        }
    }

    async fn finish(&self, item: Item) {
        let ended = match item.parse::<PendingTombstone>() {
            Ok(PendingTombstone { user_id }) => self.carry_out(&Context::background(PATIENCE), user_id).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(%error, cause = error.source(), "an account that is to be ended waits for the next round");
        }
    }
}

impl std::fmt::Debug for Endings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endings").finish_non_exhaustive()
    }
}

/// A tombstone as the index [`PENDING`] shows it.
#[derive(Deserialize)]
struct PendingTombstone {
    user_id: UserId,
}
