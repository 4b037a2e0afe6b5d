//! Lists the texts of a journal for operators, who rebuild and check the index of search.

use std::sync::Arc;

use chassis::SystemEntropy;
use dynamo::Cursor;
use dynamo::seal::SealingKey;
use kernel::{ClientId, Result};
use proto::journals::v1::EntryText;

use crate::model::Range;
use crate::policy::Index;
use crate::store::{Chunk, JOURNALS, Store};
use crate::wire;

/// Maximum entries of one page.
const PAGE_SIZE: u16 = 100;

/// Lists the texts of journals, straight from the table. Services may run meanwhile.
pub struct JournalTexts(Store);

/// One page of a journal's texts.
#[derive(Debug)]
pub struct TextPage {
    /// The texts, as `GetEntryText` gives each of them.
    pub texts: Vec<EntryText>,
    /// Cursor of the next page; `None` on the last.
    pub next: Option<Cursor>,
}

impl JournalTexts {
    /// Opens the table [`JOURNALS`] for operators.
    #[must_use]
    pub fn new(dynamodb: &dynamo::Client) -> Self {
        // A reader seals nothing.
        Self(Store::new(dynamodb.table(&JOURNALS), Arc::new(SystemEntropy)))
    }

    /// Returns a page of the texts of a client, newest first and PRIVATE ones included, by one consistent query. The
    /// key is the client's data key.
    ///
    /// # Errors
    /// UNAVAILABLE; INTERNAL, also when an entry doesn't open under the key.
    pub async fn page(&self, client: ClientId, key: &SealingKey, after: Option<Cursor>) -> Result<TextPage> {
        let permit = Index::of_operators(client).read();
        let Some(query) = self.0.query(&permit, Range::ALL) else {
            return Ok(TextPage { texts: Vec::new(), next: None });
        };
        let query = match after {
            Some(cursor) => query.after(cursor),
            None => query,
        };
        let Chunk { looked_at, next } = self.0.chunk(&permit, key, query, PAGE_SIZE).await?;
        let entries = looked_at.into_iter().filter_map(|(_, entry)| entry);
        Ok(TextPage { texts: entries.map(|entry| wire::entry_text(client, entry)).collect(), next })
    }
}

impl std::fmt::Debug for JournalTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalTexts")
    }
}
