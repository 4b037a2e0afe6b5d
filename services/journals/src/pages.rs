//! Reads pages of entries, newest first.

use dynamo::seal::SealingKey;
use dynamo::{Cursor, PageRequest, PageTokens};
use kernel::{Page, Result, UserId};

use crate::entry_query::EntryQuery;
use crate::model::{Entry, EntryId};
use crate::policy::Read;
use crate::store::{Store, cursor};

/// Maximum entries of one read, and minimum of every read but the first.
const CHUNK: (u16, u16) = (500, 100);
/// Maximum entries that are filtered for one page.
const MAX_FILTERED: u16 = 500;
/// Maximum entries that are read for one page, including those that the permit doesn't show. Up to this limit the page
/// and its token depend only on entries that the permit shows, so the reader doesn't learn the number of the others.
const MAX_READ: u16 = 10_000;
/// Bytes of notes after which a page is full, as an answer has at most 4 MB.
const MAX_NOTE_BYTES: usize = 1024 * 1024;

/// Reader of pages: the table and the page tokens.
pub(crate) struct Pages {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
}

impl Pages {
    /// Returns the requested page of the entries that the permit shows.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a token of another caller, permit or query; UNAVAILABLE or INTERNAL.
    pub(crate) async fn page(
        &self,
        permit: &Read,
        key: &SealingKey,
        caller: UserId,
        entry_query: &EntryQuery,
    ) -> Result<Page<Entry>> {
        if permit.grant().is_none() && entry_query.filter.is_none() {
            self.whole(permit, key, caller, entry_query).await
        } else {
            self.filtered(permit, key, caller, entry_query).await
        }
    }

    /// Reads a page that omits no entries, by one call.
    async fn whole(
        &self,
        permit: &Read,
        key: &SealingKey,
        caller: UserId,
        entry_query: &EntryQuery,
    ) -> Result<Page<Entry>> {
        let Some(query) = self.store.query(permit, entry_query.range) else {
            return self.filtered(permit, key, caller, entry_query).await;
        };
        let request =
            PageRequest { caller: caller.as_bytes(), token: &entry_query.token, size: entry_query.size, filters: &[] };
        let Page { items, next } = self.tokens.page(query, request).await?;
        let entries = self.store.open_all(permit, key, items)?;
        Ok(Page { items: entries.into_iter().filter_map(|(_, entry)| entry).collect(), next })
    }

    /// Reads a page that omits entries: until it is full and one more entry shows that there is a next page, until the
    /// end, or until a limit of entries is reached.
    async fn filtered(
        &self,
        permit: &Read,
        key: &SealingKey,
        caller: UserId,
        entry_query: &EntryQuery,
    ) -> Result<Page<Entry>> {
        let binding = entry_query.binding(permit);
        let mut after = match &*entry_query.token {
            "" => None,
            token => Some(self.tokens.open(caller.as_bytes(), &binding, token)?),
        };
        let Some(query) = self.store.query(permit, entry_query.range) else { return Ok(Page::whole(Vec::new())) };
        let mut limit = entry_query.size.get().saturating_mul(2).saturating_add(20);
        let mut builder = PageBuilder { entry_query, items: Vec::new(), bytes: 0, filtered: 0, last: None };
        let mut read: u16 = 0;
        while read < MAX_READ {
            let query = query.clone();
            let query = match after.take() {
                Some(cursor) => query.after(cursor),
                None => query,
            };
            let chunk = self.store.chunk(permit, key, query, limit).await?;
            read = read.saturating_add(u16::try_from(chunk.looked_at.len()).unwrap_or(u16::MAX));
            let over = !chunk.looked_at.into_iter().all(|(id, entry)| builder.push(id, entry));
            if over {
                break;
            }
            let Some(next) = chunk.next else { return Ok(Page::whole(builder.items)) };
            after = Some(next);
            limit = builder.left().clamp(CHUNK.1, CHUNK.0);
        }
        let place = builder.last.map(|id| cursor(permit.client(), id)).or(after);
        let next = place.map(|place: Cursor| self.tokens.seal(caller.as_bytes(), &binding, &place)).transpose()?;
        Ok(Page { items: builder.items, next })
    }
}

/// Builder of a filtered page.
struct PageBuilder<'a> {
    entry_query: &'a EntryQuery,
    items: Vec<Entry>,
    bytes: usize,
    /// Number of entries read that the permit shows.
    filtered: u16,
    /// Last entry that was read, on the page or not: the next page continues after it.
    last: Option<EntryId>,
}

impl PageBuilder<'_> {
    /// Adds an entry to the page if the permit and the filter show it. Returns false when it belongs to the next page.
    fn push(&mut self, id: EntryId, entry: Option<Entry>) -> bool {
        if let Some(entry) = entry {
            if self.left() == 0 {
                return false;
            }
            if self.entry_query.filter.admits(&entry.content) {
                if self.items.len() >= usize::from(self.entry_query.size.get()) || self.bytes >= MAX_NOTE_BYTES {
                    return false;
                }
                self.bytes += entry.content.note.as_str().len();
                self.items.push(entry);
            }
            self.filtered = self.filtered.saturating_add(1);
        }
        self.last = Some(id);
        true
    }

    /// Returns the number of entries that may still be filtered.
    fn left(&self) -> u16 {
        MAX_FILTERED.saturating_sub(self.filtered)
    }
}
