//! Pages of entries, newest first.

use dynamo::seal::SealingKey;
use dynamo::{Cursor, PageRequest, PageTokens};
use kernel::{Page, Result, UserId};

use crate::model::{Entry, EntryId};
use crate::policy::Read;
use crate::search::Search;
use crate::store::{Store, cursor};

/// The most entries that are read at once, and the fewest but for the first time.
const CHUNK: (u16, u16) = (500, 100);
/// The most entries that a filter looks at for one page.
const MOST_FILTERED: u16 = 500;
/// The most entries that are read for one page, those too that the permit doesn't show. The reader doesn't learn how many
/// they are: up to here, what is on a page and whether there is a next one depends on what is shown alone.
const MOST_READ: u16 = 10_000;
/// When a page is full however few entries it has, in bytes of notes: an answer has 4 MB at most.
const FULL: usize = 1024 * 1024;

/// The table, and the tokens that pages are asked for with.
pub(crate) struct Pages {
    pub(crate) store: Store,
    pub(crate) tokens: PageTokens,
}

impl Pages {
    /// The page that a caller asks for, as far as the permit shows it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a token that is not of this caller, permit and search; UNAVAILABLE or INTERNAL.
    pub(crate) async fn page(
        &self,
        permit: &Read,
        key: &SealingKey,
        caller: UserId,
        search: &Search,
    ) -> Result<Page<Entry>> {
        if permit.grant().is_none() && search.filter.is_none() {
            self.whole(permit, key, caller, search).await
        } else {
            self.filtered(permit, key, caller, search).await
        }
    }

    /// A page on which everything is shown: one Query.
    async fn whole(&self, permit: &Read, key: &SealingKey, caller: UserId, search: &Search) -> Result<Page<Entry>> {
        let Some(query) = self.store.query(permit, search.range) else {
            return self.filtered(permit, key, caller, search).await;
        };
        let request = PageRequest { caller: caller.as_bytes(), token: &search.token, size: search.size, filters: &[] };
        let Page { items, next } = self.tokens.page(query, request).await?;
        let entries = self.store.open_all(permit, key, items)?;
        Ok(Page { items: entries.into_iter().filter_map(|(_, entry)| entry).collect(), next })
    }

    /// A page from which entries are left out. It is read until it is full and one more entry shows that there is a next
    /// page, until the end, or until as much was looked at as one page may cost.
    async fn filtered(&self, permit: &Read, key: &SealingKey, caller: UserId, search: &Search) -> Result<Page<Entry>> {
        let binding = search.binding(permit);
        let mut after = match &*search.token {
            "" => None,
            token => Some(self.tokens.open(caller.as_bytes(), &binding, token)?),
        };
        let Some(query) = self.store.query(permit, search.range) else { return Ok(Page::whole(Vec::new())) };
        let mut limit = search.size.get().saturating_mul(2).saturating_add(20);
        let mut page = Filling { search, items: Vec::new(), bytes: 0, looked_at: 0, last: None };
        let mut read: u16 = 0;
        while read < MOST_READ {
            let query = query.clone();
            let query = match after.take() {
                Some(cursor) => query.after(cursor),
                None => query,
            };
            let chunk = self.store.chunk(permit, key, query, limit).await?;
            read = read.saturating_add(u16::try_from(chunk.looked_at.len()).unwrap_or(u16::MAX));
            let over = !chunk.looked_at.into_iter().all(|(id, entry)| page.take(id, entry));
            if over {
                break;
            }
            let Some(next) = chunk.next else { return Ok(Page::whole(page.items)) };
            after = Some(next);
            limit = page.left().clamp(CHUNK.1, CHUNK.0);
        }
        let place = page.last.map(|id| cursor(permit.client(), id)).or(after);
        let next = place.map(|place: Cursor| self.tokens.seal(caller.as_bytes(), &binding, &place)).transpose()?;
        Ok(Page { items: page.items, next })
    }
}

/// A page that is being filled.
struct Filling<'a> {
    search: &'a Search,
    items: Vec<Entry>,
    bytes: usize,
    /// How many entries the permit shows of those that were read.
    looked_at: u16,
    /// The last entry that was read, whether it is on the page or not: the next page goes on after it.
    last: Option<EntryId>,
}

impl Filling<'_> {
    /// Takes what was read, if anything, on the page. Answers false when it is for the next one.
    fn take(&mut self, id: EntryId, entry: Option<Entry>) -> bool {
        if let Some(entry) = entry {
            if self.left() == 0 {
                return false;
            }
            if self.search.filter.admits(&entry.content) {
                if self.items.len() >= usize::from(self.search.size.get()) || self.bytes >= FULL {
                    return false;
                }
                self.bytes += entry.content.note.as_str().len();
                self.items.push(entry);
            }
            self.looked_at = self.looked_at.saturating_add(1);
        }
        self.last = Some(id);
        true
    }

    /// How many more entries may be looked at.
    fn left(&self) -> u16 {
        MOST_FILTERED.saturating_sub(self.looked_at)
    }
}
