//! Use cases that read a journal, for its client and for therapists.

use std::collections::{BTreeMap, BTreeSet};

use chassis::Context;
use dynamo::seal::SealingKey;
use kernel::{ClientId, Error, Page, Result};
use proto::audit::v1::access::Action;

use crate::consent::Undisclosed;
use crate::entry_query::EntryQuery;
use crate::error::{no_entry, no_journal, too_many_entries};
use crate::insights::{Plan, Sums};
use crate::model::{Entry, EntryId, View};
use crate::ops::Ops;
use crate::policy::{Index, Read, Reading};
use crate::store::{Chunk, Selection, Store};
use crate::vocabulary::Family;

/// Maximum entries that insights sum up.
const MAX_SUMMED: usize = 10_000;

impl Ops {
    /// Returns a page of entries, newest first.
    pub(crate) async fn list(&self, context: &Context, reading: Reading, query: EntryQuery) -> Result<Page<View>> {
        let permit = self.consent.permit(context, reading, no_journal).await?;
        let key = self.reading_key(context, &permit, no_journal).await?;
        let caller = context.person()?.user_id;
        let page = self.pages.page(&permit, &key, caller, &query).await?.map(|entry| permit.view(entry));
        let count = page.items.len();
        self.consent.disclose(context, &permit, Undisclosed::new(page, Action::List, count)).await
    }

    /// Returns one entry.
    ///
    /// # Errors
    /// NOT_FOUND without an id, or when the permit shows no entry with this id.
    pub(crate) async fn get(&self, context: &Context, reading: Reading, id: Option<EntryId>) -> Result<View> {
        let permit = self.consent.permit(context, reading, no_entry).await?;
        let id = id.ok_or_else(no_entry)?;
        let key = self.reading_key(context, &permit, no_entry).await?;
        let entry = self.pages.store.entry(&permit, &key, id).await?.ok_or_else(no_entry)?;
        let entry = permit.view(entry);
        self.consent.disclose(context, &permit, Undisclosed::entry(entry, id)).await
    }

    /// Returns the sums of entries over time. The refusal of too many entries reveals their number, so it is recorded
    /// in the access log too.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (`TOO_MANY_ENTRIES`) when the range has too many entries.
    pub(crate) async fn insights(&self, context: &Context, reading: Reading, plan: Plan) -> Result<Sums> {
        let permit = self.consent.permit(context, reading, no_journal).await?;
        let key = self.reading_key(context, &permit, no_journal).await?;
        let (sums, count) = sum(&self.pages.store, &permit, &key, plan, MAX_SUMMED).await?;
        let sums = self.consent.disclose(context, &permit, Undisclosed::new(sums, Action::Insight, count)).await?;
        sums.ok_or_else(too_many_entries)
    }

    /// Returns an entry for the index of search; `None` when it was removed, or its client's account has ended.
    pub(crate) async fn indexed(&self, context: &Context, permit: Index, id: EntryId) -> Result<Option<Entry>> {
        match self.key(context, permit.client()).await? {
            Some(key) => self.pages.store.entry(&permit.read(), &key, id).await,
            None => Ok(None),
        }
    }

    /// Returns those of these entries that the caller may read now, each with its permit. Entries that don't exist are
    /// left out like those that the caller may not read.
    ///
    /// Nothing is recorded in the access log here: the entries go to search, which shows a part of them, and records
    /// that before it answers.
    pub(crate) async fn readable(
        &self,
        context: &Context,
        readings: Vec<Reading>,
        mut ids: BTreeMap<ClientId, BTreeSet<EntryId>>,
    ) -> Result<Vec<(Read, Entry)>> {
        let permits = self.consent.permits(context, readings).await?;
        let keys = self.keyring.keys(context, permits.iter().map(|permit| permit.client().into())).await?;
        let selection = |permit: Read| {
            let key = keys.get(&permit.client().into())?.clone();
            Some(Selection { key, ids: ids.remove(&permit.client())?, permit })
        };
        let selections: Vec<_> = permits.into_iter().filter_map(selection).collect();
        self.pages.store.entries(&selections).await
    }

    /// Returns the key that opens the permit's entries. A journal whose key was destroyed does not exist any more: a
    /// therapist gets the error `missing`.
    async fn reading_key(&self, context: &Context, permit: &Read, missing: fn() -> Error) -> Result<SealingKey> {
        let gone = if permit.grant().is_some() { missing } else { Error::account_ended };
        self.key(context, permit.client()).await?.ok_or_else(gone)
    }
}

/// Sums and counts the entries that the permit shows. The sums are `None` when there are more than `max`, and then not
/// all entries are counted. Entries that the permit doesn't show don't count: the answer would reveal them.
///
/// # Errors
/// UNAVAILABLE or INTERNAL.
pub(crate) async fn sum(
    store: &Store,
    permit: &Read,
    key: &SealingKey,
    plan: Plan,
    max: usize,
) -> Result<(Option<Sums>, usize)> {
    let query = store.query(permit, plan.range());
    let (mut sums, mut count) = (Sums::new(plan), 0);
    let mut next = query.clone();
    while let (Some(query), Some(page)) = (&query, next.take()) {
        let Chunk { looked_at, next: more } = store.chunk(permit, key, page, u16::MAX).await?;
        for (id, entry) in looked_at {
            let Some(Entry { content, .. }) = entry else { continue };
            sums.add(id.millisecond(), Family::of(&content.emotion), content.intensity.get());
            count += 1;
        }
        if count > max {
            return Ok((None, count));
        }
        next = more.map(|cursor| query.clone().after(cursor));
    }
    Ok((Some(sums), count))
}
