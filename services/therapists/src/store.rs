//! Stores the table Therapists: its keys, its items and the conditions of their writes.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `THERAPIST#<id>` | `PROFILE` | the profile, or its tombstone |
//! | `IDEM#<digest>` | `IDEM` | an idempotent request |
//!
//! The directory is four indexes in the order of the folded name: one for each combination of the filters, so that
//! every page is one Query. They are eventually consistent, within milliseconds as a rule.

use account_deletion::{PENDING, Stored};
use dynamo::{
    Claim, Condition, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read as Fresh, Sort, Table, TableDef,
    Transact, Update, Verdict,
};
use kernel::{Email, Error, PersonName, Pincode, Result, TherapistId, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::model::{Filter, Profile, Therapist};
use crate::policy::{Browse, Migrate, Names, Own};
use crate::text::Specialty;

const BY_NAME: IndexDef = index("by_name", "directory");
const BY_SPECIALTY: IndexDef = index("by_specialty", SPECIALTY_KEY);
const BY_PINCODE: IndexDef = index("by_pincode", "pincode_key");
const BY_SPECIALTY_AND_PINCODE: IndexDef = index("by_specialty_and_pincode", "specialty_pincode_key");

/// The table of therapists.
pub static THERAPISTS: TableDef = TableDef {
    name: "Therapists",
    key: KeyDef::PK_SK,
    indexes: &[PENDING, BY_NAME, BY_SPECIALTY, BY_PINCODE, BY_SPECIALTY_AND_PINCODE],
    ttl: Some(EXPIRES_AT),
};

const fn index(name: &'static str, partition: &'static str) -> IndexDef {
    let key = KeyDef { partition, sort: Some(NAME_KEY) };
    IndexDef {
        name,
        key,
        projection: Projection::Include(&["therapist_id", "name", "email", "specialty", "pincode", "version"]),
    }
}

const PROFILE: &str = "PROFILE";
const NAME_KEY: &str = "name_key";
const SPECIALTY_KEY: &str = "specialty_key";
const DIRECTORY: &str = "THERAPISTS";
/// Separator that sorts before every character of a name, so that a name precedes the longer names that begin with it.
const SEPARATOR: char = '\u{1f}';

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

/// The profile as projected by the directory.
#[derive(Serialize, Deserialize)]
struct Row {
    therapist_id: TherapistId,
    name: String,
    email: String,
    specialty: String,
    pincode: String,
    version: Version,
}

/// The stored profile, with the keys of the directory.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    row: Row,
    directory: &'static str,
    name_key: String,
    specialty_key: String,
    pincode_key: String,
    specialty_pincode_key: String,
}

impl From<&Therapist> for Listed {
    fn from(therapist: &Therapist) -> Self {
        let Therapist { id, profile, version } = therapist;
        let Profile { name, email, specialty, pincode } = profile;
        let (specialty_key, pincode_key) = (specialty.folded(), pincode.folded());
        Self {
            directory: DIRECTORY,
            name_key: name_key(therapist),
            specialty_pincode_key: combined_key(&specialty_key, &pincode_key),
            specialty_key,
            pincode_key,
            row: Row {
                therapist_id: *id,
                name: name.as_str().to_owned(),
                email: email.as_str().to_owned(),
                specialty: specialty.as_str().to_owned(),
                pincode: pincode.as_str().to_owned(),
                version: *version,
            },
        }
    }
}

impl TryFrom<Item> for Therapist {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        let Row { therapist_id, name, email, specialty, pincode, version } = item.parse()?;
        let profile = Profile {
            name: PersonName::from_stored(name),
            email: Email::from_stored(email),
            specialty: Specialty::from_stored(specialty),
            pincode: Pincode::from_stored(pincode),
        };
        Ok(Self { id: therapist_id, profile, version })
    }
}

/// Returns the key of a profile.
pub(crate) fn profile_key(user: UserId) -> Key {
    Key::new(format!("THERAPIST#{user}"), PROFILE)
}

/// Returns the place of a profile in the order of the directory.
fn name_key(Therapist { id, profile, version: _ }: &Therapist) -> String {
    format!("{}{SEPARATOR}{id}", profile.name.folded())
}

fn combined_key(specialty: &str, pincode: &str) -> String {
    format!("{specialty}{SEPARATOR}{pincode}")
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Returns the Query of a filter: a single one, on the index of its combination.
    pub(crate) fn directory(&self, _permit: Browse, filter: Filter) -> Query {
        let Filter { specialty, pincode, name_prefix } = filter;
        let query = match (specialty, pincode) {
            (None, None) => self.0.query_index(&BY_NAME, DIRECTORY),
            (Some(specialty), None) => self.0.query_index(&BY_SPECIALTY, specialty),
            (None, Some(pincode)) => self.0.query_index(&BY_PINCODE, pincode),
            (Some(specialty), Some(pincode)) => {
                self.0.query_index(&BY_SPECIALTY_AND_PINCODE, combined_key(&specialty, &pincode))
            }
        };
        if name_prefix.is_empty() { query } else { query.sort(Sort::BeginsWith(name_prefix)) }
    }

    pub(crate) async fn read(&self, _permit: Browse, id: TherapistId) -> Result<Stored<Therapist>> {
        Stored::of(self.0.get_item(&profile_key(id.into()), Fresh::Consistent).await?)
    }

    /// Returns the profiles of those of these therapists who have one, for their names.
    pub(crate) async fn named(&self, _permit: Names, ids: Vec<TherapistId>) -> Result<Vec<Therapist>> {
        let keys = ids.into_iter().map(|id| profile_key(id.into())).collect();
        let stored = self.0.batch_get(keys, Fresh::Consistent).await?.into_iter().map(|item| Stored::of(Some(item)));
        stored.filter_map(|stored| stored.map(Stored::profile).transpose()).collect()
    }

    /// Stores a new profile, and the idempotency record of the request if it has a key.
    pub(crate) async fn add(&self, permit: Own, profile: Profile, claim: Option<&Claim>) -> Result<Added> {
        let therapist = Therapist { id: permit.id(), profile, version: Version::FIRST };
        let row = Listed::from(&therapist);
        let put = self.0.put(&profile_key(therapist.id.into()), &row).when(Condition::absent());
        let Some(claim) = claim else {
            return match put.run().await? {
                Update::Done(_) => Ok(Added::Done),
                Update::ConditionFailed(there) => refused(there),
            };
        };
        let Transact::Failed(verdicts) = self.0.transact([put.into(), claim.action(&therapist.id.to_string())]).await?
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
    pub(crate) async fn replace(&self, permit: Own, old: &Therapist, profile: Profile) -> Result<bool> {
        let new = Therapist { id: permit.id(), profile, version: old.version.next() };
        self.put(old, &new).await
    }

    /// Returns whether a profile is not where this version would list it.
    pub(crate) async fn is_misplaced(&self, _permit: Migrate, therapist: &Therapist) -> Result<bool> {
        // The index that lists the profiles doesn't hold the key of the specialty.
        let stored = self.0.get_item(&profile_key(therapist.id.into()), Fresh::Consistent).await?;
        let keys = [(NAME_KEY, name_key(therapist)), (SPECIALTY_KEY, therapist.profile.specialty.folded())];
        Ok(stored.is_some_and(|item| keys.iter().any(|(name, key)| item.text(name) != Some(key))))
    }

    /// Replaces the address in a profile if its version is unchanged, and places it anew in the directory. Returns
    /// whether it was.
    pub(crate) async fn replace_address(&self, _permit: Migrate, old: &Therapist, email: Email) -> Result<bool> {
        let profile = Profile { email, ..old.profile.clone() };
        self.put(old, &Therapist { id: old.id, profile, version: old.version.next() }).await
    }

    async fn put(&self, old: &Therapist, new: &Therapist) -> Result<bool> {
        let unchanged = Condition::eq("version", old.version);
        let put = self.0.put(&profile_key(new.id.into()), &Listed::from(new)).when(unchanged);
        Ok(matches!(put.run().await?, Update::Done(_)))
    }
}

fn refused(there: Option<Item>) -> Result<Added> {
    match Stored::<Therapist>::of(there)? {
        Stored::Tombstone(_) => Ok(Added::Ended),
        Stored::Profile(_) | Stored::Nothing => Ok(Added::Exists),
    }
}
