//! Who may do what with a session. Pure: the store takes the permits that are made here and nowhere else.

use kernel::{ClientId, Error, Kind, Person, Role, TherapistId, UserId};

use crate::model::{Session, State};

/// The right to everything of the own sessions, and to nothing of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own(TherapistId);

/// The right of a client to see sessions, as far as each is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visit(ClientId);

/// The right to give slots to appointments and to take them back: of what notes say it shows nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots(());

/// The right, and the duty, to do with the sessions of an ended account what its end demands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AccountDeletionPermit {
    Client(ClientId),
    Therapist(TherapistId),
}

/// The side that somebody who calls is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Therapist(Own),
    Client(Visit),
}

/// What a client sees of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// When it is, and whose.
    Slot,
    /// The shared notes too: it is or was for this client.
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

impl Visit {
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    /// What is seen of a session; nothing, of one that is or was for somebody else, or for nobody without being available.
    pub(crate) fn sees(self, session: &Session) -> Option<Sight> {
        match session.state {
            State::Available => Some(Sight::Slot),
            State::Booked(_) | State::Cancelled(_) => (session.state.client() == Some(self.0)).then_some(Sight::Shared),
        }
    }
}

impl Slots {
    /// For the service of appointments, which the rule of the RPCs lets in alone.
    pub(crate) const fn of_appointments() -> Self {
        Self(())
    }
}

impl AccountDeletionPermit {
    /// For the end of this account.
    pub(crate) fn of_ended(account: UserId, role: Role) -> Self {
        match role {
            Role::Client => Self::Client(account.into()),
            Role::Therapist => Self::Therapist(account.into()),
        }
    }
}

/// The side of a person.
pub(crate) fn side(person: Person) -> Side {
    match person.role {
        Role::Client => Side::Client(Visit(person.user_id.into())),
        Role::Therapist => Side::Therapist(Own(person.user_id.into())),
    }
}

/// The right of a client who asks for a slot to see sessions.
///
/// # Errors
/// PERMISSION_DENIED (`ROLE_NOT_ALLOWED`) for a therapist.
pub(crate) fn asking(person: Person) -> Result<Visit, Error> {
    match side(person) {
        Side::Client(visit) => Ok(visit),
        Side::Therapist(_) => {
            Err(Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only clients ask for sessions"))
        }
    }
}

/// The side of a person who may have named both people of a session: the one of the own kind must be the caller. Another
/// account gets the same answer whether it exists or not.
pub(crate) fn side_of(person: Person, therapist: &str, client: &str) -> Result<Side, Error> {
    let (field, named) = match person.role {
        Role::Client => ("clientId", client),
        Role::Therapist => ("therapistId", therapist),
    };
    if named.is_empty() || named.parse::<UserId>() == Ok(person.user_id) {
        return Ok(side(person));
    }
    let message = format!("{field}: you may do this with your own account only");
    Err(Error::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", message))
}

/// The right of a therapist who may have named whose session it is.
pub(crate) fn own(person: Person, therapist: &str) -> Result<Own, Error> {
    match side_of(person, therapist, "")? {
        Side::Therapist(own) => Ok(own),
        Side::Client(_) => Err(Error::new(
            Kind::PermissionDenied,
            "ROLE_NOT_ALLOWED",
            "only therapists do this, with their own sessions",
        )),
    }
}

#[cfg(test)]
mod tests {
    use kernel::{AppointmentId, LoginId, SessionId, Version};

    use super::*;
    use crate::model::Booking;
    use crate::slot::{Slot, Told};

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);
    const OTHER: ClientId = ClientId::from_bytes([2; 16]);
    const THERAPIST: TherapistId = TherapistId::from_bytes([3; 16]);

    fn person(role: Role, byte: u8) -> Person {
        Person { user_id: UserId::from_bytes([byte; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    fn session(state: State) -> Session {
        let date = "2026-12-01T09:00:00Z".parse().unwrap();
        let slot = Slot::new(Told { date, start: None, end: "10:00".parse().unwrap() }).unwrap();
        Session { id: SessionId::from_bytes([7; 16]), therapist: THERAPIST, slot, state, version: Version::FIRST }
    }

    #[test]
    fn who_sees_what_of_a_session_in_which_state() {
        let booked = |client| State::Booked(Some(Booking { client, appointment: AppointmentId::from_bytes([4; 16]) }));
        let cases = [
            (State::Available, Some(Sight::Slot)),
            (booked(CLIENT), Some(Sight::Shared)),
            (booked(OTHER), None),
            (State::Booked(None), None),
            (State::Cancelled(Some(CLIENT)), Some(Sight::Shared)),
            (State::Cancelled(Some(OTHER)), None),
            (State::Cancelled(None), None),
        ];
        let visit = asking(person(Role::Client, 1)).unwrap();
        assert_eq!(asking(person(Role::Therapist, 1)).unwrap_err().reason(), "ROLE_NOT_ALLOWED");
        let therapist = |byte| own(person(Role::Therapist, byte), "").unwrap();
        for (state, expected) in cases {
            assert_eq!(visit.sees(&session(state)), expected, "{state:?}");
            assert!(therapist(3).owns(&session(state)), "{state:?}");
            assert!(!therapist(1).owns(&session(state)), "a therapist sees the own ones alone: {state:?}");
        }
    }

    #[test]
    fn who_names_another_account_of_the_own_kind_is_refused_whether_it_exists_or_not() {
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
