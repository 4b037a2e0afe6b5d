//! Migrates profiles of earlier versions, in which a profile had an address of its own, and was found by the
//! characters of its name and specialty that show nothing, too.
//!
//! Every request is served before it has run: such a profile is read as stored.

use std::fmt;

use kernel::{Email, Result, UserId};

use crate::model::{Filter, Therapist};
use crate::policy;
use crate::store::{Store, THERAPISTS};

/// Maximum number of profiles read by one Query.
const PAGE: u16 = 100;

/// The outcome of a migration so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of profiles read.
    pub profiles: u64,
    /// Number of profiles that got the address of their account, or another place in the directory.
    pub changed: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profiles, changed } = self;
        write!(f, "therapists: {profiles} profiles, {changed} changed")
    }
}

/// Gives every profile the address of its account and its place in the directory. Services may run meanwhile, and an
/// interrupted run may be repeated. `address` returns the address of an account; `report` is called with the progress
/// after each page of the directory.
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
    let store = Store::new(dynamodb.table(&THERAPISTS));
    let permit = policy::migration();
    let (mut progress, mut after) = (Progress::default(), None);
    loop {
        let query = store.directory(permit.browse(), Filter::default()).limit(PAGE);
        let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
        after = rows.next.clone();
        for item in rows.items {
            let old = Therapist::try_from(item)?;
            progress.profiles += 1;
            // A profile without an account is about to be deleted.
            let Some(email) = address(old.id.into()).await? else { continue };
            if email.as_str() == old.profile.email.as_str() && !store.is_misplaced(permit, &old).await? {
                continue;
            }
            // A concurrent write has stored the address of the account, or has deleted the account.
            progress.changed += u64::from(store.replace_address(permit, &old, email).await?);
        }
        report(progress);
        if after.is_none() {
            return Ok(progress);
        }
    }
}
