//! What can be read of a journal, by its client and by therapists.

use chassis::Context;
use dynamo::seal::SealingKey;
use dynamo::{Cursor, PageRequest};
use kernel::{Error, Kind, Page, Result};
use proto::audit::v1::access::Action;

use crate::consent::Undisclosed;
use crate::insights::{Plan, Sums};
use crate::model::{Entry, EntryId};
use crate::ops::{Ops, account_ended, no_entry};
use crate::policy::{Read, Reading};
use crate::search::Search;
use crate::store::{Chunk, cursor};
use crate::vocabulary::Family;

const JOURNAL: &str = "journal";
const ENTRY: &str = "entry";

/// The most entries that insights sum up.
const MOST_SUMMED: usize = 10_000;

/// The most entries that are read at once.
const CHUNK: u16 = 500;
/// The most entries that are looked at for one page, where the client chose what not to see.
const MOST_FILTERED: u16 = 500;
/// The most entries that are looked at for one page, where only what is private is left out: a page shorter than was asked
/// for would tell of it.
const MOST_HIDDEN: u16 = 10_000;
/// When a page is full however few entries it has, in bytes of notes: an answer has 4 MB at most.
const FULL: usize = 1024 * 1024;

impl Ops {
    /// One page of entries, newest first.
    pub(crate) async fn list(&self, context: &Context, reading: Reading, search: Search) -> Result<Page<Entry>> {
        let permit = self.consent.permit(context, reading, JOURNAL).await?;
        let key = self.reading_key(context, &permit, JOURNAL).await?;
        let caller = context.person()?.user_id;
        let page = if permit.grant().is_none() && search.filter.is_none() {
            self.whole_page(&permit, &key, caller.as_bytes(), &search).await?
        } else {
            self.filtered_page(&permit, &key, caller.as_bytes(), &search).await?
        };
        let count = page.items.len();
        self.consent.disclose(context, &permit, Undisclosed::new(page, Action::List, count)).await
    }

    /// One entry; without an id, none.
    pub(crate) async fn get(&self, context: &Context, reading: Reading, id: Option<EntryId>) -> Result<Entry> {
        let permit = self.consent.permit(context, reading, ENTRY).await?;
        let id = id.ok_or_else(no_entry)?;
        let key = self.reading_key(context, &permit, ENTRY).await?;
        let entry = self.store.entry(&permit, &key, id).await?.ok_or_else(no_entry)?;
        self.consent.disclose(context, &permit, Undisclosed::entry(entry, id)).await
    }

    /// What entries come to, over time.
    pub(crate) async fn insights(&self, context: &Context, reading: Reading, plan: Plan) -> Result<Sums> {
        let permit = self.consent.permit(context, reading, JOURNAL).await?;
        let key = self.reading_key(context, &permit, JOURNAL).await?;
        let query = self.store.query(&permit, plan.range());
        let (mut sums, mut count) = (Sums::new(plan), 0);
        let mut next = query.clone();
        while let (Some(query), Some(page)) = (&query, next.take()) {
            let Chunk { looked_at, next: more } = self.store.chunk(&permit, &key, page, u16::MAX).await?;
            for (id, entry) in looked_at {
                let Some(Entry { content, .. }) = entry else { continue };
                sums.add(id.millisecond(), Family::of(&content.emotion), content.intensity.get());
                count += 1;
            }
            if count > MOST_SUMMED {
                return Err(too_many());
            }
            next = more.map(|cursor| query.clone().after(cursor));
        }
        self.consent.disclose(context, &permit, Undisclosed::new(sums, Action::Insight, count)).await
    }

    /// The key that opens what the permit shows. A journal whose key was destroyed is none any more.
    async fn reading_key(&self, context: &Context, permit: &Read, what: &'static str) -> Result<SealingKey> {
        let gone = || if permit.grant().is_some() { Error::not_found(what) } else { account_ended() };
        self.key(context, permit.client()).await?.ok_or_else(gone)
    }

    /// A page on which everything is shown: one Query.
    async fn whole_page(&self, permit: &Read, key: &SealingKey, caller: &[u8], search: &Search) -> Result<Page<Entry>> {
        let Some(query) = self.store.query(permit, search.range) else {
            return self.filtered_page(permit, key, caller, search).await;
        };
        let request = PageRequest { caller, token: &search.token, size: search.size, filters: &[] };
        let Page { items, next } = self.tokens.page(query, request).await?;
        let entries = self.store.open_all(permit, key, items)?;
        Ok(Page { items: entries.into_iter().filter_map(|(_, entry)| entry).collect(), next })
    }

    /// A page from which entries are left out. It is read until it is full and one more entry shows that there is a next
    /// page, until the end, or until as much was looked at as one page may cost.
    async fn filtered_page(
        &self,
        permit: &Read,
        key: &SealingKey,
        caller: &[u8],
        search: &Search,
    ) -> Result<Page<Entry>> {
        let binding = search.binding(permit);
        let mut after = match &*search.token {
            "" => None,
            token => Some(self.tokens.open(caller, &binding, token)?),
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
        let next = place.map(|place: Cursor| self.tokens.seal(caller, &binding, &place)).transpose()?;
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

fn too_many() -> Error {
    Error::new(
        Kind::FailedPrecondition,
        "TOO_MANY_ENTRIES",
        "this time holds more than 10,000 entries: ask for a shorter one",
    )
}
