//! The scopes that each person reads, and the end of a person's account.
//!
//! A person's list has pseudonyms under the service's own secret, and is sealed with it, so that it outlives the data key
//! that the scopes are derived from: when an account ends, its scopes are found without that key.

use std::collections::BTreeSet;

use dynamo::seal::{MacKey, Place, Sealed, SealingKey};
use dynamo::secret::Secrets;
use dynamo::{Action, Condition, Item, Key, Read, Sort, Table, Transact, Verdict};
use kernel::{ClientId, Clock, Entropy, Error, Result, TherapistId, UserId};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::index::base32;
use crate::index::scope::{Partition, Scope, ScopeId};
use crate::index::write::unexpected;

const SCOPE: &str = "SCOPE#";
const ENDED: &str = "ENDED";
/// The sealed attribute.
const CONTENT: &str = "content";
/// Version of the form of the sealed content.
const FORMAT: u8 = 1;

/// Scopes that this process knows to be listed.
const KNOWN_SCOPES: usize = 10_000;

/// Seconds for which the marker of an ended account keeps writers out: longer than any of them lives.
const MARKER_KEPT: i64 = 24 * 60 * 60;

/// The lists of scopes. The current secret's keys come first.
pub(super) struct People {
    keys: Vec<PeopleKeys>,
    listed: Cache<Partition, ()>,
}

struct PeopleKeys {
    mac: MacKey,
    sealing: SealingKey,
}

/// A scope of a person's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    pub(super) id: ScopeId,
    pub(super) partition: Partition,
}

#[derive(Serialize, Deserialize)]
struct Row {
    content: Sealed,
    format: u8,
}

#[derive(Serialize)]
struct Marker {
    expires_at: i64,
}

impl People {
    pub(super) fn new(secrets: &Secrets) -> Result<Self> {
        let keys = secrets.derive_all("search/people")?.into_iter().map(|secret| {
            let sealing = SealingKey::new(&secret)?;
            Ok(PeopleKeys { mac: sealing.derive(&[b"search/v1", b"people"])?, sealing })
        });
        Ok(Self { keys: keys.collect::<Result<_>>()?, listed: Cache::new(KNOWN_SCOPES) })
    }

    /// Returns the actions that list a scope for its readers; none if this process knows that it is listed.
    pub(super) fn list(&self, table: &Table, scope: &Scope, entropy: &dyn Entropy) -> Result<Vec<Action>> {
        let listed = Listed { id: scope.id(), partition: scope.partition() };
        if self.is_noted(listed.partition) {
            return Ok(Vec::new());
        }
        listed.id.readers().map(|reader| self.put(table, listed, reader, entropy)).collect()
    }

    /// Lists a scope for these readers of it, without those whose account has ended. Returns false, and writes nothing,
    /// if the owner's has ended.
    pub(super) async fn list_for(
        &self,
        table: &Table,
        listed: Listed,
        readers: Vec<UserId>,
        entropy: &dyn Entropy,
    ) -> Result<bool> {
        let owner = listed.id.owner();
        for readers in [readers, vec![owner]] {
            let others = readers.iter().filter(|reader| **reader != owner);
            let mut actions: Vec<_> = [owner].iter().chain(others).flat_map(|it| self.is_active(table, *it)).collect();
            for reader in readers {
                actions.push(self.put(table, listed, reader, entropy)?);
            }
            match table.transact(actions).await? {
                Transact::Done => return Ok(true),
                Transact::Failed(verdicts) => {
                    if verdicts.iter().take(self.keys.len()).any(Verdict::is_condition_failed) {
                        return Ok(false);
                    }
                    // Another reader's account has ended: the owner remains.
                }
            }
        }
        Err(unexpected())
    }

    /// Returns whether a scope is in its owner's list under the current secret.
    pub(super) async fn is_listed(&self, table: &Table, id: ScopeId) -> Result<bool> {
        let keys = self.keys.first().ok_or_else(no_keys)?;
        Ok(table.get_item(&keys.scope(id.owner(), id), Read::Consistent).await?.is_some())
    }

    fn put(&self, table: &Table, listed: Listed, reader: UserId, entropy: &dyn Entropy) -> Result<Action> {
        let keys = self.keys.first().ok_or_else(no_keys)?;
        let key = keys.scope(reader, listed.id);
        let place = Place { table, key: &key, attribute: CONTENT, version: FORMAT };
        let content = keys.sealing.seal(&place, &encode(listed), entropy)?;
        Ok(table.put(&key, &Row { content, format: FORMAT }).into())
    }

    /// Returns whether this process knows that a scope is listed.
    pub(super) fn is_noted(&self, partition: Partition) -> bool {
        self.listed.get(&partition).is_some()
    }

    /// Notes that a scope is listed.
    pub(super) fn note(&self, partition: Partition) {
        self.listed.insert(partition, ());
    }

    /// Returns the scopes of a person's list, read consistently.
    pub(super) async fn scopes(&self, table: &Table, person: UserId) -> Result<BTreeSet<Listed>> {
        let mut listed = BTreeSet::new();
        for keys in &self.keys {
            listed.append(&mut keys.scopes(table, person).await?);
        }
        Ok(listed)
    }

    /// Lists the scopes of a person's own under the current secret that are listed under older ones alone, so that the
    /// older ones can be removed. Idempotent.
    pub(super) async fn relist(&self, table: &Table, person: UserId, entropy: &dyn Entropy) -> Result<()> {
        let Some((current, older)) = self.keys.split_first().filter(|(_, older)| !older.is_empty()) else {
            return Ok(());
        };
        let known = current.scopes(table, person).await?;
        for keys in older {
            let listed = keys.scopes(table, person).await?;
            for listed in listed.into_iter().filter(|listed| listed.id.owner() == person && !known.contains(listed)) {
                let readers = self.listing_readers(table, listed.id).await?;
                self.list_for(table, listed, readers, entropy).await?;
            }
        }
        Ok(())
    }

    /// Returns the readers who have a scope in their lists: of an ended account there is no list any more.
    async fn listing_readers(&self, table: &Table, id: ScopeId) -> Result<Vec<UserId>> {
        let mut readers = Vec::new();
        for reader in id.readers() {
            let keys = self.places(reader, id).collect();
            if !table.batch_get(keys, Read::Consistent).await?.is_empty() {
                readers.push(reader);
            }
        }
        Ok(readers)
    }

    /// Returns the keys under which a scope is in a person's list.
    pub(super) fn places(&self, person: UserId, id: ScopeId) -> impl Iterator<Item = Key> {
        self.keys.iter().map(move |keys| keys.scope(person, id))
    }

    /// Returns the checks that a person's account has not ended: one for each secret, because the replica that marked
    /// the end may know others.
    pub(super) fn is_active(&self, table: &Table, person: UserId) -> Vec<Action> {
        self.keys.iter().map(|keys| table.check(&keys.marker(person), Condition::absent())).collect()
    }

    /// Marks an account as ended: from then on no document begins in a scope of it.
    pub(super) async fn mark_ended(&self, table: &Table, person: UserId, clock: &dyn Clock) -> Result<()> {
        let expires_at = clock.now().as_second().saturating_add(MARKER_KEPT);
        for keys in &self.keys {
            table.put(&keys.marker(person), &Marker { expires_at }).run().await.map(drop)?;
        }
        Ok(())
    }
}

impl PeopleKeys {
    fn partition(&self, person: UserId) -> String {
        format!("PERSON#{}", base32::encode(&self.mac.mac(&[b"person", person.as_bytes()])[..16]))
    }

    /// Returns the scopes that are in a person's list under this secret, read consistently.
    async fn scopes(&self, table: &Table, person: UserId) -> Result<BTreeSet<Listed>> {
        let query = table.query(self.partition(person)).sort(Sort::BeginsWith(SCOPE.to_owned())).consistent();
        let (mut listed, mut next) = (BTreeSet::new(), Some(query.clone()));
        while let Some(page) = next {
            let rows = page.page().await?;
            for item in rows.items {
                listed.insert(self.open(table, person, item)?);
            }
            next = rows.next.map(|cursor| query.clone().after(cursor));
        }
        Ok(listed)
    }

    fn scope(&self, person: UserId, id: ScopeId) -> Key {
        let mac = self.mac.mac(&[b"scope", person.as_bytes(), &id.to_bytes()]);
        Key::new(self.partition(person), format!("{SCOPE}{}", base32::encode(&mac[..16])))
    }

    fn marker(&self, person: UserId) -> Key {
        Key::new(self.partition(person), ENDED)
    }

    fn open(&self, table: &Table, person: UserId, item: Item) -> Result<Listed> {
        let broken = || Error::internal("an item of the index lists no scope");
        let key = Key::new(self.partition(person), item.text("sk").ok_or_else(broken)?);
        let Row { content, format } = item.parse()?;
        let place = Place { table, key: &key, attribute: CONTENT, version: format };
        decode(&self.sealing.open(&place, &content)?).filter(|_| format == FORMAT).ok_or_else(broken)
    }
}

fn encode(Listed { id, partition }: Listed) -> Vec<u8> {
    [partition.as_bytes().as_slice(), &id.to_bytes()].concat()
}

fn decode(content: &[u8]) -> Option<Listed> {
    let (partition, id) = content.split_first_chunk::<16>()?;
    Some(Listed { id: ScopeId::from_bytes(id)?, partition: Partition::from_bytes(*partition) })
}

fn no_keys() -> Error {
    Error::internal("the service has no secret")
}

impl ScopeId {
    /// Returns the people who read the scope.
    pub(super) fn readers(self) -> impl Iterator<Item = UserId> {
        let other = match self {
            Self::SharedNotes(_, therapist) => Some(therapist.into()),
            Self::SharedJournal(_) | Self::PrivateJournal(_) | Self::PrivateNotes(_) | Self::DraftNotes(_) => None,
        };
        std::iter::once(self.owner()).chain(other)
    }

    fn to_bytes(self) -> Vec<u8> {
        let (kind, people): (u8, &[&[u8]]) = match &self {
            Self::SharedJournal(client) => (1, &[client.as_bytes()]),
            Self::PrivateJournal(client) => (2, &[client.as_bytes()]),
            Self::SharedNotes(client, therapist) => (3, &[client.as_bytes(), therapist.as_bytes()]),
            Self::PrivateNotes(therapist) => (4, &[therapist.as_bytes()]),
            Self::DraftNotes(therapist) => (5, &[therapist.as_bytes()]),
        };
        std::iter::once(kind).chain(people.concat()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, people) = bytes.split_first()?;
        let (people, rest) = people.as_chunks::<16>();
        let id = match (kind, people, rest) {
            (1, [client], []) => Self::SharedJournal(ClientId::from_bytes(*client)),
            (2, [client], []) => Self::PrivateJournal(ClientId::from_bytes(*client)),
            (3, [client, therapist], []) => {
                Self::SharedNotes(ClientId::from_bytes(*client), TherapistId::from_bytes(*therapist))
            }
            (4, [therapist], []) => Self::PrivateNotes(TherapistId::from_bytes(*therapist)),
            (5, [therapist], []) => Self::DraftNotes(TherapistId::from_bytes(*therapist)),
            (_, _, _) => return None,
        };
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_scope_round_trips() {
        let (client, therapist) = (ClientId::from_bytes([1; 16]), TherapistId::from_bytes([2; 16]));
        let partition = Partition::from_bytes([3; 16]);
        for id in [
            ScopeId::SharedJournal(client),
            ScopeId::PrivateJournal(client),
            ScopeId::SharedNotes(client, therapist),
            ScopeId::PrivateNotes(therapist),
            ScopeId::DraftNotes(therapist),
        ] {
            let bytes = encode(Listed { id, partition });
            assert_eq!(decode(&bytes), Some(Listed { id, partition }));
            assert_eq!(decode(&bytes[1..]), None);
            assert_eq!(decode(&[bytes, vec![0; 16]].concat()).filter(|it| it.id == id), None);
        }
        assert_eq!(decode(&[0; 33]), None);
    }
}
