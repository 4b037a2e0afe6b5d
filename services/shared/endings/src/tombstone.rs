use std::sync::Arc;
use std::time::Duration;

use dynamo::{EXPIRES_AT, IndexDef, Item, Projection, Table, UpdateRequest};
use futures_util::future::BoxFuture;
use kernel::{Clock, Error, Result, Role, UserId};
use proto::events::v1::event::Kind;
use proto::events::v1::{AccountEnded, Event, account_ended};
use relay::{Events, Mark};
use serde::{Deserialize, Serialize};

/// The index of the tombstones whose event some subscriber has not taken yet.
pub const PENDING: IndexDef = relay::pending(Projection::Include(&[USER_ID]));

/// The attribute that a tombstone has, and no profile.
const USER_ID: &str = "user_id";
/// How long a tombstone stays once the account is ended. It must outlive every access token of the account: the most that
/// auth can be configured to let one live is an hour.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What is left of a profile while and after its account ends: nothing of the person.
#[derive(Debug, Clone)]
pub struct Tombstone {
    /// What some subscriber has not taken yet.
    pub(crate) pending: Option<Event>,
}

/// A tombstone as it is written.
#[derive(Serialize)]
pub(crate) struct Burial {
    #[serde(flatten)]
    ended: Ended,
    #[serde(flatten)]
    mark: Mark,
}

#[derive(Serialize, Deserialize)]
struct Ended {
    user_id: UserId,
    role: String,
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
            Some(item) if item.text(USER_ID).is_some() => Tombstone::of(item).map(Self::Tombstone),
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

impl Tombstone {
    fn of(item: Item) -> Result<Self> {
        let pending = match Mark::of(&item)? {
            None => None,
            Some(mark) => Some(mark.event(item.parse::<Ended>()?.kind()?)),
        };
        Ok(Self { pending })
    }
}

impl Burial {
    pub(crate) fn new(user_id: UserId, role: Role, mark: Mark) -> Self {
        Self { ended: Ended { user_id, role: role.as_str().to_owned() }, mark }
    }

    pub(crate) fn event(&self) -> Result<Event> {
        Ok(self.mark.event(self.ended.kind()?))
    }
}

impl Ended {
    fn kind(&self) -> Result<Kind> {
        let role = match self.role.parse() {
            Ok(Role::Client) => account_ended::Role::Client,
            Ok(Role::Therapist) => account_ended::Role::Therapist,
            Err(()) => return Err(Error::internal("a tombstone has no valid role")),
        };
        Ok(Kind::AccountEnded(AccountEnded { user_id: self.user_id.to_string(), role: role.into() }))
    }
}

/// What the relay asks of tombstones.
pub(crate) struct Burials {
    pub(crate) table: Table,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Events for Burials {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Ok(Tombstone::of(item)?.pending)
    }

    /// An account has ended when nothing of it is left on the disk either.
    fn settle(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.table.erase_deleted())
    }

    fn taken(&self, update: UpdateRequest) -> Result<UpdateRequest> {
        let over = self.clock.now().saturating_add(KEPT).map_err(Error::internal)?;
        Ok(update.set(EXPIRES_AT, over.as_second()))
    }
}
