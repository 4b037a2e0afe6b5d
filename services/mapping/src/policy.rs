//! Who may do what with a relation. Pure: the store takes the permits that are made here and nowhere else.

use kernel::{ClientId, Error, Kind, Person, Role, TherapistId, UserId};

use crate::model::Pair;
use crate::transition::Actor;

/// The right to everything of a client's side of the client's relations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsClient(ClientId);

/// The right to everything of a therapist's side of the therapist's relations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsTherapist(TherapistId);

/// The right to end every relation of somebody whose account is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Undertaker {
    Client(ClientId),
    Therapist(TherapistId),
}

/// The right to act on one relation as one of its sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pair: Pair,
    actor: Actor,
}

impl AsClient {
    pub(crate) const fn id(self) -> ClientId {
        self.0
    }

    pub(crate) const fn towards(self, therapist: TherapistId) -> Act {
        Act { pair: Pair { client: self.0, therapist }, actor: Actor::Client }
    }
}

impl AsTherapist {
    pub(crate) const fn id(self) -> TherapistId {
        self.0
    }

    pub(crate) const fn towards(self, client: ClientId) -> Act {
        Act { pair: Pair { client, therapist: self.0 }, actor: Actor::Therapist }
    }
}

impl Undertaker {
    /// The right of the service that is told of the end of an account.
    pub(crate) fn of(role: Role, id: UserId) -> Self {
        match role {
            Role::Client => Self::Client(id.into()),
            Role::Therapist => Self::Therapist(id.into()),
        }
    }

    pub(crate) fn id(self) -> UserId {
        match self {
            Self::Client(id) => id.into(),
            Self::Therapist(id) => id.into(),
        }
    }

    /// The relation, if it is one of the person's.
    pub(crate) fn towards(self, pair: Pair) -> Option<Act> {
        let theirs = match self {
            Self::Client(id) => pair.client == id,
            Self::Therapist(id) => pair.therapist == id,
        };
        theirs.then_some(Act { pair, actor: Actor::System })
    }
}

impl Act {
    pub(crate) const fn pair(self) -> Pair {
        self.pair
    }

    pub(crate) const fn actor(self) -> Actor {
        self.actor
    }
}

/// The side that a person is on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Client(AsClient),
    Therapist(AsTherapist),
}

/// The person's own side.
pub(crate) fn side(person: Person) -> Side {
    match person.role {
        Role::Client => Side::Client(AsClient(person.user_id.into())),
        Role::Therapist => Side::Therapist(AsTherapist(person.user_id.into())),
    }
}

/// The client's own side, under the id of a path. Another account gets the same answer whether it exists or not.
pub(crate) fn client(person: Person, id: &str) -> Result<AsClient, Error> {
    match side(person) {
        Side::Client(own) if names(id, person) => Ok(own),
        Side::Client(_) => Err(not_yours("clientId")),
        Side::Therapist(_) => Err(role_not_allowed("only clients may do this")),
    }
}

/// The therapist's own side, under the id of a path or a parameter.
pub(crate) fn therapist(person: Person, id: &str) -> Result<AsTherapist, Error> {
    match side(person) {
        Side::Therapist(own) if names(id, person) => Ok(own),
        Side::Therapist(_) => Err(not_yours("therapistId")),
        Side::Client(_) => Err(only_therapists()),
    }
}

/// The refusal of what only therapists do.
pub(crate) fn only_therapists() -> Error {
    role_not_allowed("only therapists may do this")
}

fn names(id: &str, person: Person) -> bool {
    id.parse::<UserId>() == Ok(person.user_id)
}

fn role_not_allowed(message: &'static str) -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", message)
}

fn not_yours(field: &'static str) -> Error {
    let message = format!("{field}: you may do this with your own account only");
    Error::new(Kind::PermissionDenied, "NOT_YOUR_ACCOUNT", message)
}

#[cfg(test)]
mod tests {
    use kernel::LoginId;

    use super::*;

    #[test]
    fn each_side_acts_under_its_own_id_and_nobody_elses_existing_or_not() {
        let person =
            |role| Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) };
        let (own, other) = (UserId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string());
        let (denied, foreign) = (Some("ROLE_NOT_ALLOWED"), Some("NOT_YOUR_ACCOUNT"));
        for (role, id, as_client, as_therapist) in [
            (Role::Client, own.as_str(), None, denied),
            (Role::Client, other.as_str(), foreign, denied),
            (Role::Client, "nobody", foreign, denied),
            (Role::Therapist, own.as_str(), denied, None),
            (Role::Therapist, other.as_str(), denied, foreign),
            (Role::Therapist, "", denied, foreign),
        ] {
            assert_eq!(client(person(role), id).err().map(|e| e.reason()), as_client, "{role} {id}");
            assert_eq!(therapist(person(role), id).err().map(|e| e.reason()), as_therapist, "{role} {id}");
        }
    }

    #[test]
    fn the_end_of_an_account_reaches_that_persons_relations_alone() {
        let pair = Pair { client: ClientId::from_bytes([1; 16]), therapist: TherapistId::from_bytes([2; 16]) };
        let of = |role, byte| Undertaker::of(role, UserId::from_bytes([byte; 16])).towards(pair);
        assert!(of(Role::Client, 1).is_some() && of(Role::Therapist, 2).is_some());
        assert!(of(Role::Client, 2).is_none() && of(Role::Therapist, 1).is_none());
    }
}
