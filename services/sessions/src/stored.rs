//! A session as the store has it: its notes sealed, and the event that is pending. The one place where notes are sealed and
//! opened.

use std::collections::HashMap;

use dynamo::Item;
use dynamo::Table;
use dynamo::seal::{Place, Sealed, SealingKey};
use kernel::{Entropy, Error, FreeText, Result, SessionId, UserId};
use outbox::Mark;
use proto::events::v1::event::Kind;
use proto::events::v1::{Event, SessionBooked, SessionWithdrawn};

use crate::model::{Booking, ClientSession, OwnSession, Session, State};
use crate::policy::{Own, Sight, Visit};
use crate::row::Row;
use crate::store::place;
use crate::transition::Happened;
use crate::wire;

/// The version of the form that notes are sealed in: the text, as UTF-8.
const FORMAT: u8 = 1;

/// The keys of some people, as far as they have one that was not destroyed.
pub(crate) struct Keys(pub(crate) HashMap<UserId, SealingKey>);

impl Keys {
    pub(crate) fn of(&self, person: impl Into<UserId>) -> Option<&SealingKey> {
        self.0.get(&person.into())
    }
}

/// The notes of a session, sealed; those that are empty are not there.
#[derive(Clone, Default)]
pub(crate) struct Sealings {
    /// Under the therapist's key.
    pub(crate) private: Option<Sealed>,
    /// Under the key of [`reader`].
    pub(crate) shared: Option<Sealed>,
}

/// A session as it is stored, for those who may change it.
#[derive(Clone)]
pub(crate) struct Stored {
    session: Session,
    sealings: Sealings,
    pending: Option<(Mark, Happened)>,
}

/// A session as it is stored, for a client who may see it.
pub(crate) struct Seen(Stored, Sight);

/// Under whose key the shared notes of a session are: the client's if it has one, or else the therapist's.
pub(crate) fn reader(session: &Session) -> UserId {
    session.state.client().map_or_else(|| session.therapist.into(), UserId::from)
}

impl Stored {
    /// A session that is not stored yet.
    pub(crate) const fn new(session: Session, sealings: Sealings, pending: Option<(Mark, Happened)>) -> Self {
        Self { session, sealings, pending }
    }

    /// What an item of the table is.
    pub(crate) fn of(item: Item) -> Result<Self> {
        let mark = Mark::of(&item)?;
        let (session, sealings, happened) = item.parse::<Row>()?.parts()?;
        Ok(Self { session, sealings, pending: mark.zip(happened) })
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) const fn sealings(&self) -> &Sealings {
        &self.sealings
    }

    pub(crate) const fn pending(&self) -> Option<(Mark, Happened)> {
        self.pending
    }

    /// The event that is pending.
    ///
    /// # Errors
    /// INTERNAL when the session is not what the event says.
    pub(crate) fn event(&self) -> Result<Option<Event>> {
        let Some((mark, happened)) = self.pending else { return Ok(None) };
        let Session { id, therapist, slot, state, .. } = self.session;
        let kind = match (happened, state) {
            (Happened::Booked { unasked }, State::Booked(Some(Booking { client, appointment }))) => {
                Kind::SessionBooked(SessionBooked {
                    session_id: id.to_string(),
                    therapist_id: therapist.to_string(),
                    client_id: client.to_string(),
                    appointment_id: appointment.to_string(),
                    start: Some(wire::timestamp(slot.start())),
                    start_date: slot.start_date().to_string(),
                    unasked,
                })
            }
            (Happened::Withdrawn { appointment, available }, _) => Kind::SessionWithdrawn(SessionWithdrawn {
                session_id: id.to_string(),
                appointment_id: appointment.map(|id| id.to_string()).unwrap_or_default(),
                available,
            }),
            (Happened::Booked { .. }, _) => return Err(Error::internal("a session that isn't booked says it is")),
        };
        Ok(Some(mark.event(kind)))
    }

    /// What an item is to a therapist, if it is an own session.
    pub(crate) fn owned(permit: Own, item: Item) -> Result<Option<Self>> {
        Ok(Some(Self::of(item)?).filter(|stored| permit.owns(&stored.session)))
    }

    /// What a client sees of it.
    pub(crate) fn seen(self, permit: Visit) -> Option<Seen> {
        permit.sees(&self.session).map(|sight| Seen(self, sight))
    }

    /// Whose keys open its notes.
    pub(crate) fn readers(&self) -> impl Iterator<Item = UserId> {
        let private = self.sealings.private.is_some().then(|| self.session.therapist.into());
        private.into_iter().chain(self.sealings.shared.is_some().then(|| reader(&self.session)))
    }

    /// The session as its therapist sees it; nothing of another one's. Notes whose key was destroyed are empty.
    pub(crate) fn own(&self, permit: Own, table: &Table, keys: &Keys) -> Result<Option<OwnSession>> {
        let Self { session, sealings: Sealings { private, shared: _ }, .. } = self;
        if !permit.owns(session) {
            return Ok(None);
        }
        let vessel = Vessel { table, id: session.id, note: Note::Private };
        Ok(Some(OwnSession {
            session: *session,
            shared_notes: self.shared_notes(table, keys)?,
            private_notes: vessel.open(keys.of(session.therapist), private.as_ref())?,
        }))
    }

    /// The shared notes; empty when their key was destroyed.
    pub(crate) fn shared_notes(&self, table: &Table, keys: &Keys) -> Result<FreeText> {
        let vessel = Vessel { table, id: self.session.id, note: Note::Shared };
        vessel.open(keys.of(reader(&self.session)), self.sealings.shared.as_ref())
    }
}

impl Seen {
    /// What a client sees of an item.
    pub(crate) fn of(permit: Visit, item: Item) -> Result<Option<Self>> {
        Ok(Stored::of(item)?.seen(permit))
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.0.session
    }

    /// Whether the client's key is needed.
    pub(crate) const fn is_sealed(&self) -> bool {
        matches!(self.1, Sight::Shared) && self.0.sealings.shared.is_some()
    }

    /// The session as the client sees it. Notes whose key was destroyed are empty.
    pub(crate) fn open(&self, table: &Table, key: Option<&SealingKey>) -> Result<ClientSession> {
        let Self(Stored { session, sealings, .. }, sight) = self;
        let shared_notes = match sight {
            Sight::Slot => FreeText::default(),
            Sight::Shared => {
                Vessel { table, id: session.id, note: Note::Shared }.open(key, sealings.shared.as_ref())?
            }
        };
        Ok(ClientSession { session: *session, shared_notes })
    }
}

/// Which notes of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note {
    Private,
    Shared,
}

/// Where notes of a session are sealed for.
#[derive(Clone, Copy)]
pub(crate) struct Vessel<'a> {
    pub(crate) table: &'a Table,
    pub(crate) id: SessionId,
    pub(crate) note: Note,
}

impl Vessel<'_> {
    /// Seals notes. Empty ones are not stored.
    pub(crate) fn seal(self, key: &SealingKey, notes: &FreeText, entropy: &dyn Entropy) -> Result<Option<Sealed>> {
        if notes.as_str().is_empty() {
            return Ok(None);
        }
        self.at(|place| key.seal(&place, notes.as_str().as_bytes(), entropy)).map(Some)
    }

    /// Seals under another key what is sealed under one.
    pub(crate) fn reseal(
        self,
        sealed: &Sealed,
        from: &SealingKey,
        to: &SealingKey,
        entropy: &dyn Entropy,
    ) -> Result<Option<Sealed>> {
        self.seal(to, &self.open(Some(from), Some(sealed))?, entropy)
    }

    fn open(self, key: Option<&SealingKey>, sealed: Option<&Sealed>) -> Result<FreeText> {
        let Some((key, sealed)) = key.zip(sealed) else { return Ok(FreeText::default()) };
        let opened = self.at(|place| key.open(&place, sealed))?;
        let text = std::str::from_utf8(&opened).ok().map(str::to_owned);
        let notes = text.and_then(|text| FreeText::try_from(text).ok());
        notes.ok_or_else(|| Error::internal("what was sealed is no notes"))
    }

    fn at<T>(self, work: impl FnOnce(Place<'_>) -> T) -> T {
        let attribute = match self.note {
            Note::Private => "private_notes",
            Note::Shared => "shared_notes",
        };
        work(Place { table: self.table, key: &place(self.id), attribute, version: FORMAT })
    }
}
