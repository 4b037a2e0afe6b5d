//! Stored form of a session: sealed notes and the pending event. Only this module seals and opens notes.

use std::collections::HashMap;

use dynamo::Table;
use dynamo::seal::{Place, Sealed, SealingKey};
use kernel::{Entropy, Error, Expected, FreeText, Result, SessionId, UserId, Version};
use outbox::Mark;
use proto::events::v1::event::Kind;
use proto::events::v1::{Event, SessionBooked, SessionWithdrawn};

use crate::key::session_key;
use crate::model::{Booking, ClientSession, NotesText, OwnSession, Session, State};
use crate::policy::{ClientPermit, Own, Visibility};
use crate::transition::PendingEvent;

/// Version of the plaintext format of notes: UTF-8 text.
const FORMAT: u8 = 1;

/// Keys of people. A destroyed key is missing.
pub(crate) struct Keys(pub(crate) HashMap<UserId, SealingKey>);

impl Keys {
    pub(crate) fn of(&self, person: impl Into<UserId>) -> Option<&SealingKey> {
        self.0.get(&person.into())
    }
}

/// Sealed notes of a session. Empty notes are absent.
#[derive(Clone, Default)]
pub(crate) struct SealedNotes {
    /// Sealed under the therapist's key.
    pub(crate) private: Option<Sealed>,
    /// Sealed under the key of the [`reader`].
    pub(crate) shared: Option<Sealed>,
}

/// Stored session for callers who may change it.
#[derive(Clone)]
pub(crate) struct Stored {
    session: Session,
    sealed_notes: SealedNotes,
    pending: Option<(Mark, PendingEvent)>,
    /// Version that a deletion cancelled, if it has not changed otherwise since.
    deleted_version: Option<Version>,
}

/// Stored session for a client who may see it.
pub(crate) struct Seen(Stored, Visibility);

/// Returns the person whose key seals the shared notes: the client, or else the therapist.
pub(crate) fn reader(session: &Session) -> UserId {
    session.state.client().map_or_else(|| session.therapist.into(), UserId::from)
}

impl Stored {
    /// Creates a session that is not stored yet.
    pub(crate) const fn new(
        session: Session,
        sealed_notes: SealedNotes,
        pending: Option<(Mark, PendingEvent)>,
    ) -> Self {
        Self { session, sealed_notes, pending, deleted_version: None }
    }

    /// Notes that a deletion of this version has made it.
    pub(crate) fn with_deleted_version(self, deleted_version: Option<Version>) -> Self {
        Self { deleted_version, ..self }
    }

    pub(crate) const fn deleted_version(&self) -> Option<Version> {
        self.deleted_version
    }

    /// Checks that a deletion may remove it: in the expected version, or as the deletion of that version left it.
    ///
    /// # Errors
    /// ABORTED (`STALE_ETAG`).
    pub(crate) fn check_deletion(&self, expected: &Expected) -> Result<()> {
        let checked = expected.check(self.session.version);
        checked.or_else(|stale| self.deleted_version.map_or(Err(stale), |version| expected.check(version)))
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) const fn sealed_notes(&self) -> &SealedNotes {
        &self.sealed_notes
    }

    pub(crate) const fn pending(&self) -> Option<(Mark, PendingEvent)> {
        self.pending
    }

    /// Returns the pending event.
    ///
    /// # Errors
    /// INTERNAL when the state of the session contradicts the event.
    pub(crate) fn event(&self) -> Result<Option<Event>> {
        let Some((mark, event)) = self.pending else { return Ok(None) };
        let Session { id, therapist, slot, state, .. } = self.session;
        let kind = match (event, state) {
            (PendingEvent::Booked { unasked }, State::Booked(Some(Booking { client, appointment }))) => {
                Kind::SessionBooked(SessionBooked {
                    session_id: id.to_string(),
                    therapist_id: therapist.to_string(),
                    client_id: client.to_string(),
                    appointment_id: appointment.to_string(),
                    start: Some(convert::time::to_proto(slot.start())),
                    start_date: slot.start_date().to_string(),
                    unasked,
                })
            }
            (PendingEvent::Withdrawn { appointment, available }, _) => Kind::SessionWithdrawn(SessionWithdrawn {
                session_id: id.to_string(),
                appointment_id: appointment.map(|id| id.to_string()).unwrap_or_default(),
                available,
            }),
            (PendingEvent::Booked { .. }, _) => return Err(Error::internal("a session that isn't booked says it is")),
        };
        Ok(Some(mark.event(kind)))
    }

    /// Returns the session for a client, if it is visible.
    pub(crate) fn seen(self, permit: ClientPermit) -> Option<Seen> {
        permit.sees(&self.session).map(|visibility| Seen(self, visibility))
    }

    /// Returns the people whose keys open its notes.
    pub(crate) fn readers(&self) -> impl Iterator<Item = UserId> {
        let private = self.sealed_notes.private.is_some().then(|| self.session.therapist.into());
        private.into_iter().chain(self.sealed_notes.shared.is_some().then(|| reader(&self.session)))
    }

    /// Returns the session as its therapist sees it; None for another therapist's. Notes whose key was destroyed are
    /// empty.
    pub(crate) fn own(&self, permit: Own, table: &Table, keys: &Keys) -> Result<Option<OwnSession>> {
        if !permit.owns(&self.session) {
            return Ok(None);
        }
        let (private_notes, shared_notes) = (self.private_notes(table, keys)?, self.shared_notes(table, keys)?);
        Ok(Some(OwnSession { session: self.session, shared_notes, private_notes }))
    }

    /// Returns all notes for search. Notes whose key was destroyed are empty.
    pub(crate) fn notes_text(&self, table: &Table, keys: &Keys) -> Result<NotesText> {
        Ok(NotesText::new(&self.session, self.private_notes(table, keys)?, self.shared_notes(table, keys)?))
    }

    fn private_notes(&self, table: &Table, keys: &Keys) -> Result<FreeText> {
        let seal_context = NoteSealContext { table, id: self.session.id, note: Note::Private };
        seal_context.open(keys.of(self.session.therapist), self.sealed_notes.private.as_ref())
    }

    /// Returns the shared notes; empty when their key was destroyed.
    pub(crate) fn shared_notes(&self, table: &Table, keys: &Keys) -> Result<FreeText> {
        let seal_context = NoteSealContext { table, id: self.session.id, note: Note::Shared };
        seal_context.open(keys.of(reader(&self.session)), self.sealed_notes.shared.as_ref())
    }
}

impl Seen {
    pub(crate) const fn session(&self) -> &Session {
        &self.0.session
    }

    /// Returns true if the client may read the shared notes.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.1, Visibility::Shared)
    }

    /// Returns true if the client's key is required to open it.
    pub(crate) const fn is_sealed(&self) -> bool {
        self.is_shared() && self.0.sealed_notes.shared.is_some()
    }

    /// Opens the session as the client sees it. Notes whose key was destroyed are empty.
    pub(crate) fn open(&self, table: &Table, key: Option<&SealingKey>) -> Result<ClientSession> {
        let Self(Stored { session, sealed_notes, .. }, visibility) = self;
        let shared_notes = match visibility {
            Visibility::Slot => FreeText::default(),
            Visibility::Shared => {
                NoteSealContext { table, id: session.id, note: Note::Shared }.open(key, sealed_notes.shared.as_ref())?
            }
        };
        Ok(ClientSession { session: *session, shared_notes })
    }
}

/// Kind of notes of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note {
    Private,
    Shared,
}

/// Context that sealed notes are bound to: table, session and attribute.
#[derive(Clone, Copy)]
pub(crate) struct NoteSealContext<'a> {
    pub(crate) table: &'a Table,
    pub(crate) id: SessionId,
    pub(crate) note: Note,
}

impl NoteSealContext<'_> {
    /// Seals notes. Empty ones are not stored.
    pub(crate) fn seal(self, key: &SealingKey, notes: &FreeText, entropy: &dyn Entropy) -> Result<Option<Sealed>> {
        if notes.as_str().is_empty() {
            return Ok(None);
        }
        self.at(|place| key.seal(&place, notes.as_str().as_bytes(), entropy)).map(Some)
    }

    /// Reseals notes under another key.
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
        work(Place { table: self.table, key: &session_key(self.id), attribute, version: FORMAT })
    }
}
