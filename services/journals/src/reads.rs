//! What can be read of a journal, by its client and by therapists.

use chassis::Context;
use dynamo::seal::SealingKey;
use kernel::{Error, Kind, Page, Result};
use proto::audit::v1::access::Action;

use crate::consent::Undisclosed;
use crate::insights::{Plan, Sums};
use crate::model::{Entry, EntryId, View};
use crate::ops::{Ops, account_ended, no_entry};
use crate::policy::{Read, Reading};
use crate::search::Search;
use crate::store::{Chunk, Store};
use crate::vocabulary::Family;

const JOURNAL: &str = "journal";
const ENTRY: &str = "entry";

/// The most entries that insights sum up.
const MOST_SUMMED: usize = 10_000;

impl Ops {
    /// One page of entries, newest first.
    pub(crate) async fn list(&self, context: &Context, reading: Reading, search: Search) -> Result<Page<View>> {
        let permit = self.consent.permit(context, reading, JOURNAL).await?;
        let key = self.reading_key(context, &permit, JOURNAL).await?;
        let caller = context.person()?.user_id;
        let page = self.pages.page(&permit, &key, caller, &search).await?.map(|entry| permit.view(entry));
        let count = page.items.len();
        self.consent.disclose(context, &permit, Undisclosed::new(page, Action::List, count)).await
    }

    /// One entry; without an id, none.
    pub(crate) async fn get(&self, context: &Context, reading: Reading, id: Option<EntryId>) -> Result<View> {
        let permit = self.consent.permit(context, reading, ENTRY).await?;
        let id = id.ok_or_else(no_entry)?;
        let key = self.reading_key(context, &permit, ENTRY).await?;
        let entry = self.pages.store.entry(&permit, &key, id).await?.ok_or_else(no_entry)?;
        let entry = permit.view(entry);
        self.consent.disclose(context, &permit, Undisclosed::entry(entry, id)).await
    }

    /// What entries come to, over time. That they are too many is something to know of them: it is recorded too.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (`TOO_MANY_ENTRIES`) when they are.
    pub(crate) async fn insights(&self, context: &Context, reading: Reading, plan: Plan) -> Result<Sums> {
        let permit = self.consent.permit(context, reading, JOURNAL).await?;
        let key = self.reading_key(context, &permit, JOURNAL).await?;
        let (sums, count) = sum(&self.pages.store, &permit, &key, plan, MOST_SUMMED).await?;
        let sums = self.consent.disclose(context, &permit, Undisclosed::new(sums, Action::Insight, count)).await?;
        sums.ok_or_else(too_many)
    }

    /// The key that opens what the permit shows. A journal whose key was destroyed is none any more.
    async fn reading_key(&self, context: &Context, permit: &Read, what: &'static str) -> Result<SealingKey> {
        let gone = || if permit.grant().is_some() { Error::not_found(what) } else { account_ended() };
        self.key(context, permit.client()).await?.ok_or_else(gone)
    }
}

/// What the entries that the permit shows come to, and how many they are; nothing when they are more than `most`, and
/// then not all of them are counted. What is not shown does not count: the answer would tell of it.
///
/// # Errors
/// UNAVAILABLE or INTERNAL.
pub(crate) async fn sum(
    store: &Store,
    permit: &Read,
    key: &SealingKey,
    plan: Plan,
    most: usize,
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
        if count > most {
            return Ok((None, count));
        }
        next = more.map(|cursor| query.clone().after(cursor));
    }
    Ok((Some(sums), count))
}

fn too_many() -> Error {
    Error::new(
        Kind::FailedPrecondition,
        "TOO_MANY_ENTRIES",
        "this time holds more than 10,000 entries: ask for a shorter one",
    )
}
