//! Groups the records of an access log into pages: adjacent equal accesses within a minute are shown as one item. The
//! stored records stay separate.

use dynamo::{PageRequest, PageTokens};
use kernel::{Page, PageSize, Result, Timestamp};

use crate::model::{AccessId, Facts, Personal};
use crate::policy::Read;
use crate::store::{Record, Store, cursor};

/// Maximum span of a group, in milliseconds.
const SPAN: i64 = 60_000;
/// Maximum number of records read for one page. A longer group continues as another one on the next page.
pub(crate) const MAX_RECORDS_READ: u16 = 2_000;
/// Maximum number of records read by one Query after the first.
const CHUNK: u16 = 500;

/// Adjacent equal records within a minute.
pub(crate) struct Group {
    /// The first of them in the log.
    pub(crate) latest: Record,
    /// Time of the earliest.
    pub(crate) first_time: Timestamp,
    /// Number of records.
    pub(crate) count: u32,
    /// Id of the last of them in the log: the next page begins after it.
    last: AccessId,
}

impl Group {
    const fn new(record: Record) -> Self {
        Self { first_time: record.facts.time, count: 1, last: record.facts.id, latest: record }
    }

    /// Returns whether the next record of the log belongs to the group. An erased record equals no other: its reader is
    /// unknown.
    fn includes(&self, next: &Record) -> bool {
        let (Some(ours), Some(theirs)) = (&self.latest.personal, &next.personal) else { return false };
        let Personal { therapist, entry_id, grant_id, salt: _ } = ours;
        let Facts { id: _, time, action, entry_count, people: _ } = self.latest.facts;
        (therapist, entry_id, grant_id) == (&theirs.therapist, &theirs.entry_id, &theirs.grant_id)
            && (action, entry_count) == (next.facts.action, next.facts.entry_count)
            && time.as_millisecond() - next.facts.time.as_millisecond() <= SPAN
    }

    fn add(&mut self, next: &Record) {
        self.first_time = self.first_time.min(next.facts.time);
        self.count = self.count.saturating_add(1);
        self.last = next.facts.id;
    }
}

/// Returns a page of groups: it ends before the first group that doesn't fit, at the end of the log, or when
/// `max_records` records were read. One Query is enough for a page without groups.
///
/// # Errors
/// INVALID_ARGUMENT for a token that is not of this caller and log; UNAVAILABLE or INTERNAL.
pub(crate) async fn page(
    store: &Store,
    tokens: &PageTokens,
    permit: Read,
    request: PageRequest<'_>,
    max_records: u16,
) -> Result<Page<Group>> {
    let PageRequest { caller, token, size, filters } = request;
    let binding = [b"access-log/", permit.client().as_bytes().as_slice(), filters].concat();
    let mut after = if token.is_empty() { None } else { Some(tokens.open(caller, &binding, token)?) };
    let mut page = PageBuilder { size, groups: Vec::new() };
    let (mut left, mut limit) = (max_records, size.get().saturating_add(1));
    while left > 0 {
        let query = store.log(permit).limit(limit.min(left));
        let query = match after.take() {
            Some(cursor) => query.after(cursor),
            None => query,
        };
        let rows = query.page().await?;
        left = left.saturating_sub(u16::try_from(rows.items.len()).unwrap_or(u16::MAX));
        let records = rows.items.into_iter().map(Record::try_from).collect::<Result<Vec<_>>>()?;
        let is_full = !records.into_iter().all(|record| page.push(record));
        if is_full {
            break;
        }
        let Some(next) = rows.next else { return Ok(Page::whole(page.groups)) };
        after = Some(next);
        limit = CHUNK;
    }
    let place = page.groups.last().map(|group| cursor(permit.client(), group.last)).or(after);
    let next = place.map(|place| tokens.seal(caller, &binding, &place)).transpose()?;
    Ok(Page { items: page.groups, next })
}

/// A page under construction.
struct PageBuilder {
    size: PageSize,
    groups: Vec<Group>,
}

impl PageBuilder {
    /// Adds the next record of the log. Returns false if it begins a group of the next page.
    fn push(&mut self, record: Record) -> bool {
        if let Some(group) = self.groups.last_mut().filter(|group| group.includes(&record)) {
            group.add(&record);
            return true;
        }
        let has_room = self.groups.len() < usize::from(self.size.get());
        if has_room {
            self.groups.push(Group::new(record));
        }
        has_room
    }
}
