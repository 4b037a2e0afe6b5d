//! Who may do what with an access log. Pure: the store takes the permits that are made here and nowhere else.

use kernel::{ClientId, Error, Kind, Person, Role, TherapistId, UserId};

/// The right to read one client's log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read(ClientId);

/// The right to add what one therapist read of one client's journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Append {
    client: ClientId,
    therapist: TherapistId,
}

impl Read {
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }
}

impl Append {
    pub(crate) const fn client(self) -> ClientId {
        self.client
    }

    pub(crate) const fn therapist(self) -> TherapistId {
        self.therapist
    }
}

/// The own log under the id of a path. Another account gets the same answer whether it exists or not.
pub(crate) fn read(person: Person, id: &str) -> Result<Read, Error> {
    if person.role == Role::Client && id.parse::<UserId>() == Ok(person.user_id) {
        return Ok(Read(person.user_id.into()));
    }
    Err(Error::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", "clientId: you may do this with your own account only"))
}

/// What the person who calls read. A client reads no journal but the own one, and that is not recorded.
pub(crate) fn append(person: Person, client: ClientId) -> Result<Append, Error> {
    match person.role {
        Role::Therapist => Ok(Append { client, therapist: person.user_id.into() }),
        Role::Client => {
            Err(Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only what therapists read is recorded"))
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::LoginId;

    use super::*;

    fn person(role: Role) -> Person {
        Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    #[test]
    fn a_client_reads_the_own_log_and_nobody_another() {
        let (own, other) = (UserId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string());
        let cases = [
            (Role::Client, own.as_str(), None),
            (Role::Client, other.as_str(), Some("NOT_YOUR_ACCOUNT")),
            (Role::Client, "nobody", Some("NOT_YOUR_ACCOUNT")),
            (Role::Therapist, own.as_str(), Some("NOT_YOUR_ACCOUNT")),
            (Role::Therapist, other.as_str(), Some("NOT_YOUR_ACCOUNT")),
        ];
        for (role, id, expected) in cases {
            assert_eq!(read(person(role), id).err().map(|error| error.reason()), expected, "{role} reads {id}");
        }
    }

    #[test]
    fn only_what_a_therapist_reads_is_recorded_and_by_the_name_of_the_token() {
        let client = ClientId::from_bytes([2; 16]);
        let permit = append(person(Role::Therapist), client).unwrap();
        assert_eq!((permit.client(), permit.therapist()), (client, TherapistId::from_bytes([1; 16])));
        assert_eq!(append(person(Role::Client), client).unwrap_err().kind(), Kind::PermissionDenied);
    }
}
