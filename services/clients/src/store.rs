//! Stores the table Clients: its keys, its items and the conditions of their writes.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `PROFILE` | the profile, or its tombstone |
//! | `IDEM#<digest>` | `IDEM` | an idempotent request |
//! | `EMAIL#<folded address>` | `PROFILE` | left by earlier versions, in which a profile had an address of its own |
//!
//! The last kind is never read. It is removed with the profile, with its address, or by [`crate::migrate`].

use std::collections::HashMap;

use account_deletion::{PENDING, Stored};
use dynamo::{
    Action, Claim, Condition, Cursor, EXPIRES_AT, Item, Key, KeyDef, Read as Fresh, Table, TableDef, Transact, Update,
    Verdict,
};
use kernel::{ClientId, Email, Error, PersonName, Pincode, Result, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::model::{Client, Listed, Profile};
use crate::policy::{Migrate, Names, Own, Read, ReadListed};

/// The table of clients.
pub static CLIENTS: TableDef =
    TableDef { name: "Clients", key: KeyDef::PK_SK, indexes: &[PENDING], ttl: Some(EXPIRES_AT) };

/// The sort key of profiles.
const PROFILE: &str = "PROFILE";
/// The key prefix of the former index of addresses.
const EMAIL: &str = "EMAIL#";

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// The outcome of adding a profile.
pub(crate) enum Added {
    Done,
    /// Another attempt of the same request has succeeded.
    Replayed,
    /// The account already has a profile.
    Exists,
    /// The account is ended.
    Ended,
}

/// A part of the table, as a migration reads it.
pub(crate) struct Scanned {
    pub(crate) profiles: Vec<Client>,
    /// Items of the former index of addresses.
    pub(crate) addresses: Vec<Key>,
    pub(crate) next: Option<Cursor>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    client_id: ClientId,
    name: String,
    email: String,
    pincode: String,
    version: Version,
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
        let profile = Profile {
            name: PersonName::from_stored(name),
            email: Email::from_stored(email),
            pincode: Pincode::from_stored(pincode),
        };
        Ok(Self { id: client_id, profile, version })
    }
}

/// Returns the key of a profile.
pub(crate) fn profile_key(user: UserId) -> Key {
    Key::new(format!("CLIENT#{user}"), PROFILE)
}

/// Returns the key of the item that an earlier version stored for an address.
fn address_key(email: &Email) -> Key {
    Key::new(format!("{EMAIL}{}", email.folded_before()), PROFILE)
}

/// Returns the part of a client that the permit shows.
fn shown(client: Client, permit: ReadListed) -> Listed {
    match permit {
        ReadListed::Whole(_) => Listed::Whole(client),
        ReadListed::Name(_) => Listed::Named(client.id, client.profile.name),
    }
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reads the item of the permitted client.
    pub(crate) async fn read(&self, permit: Read) -> Result<Stored<Client>> {
        Stored::of(self.0.get_item(&profile_key(permit.id().into()), Fresh::Consistent).await?)
    }

    /// Returns the permitted parts of these clients, in the order of the permits, without clients that have no profile.
    pub(crate) async fn read_all(&self, permits: &[ReadListed]) -> Result<Vec<Listed>> {
        let found = self.batch(permits.iter().map(|permit| permit.id()).collect()).await?;
        let mut found: HashMap<ClientId, Client> = found.into_iter().map(|client| (client.id, client)).collect();
        let shown = permits.iter().filter_map(|permit| {
            let client = found.remove(&permit.id())?;
            Some(shown(client, *permit))
        });
        Ok(shown.collect())
    }

    /// Returns the permitted part of the client with this address, if one of the permits is for that client.
    pub(crate) async fn find(&self, permits: &[ReadListed], email: &Email) -> Result<Option<Listed>> {
        let found = self.batch(permits.iter().map(|permit| permit.id()).collect()).await?;
        let found = found.into_iter().find(|client| client.profile.email.folded() == email.folded());
        Ok(found.and_then(|client| {
            let permit = permits.iter().find(|permit| permit.id() == client.id)?;
            Some(shown(client, *permit))
        }))
    }

    /// Returns the profiles of those of these clients who have one, for their names. Callers also use them to test
    /// existence.
    pub(crate) async fn named(&self, _permit: Names, ids: Vec<ClientId>) -> Result<Vec<Client>> {
        self.batch(ids).await
    }

    async fn batch(&self, ids: Vec<ClientId>) -> Result<Vec<Client>> {
        let keys = ids.into_iter().map(|id| profile_key(id.into())).collect();
        let stored = self.0.batch_get(keys, Fresh::Consistent).await?.into_iter().map(|item| Stored::of(Some(item)));
        stored.filter_map(|stored| stored.map(Stored::profile).transpose()).collect()
    }

    /// Stores a new profile, and the idempotency record of the request if it has a key.
    pub(crate) async fn add(&self, permit: Own, profile: Profile, claim: Option<&Claim>) -> Result<Added> {
        let client = Client { id: permit.id(), profile, version: Version::FIRST };
        let put = self.0.put(&profile_key(client.id.into()), &Row::from(&client)).when(Condition::absent());
        let Some(claim) = claim else {
            return match put.run().await? {
                Update::Done(_) => Ok(Added::Done),
                Update::ConditionFailed(there) => refused(there),
            };
        };
        let Transact::Failed(verdicts) = self.0.transact([put.into(), claim.action(&client.id.to_string())]).await?
        else {
            return Ok(Added::Done);
        };
        if let Some(verdict) = verdicts.get(1)
            && claim.lost(verdict)?.is_some()
        {
            return Ok(Added::Replayed);
        }
        match verdicts.into_iter().next() {
            Some(Verdict::ConditionFailed(there)) => refused(there),
            Some(Verdict::Fine) | None => Err(Error::internal("a transaction failed without a reason")),
        }
    }

    /// Replaces a profile if its version is unchanged. Returns whether it was.
    pub(crate) async fn replace(&self, permit: Own, old: &Client, profile: Profile) -> Result<bool> {
        let new = Client { id: permit.id(), profile, version: old.version.next() };
        self.put(old, &new).await
    }

    /// Replaces the address in a profile if its version is unchanged. Returns whether it was.
    pub(crate) async fn replace_address(&self, _permit: Migrate, old: &Client, email: Email) -> Result<bool> {
        let profile = Profile { email, ..old.profile.clone() };
        self.put(old, &Client { id: old.id, profile, version: old.version.next() }).await
    }

    /// Reads the next part of the table. It scans, which no request does: neither profiles nor addresses are in an index.
    pub(crate) async fn scan(&self, _permit: Migrate, after: Option<Cursor>) -> Result<Scanned> {
        let rows = self.0.scan(after).await?;
        let mut scanned = Scanned { profiles: Vec::new(), addresses: Vec::new(), next: rows.next };
        for item in rows.items {
            match (item.text("pk"), item.text("sk")) {
                (Some(pk), Some(PROFILE)) if pk.starts_with(EMAIL) => scanned.addresses.push(Key::new(pk, PROFILE)),
                (Some(_), Some(PROFILE)) => scanned.profiles.extend(Stored::<Client>::of(Some(item))?.profile()),
                _ => {}
            }
        }
        Ok(scanned)
    }

    /// Removes an item of the former index of addresses.
    pub(crate) async fn remove_address(&self, _permit: Migrate, address: &Key) -> Result<()> {
        self.0.delete(address).run().await.map(drop)
    }

    /// Stores another version of a profile if its version is unchanged, and removes the item of an address that
    /// changes.
    async fn put(&self, old: &Client, new: &Client) -> Result<bool> {
        let unchanged = Condition::eq("version", old.version);
        let put = self.0.put(&profile_key(new.id.into()), &Row::from(new)).when(unchanged);
        if new.profile.email.folded_before() == old.profile.email.folded_before() {
            return Ok(matches!(put.run().await?, Update::Done(_)));
        }
        let drop = self.0.delete(&address_key(&old.profile.email));
        Ok(matches!(self.0.transact([put.into(), drop.into()]).await?, Transact::Done))
    }

    /// Returns the action that removes the address item which an earlier version may have left, for the transaction
    /// that deletes the account.
    pub(crate) fn drop_address(&self, _permit: Own, client: &Client) -> Action {
        self.0.delete(&address_key(&client.profile.email)).into()
    }
}

fn refused(there: Option<Item>) -> Result<Added> {
    match Stored::<Client>::of(there)? {
        Stored::Tombstone(_) => Ok(Added::Ended),
        Stored::Profile(_) | Stored::Nothing => Ok(Added::Exists),
    }
}
