//! Use cases of search: the notes of one session for the index, and those that a person found.

use std::collections::BTreeSet;

use chassis::Context;
use kernel::{Result, SessionId};

use crate::model::NotesText;
use crate::ops::Ops;
use crate::policy::{IndexPermit, Side};
use crate::stored::{Seen, Stored};

impl Ops {
    /// Returns the notes of a session for the index; none if there is no such session.
    pub(crate) async fn notes_text(
        &self,
        context: &Context,
        permit: IndexPermit,
        id: SessionId,
    ) -> Result<Option<NotesText>> {
        let Some(stored) = self.store.indexed(permit, id).await? else { return Ok(None) };
        let keys = self.keys(context, stored.readers()).await?;
        stored.notes_text(self.store.table(), &keys).map(Some)
    }

    /// Returns the notes of those of these sessions whose notes the caller may read, in no promised order.
    pub(crate) async fn readable_notes(
        &self,
        context: &Context,
        side: Side,
        ids: BTreeSet<SessionId>,
    ) -> Result<Vec<NotesText>> {
        let table = self.store.table();
        match side {
            Side::Therapist(permit) => {
                let stored = self.store.all_own(permit, ids).await?;
                let keys = self.keys(context, stored.iter().flat_map(Stored::readers)).await?;
                stored.iter().map(|stored| stored.notes_text(table, &keys)).collect()
            }
            Side::Client(permit) => {
                let seen = self.store.all_shared(permit, ids).await?;
                let sealed = seen.iter().any(Seen::is_sealed).then_some(permit.client().into());
                let keys = self.keys(context, sealed).await?;
                seen.iter().map(|seen| seen.open(table, keys.of(permit.client())).map(NotesText::from)).collect()
            }
        }
    }
}
