//! Decides access to clients' profiles. Pure: the store takes only permits that are made here.

use kernel::{ClientId, Error, Person, Role, UserId};

use crate::error::{no_such_client, only_for_clients, only_therapists_look_up};
use crate::relations::{Close, Related};

/// The right to create, change and delete one's own profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own(ClientId);

/// The right to read one profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read(ClientId);

/// The right to read one client in a list: the profile, or only the name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadListed {
    Whole(Read),
    Name(ReadName),
}

/// The right to read one client's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadName(ClientId);

/// The right to read the names of clients. The rules of the protos reserve them for services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names(());

/// The right of an operator's migration to read all profiles and to replace their addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migrate(());

/// The profile that a caller may read.
#[derive(Debug)]
pub(crate) enum ReadScope {
    /// The caller's own.
    Own(Own),
    /// The profile of a client, if closely related to the calling therapist: contact for messages is not enough.
    IfClose(ClientId),
}

/// The clients that a caller may list.
#[derive(Debug)]
pub(crate) enum List {
    /// The caller's own profile.
    Own(Own),
    /// Clients who have agreed to a relation to the therapist.
    Related,
}

impl Own {
    pub(crate) const fn id(self) -> ClientId {
        self.0
    }

    pub(crate) const fn read(self) -> Read {
        Read(self.0)
    }
}

impl Read {
    pub(crate) const fn id(self) -> ClientId {
        self.0
    }
}

impl ReadListed {
    pub(crate) const fn id(self) -> ClientId {
        match self {
            Self::Whole(read) => read.0,
            Self::Name(name) => name.0,
        }
    }
}

/// Permits access to the caller's own profile, independent of a path.
pub(crate) fn own(person: Person) -> Result<Own, Error> {
    match person.role {
        Role::Client => Ok(Own(person.user_id.into())),
        Role::Therapist => Err(only_for_clients()),
    }
}

/// Permits access to one's own profile, named by the id of a path. For another account the error is the same whether it
/// exists or not.
pub(crate) fn own_named(person: Person, id: &str) -> Result<Own, Error> {
    let own = own(person)?;
    if id.parse::<UserId>() == Ok(own.0.into()) { Ok(own) } else { Err(Error::not_your_account("clientId")) }
}

/// Decides the profile that a caller may read under the id of a path.
pub(crate) fn read_scope(person: Person, id: &str) -> Result<ReadScope, Error> {
    match person.role {
        Role::Client => own_named(person, id).map(ReadScope::Own),
        Role::Therapist => id.parse().map(ReadScope::IfClose).map_err(|_| no_such_client()),
    }
}

/// Permits a therapist to read the profile of a closely related client.
pub(crate) const fn close(fact: Close) -> Read {
    Read(fact.client())
}

/// Permits a therapist to list the profiles of closely related clients, and the names of clients in contact.
pub(crate) const fn read_listed(fact: Related) -> ReadListed {
    match fact {
        Related::Close(fact) => ReadListed::Whole(close(fact)),
        Related::InContact(fact) => ReadListed::Name(ReadName(fact.client())),
    }
}

pub(crate) const fn names() -> Names {
    Names(())
}

/// Permits an operator's migration.
pub(crate) const fn migration() -> Migrate {
    Migrate(())
}

/// Decides the clients that a caller may list, with or without an address. It precedes parsing the address, so that an
/// unauthorized lookup reveals nothing about it.
pub(crate) fn list(person: Person, by_email: bool) -> Result<List, Error> {
    match (person.role, by_email) {
        (Role::Client, false) => own(person).map(List::Own),
        (Role::Client, true) => Err(only_therapists_look_up()),
        (Role::Therapist, _) => Ok(List::Related),
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Kind, LoginId};

    use super::*;
    use crate::relations::InContact;

    fn person(role: Role) -> Person {
        Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    #[test]
    fn profile_is_readable_by_owner_and_close_therapist() {
        let (own_id, other) = (UserId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string());
        let (own, if_close) = (Ok("own"), Ok("if close"));
        let cases = [
            (Role::Client, own_id.as_str(), own),
            (Role::Client, other.as_str(), Err(Kind::PermissionDenied)),
            (Role::Client, "nobody", Err(Kind::PermissionDenied)),
            (Role::Therapist, own_id.as_str(), if_close),
            (Role::Therapist, other.as_str(), if_close),
            (Role::Therapist, "nobody", Err(Kind::NotFound)),
        ];
        for (role, id, expected) in cases {
            let seen = match read_scope(person(role), id) {
                Ok(ReadScope::Own(own)) => Ok(("own", own.id())),
                Ok(ReadScope::IfClose(client)) => Ok(("if close", client)),
                Err(error) => Err(error.kind()),
            };
            let expected = expected.map(|how| (how, id.parse().unwrap()));
            assert_eq!(seen, expected, "{role} reads {id}");
        }
    }

    /// A close relation permits the profile, and contact the name.
    #[test]
    fn relation_permits_its_client_only() {
        let client = ClientId::from_bytes([2; 16]);
        assert_eq!(close(Close::to(client)).id(), client);
        let whole = read_listed(Related::Close(Close::to(client)));
        assert!(matches!(whole, ReadListed::Whole(read) if read.id() == client));
        let name = read_listed(Related::InContact(InContact::with(client)));
        assert!(matches!(name, ReadListed::Name(_)) && name.id() == client);
    }

    #[test]
    fn lookup_by_address_requires_therapist() {
        assert_eq!(list(person(Role::Client), true).unwrap_err().kind(), Kind::PermissionDenied);
        assert!(matches!(list(person(Role::Therapist), true), Ok(List::Related)));
        assert!(matches!(list(person(Role::Client), false), Ok(List::Own(_))));
    }
}
