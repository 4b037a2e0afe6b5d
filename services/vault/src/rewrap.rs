//! Replaces the key-encryption key that wraps data keys. What the data keys sealed stays as it is.

use std::fmt;

use chassis::Platform;
use dynamo::secret::Secrets;
use futures_util::{StreamExt as _, stream};
use kernel::{BoxError, Error, UserId};

use crate::model::KekId;
use crate::open;
use crate::ops::Vault;
use crate::store::Stored;

/// How many data keys are held at a time.
const BATCH: u16 = 100;
/// How many are rewrapped at once: few, so that it takes nothing from people who wait.
const AT_ONCE: usize = 4;

/// What has been done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Keys that are wrapped by the current key-encryption key now.
    pub rewrapped: u64,
    /// Keys that somebody else rewrapped or destroyed meanwhile.
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

/// Wraps every data key that an older key-encryption key wraps by the current one. Services may run meanwhile; who stops
/// it halfway may start it again. `report` hears of the progress after each hundred keys.
///
/// It finds what is wrapped when it looks: it is for after the last replica has stopped to wrap by an older key, and
/// older keys can go when it finds nothing more to do.
///
/// # Errors
/// If the table can't be read, data keys are wrapped by a key-encryption key that is not given, or some can't be
/// rewrapped: those that can be are.
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
            .buffer_unordered(AT_ONCE);
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
