//! Replaces the key-encryption key that wraps data keys. Content sealed under the data keys is unchanged.

use std::fmt;

use chassis::Platform;
use dynamo::secret::Secrets;
use futures_util::{StreamExt as _, stream};
use kernel::{BoxError, Error, UserId};

use crate::model::KekId;
use crate::open;
use crate::ops::Vault;
use crate::store::Stored;

/// Maximum data keys held at a time.
const BATCH: u16 = 100;
/// Maximum data keys rewrapped concurrently: few, so that other requests aren't delayed.
const CONCURRENCY: usize = 4;

/// Progress of a rewrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Keys that are wrapped by the current key-encryption key now.
    pub rewrapped: u64,
    /// Keys rewrapped or destroyed by another process meanwhile.
    pub settled: u64,
    /// Keys that could not be rewrapped; the log says why.
    pub failed: u64,
}

enum Outcome {
    Rewrapped,
    Settled,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rewrapped, settled, failed } = self;
        write!(f, "{rewrapped} data keys rewrapped, {settled} rewrapped or destroyed by others, {failed} failed")
    }
}

/// Wraps every data key that an older key-encryption key wraps by the current one. Services may run meanwhile, and a
/// run that was interrupted may be repeated. `report` is called with the progress after each hundred keys.
///
/// Run it after the last replica has stopped wrapping by an older key. Older keys can be removed when it finds nothing
/// more to do.
///
/// # Errors
/// If the table can't be read, data keys are wrapped by a key-encryption key that is not given, or some can't be
/// rewrapped; the others are.
pub async fn rewrap(
    dynamodb: &dynamo::Client,
    key_encryption_keys: &Secrets,
    platform: &Platform,
    mut report: impl FnMut(Progress),
) -> Result<Progress, BoxError> {
    let vault = open(dynamodb, key_encryption_keys, platform).await?;
    let mut progress = Progress::default();
    for old in vault.store.keks().await?.iter().filter(|id| *id != vault.keys.current() && vault.keys.has(id)) {
        let mut page = vault.store.wrapped_by(old, BATCH, None).await?;
        loop {
            if !page.persons.is_empty() {
                vault.rewrap_all(page.persons, old, &mut progress).await;
                report(progress);
            }
            let Some(cursor) = page.next else { break };
            page = vault.store.wrapped_by(old, BATCH, Some(cursor)).await?;
        }
    }
    match progress.failed {
        0 => Ok(progress),
        _ => Err(format!("{progress}: the log says why; run it again when that is mended").into()),
    }
}

impl Vault {
    async fn rewrap_all(&self, persons: Vec<UserId>, old: &KekId, progress: &mut Progress) {
        let mut outcomes = stream::iter(persons)
            .map(|person| async move { (person, self.rewrap(person, old).await) })
            .buffer_unordered(CONCURRENCY);
        while let Some((person, outcome)) = outcomes.next().await {
            match outcome {
                Ok(Outcome::Rewrapped) => progress.rewrapped += 1,
                Ok(Outcome::Settled) => progress.settled += 1,
                Err(error) => {
                    progress.failed += 1;
                    let cause = std::error::Error::source(&error);
                    tracing::error!(%person, %error, cause, "a data key could not be rewrapped");
                }
            }
        }
    }

    async fn rewrap(&self, person: UserId, old: &KekId) -> Result<Outcome, Error> {
        match self.store.read(person).await? {
            Some(Stored::Key(wrapped)) if wrapped.kek == *old => {
                let key = self.keys.unwrap(&wrapped, person).await?;
                let new = self.keys.wrap(&key, person).await?;
                let done = self.store.rewrap(person, &wrapped, &new).await?;
                Ok(if done { Outcome::Rewrapped } else { Outcome::Settled })
            }
            Some(Stored::Key(_) | Stored::Destroyed) | None => Ok(Outcome::Settled),
        }
    }
}
