//! Decides access to the access log. Pure: the store takes only permits that are made here.

use kernel::{ClientId, Error, Person, Role, TherapistId, UserId};

use crate::error::only_for_therapists;

/// The right to read one client's log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read(ClientId);

/// The right to record the accesses of one therapist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsTherapist(TherapistId);

/// The right to record an access of one therapist to one client's journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Append {
    client: ClientId,
    therapist: TherapistId,
}

/// The right of the linker and of an operator's verification to the chains of all clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AllChains(());

impl Read {
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }
}

impl AsTherapist {
    pub(crate) const fn reading(self, client: ClientId) -> Append {
        Append { client, therapist: self.0 }
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

/// Permits reading one's own log, named by the id of a path. For another account the error is the same whether it
/// exists or not.
pub(crate) fn read(person: Person, id: &str) -> Result<Read, Error> {
    if person.role == Role::Client && id.parse::<UserId>() == Ok(person.user_id) {
        return Ok(Read(person.user_id.into()));
    }
    Err(Error::not_your_account("clientId"))
}

/// Permits recording accesses of the caller. A client reads no other journal than the own one, which is not recorded.
pub(crate) fn therapist(person: Person) -> Result<AsTherapist, Error> {
    match person.role {
        Role::Therapist => Ok(AsTherapist(person.user_id.into())),
        Role::Client => Err(only_for_therapists()),
    }
}

/// Permits linking and verifying the chains of all clients, which no request does.
pub(crate) const fn all_chains() -> AllChains {
    AllChains(())
}

#[cfg(test)]
mod tests {
    use kernel::{Kind, LoginId};

    use super::*;

    fn person(role: Role) -> Person {
        Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    #[test]
    fn log_is_readable_by_own_client_only() {
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

    /// A record names the therapist of the access token.
    #[test]
    fn only_therapist_reads_are_recorded() {
        let client = ClientId::from_bytes([2; 16]);
        let permit = therapist(person(Role::Therapist)).unwrap().reading(client);
        assert_eq!((permit.client(), permit.therapist()), (client, TherapistId::from_bytes([1; 16])));
        assert_eq!(therapist(person(Role::Client)).unwrap_err().kind(), Kind::PermissionDenied);
    }
}
