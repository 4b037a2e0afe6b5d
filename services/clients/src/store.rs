//! The table Clients: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `PROFILE` | the profile, or its tombstone |
//! | `EMAIL#<folded address>` | `PROFILE` | whose address it is; unique by its key |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |

use dynamo::{Claim, Condition, EXPIRES_AT, Item, Key, KeyDef, Read as Fresh, Table, TableDef, Transact, Verdict};
use endings::{PENDING, Tombstone};
use kernel::{ClientId, Email, Error, Result, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::model::{Client, Profile};
use crate::policy::{Find, Own, Read};

/// The table of clients.
pub static CLIENTS: TableDef =
    TableDef { name: "Clients", key: KeyDef::PK_SK, indexes: &[PENDING], ttl: Some(EXPIRES_AT) };

const PROFILE: &str = "PROFILE";

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// What is there under a client's id.
pub(crate) enum Slot {
    Free,
    Taken(Client),
    Ended(Tombstone),
}

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

impl TryFrom<Row> for Client {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { client_id, name, email, pincode, version } = row;
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

fn slot(item: Option<Item>) -> Result<Slot> {
    match item {
        None => Ok(Slot::Free),
        Some(item) if item.text("name").is_some() => item.parse::<Row>()?.try_into().map(Slot::Taken),
        Some(item) => item.parse().map(Slot::Ended),
    }
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }

    /// What is there under the id that the permit is for.
    pub(crate) async fn read(&self, permit: Read) -> Result<Slot> {
        slot(self.0.get_item(&profile_key(permit.id().into()), Fresh::Consistent).await?)
    }

    /// The client with this address.
    pub(crate) async fn find(&self, _permit: Find, email: &Email) -> Result<Option<Client>> {
        let Some(Address { client_id }) = self.0.get(&address_key(email), Fresh::Consistent).await? else {
            return Ok(None);
        };
        match slot(self.0.get_item(&profile_key(client_id.into()), Fresh::Consistent).await?)? {
            Slot::Taken(client) if client.profile.email.folded() == email.folded() => Ok(Some(client)),
            Slot::Taken(_) | Slot::Free | Slot::Ended(_) => Ok(None),
        }
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
            Some(Verdict::Unmet(there)) => match slot(there)? {
                Slot::Ended(_) => Ok(Added::Ended),
                Slot::Taken(_) | Slot::Free => Ok(Added::Exists),
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
        let moved = self.0.transact([
            put.into(),
            self.claim_address(&new),
            self.0.delete(&address_key(&old.profile.email)).into(),
        ]);
        Ok(match moved.await? {
            Transact::Done => Replaced::Done,
            Transact::Failed(verdicts) if verdicts.first().is_some_and(Verdict::is_unmet) => Replaced::Conflict,
            Transact::Failed(_) => Replaced::EmailTaken,
        })
    }

    /// Puts a tombstone where the profile was, or would have been, and sets its address free. Answers whether nobody
    /// changed the profile meanwhile.
    pub(crate) async fn bury(&self, permit: Own, slot: &Slot) -> Result<bool> {
        let user = UserId::from(permit.id());
        let tombstone = self.0.put(&profile_key(user), &Tombstone::pending(user));
        let buried = match slot {
            Slot::Ended(_) => return Ok(true),
            Slot::Free => self.0.transact([tombstone.when(Condition::absent()).into()]).await?,
            Slot::Taken(client) => {
                let unchanged = Condition::eq("version", client.version);
                let address = self.0.delete(&address_key(&client.profile.email)).into();
                self.0.transact([tombstone.when(unchanged).into(), address]).await?
            }
        };
        Ok(matches!(buried, Transact::Done))
    }

    fn claim_address(&self, client: &Client) -> dynamo::Action {
        let address = Address { client_id: client.id };
        self.0.put(&address_key(&client.profile.email), &address).when(Condition::absent()).into()
    }
}
