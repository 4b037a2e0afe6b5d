//! The table Appointments: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `APPOINTMENT#<id>` | `APPOINTMENT` | an appointment |
//! | `THERAPIST#<id>` | `OPEN#<client>#<start>#<id>` | an appointment of the two that is PENDING or ACCEPTED: written with it |
//! | `THERAPIST#<id>` | `CLOSED#<client>` | the version in which the client last ended the relation |
//! | `ENDED#<user id>` | `ENDED` | the account is ended: nothing is asked by it or of it any more |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |
//!
//! A request that waits for an answer is also in `by_session`, so that the others are found when one is accepted, and in
//! `by_pair` under the start of its session, so that those which have not expired are counted by one Query. Indexes lag
//! behind by milliseconds as a rule; what an appointment becomes is decided on the item itself.
//!
//! What is open between two is a consistent read: permissions rest on it, and so does what a client withdraws by ending the
//! relation. A request that was made before the client did that is not stored after it.

use std::collections::BTreeSet;
use std::time::Duration;

use dynamo::{
    Action, Claim, Condition, Cursor, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Sort, Table,
    TableDef, Transact, Verdict,
};
use kernel::{
    AppointmentId, ClientId, Error, OffsetDateTime, Result, SessionId, TherapistId, Timestamp, UserId, Version,
};
use outbox::Mark;
use serde::{Deserialize, Serialize};

use crate::model::{Appointment, Pair, Start};
use crate::policy::{AccountDeletionPermit, Own, Permit, Withdrawal};
use crate::transition::Standing;

const fn index(name: &'static str, partition: &'static str, sort: &'static str, projection: Projection) -> IndexDef {
    IndexDef { name, key: KeyDef { partition, sort: Some(sort) }, projection }
}

const ID: &str = "appointment_id";
const BY_CLIENT: IndexDef = index("by_client", "client_id", ID, Projection::All);
const BY_THERAPIST: IndexDef = index("by_therapist", "therapist_id", ID, Projection::All);
const BY_SESSION: IndexDef = index("by_session", "asks_for", ID, Projection::KeysOnly);
const BY_PAIR: IndexDef = index("by_pair", "asked_of", "starts_at", Projection::Include(&["session_id"]));

/// The table of appointments.
pub static APPOINTMENTS: TableDef = TableDef {
    name: "Appointments",
    key: KeyDef::PK_SK,
    indexes: &[BY_CLIENT, BY_THERAPIST, BY_SESSION, BY_PAIR, outbox::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

const APPOINTMENT: &str = "APPOINTMENT";
const VERSION: &str = "version";
const RELATION: &str = "relation";
/// Every session is shorter.
const LONGEST_SESSION: Duration = Duration::from_secs(24 * 3600);
/// Time after its start for which an appointment stays listed.
const LISTED: Duration = Duration::from_secs(2 * 24 * 3600);

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// What became of a new appointment.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Added {
    Done,
    /// The same request was faster.
    Replayed,
    /// There is one with this id.
    Exists,
    /// The account of this person is ended.
    Ended(UserId),
    /// The client has ended the relation since asking.
    Withdrawn,
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Written {
    Done,
    /// Somebody else changed the appointment meanwhile, or removed it.
    Conflict,
}

#[derive(Serialize, Deserialize)]
struct Row {
    appointment_id: AppointmentId,
    client_id: ClientId,
    therapist_id: TherapistId,
    session_id: SessionId,
    appointment_date: OffsetDateTime,
    starts_at: Timestamp,
    status: Standing,
    created_at: Timestamp,
    #[serde(default)]
    relation: u32,
    version: Version,
    /// The session, of a request that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asks_for: Option<SessionId>,
    /// The two, of a request that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_of: Option<String>,
}

/// An appointment that is open, as the partition of its therapist lists it. No attribute is the key of an index.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    appointment: AppointmentId,
    pub(crate) client: ClientId,
    pub(crate) session: SessionId,
    pub(crate) starts: Timestamp,
    pub(crate) standing: Standing,
    relation: u32,
    expires_at: i64,
}

/// Version in which a client last ended the relation with a therapist.
#[derive(Serialize)]
struct Closed {
    relation: u32,
}

/// A row and the mark of its event.
#[derive(Serialize)]
struct Marked {
    #[serde(flatten)]
    row: Row,
    #[serde(flatten)]
    mark: Option<Mark>,
}

/// That an account is ended.
#[derive(Serialize)]
struct Ending {
    ended_at: Timestamp,
}

impl From<&Appointment> for Marked {
    fn from(it: &Appointment) -> Self {
        let waits = it.standing == Standing::Pending;
        let row = Row {
            appointment_id: it.id,
            client_id: it.pair.client,
            therapist_id: it.pair.therapist,
            session_id: it.session,
            appointment_date: it.date,
            starts_at: it.starts.instant(),
            status: it.standing,
            created_at: it.created_at,
            relation: it.relation,
            version: it.version,
            asks_for: waits.then_some(it.session),
            asked_of: waits.then(|| asked_of(it.pair)),
        };
        Self { row, mark: it.mark }
    }
}

impl TryFrom<Item> for Appointment {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        let mark = Mark::of(&item)?;
        let row: Row = item.parse()?;
        Ok(Self {
            id: row.appointment_id,
            pair: Pair { client: row.client_id, therapist: row.therapist_id },
            session: row.session_id,
            date: row.appointment_date,
            starts: Start::of(row.starts_at),
            standing: row.status,
            created_at: row.created_at,
            relation: row.relation,
            version: row.version,
            mark,
        })
    }
}

/// The key of an appointment.
pub(crate) fn key(id: AppointmentId) -> Key {
    Key::new(format!("APPOINTMENT#{id}"), APPOINTMENT)
}

fn ending(user: UserId) -> Key {
    Key::new(format!("ENDED#{user}"), "ENDED")
}

fn therapist_partition(therapist: TherapistId) -> String {
    format!("THERAPIST#{therapist}")
}

/// Beginning of the sort keys of what is open with a client.
fn open_with(client: ClientId) -> String {
    format!("OPEN#{client}#")
}

fn open_key(it: &Appointment) -> Key {
    let sort = format!("{}{}#{}", open_with(it.pair.client), it.starts.instant(), it.id);
    Key::new(therapist_partition(it.pair.therapist), sort)
}

fn closed_key(Pair { client, therapist }: Pair) -> Key {
    Key::new(therapist_partition(therapist), format!("CLOSED#{client}"))
}

fn asked_of(Pair { client, therapist }: Pair) -> String {
    format!("{client}#{therapist}")
}

/// The id of an appointment that an index shows by its key.
fn id_of_key(item: &Item) -> Option<AppointmentId> {
    item.text("pk")?.strip_prefix("APPOINTMENT#")?.parse().ok()
}

/// The ids of what an index shows.
fn ids(items: Vec<Item>) -> Result<Vec<AppointmentId>> {
    let id = |item: Item| item.text(ID).and_then(|id| id.parse().ok());
    items.into_iter().map(|it| id(it).ok_or_else(|| Error::internal("an index shows no appointment"))).collect()
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The appointment with this id, as it is right now, if the permit is for it.
    pub(crate) async fn read(&self, permit: Permit, id: AppointmentId) -> Result<Option<Appointment>> {
        let item = self.0.get_item(&key(id), Read::Consistent).await?;
        let there = item.map(Appointment::try_from).transpose()?;
        Ok(there.filter(|appointment| permit.covers(appointment)))
    }

    /// Stores a new appointment, and the record of the request if it brought a key. Nothing begins with an account that is
    /// ended.
    pub(crate) async fn add(&self, new: &Appointment, claim: Option<&Claim>) -> Result<Added> {
        let people: [UserId; 2] = [new.pair.client.into(), new.pair.therapist.into()];
        let put = self.0.put(&key(new.id), &Marked::from(new)).when(Condition::absent());
        let mut actions: Vec<Action> = vec![put.into()];
        actions.extend(people.iter().map(|user| self.0.check(&ending(*user), Condition::absent())));
        let is_asked = new.standing == Standing::Pending;
        let not_closed = Condition::absent().or(Condition::lt(RELATION, new.relation));
        actions.extend(is_asked.then(|| self.0.check(&closed_key(new.pair), not_closed)));
        actions.push(self.listed(new));
        actions.extend(claim.map(|claim| claim.action(&new.id.to_string())));
        let Transact::Failed(verdicts) = self.0.transact(actions).await? else { return Ok(Added::Done) };
        if let (Some(claim), Some(verdict)) = (claim, verdicts.last())
            && claim.lost(verdict)?.is_some()
        {
            return Ok(Added::Replayed);
        }
        if verdicts.first().is_some_and(Verdict::is_unmet) {
            return Ok(Added::Exists);
        }
        let ended = people.iter().zip(verdicts.iter().skip(1)).find(|(_, verdict)| verdict.is_unmet());
        let is_closed = is_asked && verdicts.get(3).is_some_and(Verdict::is_unmet);
        ended
            .map(|(user, _)| Added::Ended(*user))
            .or(is_closed.then_some(Added::Withdrawn))
            .ok_or_else(|| Error::internal("a transaction failed without a reason"))
    }

    /// Stores a changed appointment, if it is still what was read.
    pub(crate) async fn replace(&self, old: &Appointment, new: &Appointment) -> Result<Written> {
        let unchanged = Condition::eq(VERSION, old.version);
        let put = self.0.put(&key(old.id), &Marked::from(new)).when(unchanged);
        self.with_list(put.into(), self.listed(new)).await
    }

    /// Removes an appointment, if it is still what was read.
    pub(crate) async fn remove(&self, old: &Appointment) -> Result<Written> {
        let delete = self.0.delete(&key(old.id)).when(Condition::eq(VERSION, old.version));
        self.with_list(delete.into(), self.0.delete(&open_key(old)).into()).await
    }

    async fn with_list(&self, change: Action, listed: Action) -> Result<Written> {
        match self.0.transact([change, listed]).await? {
            Transact::Done => Ok(Written::Done),
            Transact::Failed(verdicts) if verdicts.first().is_some_and(Verdict::is_unmet) => Ok(Written::Conflict),
            Transact::Failed(_) => Err(Error::internal("a transaction failed without a reason")),
        }
    }

    /// What the therapist's partition lists of an appointment after a change: the appointment while it is open.
    fn listed(&self, it: &Appointment) -> Action {
        let key = open_key(it);
        if !it.is_open() {
            return self.0.delete(&key).into();
        }
        let open = Open {
            appointment: it.id,
            client: it.pair.client,
            session: it.session,
            starts: it.starts.instant(),
            standing: it.standing,
            relation: it.relation,
            expires_at: it.starts.instant().as_second().saturating_add(LISTED.as_secs().cast_signed()),
        };
        self.0.put(&key, &open).into()
    }

    /// Notes that the client has ended the relation: from here on no request of an earlier version is stored.
    pub(crate) async fn close(&self, permit: Withdrawal, version: u32) -> Result<()> {
        let earlier = Condition::absent().or(Condition::lt(RELATION, version));
        let put = self.0.put(&closed_key(permit.pair()), &Closed { relation: version }).when(earlier);
        // ConditionFailed, it is noted already, or a later ending is.
        put.run().await.map(drop)
    }

    /// The requests that wait for an answer and were made in a version of the relation before this one.
    ///
    /// Requests of earlier versions of this service are in the index alone.
    pub(crate) async fn asked_before(
        &self,
        permit: Withdrawal,
        version: u32,
        now: Timestamp,
    ) -> Result<Vec<AppointmentId>> {
        let Pair { client, therapist } = permit.pair();
        let from_now = Sort::From(Start::of(now).instant().to_string());
        let indexed = self.0.query_index(&BY_PAIR, asked_of(permit.pair())).sort(from_now).limit(PAGE).page().await?;
        let open = self.open(therapist, client, client, now).await?;
        let listed: BTreeSet<_> = open.iter().map(|it| it.appointment).collect();
        let mut asked: Vec<_> = indexed.items.iter().filter_map(id_of_key).filter(|id| !listed.contains(id)).collect();
        let is_meant = |it: &&Open| it.standing == Standing::Pending && it.relation < version;
        asked.extend(open.iter().filter(is_meant).map(|it| it.appointment));
        Ok(asked)
    }

    /// What is open between a therapist and these clients, and perhaps others: of the first what may not be over, of all others
    /// all that is listed.
    pub(crate) async fn listed_with(
        &self,
        own: Own,
        clients: &BTreeSet<ClientId>,
        now: Timestamp,
    ) -> Result<Vec<Open>> {
        let (Own::Therapist(therapist), Some(first), Some(last)) = (own, clients.first(), clients.last()) else {
            return Ok(Vec::new());
        };
        let from = now.saturating_sub(LONGEST_SESSION).map_err(Error::internal)?;
        let mut open = self.open(therapist, *first, *last, from).await?;
        open.retain(|it| it.starts >= from);
        Ok(open)
    }

    /// What is open between a therapist and the clients from the first to the last, in the order of their ids. Of the first
    /// client it is what starts at or after an instant.
    async fn open(
        &self,
        therapist: TherapistId,
        first: ClientId,
        last: ClientId,
        from: Timestamp,
    ) -> Result<Vec<Open>> {
        // Every start comes before the tilde.
        let range = Sort::Between(
            format!("{}{}", open_with(first), Start::of(from).instant()),
            format!("{}~", open_with(last)),
        );
        let query = self.0.query(therapist_partition(therapist)).sort(range).consistent();
        let (mut open, mut after) = (Vec::new(), None::<Cursor>);
        loop {
            let page = query.clone();
            let rows = if let Some(after) = after { page.after(after) } else { page }.page().await?;
            after = rows.next.clone();
            open.extend(rows.parse::<Open>()?);
            if after.is_none() {
                return Ok(open);
            }
        }
    }

    /// Notes that an account is ended: from here on nothing begins with it.
    pub(crate) async fn mark_ended(&self, permit: AccountDeletionPermit, now: Timestamp) -> Result<()> {
        self.0.put_new(&ending(permit.id()), &Ending { ended_at: now }).await.map(drop)
    }

    /// The sessions of the first requests of the two that wait for an answer and have not expired, at most so many.
    pub(crate) async fn waiting(&self, pair: Pair, now: Timestamp, most: u16) -> Result<Vec<SessionId>> {
        let from_now = Sort::After(Start::of(now).instant().to_string());
        let rows = self.0.query_index(&BY_PAIR, asked_of(pair)).sort(from_now).limit(most).page().await?;
        let session = |item: Item| item.text("session_id").and_then(|id| id.parse().ok());
        let sessions = rows.items.into_iter().map(session).collect::<Option<_>>();
        sessions.ok_or_else(|| Error::internal("an index shows a request without its session"))
    }

    /// One page of the requests for a session that wait, and the place after it.
    pub(crate) async fn asking(
        &self,
        session: SessionId,
        after: Option<Cursor>,
    ) -> Result<(Vec<AppointmentId>, Option<Cursor>)> {
        page_of_ids(self.0.query_index(&BY_SESSION, session.to_string()), after).await
    }

    /// One page of the appointments of somebody whose account is ended, and the place after it.
    pub(crate) async fn of_ended(
        &self,
        permit: AccountDeletionPermit,
        after: Option<Cursor>,
    ) -> Result<(Vec<AppointmentId>, Option<Cursor>)> {
        let query = match permit {
            AccountDeletionPermit::Client(id) => self.0.query_index(&BY_CLIENT, id.to_string()),
            AccountDeletionPermit::Therapist(id) => self.0.query_index(&BY_THERAPIST, id.to_string()),
        };
        page_of_ids(query, after).await
    }

    /// The own appointments, those that were asked for last first.
    pub(crate) fn own(&self, own: Own) -> Query {
        match own {
            Own::Client(id) => self.0.query_index(&BY_CLIENT, id.to_string()),
            Own::Therapist(id) => self.0.query_index(&BY_THERAPIST, id.to_string()),
        }
        .descending()
    }
}

async fn page_of_ids(query: Query, after: Option<Cursor>) -> Result<(Vec<AppointmentId>, Option<Cursor>)> {
    let query = query.limit(PAGE);
    let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
    Ok((ids(rows.items)?, rows.next))
}

/// How many appointments the work of the system reads at once.
const PAGE: u16 = 200;
