//! Pages of entries, newest first.

use dynamo::seal::SealingKey;
use dynamo::{Cursor, PageRequest, PageTokens};
use kernel::{Page, Result, UserId};

use crate::model::{Entry, EntryId};
use crate::policy::Read;
use crate::search::Search;
use crate::store::{Store, cursor};

/// The most entries that are read at once.
const CHUNK: u16 = 500;
/// The most entries that are looked at for one page, where the client chose what not to see.
const MOST_FILTERED: u16 = 500;
/// The most entries that are looked at for one page, where only what is private is left out: a page shorter than was asked
/// for would tell of it.
const MOST_HIDDEN: u16 = 10_000;
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
        let most = if search.filter.is_none() { MOST_HIDDEN } else { MOST_FILTERED };
        let mut limit = search.size.get().saturating_mul(2).saturating_add(20);
        let mut page = Filling { search, items: Vec::new(), bytes: 0, last: None };
        let mut looked_at: u16 = 0;
        while looked_at < most {
            let query = query.clone();
            let query = match after.take() {
                Some(cursor) => query.after(cursor),
                None => query,
            };
            let chunk = self.store.chunk(permit, key, query, limit.min(CHUNK).min(most - looked_at)).await?;
            looked_at = looked_at.saturating_add(u16::try_from(chunk.looked_at.len()).unwrap_or(u16::MAX));
            let over = !chunk.looked_at.into_iter().all(|(id, entry)| page.take(id, entry));
            if over {
                break;
            }
            let Some(next) = chunk.next else { return Ok(Page::whole(page.items)) };
            after = Some(next);
            limit = CHUNK;
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
    /// The last entry that was looked at, whether it is on the page or not: the next page goes on after it.
    last: Option<EntryId>,
}

impl Filling<'_> {
    /// Takes what was looked at, if anything, on the page. Answers false when it belongs on the next one.
    fn take(&mut self, id: EntryId, entry: Option<Entry>) -> bool {
        if let Some(entry) = entry.filter(|entry| self.search.filter.admits(&entry.content)) {
            if self.items.len() >= usize::from(self.search.size.get()) || self.bytes >= FULL {
                return false;
            }
            self.bytes += entry.content.note.as_str().len();
            self.items.push(entry);
        }
        self.last = Some(id);
        true
    }
}
