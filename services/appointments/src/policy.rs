//! Authorization for appointments. Pure: the store requires permits, which only this module creates.

use kernel::{ClientId, Error, Party, Person, Role, SessionId, TherapistId, UserId};
use subscriber::AccountDeletionPermit;

use crate::error;
use crate::model::{Appointment, Pair};
use crate::transition::{Action, Actor, Refusal, is_theirs};

/// Permit for the appointments of a client, a therapist, a session, a pair or a deleted account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permit(Scope);

#[derive(Debug, Clone, Copy)]
enum Scope {
    Own(Party),
    Session(SessionId),
    Pair(Pair),
    Ended(Party),
}

/// Permit to list the own appointments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own(Party);

/// Permit to request sessions as this client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestPermit(ClientId);

/// Permit to apply what happens to a session to the appointments for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionPermit(SessionId);

impl Permit {
    pub(crate) const fn actor(self) -> Actor {
        match self.0 {
            Scope::Own(Party::Client(_)) => Actor::Client,
            Scope::Own(Party::Therapist(_)) => Actor::Therapist,
            Scope::Session(_) | Scope::Pair(_) | Scope::Ended(_) => Actor::System,
        }
    }

    /// Returns whether the permit is for this appointment.
    pub(crate) fn covers(self, appointment: &Appointment) -> bool {
        match self.0 {
            Scope::Own(party) | Scope::Ended(party) => appointment.pair.has(party),
            Scope::Session(id) => id == appointment.session,
            Scope::Pair(pair) => pair == appointment.pair,
        }
    }
}

impl Own {
    pub(crate) const fn party(self) -> Party {
        self.0
    }

    /// Returns the bytes of the caller's id.
    pub(crate) const fn caller(&self) -> &[u8; 16] {
        match &self.0 {
            Party::Client(id) => id.as_bytes(),
            Party::Therapist(id) => id.as_bytes(),
        }
    }
}

impl RequestPermit {
    /// Returns the pair of the client and this therapist.
    pub(crate) const fn pair_with(self, therapist: TherapistId) -> Pair {
        Pair { client: self.0, therapist }
    }

    /// Returns the permit for the client's own appointments.
    pub(crate) const fn permit(self) -> Permit {
        Permit(Scope::Own(Party::Client(self.0)))
    }
}

impl SessionPermit {
    pub(crate) const fn id(self) -> SessionId {
        self.0
    }

    pub(crate) const fn permit(self) -> Permit {
        Permit(Scope::Session(self.0))
    }
}

/// Returns the permit of a session's events for the appointments of that session.
pub(crate) const fn session(id: SessionId) -> SessionPermit {
    SessionPermit(id)
}

/// Permit to withdraw the requests that a client made before ending the relation with a therapist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withdrawal(Pair);

impl Withdrawal {
    pub(crate) const fn pair(self) -> Pair {
        self.0
    }

    pub(crate) const fn permit(self) -> Permit {
        Permit(Scope::Pair(self.0))
    }
}

/// Returns the permit of the service that handles the event of an ended relation.
pub(crate) const fn withdrawal(pair: Pair) -> Withdrawal {
    Withdrawal(pair)
}

/// Returns the permit for the appointments of a deleted account.
pub(crate) const fn ended(permit: AccountDeletionPermit) -> Permit {
    Permit(Scope::Ended(permit.party()))
}

/// Returns the person's permit to read the own appointments.
pub(crate) fn read(person: Person) -> Permit {
    Permit(Scope::Own(Party::of(person.role, person.user_id)))
}

/// Returns the person's permit for an action on the own appointments.
///
/// # Errors
/// PERMISSION_DENIED (`ROLE_NOT_ALLOWED`) when the role never has this action, on any appointment.
pub(crate) fn act(person: Person, action: Action) -> Result<Permit, Error> {
    let permit = read(person);
    if is_theirs(permit.actor(), action) { Ok(permit) } else { Err(Refusal::NotTheirs.into_error()) }
}

/// Returns the client's permit to request sessions, under the client id of the request if it has one.
///
/// # Errors
/// PERMISSION_DENIED for another account, whether it exists or not, and for a therapist.
pub(crate) fn ask(person: Person, client_id: &str) -> Result<RequestPermit, Error> {
    match person.role {
        Role::Client if is_own(person, client_id) => Ok(RequestPermit(person.user_id.into())),
        Role::Client => Err(Error::not_your_account("clientId")),
        Role::Therapist => Err(error::only_clients()),
    }
}

/// Returns the person's permit to list the own appointments.
pub(crate) fn own(person: Person) -> Own {
    Own(Party::of(person.role, person.user_id))
}

/// Returns the person's permit to list the own appointments, under the ids of the request if it has any.
///
/// # Errors
/// PERMISSION_DENIED (`NOT_YOUR_ACCOUNT`) for another account of the caller's own role.
pub(crate) fn list(person: Person, client_id: &str, therapist_id: &str) -> Result<Own, Error> {
    match person.role {
        Role::Client if is_own(person, client_id) => Ok(own(person)),
        Role::Client => Err(Error::not_your_account("clientId")),
        Role::Therapist if is_own(person, therapist_id) => Ok(own(person)),
        Role::Therapist => Err(Error::not_your_account("therapistId")),
    }
}

fn is_own(person: Person, id: &str) -> bool {
    id.is_empty() || id.parse::<UserId>() == Ok(person.user_id)
}

#[cfg(test)]
mod tests {
    use kernel::{AppointmentId, LoginId, OffsetDateTime, Timestamp, Version};

    use super::*;
    use crate::model::Start;
    use crate::tests::deleted;
    use crate::transition::StoredStatus;

    fn person(role: Role, byte: u8) -> Person {
        Person { user_id: UserId::from_bytes([byte; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    /// Returns an appointment of client 1 with therapist 2, for session 3.
    fn appointment() -> Appointment {
        let date: OffsetDateTime = "2026-12-01T09:00:00Z".parse().unwrap();
        Appointment {
            id: AppointmentId::from_bytes([4; 16]),
            pair: Pair { client: ClientId::from_bytes([1; 16]), therapist: TherapistId::from_bytes([2; 16]) },
            session: SessionId::from_bytes([3; 16]),
            date,
            starts: Start::of(date.instant()),
            stored_status: StoredStatus::Pending,
            created_at: Timestamp::UNIX_EPOCH,
            relation: 0,
            version: Version::FIRST,
            mark: None,
        }
    }

    #[test]
    fn permit_covers_only_its_people_and_session() {
        let ended = |role, byte| ended(deleted(role, UserId::from_bytes([byte; 16])));
        for (permit, actor, covers) in [
            (read(person(Role::Client, 1)), Actor::Client, true),
            (read(person(Role::Client, 2)), Actor::Client, false),
            (read(person(Role::Client, 7)), Actor::Client, false),
            (read(person(Role::Therapist, 2)), Actor::Therapist, true),
            (read(person(Role::Therapist, 1)), Actor::Therapist, false),
            (read(person(Role::Therapist, 7)), Actor::Therapist, false),
            (session(SessionId::from_bytes([3; 16])).permit(), Actor::System, true),
            (session(SessionId::from_bytes([7; 16])).permit(), Actor::System, false),
            (withdrawal(appointment().pair).permit(), Actor::System, true),
            (
                withdrawal(Pair { client: ClientId::from_bytes([7; 16]), ..appointment().pair }).permit(),
                Actor::System,
                false,
            ),
            (ended(Role::Client, 1), Actor::System, true),
            (ended(Role::Client, 2), Actor::System, false),
            (ended(Role::Therapist, 2), Actor::System, true),
            (ended(Role::Therapist, 1), Actor::System, false),
        ] {
            assert_eq!((permit.actor(), permit.covers(&appointment())), (actor, covers), "{permit:?}");
        }
    }

    #[test]
    fn foreign_action_is_denied_for_any_appointment() {
        for (role, action, denied) in [
            (Role::Client, Action::Accept, true),
            (Role::Client, Action::Reject, true),
            (Role::Client, Action::Revoke, false),
            (Role::Client, Action::Cancel, false),
            (Role::Therapist, Action::Accept, false),
            (Role::Therapist, Action::Reject, false),
            (Role::Therapist, Action::Revoke, false),
            (Role::Therapist, Action::Cancel, true),
            (Role::Client, Action::Booked, true),
            (Role::Therapist, Action::Withdrawn, true),
        ] {
            let refused = act(person(role, 1), action).err().map(|error| error.reason());
            assert_eq!(refused, denied.then_some("ROLE_NOT_ALLOWED"), "{role} {action:?}");
        }
    }

    /// The refusal is the same whether the account exists or not.
    #[test]
    fn foreign_account_is_refused_existing_or_not() {
        let (own, other) = (UserId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string());
        let foreign = Some("NOT_YOUR_ACCOUNT");
        for (id, refused) in [(own.as_str(), None), ("", None), (&other, foreign), ("nobody", foreign)] {
            let reason = |error: Error| error.reason();
            assert_eq!(ask(person(Role::Client, 1), id).err().map(reason), refused, "{id}");
            assert_eq!(ask(person(Role::Therapist, 1), id).err().map(reason), Some("ROLE_NOT_ALLOWED"), "{id}");
            // The other person's id is a filter.
            assert_eq!(list(person(Role::Client, 1), id, &other).err().map(reason), refused, "{id}");
            assert_eq!(list(person(Role::Therapist, 1), &other, id).err().map(reason), refused, "{id}");
        }
    }
}
