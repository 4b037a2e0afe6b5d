//! Deletes an account from the service that holds its profile.
//!
//! Several services take part, and the state of a deletion is one item: a [`Tombstone`] with the pending event
//! `AccountEnded` replaces the profile, and the outbox notifies the other services. Every step can be repeated, and
//! [`AccountDeletions::recover`] finishes a deletion after a crash between any two.
//!
//! [`Stored`] is the content of a profile's item; a profile has an attribute `version`.
//!
//! The tombstone stays for a day, so that an access token that is still valid can't create the profile again.

mod subscribers;
mod tombstone;

use std::sync::Arc;
use std::time::Duration;

use chassis::{Context, Platform};
use dynamo::{Action, Condition, Item, Key, Read, Table, Transact};
use kernel::{Error, Result, Role, UserId, Version};
use outbox::{Mark, Outbox, Subscriber};
use retry::Policy;

pub use outbox::Config;
pub use subscribers::{Addresses, SUBSCRIBERS};
pub use tombstone::{PENDING, Stored, Tombstone};

use crate::tombstone::{NewTombstone, TombstoneEvents};

/// Deletes the accounts whose profiles one service holds.
#[derive(Clone)]
pub struct AccountDeletions {
    table: Table,
    outbox: Outbox,
    role: Role,
    platform: Platform,
    key: fn(UserId) -> Key,
}

impl AccountDeletions {
    /// Creates the deletions over a table that has the index [`PENDING`] and holds the profiles of people of this role,
    /// each under the key that `key` returns. The subscribers are notified in the order of [`SUBSCRIBERS`],
    /// concurrently within a stage.
    #[must_use]
    pub fn new(
        table: Table,
        subscribers: Vec<Subscriber>,
        role: Role,
        platform: Platform,
        key: fn(UserId) -> Key,
    ) -> Self {
        let events = TombstoneEvents { table: table.clone(), clock: Arc::clone(&platform.clock) };
        let outbox = Outbox::in_stages(table.clone(), subscribers::in_stages(subscribers), events);
        Self { table, outbox, role, platform, key }
    }

    /// Deletes an account, whether it has a profile or not, unless the context expects another one. `deletion_write`
    /// returns the version of the profile, and another write for the transaction that replaces it. `precondition` is
    /// awaited before anything is written, unless the deletion has begun before: repeating it changes nothing.
    ///
    /// # Errors
    /// Those of `precondition`; ABORTED (`STALE_ETAG`) when the profile isn't the expected one, or others keep changing
    /// it; UNAVAILABLE or DEADLINE_EXCEEDED when a subscriber or DynamoDB doesn't answer, or what was deleted can't be
    /// overwritten: if the tombstone is there, recovery will finish it.
    pub async fn end<P>(
        &self,
        context: &Context,
        user: UserId,
        precondition: impl Future<Output = Result<()>>,
        deletion_write: impl Fn(P) -> (Version, Option<Action>),
    ) -> Result<()>
    where
        P: TryFrom<Item, Error = Error>,
    {
        let key = (self.key)(user);
        let (mut precondition, mut refusal) = (Some(precondition), None);
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            let (unchanged, also, is_expected) = match Stored::of(self.table.get_item(&key, Read::Consistent).await?)? {
                Stored::Tombstone(Tombstone { pending: None }) => return Ok(()),
                Stored::Tombstone(Tombstone { pending: Some(event) }) => {
                    return self.outbox.deliver(context, &key, event).await;
                }
                Stored::Nothing => (Condition::absent(), None, context.expected.check_absent()),
                Stored::Profile(profile) => {
                    let (version, also) = deletion_write(profile);
                    (Condition::eq("version", version), also, context.expected.check(version))
                }
            };
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            if let Some(precondition) = precondition.take()
                && let Err(error) = precondition.await
            {
                // Another call may have deleted the account in the meantime, and ended the login with it: read again.
                refusal = Some(error);
                continue;
            }
            is_expected?;
            let mark = Mark::new(&*self.platform.clock, &*self.platform.entropy);
            let tombstone = NewTombstone::new(user, self.role, mark);
            let replacement = self.table.put(&key, &tombstone).when(unchanged).into();
            let outcome = self.table.transact(std::iter::once(replacement).chain(also)).await?;
            if matches!(outcome, Transact::Done) {
                return self.outbox.deliver(context, &key, tombstone.event()?).await;
            }
        }
        Err(Version::stale())
    }

    /// Finishes periodically the deletions that a crash or an outage interrupted.
    pub async fn recover(self, interval: Duration) {
        self.outbox.recover(interval).await;
    }
}

impl std::fmt::Debug for AccountDeletions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountDeletions").field("role", &self.role).finish_non_exhaustive()
    }
}
