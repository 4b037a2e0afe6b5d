//! Lists sessions in pages, ordered by their starts.
//!
//! A page is read from one index, or merged from two in the same order: a client sees the own sessions with a therapist
//! and the therapist's available ones. A page token holds the position up to which everything was read, so that a short
//! or empty page need not be the last.

use std::cmp::Ordering;

use chassis::Context;
use dynamo::{Cursor, Item, Query, Sort};
use kernel::{ClientId, Error, Page, PageSize, Result, TherapistId, Timestamp, UserId};

use crate::key::instant;
use crate::model::{ClientSession, OwnSession, Range, Session, SessionQuery, Status};
use crate::ops::Ops;
use crate::policy::{ClientPermit, Own};
use crate::stored::{Seen, Stored};

/// Maximum sessions read for one filtered page.
const MAX_FILTERED: u16 = 500;
/// Sort attribute of the indexes, and name of the position in a page token.
const STARTS: &str = "starts";
/// Lower and upper bound of all positions.
const FIRST: &str = "0";
const LAST: &str = "~";

/// Result of one Query: the matching sessions by position, and the last position read unless the query reached its end.
struct QueryResult<T> {
    shown: Vec<(String, T)>,
    horizon: Option<String>,
}

impl Ops {
    /// Lists the therapist's own sessions, all or those with a client.
    pub(crate) async fn list_own(
        &self,
        context: &Context,
        permit: Own,
        client: Option<ClientId>,
        query: &SessionQuery,
    ) -> Result<Page<OwnSession>> {
        let caller = permit.therapist().into();
        let binding = query.binding("own", client.map(UserId::from));
        let after = self.after(caller, &binding, query)?;
        let result = match client {
            None => {
                let sessions = self.store.all_of(permit, query.status).limit(query.size.get());
                read(sessions, query.range, after.as_deref(), |item| Stored::owned(permit, item)).await?
            }
            Some(client) => {
                // Filters the own sessions: the client's index would also hold sessions with other therapists.
                let sessions = self.store.all_of(permit, query.status).limit(MAX_FILTERED);
                let shown = |stored: &Stored| stored.session().state.client() == Some(client);
                read(sessions, query.range, after.as_deref(), |item| Ok(Stored::owned(permit, item)?.filter(shown)))
                    .await?
            }
        };
        let (rows, place) = merge(vec![result], query.size);
        let keys = self.keys(context, rows.iter().flat_map(Stored::readers)).await?;
        let table = self.store.table();
        let opened = rows.iter().filter_map(|stored| stored.own(permit, table, &keys).transpose());
        self.page(caller, &binding, opened.collect::<Result<_>>()?, place)
    }

    /// Lists the sessions that a client sees: the own ones, or those of a given therapist that are own or available.
    /// With a client given, only the own ones.
    pub(crate) async fn list_seen(
        &self,
        context: &Context,
        permit: ClientPermit,
        therapist: Option<TherapistId>,
        client: Option<ClientId>,
        query: &SessionQuery,
    ) -> Result<Page<ClientSession>> {
        let caller = permit.client().into();
        let list = if client.is_some() { "seen-own" } else { "seen" };
        let binding = query.binding(list, therapist.map(UserId::from));
        let after = self.after(caller, &binding, query)?;
        let shown = |seen: &Seen| {
            query.has_status(seen.session()) && therapist.is_none_or(|therapist| seen.session().therapist == therapist)
        };
        let open = |item| Ok(Seen::of(permit, item)?.filter(shown));
        let mut results = Vec::new();
        if let (Some(therapist), None, None | Some(Status::Available)) = (therapist, client, query.status) {
            let range = query.range.after(self.now());
            let available = self.store.available(permit, therapist).limit(query.size.get());
            results.push(read(available, range, after.as_deref(), open).await?);
        }
        if results.is_empty() || query.status != Some(Status::Available) {
            let filtered = therapist.is_some() || query.status.is_some();
            let limit = if filtered { MAX_FILTERED } else { query.size.get() };
            results.push(read(self.store.of_client(permit).limit(limit), query.range, after.as_deref(), open).await?);
        }
        let (rows, place) = merge(results, query.size);
        let sealed = rows.iter().any(Seen::is_sealed).then_some(caller);
        let keys = self.keys(context, sealed).await?;
        let opened = rows.iter().map(|seen| seen.open(self.store.table(), keys.of(caller)));
        self.page(caller, &binding, opened.collect::<Result<_>>()?, place)
    }

    /// Returns the position that the previous page reached.
    fn after(&self, caller: UserId, binding: &str, query: &SessionQuery) -> Result<Option<String>> {
        if query.token.is_empty() {
            return Ok(None);
        }
        let cursor = self.tokens.open(caller.as_bytes(), binding.as_bytes(), &query.token)?;
        let place = cursor.text(STARTS).ok_or_else(|| Error::internal("a page token says no place"))?;
        Ok(Some(place.to_owned()))
    }

    fn page<T>(&self, caller: UserId, binding: &str, items: Vec<T>, place: Option<String>) -> Result<Page<T>> {
        let seal =
            |place| self.tokens.seal(caller.as_bytes(), binding.as_bytes(), &Cursor::new([(STARTS.to_owned(), place)]));
        Ok(Page { items, next: place.map(seal).transpose()? })
    }
}

impl SessionQuery {
    fn has_status(&self, session: &Session) -> bool {
        self.status.is_none_or(|status| status == session.state.status())
    }

    /// Returns the binding of a page token, besides its caller.
    fn binding(&self, list: &str, peer: Option<UserId>) -> String {
        let Self { status, range: Range { from, to }, size: _, token: _ } = self;
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let text = |at: &Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        format!("{list}/{peer}/{status:?}/{}/{}", text(from), text(to))
    }
}

impl Range {
    /// Returns the part of the range after an instant.
    fn after(self, now: Timestamp) -> Self {
        let next = Timestamp::from_second(now.as_second() + 1).unwrap_or(Timestamp::MAX);
        Self { from: Some(self.from.map_or(next, |from| from.max(next))), ..self }
    }

    /// Returns the bounds of the positions in the range after a position, if any are possible.
    fn places(self, after: Option<&str>) -> Option<(String, String)> {
        let from = self.from.map_or_else(|| FIRST.to_owned(), instant);
        let to = self.to.map_or_else(|| LAST.to_owned(), instant);
        // Positions have equal length: a position with a suffix sorts right after it.
        let from = match after {
            Some(place) => from.max(format!("{place}{LAST}")),
            None => from,
        };
        (from <= to).then_some((from, to))
    }
}

/// Reads the sessions of a query in a range, after a position.
async fn read<T>(
    query: Query,
    range: Range,
    after: Option<&str>,
    open: impl Fn(Item) -> Result<Option<T>>,
) -> Result<QueryResult<T>> {
    let mut result = QueryResult { shown: Vec::new(), horizon: None };
    let Some((from, to)) = range.places(after) else { return Ok(result) };
    let rows = query.sort(Sort::Between(from, to)).page().await?;
    let mut last = None;
    for item in rows.items {
        let place = item.text(STARTS).ok_or_else(|| Error::internal("an index shows a session without its place"))?;
        let place = place.to_owned();
        last = Some(place.clone());
        result.shown.extend(open(item)?.map(|shown| (place, shown)));
    }
    result.horizon = last.filter(|_| rows.next.is_some());
    Ok(result)
}

/// Merges query results into one page, in order and without duplicates. Also returns the position up to which the page
/// is complete; None at the end of the list.
fn merge<T>(results: Vec<QueryResult<T>>, size: PageSize) -> (Vec<T>, Option<String>) {
    let horizon = results.iter().filter_map(|result| result.horizon.clone()).min();
    let mut all: Vec<(String, T)> = results.into_iter().rev().flat_map(|result| result.shown).collect();
    // The sort is stable: of a session that was booked between two reads, the later read comes first.
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.dedup_by(|(later, _), (earlier, _)| later == earlier);
    if let Some(horizon) = &horizon {
        all.retain(|(place, _)| place.cmp(horizon) != Ordering::Greater);
    }
    let size = usize::from(size.get());
    let cut = (all.len() > size).then(|| all.get(size.saturating_sub(1)).map(|(place, _)| place.clone())).flatten();
    all.truncate(size);
    (all.into_iter().map(|(_, shown)| shown).collect(), cut.or(horizon))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(size: i32) -> PageSize {
        PageSize::from_request(size).unwrap()
    }

    /// Returns a result over some numbers that reads at most `max` of them after a position.
    fn query_result(all: &[u16], shown: impl Fn(u16) -> bool, max: usize, after: Option<&str>) -> QueryResult<u16> {
        let place = |number: u16| format!("{number:05}");
        let rest: Vec<u16> = all.iter().copied().filter(|it| after.is_none_or(|after| *place(*it) > *after)).collect();
        let looked = rest.get(..max.min(rest.len())).unwrap();
        QueryResult {
            shown: looked.iter().filter(|it| shown(**it)).map(|it| (place(*it), *it)).collect(),
            horizon: (looked.len() < rest.len()).then(|| place(*looked.last().unwrap())),
        }
    }

    proptest! {
        #[test]
        fn merged_pages_hold_each_item_once_in_order(
            one in proptest::collection::btree_set(0_u16..300, 0..60),
            other in proptest::collection::btree_set(0_u16..300, 0..60),
            page in 1_i32..20, max in 1_usize..30, modulus in 1_u16..5,
        ) {
            let (one, other): (Vec<u16>, Vec<u16>) = (one.into_iter().collect(), other.into_iter().collect());
            let shown = |number: u16| number.is_multiple_of(modulus);
            let mut expected: Vec<u16> =
                one.iter().copied().chain(other.iter().copied().filter(|it| shown(*it))).collect();
            expected.sort_unstable();
            expected.dedup();
            let (mut seen, mut after) = (Vec::new(), None::<String>);
            loop {
                let at = after.as_deref();
                let first = query_result(&one, |_| true, usize::from(size(page).get()), at);
                let (items, next) = merge(vec![first, query_result(&other, shown, max, at)], size(page));
                prop_assert!(items.len() <= usize::from(size(page).get()));
                seen.extend(items);
                match next {
                    Some(next) => {
                        prop_assert!(after.is_none_or(|after| after < next), "every page goes further");
                        after = Some(next);
                    }
                    None => break,
                }
            }
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn range_resumes_after_reached_position() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let place = "1970-01-01T00:02:00Z#id";
        let places = |from, to, after| Range { from, to }.places(after);
        assert_eq!(places(None, None, None), Some(("0".to_owned(), "~".to_owned())));
        let range = Some(("1970-01-01T00:01:00Z".to_owned(), "1970-01-01T00:03:00Z".to_owned()));
        assert_eq!(places(at(60), at(180), None), range);
        assert_eq!(places(at(60), None, Some(place)), Some((format!("{place}~"), "~".to_owned())));
        assert_eq!(places(at(180), at(240), Some(place)).unwrap().0, "1970-01-01T00:03:00Z");
        assert_eq!(places(None, at(60), Some(place)), None);
        assert_eq!(Range::default().after(Timestamp::from_millisecond(59_999).unwrap()).from, at(60));
        assert_eq!(Range { from: at(90), to: None }.after(Timestamp::from_second(60).unwrap()).from, at(90));
    }
}
