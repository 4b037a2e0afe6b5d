//! The table Sessions: its keys, its items and the conditions under which they change.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `SESSION#<id>` | `SESSION` | a session, with its notes and the event that is pending: all of it changes in one write |
//! | `THERAPIST#<id>` | `DAY#<yyyy-mm-dd>` | when the sessions of a therapist on a day of UTC are |
//! | `IDEM#<digest>` | `IDEM` | a request that brought an idempotency key |
//!
//! What gives a session time or takes it away is one transaction with the days that it touches, each on condition that it is
//! as it was read; everything else is a write of the session alone.
//!
//! Lists are read from indexes, whose order is that of the starts; they lag behind by milliseconds as a rule.

use std::collections::{BTreeMap, BTreeSet};

use dynamo::{
    Action, Claim, Condition, Delete, EXPIRES_AT, IndexDef, Item, Key, KeyDef, Projection, Query, Read, Table,
    TableDef, Transact, Update, UpdateRequest, Verdict,
};
use jiff::civil::Date;
use kernel::{Error, Kind, Result, SessionId, TherapistId, Timestamp};
use proto::events::v1::Event;

use crate::calendar::{Calendar, Day};
use crate::model::Status;
use crate::policy::{AccountDeletionPermit, Own, Slots, Visit};
use crate::row::{HAPPENED, Row, VERSION};
use crate::stored::{Seen, Stored};

const BY_THERAPIST: IndexDef = index("by_therapist", "therapist_id");
const BY_THERAPIST_STATUS: IndexDef = index("by_therapist_status", "therapist_status");
const BY_CLIENT: IndexDef = index("by_client", "client_id");

/// The table of sessions.
pub static SESSIONS: TableDef = TableDef {
    name: "Sessions",
    key: KeyDef::PK_SK,
    indexes: &[BY_THERAPIST, BY_THERAPIST_STATUS, BY_CLIENT, outbox::pending(Projection::KeysOnly)],
    ttl: Some(EXPIRES_AT),
};

/// Everything is projected: a page of a list is one Query.
const fn index(name: &'static str, partition: &'static str) -> IndexDef {
    IndexDef { name, key: KeyDef { partition, sort: Some("starts") }, projection: Projection::All }
}

const DAY: &str = "DAY#";
const EVENT_ID: &str = "event_id";

/// The handle of the table.
#[derive(Debug, Clone)]
pub(crate) struct Store(Table);

/// What became of a write.
#[derive(Debug)]
#[must_use]
pub(crate) enum Written {
    Done,
    /// The session, or a day that it touches, was changed meanwhile.
    Conflict,
    /// The same request has made the session with this id before.
    Replayed(SessionId),
}

/// The key of a session.
pub(crate) fn place(id: SessionId) -> Key {
    Key::new(format!("SESSION#{id}"), "SESSION")
}

/// Where a session that starts then stands in the indexes: in the order of the starts, each at a place of its own.
pub(crate) fn position(start: Timestamp, id: SessionId) -> String {
    format!("{}#{id}", instant(start))
}

/// An instant as positions begin with it. Sessions start at whole minutes, and all of these have the same length.
pub(crate) fn instant(instant: Timestamp) -> String {
    format!("{instant:.0}")
}

/// The partition of the sessions of a therapist that have this status.
pub(crate) fn therapist_status(therapist: TherapistId, status: Status) -> String {
    let status = match status {
        Status::Available => "AVAILABLE",
        Status::Booked => "BOOKED",
        Status::Cancelled => "CANCELLED",
    };
    format!("{therapist}#{status}")
}

fn calendar_partition(therapist: TherapistId) -> String {
    format!("THERAPIST#{therapist}")
}

fn day_key(therapist: TherapistId, day: Date) -> Key {
    Key::new(calendar_partition(therapist), format!("{DAY}{day}"))
}

impl Store {
    pub(crate) const fn new(table: Table) -> Self {
        Self(table)
    }

    pub(crate) const fn table(&self) -> &Table {
        &self.0
    }

    /// The own session with this id.
    pub(crate) async fn own(&self, permit: Own, id: SessionId) -> Result<Option<Stored>> {
        Ok(self.read(id).await?.filter(|stored| permit.owns(stored.session())))
    }

    /// What a client sees of the session with this id.
    pub(crate) async fn seen(&self, permit: Visit, id: SessionId) -> Result<Option<Seen>> {
        Ok(self.read(id).await?.and_then(|stored| stored.seen(permit)))
    }

    /// The slot of the session with this id.
    pub(crate) async fn slot(&self, _: Slots, id: SessionId) -> Result<Option<Stored>> {
        self.read(id).await
    }

    /// The slots of these sessions.
    pub(crate) async fn slots(&self, _: Slots, ids: BTreeSet<SessionId>) -> Result<Vec<Stored>> {
        let keys = ids.into_iter().map(place).collect();
        self.0.batch_get(keys, Read::Consistent).await?.into_iter().map(Stored::of).collect()
    }

    /// A session that somebody whose account is ended has a part in.
    pub(crate) async fn left(&self, _: AccountDeletionPermit, id: SessionId) -> Result<Option<Stored>> {
        self.read(id).await
    }

    async fn read(&self, id: SessionId) -> Result<Option<Stored>> {
        self.0.get_item(&place(id), Read::Consistent).await?.map(Stored::of).transpose()
    }

    /// These days of the own calendar.
    pub(crate) async fn calendar(&self, permit: Own, days: BTreeSet<Date>) -> Result<Calendar> {
        self.days(permit.therapist(), days).await
    }

    /// These days of a therapist's calendar, for a slot that somebody asks for.
    pub(crate) async fn offered(&self, _: Slots, therapist: TherapistId, days: BTreeSet<Date>) -> Result<Calendar> {
        self.days(therapist, days).await
    }

    async fn days(&self, therapist: TherapistId, days: BTreeSet<Date>) -> Result<Calendar> {
        let keys = days.iter().map(|day| day_key(therapist, *day)).collect();
        let mut read: BTreeMap<Date, Day> = days.into_iter().map(|day| (day, Day::default())).collect();
        for item in self.0.batch_get(keys, Read::Consistent).await? {
            let date = item.text("sk").and_then(|sort| sort.strip_prefix(DAY)).and_then(|day| day.parse().ok());
            let date = date.ok_or_else(|| Error::internal("a day of a calendar is none"))?;
            read.insert(date, item.parse()?);
        }
        Ok(Calendar::new(read))
    }

    /// Stores a new session with the days that it touches, and the record of the request if it brought a key.
    pub(crate) async fn add(&self, new: &Stored, days: &Calendar, claim: Option<&Claim>) -> Result<Written> {
        let id = new.session().id;
        let put = self.0.put(&place(id), &Row::written(new)).when(Condition::absent());
        let claimed = claim.map(|claim| claim.action(&id.to_string()));
        let actions = std::iter::once(put.into()).chain(self.day_actions(new.session().therapist, days)).chain(claimed);
        let verdicts = match self.0.transact(actions).await {
            Ok(Transact::Failed(verdicts)) => verdicts,
            Ok(Transact::Done) => return Ok(Written::Done),
            // Another transaction is under way on the same day: who is in the way is seen by the next look.
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

    /// Replaces a session that is still as it was read, and with it the days that it takes time of, or took.
    pub(crate) async fn replace(&self, old: &Stored, new: &Stored, days: Option<&Calendar>) -> Result<Written> {
        match self.replace_unless_contended(old, new, days).await {
            // Another transaction is under way on the same item: who is in the way decides, and is seen by the next look.
            Err(error) if error.kind() == Kind::Aborted => Ok(Written::Conflict),
            written => written,
        }
    }

    async fn replace_unless_contended(&self, old: &Stored, new: &Stored, days: Option<&Calendar>) -> Result<Written> {
        let put = self.0.put(&place(new.session().id), &Row::written(new)).when(unchanged(old)?);
        let Some(days) = days else {
            return Ok(match put.run().await? {
                Update::Done(_) => Written::Done,
                Update::ConditionFailed(_) => Written::Conflict,
            });
        };
        let actions = std::iter::once(put.into()).chain(self.day_actions(new.session().therapist, days));
        Ok(match self.0.transact(actions).await? {
            Transact::Done => Written::Done,
            Transact::Failed(verdicts) if verdicts.iter().any(Verdict::is_unmet) => Written::Conflict,
            Transact::Failed(_) => return Err(Error::internal("a transaction failed without a reason")),
        })
    }

    fn day_actions(&self, therapist: TherapistId, days: &Calendar) -> Vec<Action> {
        let action = |(date, day): (Date, &Day)| {
            let unchanged = if day.version == 0 { Condition::absent() } else { Condition::eq(VERSION, day.version) };
            let new = Day { sessions: day.sessions.clone(), version: day.version + 1 };
            self.0.put(&day_key(therapist, date), &new).when(unchanged).into()
        };
        days.days().map(action).collect()
    }

    /// Removes a session that is still as it was read, and takes no time. Answers whether it was.
    pub(crate) async fn remove(&self, old: &Stored) -> Result<bool> {
        let delete = self.0.delete(&place(old.session().id)).when(unchanged(old)?);
        Ok(matches!(delete.run().await?, Delete::Done(_)))
    }

    /// Removes the days of a therapist whose account is ended.
    pub(crate) async fn remove_calendar(&self, therapist: TherapistId) -> Result<()> {
        let all = self.0.query(calendar_partition(therapist)).consistent();
        let mut next = Some(all.clone());
        while let Some(query) = next {
            let rows = query.page().await?;
            for item in &rows.items {
                let sort = item.text("sk").ok_or_else(|| Error::internal("a day of a calendar has no key"))?;
                let delete = self.0.delete(&Key::new(calendar_partition(therapist), sort));
                delete.run().await.map(drop)?;
            }
            next = rows.next.map(|cursor| all.clone().after(cursor));
        }
        Ok(())
    }

    /// The own sessions, all or those with a status, in the order of their starts.
    pub(crate) fn all_of(&self, permit: Own, status: Option<Status>) -> Query {
        match status {
            None => self.0.query_index(&BY_THERAPIST, permit.therapist().to_string()),
            Some(status) => self.0.query_index(&BY_THERAPIST_STATUS, therapist_status(permit.therapist(), status)),
        }
    }

    /// The sessions of the client who calls.
    pub(crate) fn visited(&self, permit: Visit) -> Query {
        self.0.query_index(&BY_CLIENT, permit.client().to_string())
    }

    /// The sessions of a therapist that are available.
    pub(crate) fn available(&self, _: Visit, therapist: TherapistId) -> Query {
        self.0.query_index(&BY_THERAPIST_STATUS, therapist_status(therapist, Status::Available))
    }

    /// The sessions that somebody whose account is ended has a part in.
    pub(crate) fn of_ended(&self, permit: AccountDeletionPermit) -> Query {
        match permit {
            AccountDeletionPermit::Client(client) => self.0.query_index(&BY_CLIENT, client.to_string()),
            AccountDeletionPermit::Therapist(therapist) => self.0.query_index(&BY_THERAPIST, therapist.to_string()),
        }
    }
}

/// Nothing of the session was changed since it was read, and its event was not taken meanwhile.
fn unchanged(old: &Stored) -> Result<Condition> {
    let mark = match old.event()? {
        None => Condition::lacks(EVENT_ID),
        Some(event) => Condition::eq(EVENT_ID, event.id),
    };
    Ok(Condition::eq(VERSION, old.session().version).and(mark))
}

/// What the outbox asks of sessions.
#[derive(Debug)]
pub(crate) struct Bookings;

impl outbox::Events for Bookings {
    fn pending(&self, item: Item) -> Result<Option<Event>> {
        Stored::of(item)?.event()
    }

    fn taken(&self, update: UpdateRequest) -> Result<UpdateRequest> {
        Ok(update.remove(HAPPENED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Status;

    #[test]
    fn positions_are_in_the_order_of_the_starts() {
        let id = |byte| SessionId::from_bytes([byte; 16]);
        let at = |second| Timestamp::from_second(second).unwrap();
        let positions = [
            position(at(0), id(9)),
            position(at(60), id(1)),
            position(at(60), id(2)),
            position(at(1_000_000_000), id(0)),
            position(at(253_402_207_200), id(0)),
        ];
        assert!(positions.is_sorted() && positions.iter().all(|it| it.len() == positions[0].len()), "{positions:?}");
        assert!(instant(at(60)) < positions[1] && positions[0] < instant(at(60)));
    }

    #[test]
    fn a_status_is_written_as_it_is_named() {
        let therapist = TherapistId::from_bytes([1; 16]);
        for (status, word) in
            [(Status::Available, "AVAILABLE"), (Status::Booked, "BOOKED"), (Status::Cancelled, "CANCELLED")]
        {
            assert_eq!(therapist_status(therapist, status), format!("{therapist}#{word}"));
        }
    }
}
