//! Authorization for journals. Pure: the store requires permits, which only this module creates.

use kernel::{ClientId, Error, Person, Role, UserId};

use crate::error::only_for_clients;
use crate::model::{Content, Entry, EntryId, Range, View, Visibility};

/// Permit of a client to write in the own journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write(ClientId);

/// Permit to read a journal.
#[derive(Debug, Clone)]
pub(crate) struct Read(Scope);

/// Permit to read the entries of one client for the index of search. No person reads, so no consent is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index(ClientId);

#[derive(Debug, Clone)]
enum Scope {
    Own(ClientId),
    Granted(Grant),
}

/// A client's grant to the calling therapist.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    client: ClientId,
    id: String,
    /// First millisecond since 1970 that the grant covers.
    entries_from: i64,
}

/// Authorization of a read: a permit, or a question to the mapping service.
#[derive(Debug)]
pub(crate) enum Reading {
    /// The client reads.
    Permitted(Read),
    /// A therapist reads, if the client has granted it.
    Ask(Question),
}

/// Question to the mapping service for the client's grant to the calling therapist.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question(ClientId);

/// Answer to a [`Question`] at the time of the call.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) granted: bool,
    pub(crate) grant_id: String,
    /// The first millisecond since 1970 that the grant covers.
    pub(crate) entries_from: i64,
}

impl Write {
    /// Creates the permit for the operators, who import entries.
    pub(crate) const fn of_operators(client: ClientId) -> Self {
        Self(client)
    }

    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    /// Returns the permit to read the own journal.
    pub(crate) const fn read(self) -> Read {
        Read(Scope::Own(self.0))
    }
}

impl Index {
    /// Creates the permit for the search service, the only caller that the access rule of the RPC admits.
    pub(crate) const fn of_search(client: ClientId) -> Self {
        Self(client)
    }

    /// Creates the permit for the operators, who rebuild and check the index.
    pub(crate) const fn of_operators(client: ClientId) -> Self {
        Self(client)
    }

    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    /// Returns the permit to read as the client does: the index has the PRIVATE entries too.
    pub(crate) const fn read(self) -> Read {
        Read(Scope::Own(self.0))
    }
}

impl Read {
    pub(crate) const fn client(&self) -> ClientId {
        match &self.0 {
            Scope::Own(client) => *client,
            Scope::Granted(grant) => grant.client,
        }
    }

    /// Returns the grant by which a therapist reads; `None` for the client.
    pub(crate) const fn grant(&self) -> Option<&Grant> {
        match &self.0 {
            Scope::Own(_) => None,
            Scope::Granted(grant) => Some(grant),
        }
    }

    /// Returns the permitted part of a range.
    pub(crate) fn within(&self, range: Range) -> Range {
        self.grant().map_or(range, |grant| range.not_before(grant.entries_from))
    }

    /// Returns whether the permit shows an entry.
    pub(crate) fn shows(&self, id: EntryId, content: &Content) -> bool {
        self.grant()
            .is_none_or(|grant| content.visibility == Visibility::Shared && id.millisecond() >= grant.entries_from)
    }

    /// Returns an entry as its reader sees it. To a therapist it begins when it was last made SHARED.
    pub(crate) fn view(&self, entry: Entry) -> View {
        let Entry { id, content, created_at, updated_at, shared_since, version } = entry;
        match (&self.0, shared_since) {
            (Scope::Own(_), _) => View { id, content, created_at, updated_at, etag: Some(version) },
            (Scope::Granted(_), since) => {
                let since = since.unwrap_or(updated_at);
                View { id, content, created_at: since, updated_at: updated_at.max(since), etag: None }
            }
        }
    }
}

impl Grant {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) const fn entries_from(&self) -> i64 {
        self.entries_from
    }
}

impl Reading {
    /// Returns the client of the journal.
    pub(crate) const fn client(&self) -> ClientId {
        match self {
            Self::Permitted(permit) => permit.client(),
            Self::Ask(question) => question.client(),
        }
    }
}

impl Question {
    /// Returns the client of the journal.
    pub(crate) const fn client(self) -> ClientId {
        self.0
    }

    /// Returns the permit, if access is granted.
    pub(crate) fn answered(self, answer: Answer) -> Option<Read> {
        let Answer { granted, grant_id, entries_from } = answer;
        granted.then_some(Read(Scope::Granted(Grant { client: self.0, id: grant_id, entries_from })))
    }
}

/// Returns the permit to write if the id of the path is the client's own. The refusal is the same whether another
/// account exists or not.
pub(crate) fn write(person: Person, client: &str) -> Result<Write, Error> {
    match person.role {
        Role::Client if client.parse::<UserId>() == Ok(person.user_id) => Ok(Write(person.user_id.into())),
        Role::Client => Err(Error::not_your_account("clientId")),
        Role::Therapist => Err(only_for_clients()),
    }
}

/// Returns the authorization to read the journal under the id of the path.
///
/// # Errors
/// `missing` for a therapist when the path has no valid client id, as without a grant; PERMISSION_DENIED for
/// another client.
pub(crate) fn read(person: Person, client: &str, missing: fn() -> Error) -> Result<Reading, Error> {
    match person.role {
        Role::Client => write(person, client).map(|own| Reading::Permitted(own.read())),
        Role::Therapist => client.parse().map(|client| Reading::Ask(Question(client))).map_err(|_| missing()),
    }
}

/// Returns the authorizations to read these clients' journals: for a client the own one alone. Others are left out.
pub(crate) fn read_several(person: Person, clients: impl IntoIterator<Item = ClientId>) -> Vec<Reading> {
    let reading = |client: ClientId| match person.role {
        Role::Client => {
            (UserId::from(client) == person.user_id).then_some(Reading::Permitted(Read(Scope::Own(client))))
        }
        Role::Therapist => Some(Reading::Ask(Question(client))),
    };
    clients.into_iter().filter_map(reading).collect()
}

#[cfg(test)]
mod tests {
    use kernel::{Kind, LoginId};

    use super::*;
    use crate::error::no_journal;
    use crate::model::Intensity;

    fn person(role: Role) -> Person {
        Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    fn ids() -> (String, String) {
        (UserId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string())
    }

    fn content(visibility: Visibility) -> Content {
        Content {
            emotion: "calm".parse().unwrap(),
            intensity: Intensity::try_from(3).unwrap(),
            note: String::new().try_into().unwrap(),
            visibility,
        }
    }

    #[test]
    fn only_the_owner_writes() {
        let (own, other) = ids();
        let cases = [
            (Role::Client, own.as_str(), None),
            (Role::Client, other.as_str(), Some("NOT_YOUR_ACCOUNT")),
            (Role::Client, "nobody", Some("NOT_YOUR_ACCOUNT")),
            (Role::Client, "", Some("NOT_YOUR_ACCOUNT")),
            (Role::Therapist, own.as_str(), Some("ROLE_NOT_ALLOWED")),
            (Role::Therapist, other.as_str(), Some("ROLE_NOT_ALLOWED")),
            (Role::Therapist, "nobody", Some("ROLE_NOT_ALLOWED")),
        ];
        for (role, id, expected) in cases {
            assert_eq!(write(person(role), id).err().map(|e| e.reason()), expected, "{role} writes to {id}");
        }
    }

    #[test]
    fn client_reads_own_journal_and_therapist_granted_ones() {
        let (own, other) = ids();
        assert!(matches!(read(person(Role::Client), &own, no_journal), Ok(Reading::Permitted(_))));
        for id in [other.as_str(), "nobody"] {
            assert_eq!(read(person(Role::Client), id, no_journal).unwrap_err().reason(), "NOT_YOUR_ACCOUNT");
        }
        assert_eq!(read(person(Role::Therapist), "nobody", no_journal).unwrap_err().kind(), Kind::NotFound);
        let Ok(Reading::Ask(question)) = read(person(Role::Therapist), &other, no_journal) else { panic!("asked") };
        let answer = |granted| Answer { granted, grant_id: "g".to_owned(), entries_from: 7 };
        assert!(question.answered(answer(false)).is_none());
        let permit = question.answered(answer(true)).unwrap();
        assert_eq!(permit.client(), question.client());
        assert_eq!(permit.within(Range::ALL).from, 7);
    }

    #[test]
    fn client_reads_own_journal_of_several_and_therapist_is_asked_about_each() {
        let clients = [1, 2].map(|byte| ClientId::from_bytes([byte; 16]));
        let own = read_several(person(Role::Client), clients);
        let [Reading::Permitted(own)] = &own[..] else { panic!("{own:?}") };
        assert_eq!(own.client(), clients[0]);
        let asked = read_several(person(Role::Therapist), clients);
        assert!(asked.iter().all(|reading| matches!(reading, Reading::Ask(_))));
        assert_eq!(asked.iter().map(Reading::client).collect::<Vec<_>>(), clients);
    }

    #[test]
    fn index_has_private_entries_of_its_client() {
        let client = ClientId::from_bytes([2; 16]);
        for permit in [Index::of_search(client), Index::of_operators(client)].map(Index::read) {
            assert_eq!((permit.client(), permit.within(Range::ALL)), (client, Range::ALL));
            assert!(permit.shows(EntryId::last(0), &content(Visibility::Private)));
        }
    }

    #[test]
    fn therapist_sees_shared_entries_within_the_grant() {
        let own = write(person(Role::Client), &ids().0).unwrap().read();
        let answer = Answer { granted: true, grant_id: "g".to_owned(), entries_from: 1000 };
        let granted = Question(own.client()).answered(answer).unwrap();
        for (visibility, millisecond, expected) in [
            (Visibility::Shared, 1000_i64, true),
            (Visibility::Shared, 999, false),
            (Visibility::Private, 1000, false),
            (Visibility::Private, 999, false),
        ] {
            let id = EntryId::last(u64::try_from(millisecond).unwrap());
            assert_eq!(granted.shows(id, &content(visibility)), expected, "{visibility:?} at {millisecond}");
            assert!(own.shows(id, &content(visibility)));
        }
    }
}
