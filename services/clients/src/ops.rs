//! Implements the use cases of clients' profiles.

use account_deletion::AccountDeletions;
use chassis::{Context, Platform};
use dynamo::{Claim, Idempotency};
use kernel::{ClientId, Email, Error, Expected, Page, PageSize, Result, Version};
use peers::{Accounts, Logins};
use retry::Policy;

use crate::error::{no_such_client, profile_exists};
use crate::model::{Client, ListQuery, Listed, Profile};
use crate::policy::{self, Names, Own, Read, ReadScope};
use crate::relations::Relations;
use crate::store::{Added, Store};

/// Maximum pages of related clients read to find one by address: 5,000 clients.
const FIND_PAGES: usize = 25;

/// The use cases and their dependencies.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) relations: Relations,
    pub(crate) idempotency: Idempotency,
    pub(crate) logins: Logins,
    pub(crate) platform: Platform,
    pub(crate) account_deletions: AccountDeletions,
}

impl Ops {
    pub(crate) async fn list(&self, context: &Context, which: policy::List, query: ListQuery) -> Result<Page<Listed>> {
        let ListQuery { email, size, token } = query;
        match (which, email) {
            (policy::List::Own(own), _) => {
                let own = self.profile(own.read()).await?.map(Listed::Whole);
                Ok(Page::whole(own.into_iter().collect()))
            }
            (policy::List::Related, None) => self.related(context, size, token).await,
            (policy::List::Related, Some(email)) => {
                Ok(Page::whole(self.find(context, &email).await?.into_iter().collect()))
            }
        }
    }

    /// Returns the related client with this address. If none has it, the same pages are read whether it belongs to
    /// another account or to none.
    async fn find(&self, context: &Context, email: &Email) -> Result<Option<Listed>> {
        let mut token = String::new();
        for _ in 0..FIND_PAGES {
            let Page { items, next } = self.relations.page(context, PageSize::MAX, token).await?;
            let permits: Vec<_> = items.into_iter().map(policy::read_listed).collect();
            if let Some(found) = self.store.find(&permits, email).await? {
                return Ok(Some(found));
            }
            let Some(next) = next else { return Ok(None) };
            token = next;
        }
        Ok(None)
    }

    async fn related(&self, context: &Context, size: PageSize, token: String) -> Result<Page<Listed>> {
        let Page { items, next } = self.relations.page(context, size, token).await?;
        let permits: Vec<_> = items.into_iter().map(policy::read_listed).collect();
        Ok(Page { items: self.store.read_all(&permits).await?, next })
    }

    pub(crate) async fn get(&self, context: &Context, read_scope: ReadScope) -> Result<Client> {
        let permit = match read_scope {
            ReadScope::Own(own) => Some(own.read()),
            ReadScope::IfClose(client) => self.relations.with(context, client).await?.map(policy::close),
        };
        self.existing(permit.ok_or_else(no_such_client)?).await
    }

    pub(crate) async fn names(&self, permit: Names, wanted: Vec<ClientId>) -> Result<Vec<Client>> {
        self.store.named(permit, wanted).await
    }

    /// Returns the profile that an earlier attempt of this idempotent request has created, if any.
    pub(crate) async fn replayed(&self, permit: Own, claim: Option<&Claim>) -> Result<Option<Client>> {
        match Idempotency::replayed::<ClientId>(claim).await? {
            Some(_) => self.created(permit).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn create(&self, permit: Own, profile: Profile, claim: Option<Claim>) -> Result<Client> {
        let client = Client { id: permit.id(), profile: profile.clone(), version: Version::FIRST };
        match self.store.add(permit, profile, claim.as_ref()).await? {
            Added::Done => Ok(client),
            Added::Replayed => self.created(permit).await,
            Added::Exists => Err(profile_exists()),
            Added::Ended => Err(Error::account_ended()),
        }
    }

    pub(crate) async fn replace(&self, permit: Own, profile: Profile, expected: &Expected) -> Result<Client> {
        let mut attempts = Policy::OPTIMISTIC.start(&*self.platform.entropy);
        while attempts.next().await {
            let old = self.existing(permit.read()).await?;
            expected.check(old.version)?;
            if self.store.replace(permit, &old, profile.clone()).await? {
                return Ok(Client { id: permit.id(), profile, version: old.version.next() });
            }
        }
        Err(Version::stale())
    }

    /// Deletes the account, whether it has a profile or not. Beginning it requires an open and recent login; repeating
    /// it doesn't.
    pub(crate) async fn end(&self, context: &Context, permit: Own) -> Result<()> {
        let deletion_write = |client: Client| (client.version, Some(self.store.drop_address(permit, &client)));
        let precondition = self.logins.must_be_open_and_recent(context, self.platform.clock.now());
        self.account_deletions.end(context, permit.id().into(), precondition, deletion_write).await
    }

    async fn created(&self, permit: Own) -> Result<Client> {
        self.store.read(permit.read()).await?.own()?.ok_or_else(no_such_client)
    }

    async fn existing(&self, permit: Read) -> Result<Client> {
        self.profile(permit).await?.ok_or_else(no_such_client)
    }

    async fn profile(&self, permit: Read) -> Result<Option<Client>> {
        Ok(self.store.read(permit).await?.profile())
    }
}
