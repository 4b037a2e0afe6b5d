//! Decides what a person may search. Pure: what is found is read again from its owner, who decides who may read it.

use std::collections::BTreeSet;

use kernel::{ClientId, Error, Person, Role, TherapistId, UserId};

use crate::error::only_for_therapists;
use crate::index::ScopeId;
use crate::model::Kind;

/// The caller, with the texts that may be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client(ClientSearch),
    Therapist(TherapistSearch),
}

/// Permit of a client to search the own journal and the notes shared with the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientSearch(ClientId);

/// Permit of a therapist to search the own notes and what clients have agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TherapistSearch {
    therapist: TherapistId,
    clients: Clients,
}

/// The clients that a therapist names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    All,
    One(ClientId),
    /// An id that nobody has.
    None,
}

impl ClientSearch {
    /// Returns the scopes of the own journal.
    pub(crate) const fn journal(self) -> [ScopeId; 2] {
        [ScopeId::SharedJournal(self.0), ScopeId::PrivateJournal(self.0)]
    }

    /// Returns whether a scope holds notes that the client may search.
    pub(crate) fn searches(self, scope: ScopeId) -> bool {
        matches!(scope, ScopeId::SharedNotes(client, _) if client == self.0)
    }

    pub(crate) fn person(self) -> UserId {
        self.0.into()
    }
}

impl TherapistSearch {
    pub(crate) const fn therapist(self) -> TherapistId {
        self.therapist
    }

    pub(crate) const fn clients(self) -> Clients {
        self.clients
    }

    /// Returns whether a scope holds notes that the therapist searches. Notes of slots that nobody has are about no client.
    pub(crate) fn searches(self, scope: ScopeId) -> bool {
        match scope {
            ScopeId::SharedNotes(client, therapist) => therapist == self.therapist && self.includes(Some(client)),
            ScopeId::PrivateNotes(therapist) => therapist == self.therapist && self.clients != Clients::None,
            ScopeId::DraftNotes(therapist) => therapist == self.therapist && self.clients == Clients::All,
            ScopeId::SharedJournal(_) | ScopeId::PrivateJournal(_) => false,
        }
    }

    /// Returns whether the therapist searches texts about this client, or about nobody.
    pub(crate) fn includes(self, client: Option<ClientId>) -> bool {
        match self.clients {
            Clients::All => true,
            Clients::One(named) => client == Some(named),
            Clients::None => false,
        }
    }
}

impl Side {
    pub(crate) fn person(self) -> UserId {
        match self {
            Self::Client(client) => client.person(),
            Self::Therapist(therapist) => therapist.therapist.into(),
        }
    }

    /// Returns the kinds that the side searches unless it names some.
    pub(crate) fn kinds(self) -> BTreeSet<Kind> {
        match self {
            Self::Client(_) => BTreeSet::from([Kind::Journal, Kind::Notes]),
            Self::Therapist(_) => BTreeSet::from(Kind::ALL),
        }
    }
}

/// Returns the side of a person who names these kinds and this client; an empty id names nobody.
///
/// # Errors
/// PERMISSION_DENIED when a client searches clients (`ROLE_NOT_ALLOWED`) or names another account, whether it exists or
/// not (`NOT_YOUR_ACCOUNT`).
pub(crate) fn side(person: Person, kinds: &BTreeSet<Kind>, client: &str) -> Result<Side, Error> {
    match person.role {
        Role::Client if kinds.contains(&Kind::Clients) => Err(only_for_therapists()),
        Role::Client if client.is_empty() || client.parse::<UserId>() == Ok(person.user_id) => {
            Ok(Side::Client(ClientSearch(person.user_id.into())))
        }
        Role::Client => Err(Error::not_your_account("clientId")),
        Role::Therapist => {
            let clients = match client {
                "" => Clients::All,
                id => id.parse().map_or(Clients::None, Clients::One),
            };
            Ok(Side::Therapist(TherapistSearch { therapist: person.user_id.into(), clients }))
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::LoginId;

    use super::*;

    const CLIENT: ClientId = ClientId::from_bytes([1; 16]);
    const OTHER: ClientId = ClientId::from_bytes([2; 16]);
    const THERAPIST: TherapistId = TherapistId::from_bytes([1; 16]);

    fn person(role: Role) -> Person {
        Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    fn sided(role: Role, kinds: &[Kind], client: &str) -> Result<Side, &'static str> {
        side(person(role), &kinds.iter().copied().collect(), client).map_err(|error| error.reason())
    }

    #[test]
    fn client_searches_own_texts_alone() {
        let own = Ok(Side::Client(ClientSearch(CLIENT)));
        let (id, other) = (CLIENT.to_string(), OTHER.to_string());
        for (kinds, client, expected) in [
            (&[][..], "", own),
            (&[Kind::Journal, Kind::Notes], &*id, own),
            (&[Kind::Clients], "", Err("ROLE_NOT_ALLOWED")),
            (&[Kind::Journal, Kind::Clients], &id, Err("ROLE_NOT_ALLOWED")),
            (&[], &other, Err("NOT_YOUR_ACCOUNT")),
            (&[], "nobody", Err("NOT_YOUR_ACCOUNT")),
        ] {
            assert_eq!(sided(Role::Client, kinds, client), expected, "{kinds:?} {client}");
        }
        let permit = ClientSearch(CLIENT);
        assert!(permit.searches(ScopeId::SharedNotes(CLIENT, THERAPIST)));
        for scope in [ScopeId::SharedNotes(OTHER, THERAPIST), ScopeId::PrivateNotes(THERAPIST)] {
            assert!(!permit.searches(scope), "{scope:?}");
        }
    }

    #[test]
    fn therapist_searches_own_notes_about_named_clients() {
        let permit = |client: &str| match sided(Role::Therapist, &Kind::ALL, client) {
            Ok(Side::Therapist(permit)) => permit,
            other => panic!("{other:?}"),
        };
        let (all, one, none) = (permit(""), permit(&CLIENT.to_string()), permit("nobody"));
        let elsewhere = TherapistId::from_bytes([3; 16]);
        for (scope, expected) in [
            (ScopeId::SharedNotes(CLIENT, THERAPIST), [true, true, false]),
            (ScopeId::SharedNotes(OTHER, THERAPIST), [true, false, false]),
            (ScopeId::SharedNotes(CLIENT, elsewhere), [false; 3]),
            (ScopeId::PrivateNotes(THERAPIST), [true, true, false]),
            (ScopeId::PrivateNotes(elsewhere), [false; 3]),
            (ScopeId::DraftNotes(THERAPIST), [true, false, false]),
            (ScopeId::DraftNotes(elsewhere), [false; 3]),
            (ScopeId::SharedJournal(CLIENT), [false; 3]),
            (ScopeId::PrivateJournal(CLIENT), [false; 3]),
        ] {
            assert_eq!([all, one, none].map(|permit| permit.searches(scope)), expected, "{scope:?}");
        }
        assert_eq!([all, one, none].map(|permit| permit.includes(None)), [true, false, false]);
    }
}
