//! Migrates profiles of earlier versions, in which a profile had an address of its own, unique among clients.
//!
//! Every request is served before it has run: such a profile is read as stored, and `?email=` finds it by its stored
//! address. The items that kept addresses unique (`EMAIL#`) are never read.

use std::fmt;

use kernel::{Email, Result, UserId};

use crate::policy;
use crate::store::{CLIENTS, Scanned, Store};

/// The outcome of a migration so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of profiles read.
    pub profiles: u64,
    /// Number of profiles that got the address of their account.
    pub changed: u64,
    /// Number of removed items of the former index of addresses.
    pub removed: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profiles, changed, removed } = self;
        write!(f, "clients: {profiles} profiles, {changed} changed; {removed} items of the index of addresses removed")
    }
}

/// Gives every profile the address of its account, and removes the former index of addresses. Services may run
/// meanwhile, and an interrupted run may be repeated. `address` returns the address of an account; `report` is called
/// with the progress after each page.
///
/// # Errors
/// UNAVAILABLE or INTERNAL, of the table or of `address`.
pub async fn migrate<A>(
    dynamodb: &dynamo::Client,
    address: impl Fn(UserId) -> A,
    mut report: impl FnMut(Progress),
) -> Result<Progress>
where
    A: Future<Output = Result<Option<Email>>>,
{
    let store = Store::new(dynamodb.table(&CLIENTS));
    let permit = policy::migration();
    let (mut progress, mut after) = (Progress::default(), None);
    loop {
        let Scanned { profiles, addresses, next } = store.scan(permit, after).await?;
        for item in &addresses {
            store.remove_address(permit, item).await?;
            progress.removed += 1;
        }
        for old in profiles {
            progress.profiles += 1;
            // A profile without an account is about to be deleted.
            let Some(email) = address(old.id.into()).await? else { continue };
            if email.as_str() == old.profile.email.as_str() {
                continue;
            }
            // A concurrent write has stored the address of the account, or has deleted the account.
            progress.changed += u64::from(store.replace_address(permit, &old, email).await?);
        }
        report(progress);
        after = next;
        if after.is_none() {
            return Ok(progress);
        }
    }
}
