//! The table Mappings: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `THERAPIST#<id>` | the relation of the two, with mapping and access: both change in one write |
//! | `HISTORY#<client>#<therapist>` | version, 20 digits | one change of the relation |
//! | `INVITED#<digest of an address>` | `THERAPIST#<id>` | an invitation that no client has received |
//! | `CLIENT#<id>` | `THERAPIST#<id>#INVITATION` | an invitation that is a request now |
//! | `INVITATIONS#<therapist>` | `BUDGET` | the times of the therapist's invitations in the last hour |
//! | `ENDED#<user id>` | `ENDED` | marker of an ended account, which can't begin a relation |
//! | `IDEM#<digest>` | `IDEM` | the record of an idempotent request |
//!
//! Invitations are in no index, so that no list of a therapist can show them; [`crate::invitations`] writes them.
//!
//! A client's relations are one partition; a therapist's are one of the index `by_therapist`, which lags behind by
//! milliseconds as a rule. Permissions are read from the table, consistently.
//!
//! A relation that its client has ended carries the event of that until appointments has acknowledged it (outbox).

use std::collections::BTreeSet;

use dynamo::{
    Action, Claim, Condition, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Table, TableDef,
    Transact, Verdict,
};
use kernel::{Error, Party, Result, TherapistId, Timestamp, UserId};
use outbox::Mark;
use proto::events::v1::Event;
use serde::{Deserialize, Serialize};
use subscriber::AccountDeletionPermit;

use crate::item::{ENDED, key, marker_key, marker_partition, partition, request_key};
use crate::model::{Answered, Change, Pair, Relation};
use crate::policy::{Act, AsClient, AsTherapist};
use crate::transition::Mapping;

const BY_THERAPIST: IndexDef = IndexDef {
    name: "by_therapist",
    key: KeyDef { partition: "therapist_id", sort: Some("client_id") },
    projection: Projection::All,
};

/// The table of relations.
pub static MAPPINGS: TableDef = TableDef {
    name: "Mappings",
    key: KeyDef::PK_SK,
    indexes: &[BY_THERAPIST, outbox::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// Outcome of a conditional write of a relation.
#[derive(Debug)]
#[must_use]
pub(crate) enum Written {
    Done,
    /// The relation was changed concurrently.
    Conflict,
    /// The same request was completed before.
    Replayed,
    /// The account of this person is ended.
    Ended(UserId),
}

/// A relation read together with the markers of both accounts.
#[derive(Debug)]
pub(crate) enum ActiveAccounts {
    Both(Option<Box<Relation>>),
    /// The account of this person is ended.
    Ended(UserId),
}

/// Marker of an ended account.
#[derive(Serialize, Deserialize)]
struct Marker {
    ended_at: Timestamp,
}

/// Partitions of the markers that were read.
struct Markers(BTreeSet<String>);

/// Row of a relation with the mark of its pending event.
#[derive(Serialize)]
struct Marked<'a> {
    #[serde(flatten)]
    relation: &'a Relation,
    #[serde(flatten)]
    mark: Option<Mark>,
}

/// Outbox events of relations.
pub(crate) struct RelationEvents;

impl outbox::Events for RelationEvents {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Ok(Relation::try_from(item)?.event())
    }
}

impl Markers {
    fn are_of(&self, user: UserId) -> bool {
        self.0.contains(&marker_partition(user))
    }
}

/// Returns the relations of these items in the order of the clients' ids.
fn in_order(items: Vec<Item>) -> Result<Vec<Relation>> {
    let mut relations = items.into_iter().map(Relation::try_from).collect::<Result<Vec<_>>>()?;
    relations.sort_unstable_by_key(|relation| relation.client_id);
    Ok(relations)
}

fn history_partition(pair: Pair) -> String {
    format!("HISTORY#{}#{}", pair.client, pair.therapist)
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Returns the relation of the permit, read consistently.
    pub(crate) async fn read(&self, permit: Act) -> Result<Option<Relation>> {
        self.0.get_item(&key(permit.pair()), Read::Consistent).await?.map(Relation::try_from).transpose()
    }

    /// Returns the relation only while both accounts are active, by one call: the index by which a therapist's
    /// relations are ended lags, and may have missed one.
    pub(crate) async fn read_with_accounts(&self, permit: Act) -> Result<ActiveAccounts> {
        let (markers, relations) = self.read_with_markers(&[permit]).await?;
        if let Some(ended) = permit.pair().people().into_iter().find(|user| markers.are_of(*user)) {
            return Ok(ActiveAccounts::Ended(ended));
        }
        Ok(ActiveAccounts::Both(relations.into_iter().next().map(Box::new)))
    }

    /// Returns those relations of these permits whose accounts are both active, read as by
    /// [`Store::read_with_accounts`], in the order of the clients' ids. Up to 49 clients of one therapist are one call.
    pub(crate) async fn read_all_with_accounts(&self, permits: &[Act]) -> Result<Vec<Relation>> {
        let (markers, mut relations) = self.read_with_markers(permits).await?;
        relations.retain(|relation| !relation.pair().people().into_iter().any(|user| markers.are_of(user)));
        Ok(relations)
    }

    /// Returns the relations of these permits, read consistently, in the order of the clients' ids.
    pub(crate) async fn read_all(&self, permits: &[Act]) -> Result<Vec<Relation>> {
        let keys = permits.iter().map(|permit| key(permit.pair())).collect();
        let items = self.0.batch_get(keys, Read::Consistent).await?;
        in_order(items)
    }

    async fn read_with_markers(&self, permits: &[Act]) -> Result<(Markers, Vec<Relation>)> {
        let pairs = permits.iter().map(|permit| permit.pair());
        let keys = pairs.flat_map(|pair| pair.people().map(marker_key).into_iter().chain([key(pair)])).collect();
        let items = self.0.batch_get(keys, Read::Consistent).await?;
        let (markers, relations): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.text("sk") == Some(ENDED));
        let partitions = markers.iter().filter_map(|item| item.text("pk")).map(str::to_owned).collect();
        Ok((Markers(partitions), in_order(relations)?))
    }

    /// Writes a changed relation, its history and the record of an idempotent request in one transaction, if the
    /// relation is unchanged since it was read. An ended account can't begin a relation.
    pub(crate) async fn write(
        &self,
        permit: Act,
        old: &Relation,
        answered: &Answered,
        claim: Option<&Claim>,
    ) -> Result<Written> {
        let pair = permit.pair();
        let Answered { relation, changes, by_invitation } = answered;
        let unchanged = if old.version == 0 { Condition::absent() } else { Condition::eq("version", old.version) };
        let row = Marked { relation, mark: relation.mark };
        let is_mapping = |change: &Change| {
            change.after.mapping != change.before.mapping
                && matches!(change.after.mapping, Mapping::Requested | Mapping::Active)
        };
        let begins = changes.iter().any(|change| is_mapping(change) || change.channel.is_some());
        let people = if begins { &pair.people()[..] } else { &[] };
        let mut actions: Vec<Action> = vec![self.0.put(&key(pair), &row).when(unchanged).into()];
        actions.extend((old.version + 1..).zip(changes).map(|(version, change)| {
            self.0.put(&Key::new(history_partition(pair), format!("{version:020}")), change).into()
        }));
        actions.extend(people.iter().map(|user| self.0.check(&marker_key(*user), Condition::absent())));
        actions.extend(by_invitation.then(|| self.0.delete(&request_key(pair)).into()));
        actions.extend(claim.map(|claim| claim.action(&relation.therapist_id.to_string())));
        let Transact::Failed(verdicts) = self.0.transact(actions).await? else {
            return Ok(Written::Done);
        };
        if let (Some(claim), Some(verdict)) = (claim, verdicts.last())
            && claim.lost(verdict)?.is_some()
        {
            return Ok(Written::Replayed);
        }
        let ended = people
            .iter()
            .zip(verdicts.iter().skip(1 + changes.len()))
            .find(|(_, verdict)| verdict.is_condition_failed());
        if let Some((user, _)) = ended {
            return Ok(Written::Ended(*user));
        }
        match verdicts.first() {
            Some(Verdict::ConditionFailed(_)) => Ok(Written::Conflict),
            Some(Verdict::Fine) | None => Err(Error::internal("a transaction failed without a reason")),
        }
    }

    /// Writes the marker of an ended account: from then on it can't begin a relation.
    pub(crate) async fn mark_ended(&self, permit: AccountDeletionPermit, now: Timestamp) -> Result<()> {
        self.0.put_new(&marker_key(permit.id()), &Marker { ended_at: now }).await.map(drop)
    }

    /// Returns the query of a client's relations in the order of the therapists' ids, read consistently.
    pub(crate) fn of_client(&self, permit: AsClient) -> Query {
        self.0.query(partition(permit.id())).consistent()
    }

    /// Returns the query of a therapist's relations in the order of the clients' ids.
    pub(crate) fn of_therapist(&self, permit: AsTherapist) -> Query {
        self.in_index(permit.id())
    }

    /// Returns the query of an ended account's relations.
    pub(crate) fn of_ended(&self, permit: AccountDeletionPermit) -> Query {
        match permit.party() {
            Party::Client(id) => self.0.query(partition(id)).consistent(),
            Party::Therapist(id) => self.in_index(id),
        }
    }

    fn in_index(&self, therapist: TherapistId) -> Query {
        self.0.query_index(&BY_THERAPIST, therapist.to_string())
    }

    /// Returns every change of a relation, oldest first.
    #[cfg(test)]
    pub(crate) async fn history(&self, pair: Pair) -> Result<Vec<Change>> {
        let (mut changes, mut after) = (Vec::new(), None);
        loop {
            let query = self.0.query(history_partition(pair)).consistent();
            let query = if let Some(after) = after { query.after(after) } else { query };
            let rows = query.page().await?;
            after = rows.next.clone();
            changes.extend(rows.parse::<Change>()?);
            if after.is_none() {
                return Ok(changes);
            }
        }
    }
}
