//! Moves the credentials that earlier versions stored to the form by which addresses are compared now.
//!
//! Every request is served before it has run, because look-ups try the forms of earlier versions too.

use std::fmt;

use kernel::{Email, Result, UserId};

use crate::store::{FoundCredential, Moved, ScannedCredentials, Store, USERS};

/// Progress of a rekeying.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of addresses that were moved.
    pub moved: u64,
    /// Number of addresses that stay, because another account has them in another spelling.
    pub collisions: u64,
}

/// Two accounts with one address in two spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collision {
    /// The account that stays under its own spelling.
    pub stays: UserId,
    /// The account that has the address.
    pub has: UserId,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moved, collisions } = self;
        write!(f, "{moved} addresses moved, {collisions} collisions")
    }
}

/// Names the accounts by ids.
impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stays, has } = self;
        write!(f, "account {stays} has the address of account {has} in another spelling, and was not moved")
    }
}

/// Outcome of one address.
pub(crate) enum Outcome {
    Moved,
    /// It needs no move, or another process has moved or ended it.
    Settled,
    Collided(Collision),
}

/// Moves every address to the form by which it is compared now, and returns the accounts that have the same one. They are
/// left as they are: each logs in with its own spelling. Services may run meanwhile, and an interrupted run may be
/// repeated. `report` is called with the progress after each page.
///
/// # Errors
/// UNAVAILABLE or INTERNAL.
pub async fn rekey_addresses(
    dynamodb: &dynamo::Client,
    mut report: impl FnMut(Progress),
) -> Result<(Progress, Vec<Collision>)> {
    let store = Store::new(dynamodb.table(&USERS));
    let (mut progress, mut collisions, mut after) = (Progress::default(), Vec::new(), None);
    loop {
        let ScannedCredentials { found, next } = store.scan_credentials(after).await?;
        for old in found {
            match rekey(&store, old).await? {
                Outcome::Moved => progress.moved += 1,
                Outcome::Settled => {}
                Outcome::Collided(collision) => {
                    progress.collisions += 1;
                    collisions.push(collision);
                }
            }
        }
        report(progress);
        after = next;
        if after.is_none() {
            return Ok((progress, collisions));
        }
    }
}

/// Moves one address, read before.
pub(crate) async fn rekey(store: &Store, mut old: FoundCredential) -> Result<Outcome> {
    let form = Email::from_stored(old.form.clone()).folded();
    if form == old.form {
        return Ok(Outcome::Settled);
    }
    loop {
        let stays = old.credential.user_id;
        match store.move_credential(&old, &form).await? {
            Moved::Done => return Ok(Outcome::Moved),
            Moved::Taken(has) if has == stays => return Ok(Outcome::Settled),
            Moved::Taken(has) => return Ok(Outcome::Collided(Collision { stays, has })),
            // The password was changed, or the account has ended, since it was read.
            Moved::Changed => match store.credential_in(&old.form).await? {
                Some(credential) => old.credential = credential,
                None => return Ok(Outcome::Settled),
            },
        }
    }
}
