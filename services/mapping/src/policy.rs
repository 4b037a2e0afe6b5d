//! Authorization for relations. Pure: the store requires permits, which only this module creates.

use kernel::{ClientId, Error, Party, Person, Role, TherapistId, UserId};
use subscriber::AccountDeletionPermit;

use crate::error;
use crate::model::Pair;
use crate::transition::Actor;

/// Permit for the client's side of all of a client's relations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsClient(ClientId);

/// Permit for the therapist's side of all of a therapist's relations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsTherapist(TherapistId);

/// Permit to act on one relation as one of its sides.
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

impl Act {
    pub(crate) const fn pair(self) -> Pair {
        self.pair
    }

    pub(crate) const fn actor(self) -> Actor {
        self.actor
    }
}

/// Side of a person in relations.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Client(AsClient),
    Therapist(AsTherapist),
}

/// Returns the person's own side.
pub(crate) fn side(person: Person) -> Side {
    match person.role {
        Role::Client => Side::Client(AsClient(person.user_id.into())),
        Role::Therapist => Side::Therapist(AsTherapist(person.user_id.into())),
    }
}

/// Returns the client's permit if the id of the path is the client's own. The refusal is the same whether another
/// account exists or not.
pub(crate) fn client(person: Person, id: &str) -> Result<AsClient, Error> {
    match side(person) {
        Side::Client(own) if names(id, person) => Ok(own),
        Side::Client(_) => Err(Error::not_your_account("clientId")),
        Side::Therapist(_) => Err(error::only_clients()),
    }
}

/// Returns the therapist's permit if the id of the path or parameter is the therapist's own.
pub(crate) fn therapist(person: Person, id: &str) -> Result<AsTherapist, Error> {
    match side(person) {
        Side::Therapist(own) if names(id, person) => Ok(own),
        Side::Therapist(_) => Err(Error::not_your_account("therapistId")),
        Side::Client(_) => Err(error::only_therapists()),
    }
}

/// Returns the permit to end a relation, if it is one of the deleted account's.
pub(crate) fn ended(permit: AccountDeletionPermit, pair: Pair) -> Option<Act> {
    let theirs = match permit.party() {
        Party::Client(id) => pair.client == id,
        Party::Therapist(id) => pair.therapist == id,
    };
    theirs.then_some(Act { pair, actor: Actor::System })
}

fn names(id: &str, person: Person) -> bool {
    id.parse::<UserId>() == Ok(person.user_id)
}

#[cfg(test)]
mod tests {
    use kernel::LoginId;

    use super::*;
    use crate::tests::deleted;

    #[test]
    fn sides_act_under_their_own_id_only() {
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
    fn account_deletion_permit_covers_own_relations_only() {
        let pair = Pair { client: ClientId::from_bytes([1; 16]), therapist: TherapistId::from_bytes([2; 16]) };
        let of = |role, byte| ended(deleted(role, UserId::from_bytes([byte; 16])), pair);
        assert!(of(Role::Client, 1).is_some() && of(Role::Therapist, 2).is_some());
        assert!(of(Role::Client, 2).is_none() && of(Role::Therapist, 1).is_none());
    }
}
