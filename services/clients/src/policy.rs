//! Who may do what with a client's profile. Pure: the store takes the permits that are made here and nowhere else.

use kernel::{ClientId, Error, Kind, Person, Role, UserId};

use crate::relations::{Close, Related};

/// The right to make, change and end the own profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own(ClientId);

/// The right to read one profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read(ClientId);

/// The right to what a list shows of one client: the profile, or the name alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Glance {
    Whole(Read),
    Name(ReadName),
}

/// The right to read one client's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadName(ClientId);

/// The right to read the names of clients. The rules of the protos let services alone ask for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names(());

/// Whose profile a caller asks for.
#[derive(Debug)]
pub(crate) enum Sight {
    /// The own one.
    Own(Own),
    /// That of a client who must be related to the therapist who asks, more closely than by messages.
    IfClose(ClientId),
}

/// Which clients a caller may list.
#[derive(Debug)]
pub(crate) enum List {
    /// The caller's own profile.
    Own(Own),
    /// Those that have agreed to be related to the therapist.
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

impl Glance {
    pub(crate) const fn id(self) -> ClientId {
        match self {
            Self::Whole(read) => read.0,
            Self::Name(name) => name.0,
        }
    }
}

/// The caller's own profile, whatever a path says.
pub(crate) fn own(person: Person) -> Result<Own, Error> {
    match person.role {
        Role::Client => Ok(Own(person.user_id.into())),
        Role::Therapist => {
            Err(Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only clients have such a profile"))
        }
    }
}

/// The own profile under the id of a path. Another account gets the same answer whether it exists or not.
pub(crate) fn own_named(person: Person, id: &str) -> Result<Own, Error> {
    let own = own(person)?;
    if id.parse::<UserId>() == Ok(own.0.into()) { Ok(own) } else { Err(not_yours()) }
}

/// What a caller may see under the id of a path.
pub(crate) fn sight(person: Person, id: &str) -> Result<Sight, Error> {
    match person.role {
        Role::Client => own_named(person, id).map(Sight::Own),
        Role::Therapist => id.parse().map(Sight::IfClose).map_err(|_| Error::not_found("client")),
    }
}

/// A therapist reads the profile of a client who is mapped, waits for an answer, or has an appointment that is not over.
pub(crate) const fn close(fact: Close) -> Read {
    Read(fact.client())
}

/// A therapist sees in a list the profiles of those clients, and the names of those who have only made contact.
pub(crate) const fn glance(fact: Related) -> Glance {
    match fact {
        Related::Close(fact) => Glance::Whole(close(fact)),
        Related::InContact(fact) => Glance::Name(ReadName(fact.client())),
    }
}

pub(crate) const fn names() -> Names {
    Names(())
}

/// The list of who names an address or doesn't: decided before the address is read, so that who may not look anybody up
/// learns nothing of it.
pub(crate) fn list(person: Person, by_email: bool) -> Result<List, Error> {
    match (person.role, by_email) {
        (Role::Client, false) => own(person).map(List::Own),
        (Role::Client, true) => {
            Err(Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "email: only therapists may look clients up"))
        }
        (Role::Therapist, _) => Ok(List::Related),
    }
}

fn not_yours() -> Error {
    Error::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", "clientId: you may do this with your own account only")
}

#[cfg(test)]
mod tests {
    use kernel::LoginId;

    use super::*;
    use crate::relations::InContact;

    fn person(role: Role) -> Person {
        Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    #[test]
    fn a_client_reaches_the_own_profile_and_no_other_and_a_therapist_that_of_one_who_is_close() {
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
            let seen = match sight(person(role), id) {
                Ok(Sight::Own(own)) => Ok(("own", own.id())),
                Ok(Sight::IfClose(client)) => Ok(("if close", client)),
                Err(error) => Err(error.kind()),
            };
            let expected = expected.map(|how| (how, id.parse().unwrap()));
            assert_eq!(seen, expected, "{role} reads {id}");
        }
    }

    #[test]
    fn a_fact_about_a_client_is_good_for_that_client_alone_and_contact_for_the_name() {
        let client = ClientId::from_bytes([2; 16]);
        assert_eq!(close(Close::to(client)).id(), client);
        let whole = glance(Related::Close(Close::to(client)));
        assert!(matches!(whole, Glance::Whole(read) if read.id() == client));
        let name = glance(Related::InContact(InContact::with(client)));
        assert!(matches!(name, Glance::Name(_)) && name.id() == client);
    }

    #[test]
    fn only_therapists_look_clients_up_by_address() {
        assert_eq!(list(person(Role::Client), true).unwrap_err().kind(), Kind::PermissionDenied);
        assert!(matches!(list(person(Role::Therapist), true), Ok(List::Related)));
        assert!(matches!(list(person(Role::Client), false), Ok(List::Own(_))));
    }
}
