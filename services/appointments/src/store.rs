//! The table Appointments: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `APPOINTMENT#<id>` | `APPOINTMENT` | an appointment |
//! | `ENDED#<user id>` | `ENDED` | the account is ended: nothing is asked by it or of it any more |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |
//!
//! A request that waits for an answer is also in `by_session`, so that the others are found when one is accepted, and in
//! `by_pair` under the start of its session, so that those which have not expired are counted by one Query. Indexes lag
//! behind by milliseconds as a rule; what an appointment becomes is decided on the item itself.

use dynamo::{
    Action, Claim, Condition, Cursor, Delete, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Sort,
    Table, TableDef, Transact, Update, Verdict,
};
use kernel::{
    AppointmentId, ClientId, Error, OffsetDateTime, Result, SessionId, TherapistId, Timestamp, UserId, Version,
};
use relay::Mark;
use serde::{Deserialize, Serialize};

use crate::model::{Appointment, Pair, Start};
use crate::policy::{Own, Permit, Undertaker};
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
    indexes: &[BY_CLIENT, BY_THERAPIST, BY_SESSION, BY_PAIR, relay::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

const APPOINTMENT: &str = "APPOINTMENT";
const VERSION: &str = "version";

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
    version: Version,
    /// The session, of a request that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asks_for: Option<SessionId>,
    /// The two, of a request that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_of: Option<String>,
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

fn asked_of(Pair { client, therapist }: Pair) -> String {
    format!("{client}#{therapist}")
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
        ended
            .map(|(user, _)| Added::Ended(*user))
            .ok_or_else(|| Error::internal("a transaction failed without a reason"))
    }

    /// Stores a changed appointment, if it is still what was read.
    pub(crate) async fn replace(&self, old: &Appointment, new: &Appointment) -> Result<Written> {
        let unchanged = Condition::eq(VERSION, old.version);
        match self.0.put(&key(old.id), &Marked::from(new)).when(unchanged).run().await? {
            Update::Done(_) => Ok(Written::Done),
            Update::Unmet(_) => Ok(Written::Conflict),
        }
    }

    /// Removes an appointment, if it is still what was read.
    pub(crate) async fn remove(&self, old: &Appointment) -> Result<Written> {
        match self.0.delete(&key(old.id)).when(Condition::eq(VERSION, old.version)).run().await? {
            Delete::Done(_) => Ok(Written::Done),
            Delete::Unmet(_) => Ok(Written::Conflict),
        }
    }

    /// Notes that an account is ended: from here on nothing begins with it.
    pub(crate) async fn mark_ended(&self, permit: Undertaker, now: Timestamp) -> Result<()> {
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
        permit: Undertaker,
        after: Option<Cursor>,
    ) -> Result<(Vec<AppointmentId>, Option<Cursor>)> {
        let query = match permit {
            Undertaker::Client(id) => self.0.query_index(&BY_CLIENT, id.to_string()),
            Undertaker::Therapist(id) => self.0.query_index(&BY_THERAPIST, id.to_string()),
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
