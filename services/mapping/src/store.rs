//! The table Mappings: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `CLIENT#<id>` | `THERAPIST#<id>` | the relation of the two, with mapping and access: both change in one write |
//! | `HISTORY#<client>#<therapist>` | version, 20 digits | one change of the relation |
//! | `INVITED#<digest of an address>` | `THERAPIST#<id>` | an invitation that no client has received |
//! | `CLIENT#<id>` | `THERAPIST#<id>#INVITATION` | an invitation that is a request now |
//! | `INVITATIONS#<therapist>` | `BUDGET` | the times of the therapist's invitations in the last hour |
//! | `ENDED#<user id>` | `ENDED` | the account is ended: nothing begins with it any more |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |
//!
//! Invitations are in no index, so that no list of a therapist can show them; [`crate::invitations`] writes them.
//!
//! A client's relations are one partition; a therapist's are one of the index `by_therapist`, which lags behind by
//! milliseconds as a rule. Permissions are read from the table, consistently.
//!
//! A relation that its client has ended carries the event of that, until appointments has taken it.

use dynamo::{
    Action, Claim, Condition, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Table, TableDef,
    Transact, Verdict,
};
use kernel::{ClientId, Error, Result, TherapistId, Timestamp, UserId};
use proto::events::v1::Event;
use relay::Mark;
use serde::{Deserialize, Serialize};

use crate::invitations::{self, Answered, request_key};
use crate::model::{Change, Pair, Relation};
use crate::policy::{Act, AsClient, AsTherapist, Undertaker};
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
    indexes: &[BY_THERAPIST, relay::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

pub(crate) const ENDED: &str = "ENDED";
const THERAPIST: &str = "THERAPIST#";

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// What became of a change.
#[derive(Debug)]
#[must_use]
pub(crate) enum Written {
    Done,
    /// Somebody else changed the relation meanwhile.
    Conflict,
    /// The same request was faster.
    Replayed,
    /// The account of this person is ended.
    Ended(UserId),
}

/// A relation, if the accounts of both are there.
#[derive(Debug)]
pub(crate) enum Living {
    Both(Option<Box<Relation>>),
    /// The account of this person is ended.
    Ended(UserId),
}

/// That an account is ended.
#[derive(Serialize, Deserialize)]
struct Marker {
    ended_at: Timestamp,
}

/// A relation and the mark of its event.
#[derive(Serialize)]
struct Marked<'a> {
    #[serde(flatten)]
    relation: &'a Relation,
    #[serde(flatten)]
    mark: Option<Mark>,
}

/// The events that are pending in the table.
pub(crate) struct Endings;

impl relay::Events for Endings {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Ok(Relation::try_from(item)?.event())
    }
}

/// Key of a relation.
pub(crate) fn key(pair: Pair) -> Key {
    Key::new(partition(pair.client), format!("{THERAPIST}{}", pair.therapist))
}

/// The partition of a client's relations.
pub(crate) fn partition(client: ClientId) -> String {
    format!("CLIENT#{client}")
}

fn history_partition(pair: Pair) -> String {
    format!("HISTORY#{}#{}", pair.client, pair.therapist)
}

/// The partition of the marker that somebody's account has ended.
pub(crate) fn marker_partition(user: UserId) -> String {
    format!("ENDED#{user}")
}

/// The key of that marker.
pub(crate) fn marker_key(user: UserId) -> Key {
    Key::new(marker_partition(user), ENDED)
}

impl TryFrom<Item> for Relation {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        if let Some(request) = invitations::requested(&item)? {
            return Ok(request);
        }
        let mark = Mark::of(&item)?;
        Ok(Self { mark, ..item.parse()? })
    }
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The relation that the permit is for, as it is right now.
    pub(crate) async fn read(&self, permit: Act) -> Result<Option<Relation>> {
        self.0.get_item(&key(permit.pair()), Read::Consistent).await?.map(Relation::try_from).transpose()
    }

    /// The same, but only while both accounts are there: the index by which a therapist's relations are ended lags, and may
    /// have missed one. All of it is read by one call.
    pub(crate) async fn read_of_living(&self, permit: Act) -> Result<Living> {
        let pair = permit.pair();
        let people: [UserId; 2] = [pair.client.into(), pair.therapist.into()];
        let keys = people.map(marker_key).into_iter().chain([key(pair)]).collect();
        let items = self.0.batch_get(keys, Read::Consistent).await?;
        let (markers, relation): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.text("sk") == Some(ENDED));
        let is_ended = |user: &&UserId| markers.iter().any(|item| item.text("pk") == Some(&marker_partition(**user)));
        if let Some(ended) = people.iter().find(is_ended) {
            return Ok(Living::Ended(*ended));
        }
        let relation = relation.into_iter().next().map(Relation::try_from).transpose()?;
        Ok(Living::Both(relation.map(Box::new)))
    }

    /// The relations that these permits are for, as they are right now, in the order of the clients' ids.
    pub(crate) async fn read_all(&self, permits: Vec<Act>) -> Result<Vec<Relation>> {
        let keys = permits.into_iter().map(|permit| key(permit.pair())).collect();
        let items = self.0.batch_get(keys, Read::Consistent).await?;
        let mut relations = items.into_iter().map(Relation::try_from).collect::<Result<Vec<_>>>()?;
        relations.sort_unstable_by_key(|relation| relation.client_id);
        Ok(relations)
    }

    /// Stores a changed relation with its history, and the record of the request if it brought a key, if the relation
    /// is still what was read. Nothing begins with an account that is ended.
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
        let people: &[UserId] = if begins { &[pair.client.into(), pair.therapist.into()] } else { &[] };
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
        let ended = people.iter().zip(verdicts.iter().skip(1 + changes.len())).find(|(_, verdict)| verdict.is_unmet());
        if let Some((user, _)) = ended {
            return Ok(Written::Ended(*user));
        }
        match verdicts.first() {
            Some(Verdict::Unmet(_)) => Ok(Written::Conflict),
            Some(Verdict::Fine) | None => Err(Error::internal("a transaction failed without a reason")),
        }
    }

    /// Notes that an account is ended: from here on nothing begins with it.
    pub(crate) async fn mark_ended(&self, permit: Undertaker, now: Timestamp) -> Result<()> {
        self.0.put_new(&marker_key(permit.id()), &Marker { ended_at: now }).await.map(drop)
    }

    /// The relations of a client, in the order of the therapists' ids, without delay.
    pub(crate) fn of_client(&self, permit: AsClient) -> Query {
        self.0.query(partition(permit.id())).consistent()
    }

    /// The relations of a therapist, in the order of the clients' ids.
    pub(crate) fn of_therapist(&self, permit: AsTherapist) -> Query {
        self.in_index(permit.id())
    }

    /// The relations of somebody whose account is ended.
    pub(crate) fn of_ended(&self, permit: Undertaker) -> Query {
        match permit {
            Undertaker::Client(id) => self.0.query(partition(id)).consistent(),
            Undertaker::Therapist(id) => self.in_index(id),
        }
    }

    fn in_index(&self, therapist: TherapistId) -> Query {
        self.0.query_index(&BY_THERAPIST, therapist.to_string())
    }

    /// Every change of a relation, the first first.
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
