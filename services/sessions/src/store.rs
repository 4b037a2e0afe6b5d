//! Table Sessions: keys, items and the conditions of their writes.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `SESSION#<id>` | `SESSION` | a session with its notes and its pending event, which change in one write |
//! | `SESSION#<id>` | `TEXT#` | the mark of changed notes that only the therapist reads, until search has read them |
//! | `SESSION#<id>` | `TEXT#<client id>` | the mark of changed notes that this client reads, until search has read them |
//! | `THERAPIST#<id>` | `DAY#<yyyy-mm-dd>` | times of the sessions of a therapist on a day of UTC |
//! | `IDEM#<digest>` | `IDEM` | a request with an idempotency key |
//!
//! A write that sets or removes the time of a session is one transaction with the days that it touches, on condition
//! that each is unchanged since it was read. So is one that changes the notes as search indexes them, with those
//! marks. Every other write is one of the session alone.
//!
//! Lists are read from indexes, ordered by start; they usually lag by milliseconds.

mod notes;

use std::collections::{BTreeMap, BTreeSet};

use dynamo::{
    Action, Claim, Condition, Delete, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Table,
    TableDef, Transact, Update, UpdateRequest, Verdict,
};
use jiff::civil::Date;
use kernel::{Error, Kind, Party, Result, SessionId, TherapistId};
use proto::events::v1::Event;
use subscriber::AccountDeletionPermit;

pub(crate) use self::notes::NotesStore;
use crate::calendar::{Calendar, Day};
use crate::key::{session_key, therapist_status};
use crate::model::Status;
use crate::policy::{
    ClientPermit, FindSlotPermit, IndexPermit, Own, SlotEndsPermit, SlotPermit, WritePermit, is_of_ended,
};
use crate::row::{PENDING_EVENT, Row, VERSION};
use crate::stored::{Seen, Stored};
use crate::text_marks::{ChangedNotes, TextMarks};

const BY_THERAPIST: IndexDef = index("by_therapist", "therapist_id");
const BY_THERAPIST_STATUS: IndexDef = index("by_therapist_status", "therapist_status");
const BY_CLIENT: IndexDef = index("by_client", "client_id");

/// Definition of the table.
pub static SESSIONS: TableDef = TableDef {
    name: "Sessions",
    key: KeyDef::PK_SK,
    indexes: &[BY_THERAPIST, BY_THERAPIST_STATUS, BY_CLIENT, outbox::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

/// Defines an index with all attributes projected, so that a page of a list is one Query.
const fn index(name: &'static str, partition: &'static str) -> IndexDef {
    IndexDef { name, key: KeyDef { partition, sort: Some("starts") }, projection: Projection::All }
}

const DAY: &str = "DAY#";
const EVENT_ID: &str = "event_id";

/// Handle of the table.
pub(crate) struct Store {
    table: Table,
    text_marks: TextMarks,
}

/// Outcome of a write.
#[derive(Debug)]
#[must_use]
pub(crate) enum Written {
    Done,
    /// The session, or a day that it touches, has changed since it was read.
    Conflict,
    /// The same request has already created the session with this id.
    Replayed(SessionId),
}

fn calendar_partition(therapist: TherapistId) -> String {
    format!("THERAPIST#{therapist}")
}

fn day_key(therapist: TherapistId, day: Date) -> Key {
    Key::new(calendar_partition(therapist), format!("{DAY}{day}"))
}

impl Store {
    pub(crate) const fn new(table: Table, text_marks: TextMarks) -> Self {
        Self { table, text_marks }
    }

    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// Reads a session of the calling therapist.
    pub(crate) async fn own(&self, permit: Own, id: SessionId) -> Result<Option<Stored>> {
        Ok(self.read(id).await?.filter(|stored| permit.owns(stored.session())))
    }

    /// Reads a session, if the client may see it.
    pub(crate) async fn seen(&self, permit: ClientPermit, id: SessionId) -> Result<Option<Seen>> {
        Ok(self.read(id).await?.and_then(|stored| stored.seen(permit)))
    }

    /// Reads a session for its slot.
    pub(crate) async fn slot(&self, permit: SlotPermit) -> Result<Option<Stored>> {
        self.read(permit.session()).await
    }

    /// Reads a session for its slot, if it is one of the permit's therapist.
    pub(crate) async fn slot_of(&self, permit: FindSlotPermit, id: SessionId) -> Result<Option<Stored>> {
        Ok(self.read(id).await?.filter(|stored| stored.session().therapist == permit.therapist()))
    }

    /// Reads sessions for their slots.
    pub(crate) async fn slots(&self, permit: &SlotEndsPermit) -> Result<Vec<Stored>> {
        read_all(&self.table, permit.sessions()).await
    }

    /// Reads a session for its notes.
    pub(crate) async fn indexed(&self, _: IndexPermit, id: SessionId) -> Result<Option<Stored>> {
        self.read(id).await
    }

    /// Reads those of these sessions that are the calling therapist's.
    pub(crate) async fn all_own(&self, permit: Own, ids: BTreeSet<SessionId>) -> Result<Vec<Stored>> {
        let stored = read_all(&self.table, ids).await?;
        Ok(stored.into_iter().filter(|stored| permit.owns(stored.session())).collect())
    }

    /// Reads those of these sessions whose shared notes the client may read.
    pub(crate) async fn all_shared(&self, permit: ClientPermit, ids: BTreeSet<SessionId>) -> Result<Vec<Seen>> {
        let stored = read_all(&self.table, ids).await?;
        Ok(stored.into_iter().filter_map(|stored| stored.seen(permit)).filter(Seen::is_shared).collect())
    }

    /// Reads a session of an ended account.
    pub(crate) async fn of_ended_account(
        &self,
        permit: AccountDeletionPermit,
        id: SessionId,
    ) -> Result<Option<Stored>> {
        Ok(self.read(id).await?.filter(|stored| is_of_ended(permit, stored.session())))
    }

    async fn read(&self, id: SessionId) -> Result<Option<Stored>> {
        self.table.get_item(&session_key(id), Read::Consistent).await?.map(Stored::of).transpose()
    }

    /// Reads these days of the own calendar.
    pub(crate) async fn calendar(&self, permit: Own, days: BTreeSet<Date>) -> Result<Calendar> {
        self.days(permit.therapist(), days).await
    }

    /// Reads these days of a therapist's calendar, for a client who asks for a slot.
    pub(crate) async fn offered(&self, permit: FindSlotPermit, days: BTreeSet<Date>) -> Result<Calendar> {
        self.days(permit.therapist(), days).await
    }

    async fn days(&self, therapist: TherapistId, days: BTreeSet<Date>) -> Result<Calendar> {
        let keys = days.iter().map(|day| day_key(therapist, *day)).collect();
        let mut read: BTreeMap<Date, Day> = days.into_iter().map(|day| (day, Day::default())).collect();
        for item in self.table.batch_get(keys, Read::Consistent).await? {
            let date = item.text("sk").and_then(|sort| sort.strip_prefix(DAY)).and_then(|day| day.parse().ok());
            let date = date.ok_or_else(|| Error::internal("a day of a calendar is none"))?;
            read.insert(date, item.parse()?);
        }
        Ok(Calendar::new(read))
    }

    /// Stores a new session with the days that it touches, and the record of the request if it has an idempotency key.
    pub(crate) async fn add(
        &self,
        permit: Own,
        new: &Stored,
        days: &Calendar,
        claim: Option<&Claim>,
    ) -> Result<Written> {
        require(permit, new)?;
        let id = new.session().id;
        let put = self.table.put(&session_key(id), &Row::written(new)).when(Condition::absent());
        let claimed = claim.map(|claim| claim.action(&id.to_string()));
        let texts = self.text_marks.of(None, Some(new));
        let others = self.day_actions(new.session().therapist, days).into_iter().chain(self.text_actions(&texts));
        // The claim is last: its verdict is looked for there.
        let verdicts = match self.table.transact(std::iter::once(put.into()).chain(others).chain(claimed)).await {
            Ok(Transact::Failed(verdicts)) => verdicts,
            Ok(Transact::Done) => {
                self.text_marks.deliver(texts);
                return Ok(Written::Done);
            }
            // Another transaction runs on the same day: the next attempt reads its result.
            Err(error) if error.kind() == Kind::Aborted => return Ok(Written::Conflict),
            Err(error) => return Err(error),
        };
        let made = match (claim, verdicts.last()) {
            (Some(claim), Some(verdict)) => claim.lost(verdict)?,
            (Some(_) | None, _) => None,
        };
        match made {
            Some(made) => made.parse().map(Written::Replayed).map_err(|_| Error::internal("a record names no session")),
            None => Ok(Written::Conflict),
        }
    }

    /// Replaces a session that is unchanged since it was read, and the days of its old and new time.
    pub(crate) async fn replace(
        &self,
        permit: impl Into<WritePermit>,
        old: &Stored,
        new: &Stored,
        days: Option<&Calendar>,
    ) -> Result<Written> {
        require(permit, old)?;
        let put = self.table.put(&session_key(new.session().id), &Row::written(new)).when(unchanged(old)?);
        let texts = self.text_marks.of(Some(old), Some(new));
        let days = days.map(|days| self.day_actions(new.session().therapist, days)).unwrap_or_default();
        let others: Vec<_> = days.into_iter().chain(self.text_actions(&texts)).collect();
        let done = if others.is_empty() {
            put.run().await.map(|outcome| matches!(outcome, Update::Done(_)))
        } else {
            self.apply(put, others).await
        };
        if !unless_contended(done)? {
            return Ok(Written::Conflict);
        }
        self.text_marks.deliver(texts);
        Ok(Written::Done)
    }

    /// Applies a change of a session and what belongs to it in one transaction. Returns false if a condition does not
    /// hold.
    async fn apply(&self, change: impl Into<Action>, others: Vec<Action>) -> Result<bool> {
        match self.table.transact(std::iter::once(change.into()).chain(others)).await? {
            Transact::Done => Ok(true),
            Transact::Failed(verdicts) if verdicts.iter().any(Verdict::is_condition_failed) => Ok(false),
            Transact::Failed(_) => Err(Error::internal("a transaction failed without a reason")),
        }
    }

    fn text_actions(&self, changed: &[ChangedNotes]) -> Vec<Action> {
        changed.iter().map(|changed| changed.put(&self.table)).collect()
    }

    fn day_actions(&self, therapist: TherapistId, days: &Calendar) -> Vec<Action> {
        let action = |(date, day): (Date, &Day)| {
            let unchanged = if day.version == 0 { Condition::absent() } else { Condition::eq(VERSION, day.version) };
            let new = Day { sessions: day.sessions.clone(), version: day.version + 1 };
            self.table.put(&day_key(therapist, date), &new).when(unchanged).into()
        };
        days.days().map(action).collect()
    }

    /// Removes a session that takes no time, if it is unchanged since it was read. Returns false if it has changed, or
    /// is being changed.
    pub(crate) async fn remove(&self, permit: impl Into<WritePermit>, old: &Stored) -> Result<bool> {
        require(permit, old)?;
        let delete = self.table.delete(&session_key(old.session().id)).when(unchanged(old)?);
        let texts = self.text_marks.of(Some(old), None);
        let done = if texts.is_empty() {
            delete.run().await.map(|outcome| matches!(outcome, Delete::Done(_)))
        } else {
            self.apply(delete, self.text_actions(&texts)).await
        };
        let is_done = unless_contended(done)?;
        if is_done {
            self.text_marks.deliver(texts);
        }
        Ok(is_done)
    }

    /// Removes the calendar of an ended account, which only a therapist has.
    pub(crate) async fn remove_calendar(&self, permit: AccountDeletionPermit) -> Result<()> {
        let Party::Therapist(therapist) = permit.party() else { return Ok(()) };
        let all = self.table.query(calendar_partition(therapist)).consistent();
        let mut next = Some(all.clone());
        while let Some(query) = next {
            let rows = query.page().await?;
            for item in &rows.items {
                let sort = item.text("sk").ok_or_else(|| Error::internal("a day of a calendar has no key"))?;
                let delete = self.table.delete(&Key::new(calendar_partition(therapist), sort));
                delete.run().await.map(drop)?;
            }
            next = rows.next.map(|cursor| all.clone().after(cursor));
        }
        Ok(())
    }

    /// Queries the therapist's own sessions, all or those with a status, ordered by start.
    pub(crate) fn all_of(&self, permit: Own, status: Option<Status>) -> Query {
        match status {
            None => by_therapist(&self.table, permit.therapist()),
            Some(status) => self.table.query_index(&BY_THERAPIST_STATUS, therapist_status(permit.therapist(), status)),
        }
    }

    /// Queries the sessions of the calling client.
    pub(crate) fn of_client(&self, permit: ClientPermit) -> Query {
        self.table.query_index(&BY_CLIENT, permit.client().to_string())
    }

    /// Queries the available sessions of a therapist.
    pub(crate) fn available(&self, _: ClientPermit, therapist: TherapistId) -> Query {
        self.table.query_index(&BY_THERAPIST_STATUS, therapist_status(therapist, Status::Available))
    }

    /// Queries the sessions of an ended account.
    pub(crate) fn of_ended(&self, permit: AccountDeletionPermit) -> Query {
        all_of(&self.table, permit.party())
    }
}

/// Queries the sessions of a person, ordered by start.
fn all_of(table: &Table, party: Party) -> Query {
    match party {
        Party::Client(client) => table.query_index(&BY_CLIENT, client.to_string()),
        Party::Therapist(therapist) => by_therapist(table, therapist),
    }
}

/// Queries the sessions of a therapist, ordered by start.
fn by_therapist(table: &Table, therapist: TherapistId) -> Query {
    table.query_index(&BY_THERAPIST, therapist.to_string())
}

/// Reads sessions, in no promised order; missing ones are left out.
async fn read_all(table: &Table, ids: impl IntoIterator<Item = SessionId>) -> Result<Vec<Stored>> {
    let keys = ids.into_iter().map(session_key).collect();
    table.batch_get(keys, Read::Consistent).await?.into_iter().map(Stored::of).collect()
}

/// Returns the outcome of a write, which is false if another transaction runs on the same item and wins: the next
/// attempt reads its result.
fn unless_contended(done: Result<bool>) -> Result<bool> {
    match done {
        Err(error) if error.kind() == Kind::Aborted => Ok(false),
        done => done,
    }
}

/// Checks that a permit covers a session that is written.
fn require(permit: impl Into<WritePermit>, stored: &Stored) -> Result<()> {
    let is_covered = permit.into().covers(stored.session());
    if is_covered { Ok(()) } else { Err(Error::internal("a permit is for other sessions")) }
}

/// Returns the condition that neither the session nor its pending event has changed since it was read.
fn unchanged(old: &Stored) -> Result<Condition> {
    let mark = match old.event()? {
        None => Condition::lacks(EVENT_ID),
        Some(event) => Condition::eq(EVENT_ID, event.id),
    };
    Ok(Condition::eq(VERSION, old.session().version).and(mark))
}

/// Outbox events of sessions.
#[derive(Debug)]
pub(crate) struct Bookings;

impl outbox::Events for Bookings {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Stored::of(item)?.event()
    }

    fn taken(&self, update: UpdateRequest) -> Result<UpdateRequest> {
        Ok(update.remove(PENDING_EVENT))
    }
}
