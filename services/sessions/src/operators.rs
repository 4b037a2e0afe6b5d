//! Reads notes for commands of operators, which check and rebuild the index of search.
//!
//! Such a command acts for no person: it has the credentials of the table and gets the keys from their store itself.

use std::collections::HashMap;

use dynamo::seal::SealingKey;
use dynamo::{Client, Cursor, Query, Table};
use kernel::{Party, Result, SessionId, UserId};

use crate::model::NotesText;
use crate::policy::IndexPermit;
use crate::row::id_of;
use crate::store::NotesStore;
use crate::stored::{Keys, Stored};

/// Reads the notes of sessions.
#[derive(Debug, Clone)]
pub struct NotesReader(NotesStore);

/// Page of sessions with sealed notes.
pub struct NotesPage {
    table: Table,
    stored: Vec<Stored>,
    next: Option<Cursor>,
}

impl NotesReader {
    /// Creates a reader of the table [`SESSIONS`](crate::SESSIONS).
    #[must_use]
    pub fn new(dynamodb: &Client) -> Self {
        Self(NotesStore::new(dynamodb))
    }

    /// Reads at most so many sessions of a person, in the order of their starts, after the end of a page.
    ///
    /// An index tells which sessions there are: it may lag, and shows a session twice or not at all whose start changes
    /// between two pages. The sessions themselves are read consistently, so that their notes are those of now.
    ///
    /// # Errors
    /// UNAVAILABLE, or INTERNAL for an item that is no session.
    pub async fn page(&self, party: Party, after: Option<Cursor>, limit: u16) -> Result<NotesPage> {
        let all = self.0.all_of(IndexPermit::of_operators(), party).limit(limit);
        let rows = after.into_iter().fold(all, Query::after).page().await?;
        let ids = rows.items.iter().map(id_of).collect::<Result<Vec<_>>>()?;
        Ok(NotesPage { next: rows.next, ..self.of_sessions(ids).await? })
    }

    /// Reads these sessions, consistently. Those that don't exist are left out.
    ///
    /// # Errors
    /// UNAVAILABLE, or INTERNAL for an item that is no session.
    pub async fn of_sessions(&self, ids: Vec<SessionId>) -> Result<NotesPage> {
        let stored = self.0.read_all(IndexPermit::of_operators(), ids).await?;
        Ok(NotesPage { table: self.0.table().clone(), stored, next: None })
    }
}

impl NotesPage {
    /// Returns the end of the page, to continue after it; none if it is the last.
    #[must_use]
    pub const fn next(&self) -> Option<&Cursor> {
        self.next.as_ref()
    }

    /// Opens the notes with the keys of those who read them. Notes whose key is missing are empty.
    ///
    /// # Errors
    /// INTERNAL for notes that a key does not open.
    pub fn open(&self, keys: HashMap<UserId, SealingKey>) -> Result<Vec<NotesText>> {
        let keys = Keys(keys);
        self.stored.iter().map(|stored| stored.notes_text(&self.table, &keys)).collect()
    }
}

impl std::fmt::Debug for NotesPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotesPage").field("sessions", &self.stored.len()).finish_non_exhaustive()
    }
}
