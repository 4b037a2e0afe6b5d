//! Migrates profiles of earlier versions, in which a profile had an address of its own, unique among clients.
//!
//! Every request is served before it has run: such a profile is read as stored, and `?email=` finds it by its stored
//! address. The items that kept addresses unique (`EMAIL#`) are never read.

use std::fmt;

use account_deletion::Stored;
use dynamo::{Client as DynamoDb, Item, Key};
use kernel::{Email, Result, UserId};

use crate::model::Client;
use crate::policy;
use crate::store::{CLIENTS, EMAIL, PROFILE, Store};

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
/// It scans the table, which no request does: neither profiles nor addresses are in an index.
///
/// # Errors
/// UNAVAILABLE or INTERNAL, of the table or of `address`.
pub async fn migrate<A>(
    dynamodb: &DynamoDb,
    address: impl Fn(UserId) -> A,
    mut report: impl FnMut(Progress),
) -> Result<Progress>
where
    A: Future<Output = Result<Option<Email>>>,
{
    let table = dynamodb.table(&CLIENTS);
    let store = Store::new(table.clone());
    let (mut progress, mut after) = (Progress::default(), None);
    loop {
        let rows = table.scan(after).await?;
        for item in rows.items {
            match (item.text("pk"), item.text("sk")) {
                (Some(pk), Some(PROFILE)) if pk.starts_with(EMAIL) => {
                    let _ = table.delete(&Key::new(pk, PROFILE)).run().await?;
                    progress.removed += 1;
                }
                (Some(_), Some(PROFILE)) => migrate_profile(&store, item, &address, &mut progress).await?,
                _ => {}
            }
        }
        report(progress);
        after = rows.next;
        if after.is_none() {
            return Ok(progress);
        }
    }
}

async fn migrate_profile<A>(
    store: &Store,
    item: Item,
    address: &impl Fn(UserId) -> A,
    progress: &mut Progress,
) -> Result<()>
where
    A: Future<Output = Result<Option<Email>>>,
{
    let Some(old) = Stored::<Client>::of(Some(item))?.profile() else { return Ok(()) };
    progress.profiles += 1;
    // A profile without an account is about to be deleted.
    let Some(email) = address(old.id.into()).await? else { return Ok(()) };
    if email.as_str() == old.profile.email.as_str() {
        return Ok(());
    }
    // A concurrent write has stored the address of the account, or has deleted the account.
    progress.changed += u64::from(store.replace_address(policy::migration(), &old, email).await?);
    Ok(())
}
