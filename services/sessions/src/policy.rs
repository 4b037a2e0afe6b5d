//! Access policy of sessions. Pure: the store requires the permits that only this module creates.

use std::collections::BTreeSet;

use kernel::{ClientId, Error, Party, Person, Role, SessionId, TherapistId, UserId};
use subscriber::AccountDeletionPermit;

use crate::error;
use crate::model::{Session, State};

/// Permit of a therapist for full access to the own sessions only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own(TherapistId);

/// Permit of a client to see sessions, each within its [`Visibility`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientPermit(ClientId);

/// Permit to look up the slots of one therapist for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FindSlotPermit {
    client: ClientPermit,
    therapist: TherapistId,
}

/// Permit to reserve and release the slot of one session, without access to the text of its notes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotPermit(SessionId);

/// Permit to read the ends of these sessions.
#[derive(Debug)]
pub(crate) struct SlotEndsPermit(BTreeSet<SessionId>);

/// Permit to read the notes of sessions for the index of search. No person reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexPermit(());

/// Permit to write the sessions that one of the other permits is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WritePermit(Scope);

#[derive(Debug, Clone, Copy)]
enum Scope {
    Own(Own),
    Slot(SlotPermit),
    Ended(AccountDeletionPermit),
}

/// Side of the caller, with its permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Therapist(Own),
    Client(ClientPermit),
}

/// Part of a session that a client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// Time and therapist only.
    Slot,
    /// The shared notes too, as it is or was booked for this client.
    Shared,
}

impl Own {
    pub(crate) const fn therapist(self) -> TherapistId {
        self.0
    }

    pub(crate) fn owns(self, session: &Session) -> bool {
        session.therapist == self.0
    }
}

impl ClientPermit {
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    /// Returns the permit to look up the slots of a therapist for this client.
    pub(crate) const fn find_slot(self, therapist: TherapistId) -> FindSlotPermit {
        FindSlotPermit { client: self, therapist }
    }

    /// Returns the visibility of a session; None if it is neither available nor is or was booked for this client.
    pub(crate) fn sees(self, session: &Session) -> Option<Visibility> {
        match session.state {
            State::Available => Some(Visibility::Slot),
            State::Booked(_) | State::Cancelled(_) => {
                (session.state.client() == Some(self.0)).then_some(Visibility::Shared)
            }
        }
    }
}

impl FindSlotPermit {
    pub(crate) const fn client(self) -> ClientPermit {
        self.client
    }

    pub(crate) const fn therapist(self) -> TherapistId {
        self.therapist
    }
}

impl SlotPermit {
    /// Creates the permit for the appointments service, the only caller that the access rule of these RPCs admits.
    pub(crate) const fn of_appointments(session: SessionId) -> Self {
        Self(session)
    }

    pub(crate) const fn session(self) -> SessionId {
        self.0
    }
}

impl SlotEndsPermit {
    /// Creates the permit for the appointments service, the only caller that the access rule of this RPC admits.
    pub(crate) const fn of_appointments(sessions: BTreeSet<SessionId>) -> Self {
        Self(sessions)
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.0.iter().copied()
    }
}

impl IndexPermit {
    /// Creates the permit for the search service, the only caller that the access rule of the RPC admits.
    pub(crate) const fn of_search() -> Self {
        Self(())
    }

    /// Creates the permit for the operators, who rebuild and check the index.
    pub(crate) const fn of_operators() -> Self {
        Self(())
    }
}

impl WritePermit {
    pub(crate) fn covers(self, session: &Session) -> bool {
        match self.0 {
            Scope::Own(permit) => permit.owns(session),
            Scope::Slot(permit) => permit.session() == session.id,
            Scope::Ended(permit) => is_of_ended(permit, session),
        }
    }
}

impl From<Own> for WritePermit {
    fn from(permit: Own) -> Self {
        Self(Scope::Own(permit))
    }
}

impl From<SlotPermit> for WritePermit {
    fn from(permit: SlotPermit) -> Self {
        Self(Scope::Slot(permit))
    }
}

impl From<AccountDeletionPermit> for WritePermit {
    fn from(permit: AccountDeletionPermit) -> Self {
        Self(Scope::Ended(permit))
    }
}

/// Returns the side of a person.
pub(crate) fn side(person: Person) -> Side {
    match person.role {
        Role::Client => Side::Client(ClientPermit(person.user_id.into())),
        Role::Therapist => Side::Therapist(Own(person.user_id.into())),
    }
}

/// Returns the permit of a client who asks for a slot.
///
/// # Errors
/// PERMISSION_DENIED (`ROLE_NOT_ALLOWED`) for a therapist.
pub(crate) fn require_client(person: Person) -> Result<ClientPermit, Error> {
    match side(person) {
        Side::Client(permit) => Ok(permit),
        Side::Therapist(_) => Err(error::only_clients()),
    }
}

/// Returns the side of a person who may have named both people of a session. The one in the caller's role must be the
/// caller; the error for another account is the same whether it exists or not.
pub(crate) fn side_of(person: Person, therapist: &str, client: &str) -> Result<Side, Error> {
    let (field, named) = match person.role {
        Role::Client => ("clientId", client),
        Role::Therapist => ("therapistId", therapist),
    };
    if named.is_empty() || named.parse::<UserId>() == Ok(person.user_id) {
        return Ok(side(person));
    }
    Err(Error::not_your_account(field))
}

/// Returns the permit of a therapist, who may have named the therapist of the session.
pub(crate) fn own(person: Person, therapist: &str) -> Result<Own, Error> {
    match side_of(person, therapist, "")? {
        Side::Therapist(own) => Ok(own),
        Side::Client(_) => Err(error::only_therapists()),
    }
}

/// Returns whether a session is or was one of the deleted account's.
pub(crate) fn is_of_ended(permit: AccountDeletionPermit, session: &Session) -> bool {
    match permit.party() {
        Party::Client(client) => session.state.client() == Some(client),
        Party::Therapist(therapist) => session.therapist == therapist,
    }
}

#[cfg(test)]
mod tests {
    use kernel::{AppointmentId, LoginId, SessionId, Version};

    use super::*;
    use crate::model::Booking;
    use crate::slot::{Slot, SlotSpec};

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);
    const OTHER: ClientId = ClientId::from_bytes([2; 16]);
    const THERAPIST: TherapistId = TherapistId::from_bytes([3; 16]);

    fn person(role: Role, byte: u8) -> Person {
        Person { user_id: UserId::from_bytes([byte; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    fn session(state: State) -> Session {
        let date = "2026-12-01T09:00:00Z".parse().unwrap();
        let slot = Slot::new(SlotSpec { date, start: None, end: "10:00".parse().unwrap() }).unwrap();
        Session { id: SessionId::from_bytes([7; 16]), therapist: THERAPIST, slot, state, version: Version::FIRST }
    }

    #[test]
    fn visibility_depends_on_state_and_client() {
        let booked = |client| State::Booked(Some(Booking { client, appointment: AppointmentId::from_bytes([4; 16]) }));
        let cases = [
            (State::Available, Some(Visibility::Slot)),
            (booked(CLIENT), Some(Visibility::Shared)),
            (booked(OTHER), None),
            (State::Booked(None), None),
            (State::Cancelled(Some(CLIENT)), Some(Visibility::Shared)),
            (State::Cancelled(Some(OTHER)), None),
            (State::Cancelled(None), None),
        ];
        let permit = require_client(person(Role::Client, 1)).unwrap();
        assert_eq!(require_client(person(Role::Therapist, 1)).unwrap_err().reason(), "ROLE_NOT_ALLOWED");
        let therapist = |byte| own(person(Role::Therapist, byte), "").unwrap();
        for (state, expected) in cases {
            assert_eq!(permit.sees(&session(state)), expected, "{state:?}");
            assert!(therapist(3).owns(&session(state)), "{state:?}");
            assert!(!therapist(1).owns(&session(state)), "a therapist sees the own ones alone: {state:?}");
        }
    }

    #[test]
    fn slot_permit_is_for_one_session() {
        let session = session(State::Available);
        let write = |id| WritePermit::from(SlotPermit::of_appointments(id));
        assert!(write(session.id).covers(&session));
        assert!(!write(SessionId::from_bytes([8; 16])).covers(&session));
    }

    /// The error is the same whether the other account exists or not.
    #[test]
    fn foreign_account_of_own_kind_is_refused() {
        let id = |byte| UserId::from_bytes([byte; 16]).to_string();
        let denied = Some("NOT_YOUR_ACCOUNT");
        for (role, therapist, client, expected) in [
            (Role::Therapist, String::new(), String::new(), None),
            (Role::Therapist, id(1), id(2), None),
            (Role::Therapist, id(2), String::new(), denied),
            (Role::Therapist, "nobody".to_owned(), String::new(), denied),
            (Role::Client, String::new(), String::new(), None),
            (Role::Client, id(2), id(1), None),
            (Role::Client, id(1), id(2), denied),
            (Role::Client, String::new(), "nobody".to_owned(), denied),
        ] {
            let side = side_of(person(role, 1), &therapist, &client);
            assert_eq!(side.err().map(|error| error.reason()), expected, "{role}: {therapist} {client}");
        }
        for (role, therapist, expected) in [
            (Role::Therapist, id(1), None),
            (Role::Therapist, id(2), denied),
            (Role::Client, id(1), Some("ROLE_NOT_ALLOWED")),
            (Role::Client, id(2), Some("ROLE_NOT_ALLOWED")),
        ] {
            assert_eq!(own(person(role, 1), &therapist).err().map(|error| error.reason()), expected, "{role}");
        }
    }
}
