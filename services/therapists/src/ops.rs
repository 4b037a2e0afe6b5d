//! Implements the use cases of therapists' profiles and of the directory.

use account_deletion::AccountDeletions;
use chassis::{Context, Platform};
use dynamo::{Claim, Idempotency, PageRequest, PageTokens};
use kernel::{Error, Expected, Page, Result, TherapistId, Version};
use peers::{Accounts, Logins};
use retry::Policy;

use crate::error::{no_such_therapist, profile_exists};
use crate::model::{Filter, Profile, Therapist};
use crate::policy::{Browse, Names, Own};
use crate::store::{Added, Store};

/// The use cases and their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) tokens: PageTokens,
    pub(crate) idempotency: Idempotency,
    pub(crate) logins: Logins,
    pub(crate) platform: Platform,
    pub(crate) account_deletions: AccountDeletions,
}

impl Ops {
    pub(crate) async fn list(
        &self,
        permit: Browse,
        filter: Filter,
        request: PageRequest<'_>,
    ) -> Result<Page<Therapist>> {
        let Page { items, next } = self.tokens.page(self.store.directory(permit, filter), request).await?;
        Ok(Page { items: items.into_iter().map(Therapist::try_from).collect::<Result<_>>()?, next })
    }

    pub(crate) async fn get(&self, permit: Browse, id: TherapistId) -> Result<Therapist> {
        self.store.read(permit, id).await?.profile().ok_or_else(no_such_therapist)
    }

    pub(crate) async fn names(&self, permit: Names, wanted: Vec<TherapistId>) -> Result<Vec<Therapist>> {
        self.store.named(permit, wanted).await
    }

    /// Returns the profile that an earlier attempt of this idempotent request has created, if any.
    pub(crate) async fn replayed(&self, permit: Own, claim: Option<&Claim>) -> Result<Option<Therapist>> {
        match Idempotency::replayed::<TherapistId>(claim).await? {
            Some(_) => self.created(permit).await.map(Some),
            None => Ok(None),
        }
    }

    async fn created(&self, permit: Own) -> Result<Therapist> {
        self.store.read(permit.browse(), permit.id()).await?.own()?.ok_or_else(no_such_therapist)
    }

    pub(crate) async fn create(&self, permit: Own, profile: Profile, claim: Option<Claim>) -> Result<Therapist> {
        let therapist = Therapist { id: permit.id(), profile: profile.clone(), version: Version::FIRST };
        match self.store.add(permit, profile, claim.as_ref()).await? {
            Added::Done => Ok(therapist),
            Added::Replayed => self.created(permit).await,
            Added::Exists => Err(profile_exists()),
            Added::Ended => Err(Error::account_ended()),
        }
    }

    pub(crate) async fn replace(&self, permit: Own, profile: Profile, expected: &Expected) -> Result<Therapist> {
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            let old = self.get(permit.browse(), permit.id()).await?;
            expected.check(old.version)?;
            if self.store.replace(permit, &old, profile.clone()).await? {
                return Ok(Therapist { id: permit.id(), profile, version: old.version.next() });
            }
        }
        Err(Version::stale())
    }

    /// Deletes the account, whether it has a profile or not. Beginning it requires an open and recent login; repeating
    /// it doesn't.
    pub(crate) async fn end(&self, context: &Context, permit: Own) -> Result<()> {
        let deletion_write = |therapist: Therapist| (therapist.version, None);
        let precondition = self.logins.must_be_open_and_recent(context, self.platform.clock.now());
        self.account_deletions.end(context, permit.id().into(), precondition, deletion_write).await
    }
}
