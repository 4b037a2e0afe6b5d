use dynamo::{Client, Query, Table};
use kernel::{Party, Result, SessionId};

use super::{SESSIONS, all_of, read_all};
use crate::policy::IndexPermit;
use crate::stored::Stored;

/// Handle of the table for those who read notes for the index, and write nothing.
#[derive(Debug, Clone)]
pub(crate) struct NotesStore(Table);

impl NotesStore {
    pub(crate) fn new(dynamodb: &Client) -> Self {
        Self(dynamodb.table(&SESSIONS))
    }

    pub(crate) const fn table(&self) -> &Table {
        &self.0
    }

    /// Queries the sessions of a person, ordered by start.
    pub(crate) fn all_of(&self, _: IndexPermit, party: Party) -> Query {
        all_of(&self.0, party)
    }

    /// Reads sessions, in no promised order; missing ones are left out.
    pub(crate) async fn read_all(&self, _: IndexPermit, ids: Vec<SessionId>) -> Result<Vec<Stored>> {
        read_all(&self.0, ids).await
    }
}
