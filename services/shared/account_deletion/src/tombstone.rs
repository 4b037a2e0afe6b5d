use std::sync::Arc;
use std::time::Duration;

use dynamo::{EXPIRES_AT, IndexDef, Item, Projection, Table, UpdateRequest};
use futures_util::future::BoxFuture;
use kernel::{Clock, Error, Result, Role, UserId};
use outbox::{Events, Mark};
use proto::events::v1::event::Kind;
use proto::events::v1::{AccountEnded, Event, account_ended};
use serde::{Deserialize, Serialize};

/// The index of the tombstones with a pending event: some subscriber has not acknowledged it yet.
pub const PENDING: IndexDef = outbox::pending(Projection::Include(&[USER_ID]));

/// The attribute that tells a tombstone from a profile.
const USER_ID: &str = "user_id";
/// Retention of a tombstone after the account deletion. It must outlive every access token of the account, whose
/// lifetime in auth's configuration is an hour at most.
const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// The item that replaces a profile during and after the account deletion. It holds no data of the person.
#[derive(Debug, Clone)]
pub struct Tombstone {
    /// The event that some subscriber has not acknowledged yet.
    pub(crate) pending: Option<Event>,
}

/// A tombstone to write.
#[derive(Serialize)]
pub(crate) struct NewTombstone {
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

/// The content of the profile's item of an account.
#[derive(Debug)]
pub enum Stored<P> {
    /// There was never a profile.
    Nothing,
    /// The profile.
    Profile(P),
    /// The account is deleted, or its deletion is under way.
    Tombstone(Tombstone),
}

impl<P: TryFrom<Item, Error = Error>> Stored<P> {
    /// Tells a profile from a tombstone.
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

    /// Returns the profile, if there is one.
    #[must_use]
    pub fn profile(self) -> Option<P> {
        match self {
            Self::Profile(profile) => Some(profile),
            Self::Nothing | Self::Tombstone(_) => None,
        }
    }

    /// Returns the profile to its owner, if there is one.
    ///
    /// # Errors
    /// UNAUTHENTICATED (`ACCOUNT_ENDED`) when the account is deleted.
    pub fn own(self) -> Result<Option<P>> {
        match self {
            Self::Tombstone(_) => Err(Error::account_ended()),
            Self::Nothing | Self::Profile(_) => Ok(self.profile()),
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

impl NewTombstone {
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

/// The pending events of tombstones, for the outbox.
pub(crate) struct TombstoneEvents {
    pub(crate) table: Table,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Events for TombstoneEvents {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Ok(Tombstone::of(item)?.pending)
    }

    /// Overwrites the deleted profile on the disk: only then is the account deleted.
    fn settle(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.table.erase_deleted())
    }

    fn taken(&self, update: UpdateRequest) -> Result<UpdateRequest> {
        let over = self.clock.now().saturating_add(RETENTION).map_err(Error::internal)?;
        Ok(update.set(EXPIRES_AT, over.as_second()))
    }
}
