//! Use cases of a client's own journal that write. Those that read are in `reads`.

use chassis::{Context, Platform};
use dynamo::seal::SealingKey;
use dynamo::{Claim, Idempotency};
use kernel::{ClientId, Error, Expected, Result, Timestamp, Version};
use keyring::Keyring;
use retry::Policy;

use crate::changes::Changes;
use crate::consent::Consent;
use crate::error::no_entry;
use crate::model::{Change, Draft, Entry, EntryId};
use crate::pages::Pages;
use crate::policy::Write;
use crate::store::Added;

/// The use cases and their dependencies.
pub(crate) struct Ops {
    pub(crate) pages: Pages,
    pub(crate) idempotency: Idempotency,
    pub(crate) keyring: Keyring,
    pub(crate) consent: Consent,
    pub(crate) changes: Changes,
    pub(crate) platform: Platform,
}

impl Ops {
    /// Adds an entry without a read: a repeated request is detected by the conditional write of its record.
    pub(crate) async fn create(
        &self,
        context: &Context,
        permit: Write,
        draft: Draft,
        claim: Option<Claim>,
    ) -> Result<Entry> {
        let key = self.own_key(context, permit).await?;
        let Draft { felt_at, content } = draft;
        let id = EntryId::generate(felt_at, &*self.platform.entropy);
        let entry = Entry::new(id, content, self.now());
        let mark = self.changes.mark();
        match self.pages.store.add(permit, &key, &entry, mark, claim.as_ref()).await? {
            Added::Done => {
                self.changes.written(permit, id, mark);
                Ok(entry)
            }
            Added::Replayed(id) => self.own_entry(permit, &key, id).await,
        }
    }

    /// Corrects an entry.
    pub(crate) async fn update(
        &self,
        context: &Context,
        permit: Write,
        id: EntryId,
        change: Change,
        expected: &Expected,
    ) -> Result<Entry> {
        let key = self.own_key(context, permit).await?;
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            let old = self.own_entry(permit, &key, id).await?;
            expected.check(old.version)?;
            let read = old.version;
            let new = old.changed(change.clone(), self.now());
            let mark = self.changes.mark();
            if self.pages.store.replace(permit, &key, read, &new, mark).await? {
                self.changes.written(permit, id, mark);
                return Ok(new);
            }
        }
        Err(Version::stale())
    }

    /// Removes an entry.
    pub(crate) async fn delete(&self, permit: Write, id: EntryId, expected: &Expected) -> Result<()> {
        let mark = self.changes.mark();
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            // Without an expectation the entry isn't read.
            let present = match expected {
                Expected::Anything | Expected::Existing => None,
                Expected::OneOf(_) => Some(self.pages.store.version(permit, id).await?.ok_or_else(no_entry)?),
            };
            if let Some(present) = present {
                expected.check(present)?;
            }
            if self.pages.store.remove(permit, id, present, mark).await? {
                self.changes.removed(permit, id, mark);
                return Ok(());
            }
            if present.is_none() {
                return Err(no_entry());
            }
        }
        Err(Version::stale())
    }

    /// Returns the key of a client's text; `None` when it was destroyed with the account.
    pub(crate) async fn key(&self, context: &Context, client: ClientId) -> Result<Option<SealingKey>> {
        self.keyring.key(context, client.into()).await
    }

    async fn own_key(&self, context: &Context, permit: Write) -> Result<SealingKey> {
        self.key(context, permit.client()).await?.ok_or_else(Error::account_ended)
    }

    async fn own_entry(&self, permit: Write, key: &SealingKey, id: EntryId) -> Result<Entry> {
        self.pages.store.entry(&permit.read(), key, id).await?.ok_or_else(no_entry)
    }

    /// Returns the time, truncated to the stored millisecond.
    pub(crate) fn now(&self) -> Timestamp {
        now(&self.platform)
    }
}

/// Returns the time, truncated to the stored millisecond.
pub(crate) fn now(platform: &Platform) -> Timestamp {
    let now = platform.clock.now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
