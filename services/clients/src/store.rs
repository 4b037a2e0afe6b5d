//! The table Clients: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `PROFILE` | the profile, or its tombstone |
//! | `EMAIL#<folded address>` | `PROFILE` | whose address it is; unique by its key |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |

use std::collections::HashMap;

use dynamo::{
    Action, Claim, Condition, EXPIRES_AT, Item, Key, KeyDef, Read as Fresh, Table, TableDef, Transact, Verdict,
};
use endings::{PENDING, Stored};
use kernel::{ClientId, Email, Error, Result, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::model::{Client, Listed, Profile};
use crate::policy::{Find, Glance, Names, Own, Read};

/// The table of clients.
pub static CLIENTS: TableDef =
    TableDef { name: "Clients", key: KeyDef::PK_SK, indexes: &[PENDING], ttl: Some(EXPIRES_AT) };

const PROFILE: &str = "PROFILE";

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// What became of a new profile.
pub(crate) enum Added {
    Done,
    /// The same request was faster.
    Replayed,
    /// There is a profile.
    Exists,
    /// The account is ended.
    Ended,
    /// Another client has the address.
    EmailTaken,
}

/// What became of a changed profile.
pub(crate) enum Replaced {
    Done,
    /// Somebody else changed it meanwhile.
    Conflict,
    /// Another client has the address.
    EmailTaken,
}

#[derive(Serialize, Deserialize)]
struct Row {
    client_id: ClientId,
    name: String,
    email: String,
    pincode: String,
    version: Version,
}

#[derive(Serialize, Deserialize)]
struct Address {
    client_id: ClientId,
}

impl From<&Client> for Row {
    fn from(client: &Client) -> Self {
        let Client { id, profile: Profile { name, email, pincode }, version } = client;
        let [name, email, pincode] = [name.as_str(), email.as_str(), pincode.as_str()].map(str::to_owned);
        Self { client_id: *id, name, email, pincode, version: *version }
    }
}

impl TryFrom<Item> for Client {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        let Row { client_id, name, email, pincode, version } = item.parse()?;
        let broken = |field: &'static str| move |_| Error::internal(format!("a stored client has no valid {field}"));
        let profile = Profile {
            name: name.parse().map_err(broken("name"))?,
            email: email.parse().map_err(broken("email"))?,
            pincode: pincode.parse().map_err(broken("pincode"))?,
        };
        Ok(Self { id: client_id, profile, version })
    }
}

/// The key of a profile.
pub(crate) fn profile_key(user: UserId) -> Key {
    Key::new(format!("CLIENT#{user}"), PROFILE)
}

fn address_key(email: &Email) -> Key {
    Key::new(format!("EMAIL#{}", email.folded()), PROFILE)
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// What is there under the id that the permit is for.
    pub(crate) async fn read(&self, permit: Read) -> Result<Stored<Client>> {
        Stored::of(self.0.get_item(&profile_key(permit.id().into()), Fresh::Consistent).await?)
    }

    /// What these permits show of the clients that they are for, in their order. Who has no profile is left out.
    pub(crate) async fn read_all(&self, permits: &[Glance]) -> Result<Vec<Listed>> {
        let found = self.batch(permits.iter().map(|permit| permit.id()).collect()).await?;
        let mut found: HashMap<ClientId, Client> = found.into_iter().map(|client| (client.id, client)).collect();
        let shown = permits.iter().filter_map(|permit| {
            let client = found.remove(&permit.id())?;
            Some(match permit {
                Glance::Whole(_) => Listed::Whole(client),
                Glance::Name(_) => client.named(),
            })
        });
        Ok(shown.collect())
    }

    /// The profiles of those of these clients who have one, for their names: by them others also know who is there.
    pub(crate) async fn named(&self, _permit: Names, ids: Vec<ClientId>) -> Result<Vec<Client>> {
        self.batch(ids).await
    }

    async fn batch(&self, ids: Vec<ClientId>) -> Result<Vec<Client>> {
        let keys = ids.into_iter().map(|id| profile_key(id.into())).collect();
        let stored = self.0.batch_get(keys, Fresh::Consistent).await?.into_iter().map(|item| Stored::of(Some(item)));
        stored.filter_map(|stored| stored.map(Stored::profile).transpose()).collect()
    }

    /// The client with this address.
    pub(crate) async fn find(&self, _permit: Find, email: &Email) -> Result<Option<Client>> {
        let Some(Address { client_id }) = self.0.get(&address_key(email), Fresh::Consistent).await? else {
            return Ok(None);
        };
        let there = Stored::of(self.0.get_item(&profile_key(client_id.into()), Fresh::Consistent).await?)?;
        Ok(there.profile().filter(|client: &Client| client.profile.email.folded() == email.folded()))
    }

    /// Stores a new profile with its address, and the record of the request if it brought a key.
    pub(crate) async fn add(&self, permit: Own, profile: Profile, claim: Option<&Claim>) -> Result<Added> {
        let client = Client { id: permit.id(), profile, version: Version::FIRST };
        let record = claim.map(|claim| claim.action(&client.id.to_string()));
        let added = self.0.transact(
            [
                self.0.put(&profile_key(client.id.into()), &Row::from(&client)).when(Condition::absent()).into(),
                self.claim_address(&client),
            ]
            .into_iter()
            .chain(record),
        );
        let Transact::Failed(verdicts) = added.await? else {
            return Ok(Added::Done);
        };
        if let (Some(claim), Some(verdict)) = (claim, verdicts.get(2))
            && claim.lost(verdict)?.is_some()
        {
            return Ok(Added::Replayed);
        }
        match verdicts.into_iter().next() {
            Some(Verdict::Unmet(there)) => match Stored::<Client>::of(there)? {
                Stored::Tombstone(_) => Ok(Added::Ended),
                Stored::Profile(_) | Stored::Nothing => Ok(Added::Exists),
            },
            Some(Verdict::Fine) | None => Ok(Added::EmailTaken),
        }
    }

    /// Replaces a profile, if it is still the version that was read.
    pub(crate) async fn replace(&self, permit: Own, old: &Client, profile: Profile) -> Result<Replaced> {
        let new = Client { id: permit.id(), profile, version: old.version.next() };
        let unchanged = Condition::eq("version", old.version);
        let put = self.0.put(&profile_key(new.id.into()), &Row::from(&new)).when(unchanged);
        if new.profile.email.folded() == old.profile.email.folded() {
            return Ok(match put.run().await? {
                dynamo::Update::Done(_) => Replaced::Done,
                dynamo::Update::Unmet(_) => Replaced::Conflict,
            });
        }
        let moved = self.0.transact([put.into(), self.claim_address(&new), self.free_address(old)]);
        Ok(match moved.await? {
            Transact::Done => Replaced::Done,
            Transact::Failed(verdicts) if verdicts.first().is_some_and(Verdict::is_unmet) => Replaced::Conflict,
            Transact::Failed(_) => Replaced::EmailTaken,
        })
    }

    /// What goes in the transaction that ends the client's account: the address becomes free.
    pub(crate) fn free_address(&self, client: &Client) -> Action {
        self.0.delete(&address_key(&client.profile.email)).into()
    }

    fn claim_address(&self, client: &Client) -> Action {
        let address = Address { client_id: client.id };
        self.0.put(&address_key(&client.profile.email), &address).when(Condition::absent()).into()
    }
}
