//! Types of a search.

use std::collections::BTreeSet;
use std::fmt;

use kernel::{ClientId, PageSize, SessionId, TherapistId};
use ulid::Ulid;

use crate::index::{Document, DocumentId, Position, ScopeId};
use crate::text::{Query, Snippet};

/// The kind of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An entry of a journal.
    Journal,
    /// The notes of a session.
    Notes,
    /// The name of a client.
    Clients,
}

/// A search, as somebody asks for it.
pub(crate) struct Request {
    pub(crate) query: Query,
    /// The query as it was written, for the binding of page tokens.
    pub(crate) written: String,
    pub(crate) kinds: BTreeSet<Kind>,
    pub(crate) range: Range,
    pub(crate) size: PageSize,
    /// Page token of the page before; empty for the first.
    pub(crate) token: String,
}

/// A range of time in milliseconds since 1970, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// The name of an entry: its client and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryName {
    pub(crate) client: ClientId,
    pub(crate) id: Ulid,
}

/// The text of an entry.
#[derive(Clone)]
pub(crate) struct EntryText {
    pub(crate) name: EntryName,
    pub(crate) version: u64,
    pub(crate) is_private: bool,
    /// The emotion and the note, in lines of their own.
    pub(crate) text: String,
}

/// An entry that the caller may read.
pub(crate) struct ReadableEntry {
    pub(crate) entry: EntryText,
    /// The grant by which a therapist reads it; empty for its client.
    pub(crate) grant: String,
}

/// The notes of a session.
#[derive(Clone)]
pub(crate) struct Notes {
    pub(crate) session: SessionId,
    pub(crate) therapist: TherapistId,
    /// The client who may read the shared notes.
    pub(crate) client: Option<ClientId>,
    /// Start of the session in milliseconds since 1970.
    pub(crate) start: i64,
    pub(crate) version: u64,
    pub(crate) private: String,
    pub(crate) shared: String,
}

/// A text that has all words of a query.
pub(crate) struct Hit {
    pub(crate) found: Found,
    /// Time of the text in milliseconds since 1970.
    pub(crate) millisecond: i64,
    pub(crate) snippet: Snippet,
}

/// The text of a hit.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Entry { name: EntryName, is_private: bool, grant: String },
    Notes { session: SessionId, therapist: TherapistId, client: Option<ClientId>, is_private: bool },
    Client { client: ClientId, therapist: TherapistId },
}

/// A client whose name has all words of a query.
#[derive(Clone)]
pub(crate) struct NamedClient {
    pub(crate) client: ClientId,
    /// Time since which the relation exists, in milliseconds since 1970.
    pub(crate) since: i64,
    pub(crate) snippet: Snippet,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Journal, Self::Notes, Self::Clients];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Journal => "JOURNAL",
            Self::Notes => "NOTES",
            Self::Clients => "CLIENTS",
        }
    }
}

/// Hides the query, which somebody wrote.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("kinds", &self.kinds).field("range", &self.range).finish_non_exhaustive()
    }
}

impl Request {
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }
}

impl Range {
    pub(crate) const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    pub(crate) fn contains(self, millisecond: i64) -> bool {
        (self.from..=self.to).contains(&millisecond)
    }
}

impl EntryName {
    /// Returns the name of a client's entry that the index has under this id.
    pub(crate) const fn of(client: ClientId, id: DocumentId) -> Self {
        Self { client, id: Ulid::from_bytes(id) }
    }

    /// Returns the entry as the index knows it.
    pub(crate) fn document(self) -> Document {
        Document::new(self.id.timestamp_ms().cast_signed(), self.id.to_bytes())
    }
}

impl EntryText {
    /// Returns the scope that the entry belongs in.
    pub(crate) const fn scope(&self) -> ScopeId {
        let client = self.name.client;
        if self.is_private { ScopeId::PrivateJournal(client) } else { ScopeId::SharedJournal(client) }
    }
}

impl Notes {
    /// Returns the notes that anybody has written, with the scopes that they belong in.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (ScopeId, &str)> {
        let shared = match self.client {
            Some(client) => ScopeId::SharedNotes(client, self.therapist),
            None => ScopeId::DraftNotes(self.therapist),
        };
        let texts = [(ScopeId::PrivateNotes(self.therapist), &*self.private), (shared, &*self.shared)];
        texts.into_iter().filter(|(_, text)| !text.is_empty())
    }

    /// Returns the notes that belong in a scope; `None` if there are none.
    pub(crate) fn text_of(&self, scope: ScopeId) -> Option<&str> {
        self.texts().find(|(of, _)| *of == scope).map(|(_, text)| text)
    }

    /// Returns the notes as the index knows them.
    pub(crate) fn document(&self) -> Document {
        Document::new(self.start, *self.session.as_bytes())
    }
}

impl NamedClient {
    /// Returns the place among the hits of the index.
    pub(crate) fn position(&self) -> Position {
        Position::above(Document::new(self.since, *self.client.as_bytes()))
    }
}
