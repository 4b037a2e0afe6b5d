//! What can be done with a client's profile.

use std::sync::Arc;

use chassis::Context;
use dynamo::{Claim, Idempotency};
use endings::Endings;
use kernel::{ClientId, Clock, Error, Kind, Page, PageSize, Result, Version};
use logins::Logins;

use crate::model::{Client, Listed, Profile};
use crate::policy::{self, Names, Own, Read, Sight};
use crate::relations::Relations;
use crate::store::{Added, Replaced, Store};
use crate::wire;

/// How often a change that names no version is tried against others.
const ATTEMPTS: usize = 5;

/// The use cases and what they need.
pub(crate) struct Ops {
    pub(crate) store: Store,
    pub(crate) relations: Relations,
    pub(crate) idempotency: Idempotency,
    pub(crate) logins: Logins,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) endings: Endings,
}

impl Ops {
    pub(crate) async fn list(&self, context: &Context, which: policy::List, list: wire::List) -> Result<Page<Listed>> {
        let wire::List { email, size, token } = list;
        let found = match (which, email) {
            (policy::List::Own(own), _) => self.profile(own.read()).await?.map(Listed::Whole),
            // Who looks a client up learns the id and the name: enough to ask, and nothing to keep.
            (policy::List::Find(permit), Some(email)) => self.store.find(permit, &email).await?.map(Client::named),
            (policy::List::Find(_), None) => None,
            (policy::List::Related, _) => return self.related(context, size, token).await,
        };
        Ok(Page::whole(found.into_iter().collect()))
    }

    async fn related(&self, context: &Context, size: PageSize, token: String) -> Result<Page<Listed>> {
        let Page { items, next } = self.relations.page(context, size, token).await?;
        let permits: Vec<_> = items.into_iter().map(policy::glance).collect();
        Ok(Page { items: self.store.read_all(&permits).await?, next })
    }

    pub(crate) async fn get(&self, context: &Context, sight: Sight) -> Result<Client> {
        let permit = match sight {
            Sight::Own(own) => Some(own.read()),
            Sight::IfClose(client) => self.relations.with(context, client).await?.map(policy::close),
        };
        self.existing(permit.ok_or_else(no_such_client)?).await
    }

    pub(crate) async fn names(&self, permit: Names, wanted: Vec<ClientId>) -> Result<Vec<Client>> {
        self.store.named(permit, wanted).await
    }

    pub(crate) async fn create(&self, permit: Own, profile: Profile, claim: Option<Claim>) -> Result<Client> {
        if let Some(claim) = &claim
            && claim.replayed().await?.is_some()
        {
            return self.existing(permit.read()).await;
        }
        self.add(permit, profile, claim.as_ref()).await
    }

    async fn add(&self, permit: Own, profile: Profile, claim: Option<&Claim>) -> Result<Client> {
        let client = Client { id: permit.id(), profile: profile.clone(), version: Version::FIRST };
        match self.store.add(permit, profile, claim).await? {
            Added::Done => Ok(client),
            Added::Replayed => self.existing(permit.read()).await,
            Added::Exists => {
                Err(Error::new(Kind::AlreadyExists, "PROFILE_EXISTS", "you have a profile already: change it with PUT"))
            }
            Added::Ended => Err(Error::new(Kind::Unauthenticated, "ACCOUNT_ENDED", "this account has been ended")),
            Added::EmailTaken => Err(email_taken()),
        }
    }

    pub(crate) async fn replace(&self, permit: Own, profile: Profile, expected: Option<Version>) -> Result<Client> {
        for _ in 0..ATTEMPTS {
            let old = self.existing(permit.read()).await?;
            if expected.is_some_and(|expected| expected != old.version) {
                return Err(Version::stale());
            }
            match self.store.replace(permit, &old, profile.clone()).await? {
                Replaced::Done => return Ok(Client { id: permit.id(), profile, version: old.version.next() }),
                Replaced::Conflict => {}
                Replaced::EmailTaken => return Err(email_taken()),
            }
        }
        Err(Version::stale())
    }

    /// Ends the account, whether it has a profile or not. To begin it takes an open and recent login; to repeat it doesn't.
    pub(crate) async fn end(&self, context: &Context, permit: Own) -> Result<()> {
        let burial = |client: Client| (client.version, Some(self.store.free_address(&client)));
        let may = self.logins.must_be_open_and_recent(context, self.clock.now());
        self.endings.end(context, permit.id().into(), may, burial).await
    }

    async fn existing(&self, permit: Read) -> Result<Client> {
        self.profile(permit).await?.ok_or_else(no_such_client)
    }

    async fn profile(&self, permit: Read) -> Result<Option<Client>> {
        Ok(self.store.read(permit).await?.profile())
    }
}

fn no_such_client() -> Error {
    Error::not_found("client")
}

fn email_taken() -> Error {
    Error::new(Kind::AlreadyExists, "EMAIL_TAKEN", "email: another client has this address")
}
