//! Ending an account from the service that holds its profile.
//!
//! Several services have a part in it, and its state is one item: the profile is replaced by a [`Tombstone`], in which the
//! event `AccountEnded` is pending, and a relay tells the others. Every step can be repeated, and a crash between any two is
//! finished by [`Endings::recover`].
//!
//! [`Stored`] is what a service finds where a profile belongs; a profile has an attribute `version`.
//!
//! The tombstone stays for a day, so that an access token that is still good can't make the profile anew.

mod subscribers;
mod tombstone;

use std::sync::Arc;
use std::time::Duration;

use chassis::{Context, Platform};
use dynamo::{Action, Condition, Item, Key, Read, Table, Transact};
use kernel::{Error, Result, Role, UserId, Version};
use relay::{Mark, Relay, Subscriber};

pub use relay::Config;
pub use subscribers::{Addresses, SUBSCRIBERS};
pub use tombstone::{PENDING, Stored, Tombstone};

use crate::tombstone::{Burial, Burials};

/// How often a burial is tried against changes of the profile.
const ATTEMPTS: usize = 5;

/// How one service ends the accounts whose profiles it holds.
#[derive(Clone)]
pub struct Endings {
    table: Table,
    relay: Relay,
    role: Role,
    platform: Platform,
    key: fn(UserId) -> Key,
}

impl Endings {
    /// Endings over a table that has the index [`PENDING`] and holds the profiles of people of this role, each by the key that
    /// `key` gives. The subscribers are told in the order of [`SUBSCRIBERS`], those at once whose order doesn't matter.
    #[must_use]
    pub fn new(
        table: Table,
        subscribers: Vec<Subscriber>,
        role: Role,
        platform: Platform,
        key: fn(UserId) -> Key,
    ) -> Self {
        let events = Burials { table: table.clone(), clock: Arc::clone(&platform.clock) };
        let relay = Relay::in_stages(table.clone(), subscribers::in_stages(subscribers), events);
        Self { table, relay, role, platform, key }
    }

    /// Ends an account, whether it has a profile or not. `burial` gives the version of the profile, and what else goes in
    /// the transaction that replaces it. `may` is awaited before anything is written, unless the ending has begun
    /// before: repeating it changes nothing.
    ///
    /// # Errors
    /// Those of `may`; ABORTED (`STALE_ETAG`) when others keep changing the profile; UNAVAILABLE or DEADLINE_EXCEEDED when
    /// a subscriber or DynamoDB doesn't answer, or what was deleted can't be overwritten: if the tombstone is there,
    /// recovery will finish it.
    pub async fn end<P>(
        &self,
        context: &Context,
        user: UserId,
        may: impl Future<Output = Result<()>>,
        burial: impl Fn(P) -> (Version, Option<Action>),
    ) -> Result<()>
    where
        P: TryFrom<Item, Error = Error>,
    {
        let key = (self.key)(user);
        let (mut may, mut refusal) = (Some(may), None);
        for _ in 0..ATTEMPTS {
            let (unchanged, also) = match Stored::of(self.table.get_item(&key, Read::Consistent).await?)? {
                Stored::Tombstone(Tombstone { pending: None }) => return Ok(()),
                Stored::Tombstone(Tombstone { pending: Some(event) }) => {
                    return self.relay.deliver(context, &key, event).await;
                }
                Stored::Nothing => (Condition::absent(), None),
                Stored::Profile(profile) => {
                    let (version, also) = burial(profile);
                    (Condition::eq("version", version), also)
                }
            };
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            if let Some(may) = may.take()
                && let Err(error) = may.await
            {
                // Another call may have ended the account in the meantime, and the login with it: read again.
                refusal = Some(error);
                continue;
            }
            let mark = Mark::new(&*self.platform.clock, &*self.platform.entropy);
            let tombstone = Burial::new(user, self.role, mark);
            let burial = self.table.put(&key, &tombstone).when(unchanged).into();
            let buried = self.table.transact(std::iter::once(burial).chain(also)).await?;
            if matches!(buried, Transact::Done) {
                return self.relay.deliver(context, &key, tombstone.event()?).await;
            }
        }
        Err(Version::stale())
    }

    /// Finishes, again and again, what a crash or an outage left.
    pub async fn recover(self, interval: Duration) {
        self.relay.recover(interval).await;
    }
}

impl std::fmt::Debug for Endings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endings").field("role", &self.role).finish_non_exhaustive()
    }
}
