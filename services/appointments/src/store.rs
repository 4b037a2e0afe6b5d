//! Stores appointments: the keys and items of the table Appointments, and the conditions of their changes.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `APPOINTMENT#<id>` | `APPOINTMENT` | an appointment |
//! | `THERAPIST#<id>` | `OPEN#<client>#<start>#<id>` | a PENDING or ACCEPTED appointment of the pair, written with it |
//! | `THERAPIST#<id>` | `CLOSED#<client>` | the version of the relation in which the client last ended it |
//! | `ENDED#<user id>` | `ENDED` | the tombstone of a deleted account, which gets no new appointment |
//! | `IDEM#<digest>` | `IDEM` | the record of an idempotent request |
//!
//! A pending request is also in `by_session`, so that the others are found when one is accepted, and in `by_pair` under
//! the start of its session, so that one Query counts those which have not expired. Indexes usually lag by
//! milliseconds; the status of an appointment is decided on the item itself.
//!
//! The open appointments of a pair are read consistently, because permissions and the withdrawals of an ended relation
//! depend on them. A request that was made before the client ended the relation is not stored after it.

use std::collections::BTreeSet;
use std::time::Duration;

use dynamo::{
    Action, Claim, Condition, Cursor, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Sort, Table,
    TableDef, Transact, Verdict,
};
use kernel::{
    AppointmentId, ClientId, Error, OffsetDateTime, Party, Result, SessionId, TherapistId, Timestamp, UserId, Version,
};
use outbox::Mark;
use serde::{Deserialize, Serialize};
use subscriber::AccountDeletionPermit;

use crate::model::{Appointment, Pair, Start};
use crate::policy::{Own, Permit, RequestPermit, SessionPermit, Withdrawal};
use crate::transition::StoredStatus;

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
/// Upper bound of the length of a session, which every session stays below.
const LONGEST_SESSION: Duration = Duration::from_secs(24 * 3600);
/// Time after its start for which an appointment stays listed.
const LISTED: Duration = Duration::from_secs(2 * 24 * 3600);

/// Handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// Outcome of adding an appointment.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Added {
    Done,
    /// The same idempotent request was faster.
    Replayed,
    /// An appointment with this id exists.
    Exists,
    /// The account of this person is deleted.
    Ended(UserId),
    /// The client has ended the relation since asking.
    Withdrawn,
}

/// Outcome of a change.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Written {
    Done,
    /// The appointment was changed or removed concurrently.
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
    status: StoredStatus,
    created_at: Timestamp,
    #[serde(default)]
    relation: u32,
    version: Version,
    /// Session of a pending request: the key of `by_session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asks_for: Option<SessionId>,
    /// Pair of a pending request: the key of `by_pair`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_of: Option<String>,
}

/// Open appointment, as the partition of its therapist lists it. No attribute is the key of an index.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    appointment: AppointmentId,
    pub(crate) client: ClientId,
    pub(crate) session: SessionId,
    pub(crate) starts: Timestamp,
    #[serde(rename = "standing")]
    pub(crate) stored_status: StoredStatus,
    relation: u32,
    expires_at: i64,
}

/// Version in which a client last ended the relation with a therapist.
#[derive(Serialize)]
struct Closed {
    relation: u32,
}

/// Row with the outbox mark of its event.
#[derive(Serialize)]
struct Marked {
    #[serde(flatten)]
    row: Row,
    #[serde(flatten)]
    mark: Option<Mark>,
}

/// Tombstone of a deleted account.
#[derive(Serialize)]
struct EndedAccount {
    ended_at: Timestamp,
}

impl From<&Appointment> for Marked {
    fn from(it: &Appointment) -> Self {
        let is_pending = it.stored_status == StoredStatus::Pending;
        let row = Row {
            appointment_id: it.id,
            client_id: it.pair.client,
            therapist_id: it.pair.therapist,
            session_id: it.session,
            appointment_date: it.date,
            starts_at: it.starts.instant(),
            status: it.stored_status,
            created_at: it.created_at,
            relation: it.relation,
            version: it.version,
            asks_for: is_pending.then_some(it.session),
            asked_of: is_pending.then(|| asked_of(it.pair)),
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
            stored_status: row.status,
            created_at: row.created_at,
            relation: row.relation,
            version: row.version,
            mark,
        })
    }
}

/// Returns the key of an appointment.
pub(crate) fn key(id: AppointmentId) -> Key {
    Key::new(format!("APPOINTMENT#{id}"), APPOINTMENT)
}

fn ended_key(user: UserId) -> Key {
    Key::new(format!("ENDED#{user}"), "ENDED")
}

fn therapist_partition(therapist: TherapistId) -> String {
    format!("THERAPIST#{therapist}")
}

/// Returns the prefix of the sort keys of a client's open appointments.
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

/// Parses the appointment id from the key of an index item.
fn id_of_key(item: &Item) -> Option<AppointmentId> {
    item.text("pk")?.strip_prefix("APPOINTMENT#")?.parse().ok()
}

/// Returns the appointment ids of index items.
fn ids(items: Vec<Item>) -> Result<Vec<AppointmentId>> {
    let id = |item: Item| item.text(ID).and_then(|id| id.parse().ok());
    items.into_iter().map(|it| id(it).ok_or_else(|| Error::internal("an index shows no appointment"))).collect()
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Reads the appointment with this id consistently, if the permit covers it.
    pub(crate) async fn read(&self, permit: Permit, id: AppointmentId) -> Result<Option<Appointment>> {
        let item = self.0.get_item(&key(id), Read::Consistent).await?;
        let there = item.map(Appointment::try_from).transpose()?;
        Ok(there.filter(|appointment| permit.covers(appointment)))
    }

    /// Stores a new appointment, and the record of an idempotent request. A deleted account gets no new appointment.
    pub(crate) async fn add(&self, permit: Permit, new: &Appointment, claim: Option<&Claim>) -> Result<Added> {
        require(permit, new)?;
        let people: [UserId; 2] = [new.pair.client.into(), new.pair.therapist.into()];
        let put = self.0.put(&key(new.id), &Marked::from(new)).when(Condition::absent());
        let mut actions: Vec<Action> = vec![put.into()];
        actions.extend(people.iter().map(|user| self.0.check(&ended_key(*user), Condition::absent())));
        let is_asked = new.stored_status == StoredStatus::Pending;
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
        if verdicts.first().is_some_and(Verdict::is_condition_failed) {
            return Ok(Added::Exists);
        }
        let ended = people.iter().zip(verdicts.iter().skip(1)).find(|(_, verdict)| verdict.is_condition_failed());
        let is_closed = is_asked && verdicts.get(3).is_some_and(Verdict::is_condition_failed);
        ended
            .map(|(user, _)| Added::Ended(*user))
            .or(is_closed.then_some(Added::Withdrawn))
            .ok_or_else(|| Error::internal("a transaction failed without a reason"))
    }

    /// Stores a changed appointment, if the stored version is the one that was read.
    pub(crate) async fn replace(&self, permit: Permit, old: &Appointment, new: &Appointment) -> Result<Written> {
        require(permit, old)?;
        let unchanged = Condition::eq(VERSION, old.version);
        let put = self.0.put(&key(old.id), &Marked::from(new)).when(unchanged);
        self.with_list(put.into(), self.listed(new)).await
    }

    /// Removes an appointment, if the stored version is the one that was read.
    pub(crate) async fn remove(&self, permit: Permit, old: &Appointment) -> Result<Written> {
        require(permit, old)?;
        let delete = self.0.delete(&key(old.id)).when(Condition::eq(VERSION, old.version));
        self.with_list(delete.into(), self.0.delete(&open_key(old)).into()).await
    }

    async fn with_list(&self, change: Action, listed: Action) -> Result<Written> {
        match self.0.transact([change, listed]).await? {
            Transact::Done => Ok(Written::Done),
            Transact::Failed(verdicts) if verdicts.first().is_some_and(Verdict::is_condition_failed) => {
                Ok(Written::Conflict)
            }
            Transact::Failed(_) => Err(Error::internal("a transaction failed without a reason")),
        }
    }

    /// Returns the change of the therapist's list that belongs to a change of an appointment: it is listed while open.
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
            stored_status: it.stored_status,
            relation: it.relation,
            expires_at: it.starts.instant().as_second().saturating_add(LISTED.as_secs().cast_signed()),
        };
        self.0.put(&key, &open).into()
    }

    /// Records that the client ended the relation: after that no request of an earlier version is stored.
    pub(crate) async fn close(&self, permit: Withdrawal, version: u32) -> Result<()> {
        let earlier = Condition::absent().or(Condition::lt(RELATION, version));
        let put = self.0.put(&closed_key(permit.pair()), &Closed { relation: version }).when(earlier);
        // If the condition fails, this ending or a later one is recorded already.
        put.run().await.map(drop)
    }

    /// Returns the pending requests that were made in a version of the relation before this one.
    ///
    /// Requests that earlier versions of this service stored are in the index alone.
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
        let is_earlier = |it: &&Open| it.stored_status == StoredStatus::Pending && it.relation < version;
        asked.extend(open.iter().filter(is_earlier).map(|it| it.appointment));
        Ok(asked)
    }

    /// Returns the listed appointments of a therapist that may not be over. The clients are a range from the first to
    /// the last of these: others between them may be included.
    pub(crate) async fn listed_with(
        &self,
        own: Own,
        clients: &BTreeSet<ClientId>,
        now: Timestamp,
    ) -> Result<Vec<Open>> {
        let (Party::Therapist(therapist), Some(first), Some(last)) = (own.party(), clients.first(), clients.last())
        else {
            return Ok(Vec::new());
        };
        let from = now.saturating_sub(LONGEST_SESSION).map_err(Error::internal)?;
        let mut open = self.open(therapist, *first, *last, from).await?;
        open.retain(|it| it.starts >= from);
        Ok(open)
    }

    /// Reads the open appointments of a therapist with the clients from the first to the last, in the order of their
    /// ids. Only those of the first client are limited to the ones that start at or after an instant.
    async fn open(
        &self,
        therapist: TherapistId,
        first: ClientId,
        last: ClientId,
        from: Timestamp,
    ) -> Result<Vec<Open>> {
        // The tilde sorts after every start.
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

    /// Writes the tombstone of a deleted account: after that no appointment is added for it.
    pub(crate) async fn mark_ended(&self, permit: AccountDeletionPermit, now: Timestamp) -> Result<()> {
        self.0.put_new(&ended_key(permit.id()), &EndedAccount { ended_at: now }).await.map(drop)
    }

    /// Returns the sessions of the client's pending requests to this therapist that have not expired, up to a limit.
    pub(crate) async fn waiting(
        &self,
        permit: RequestPermit,
        therapist: TherapistId,
        now: Timestamp,
        limit: u16,
    ) -> Result<Vec<SessionId>> {
        let from_now = Sort::After(Start::of(now).instant().to_string());
        let rows = self
            .0
            .query_index(&BY_PAIR, asked_of(permit.pair_with(therapist)))
            .sort(from_now)
            .limit(limit)
            .page()
            .await?;
        let session = |item: Item| item.text("session_id").and_then(|id| id.parse().ok());
        let sessions = rows.items.into_iter().map(session).collect::<Option<_>>();
        sessions.ok_or_else(|| Error::internal("an index shows a request without its session"))
    }

    /// Returns one page of the pending requests for a session, and the cursor after it.
    pub(crate) async fn asking(
        &self,
        permit: SessionPermit,
        after: Option<Cursor>,
    ) -> Result<(Vec<AppointmentId>, Option<Cursor>)> {
        page_of_ids(self.0.query_index(&BY_SESSION, permit.id().to_string()), after).await
    }

    /// Returns one page of the appointments of a deleted account, and the cursor after it.
    pub(crate) async fn of_ended(
        &self,
        permit: AccountDeletionPermit,
        after: Option<Cursor>,
    ) -> Result<(Vec<AppointmentId>, Option<Cursor>)> {
        page_of_ids(self.of_party(permit.party()), after).await
    }

    /// Returns the query of the own appointments, newest first.
    pub(crate) fn own(&self, own: Own) -> Query {
        self.of_party(own.party()).descending()
    }

    fn of_party(&self, party: Party) -> Query {
        match party {
            Party::Client(id) => self.0.query_index(&BY_CLIENT, id.to_string()),
            Party::Therapist(id) => self.0.query_index(&BY_THERAPIST, id.to_string()),
        }
    }
}

/// Checks that a permit covers an appointment that is written.
fn require(permit: Permit, appointment: &Appointment) -> Result<()> {
    if permit.covers(appointment) { Ok(()) } else { Err(Error::internal("a permit is for other appointments")) }
}

async fn page_of_ids(query: Query, after: Option<Cursor>) -> Result<(Vec<AppointmentId>, Option<Cursor>)> {
    let query = query.limit(PAGE);
    let rows = if let Some(after) = after { query.after(after) } else { query }.page().await?;
    Ok((ids(rows.items)?, rows.next))
}

/// Maximum appointments of one read by the system's own work.
const PAGE: u16 = 200;
