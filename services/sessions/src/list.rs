//! Pages of sessions, in the order of their starts.
//!
//! A page is read from one index, or from two whose orders are the same: what a client sees of a therapist are the own
//! sessions and those that are available. A page's token says up to which place everything was looked at, so that a page may be
//! short, or empty, and not be the last.

use std::cmp::Ordering;

use chassis::Context;
use dynamo::{Cursor, Item, Query, Sort};
use kernel::{ClientId, Error, Page, PageSize, Result, TherapistId, Timestamp, UserId};

use crate::model::{ClientSession, OwnSession, Session, Status};
use crate::ops::Ops;
use crate::policy::{Own, Visit};
use crate::store::instant;
use crate::stored::{Seen, Stored};

/// How many sessions a filter looks at for one page.
const MOST_FILTERED: u16 = 500;
/// The attribute that an index is ordered by, and the part of a token that says a place in that order.
const STARTS: &str = "starts";
/// What comes before every place, and what comes after.
const FIRST: &str = "0";
const LAST: &str = "~";

/// Which page of which sessions, beside those of whom.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) status: Option<Status>,
    pub(crate) range: Range,
    pub(crate) size: PageSize,
    /// The token of the page before; empty for the first.
    pub(crate) token: String,
}

/// When sessions start: from the first instant up to the second, which is not in it. Both are whole seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// What one Query answers: what is shown of it, by its place, and up to which place it has looked if not at everything.
struct Leg<T> {
    shown: Vec<(String, T)>,
    horizon: Option<String>,
}

impl Ops {
    /// The own sessions, all or those with a client.
    pub(crate) async fn list_own(
        &self,
        context: &Context,
        permit: Own,
        client: Option<ClientId>,
        search: &Search,
    ) -> Result<Page<OwnSession>> {
        let caller = permit.therapist().into();
        let binding = search.binding("own", client.map(UserId::from));
        let after = self.after(caller, &binding, search)?;
        let leg = match client {
            None => {
                let query = self.store.all_of(permit, search.status).limit(search.size.get());
                read(query, search.range, after.as_deref(), |item| Stored::owned(permit, item)).await?
            }
            Some(client) => {
                // Among the own ones: the index of a client's sessions would tell of those with others.
                let query = self.store.all_of(permit, search.status).limit(MOST_FILTERED);
                let shown = |stored: &Stored| stored.session().state.client() == Some(client);
                read(query, search.range, after.as_deref(), |item| Ok(Stored::owned(permit, item)?.filter(shown)))
                    .await?
            }
        };
        let (rows, place) = merge(vec![leg], search.size);
        let keys = self.keys(context, rows.iter().flat_map(Stored::readers)).await?;
        let table = self.store.table();
        let opened = rows.iter().filter_map(|stored| stored.own(permit, table, &keys).transpose());
        self.page(caller, &binding, opened.collect::<Result<_>>()?, place)
    }

    /// What a client sees: the own sessions, or what is the client's or available of a therapist; only the own ones, where
    /// those of a client are asked for.
    pub(crate) async fn list_seen(
        &self,
        context: &Context,
        permit: Visit,
        therapist: Option<TherapistId>,
        client: Option<ClientId>,
        search: &Search,
    ) -> Result<Page<ClientSession>> {
        let caller = permit.client().into();
        let list = if client.is_some() { "seen-own" } else { "seen" };
        let binding = search.binding(list, therapist.map(UserId::from));
        let after = self.after(caller, &binding, search)?;
        let shown = |seen: &Seen| {
            search.has_status(seen.session()) && therapist.is_none_or(|therapist| seen.session().therapist == therapist)
        };
        let open = |item| Ok(Seen::of(permit, item)?.filter(shown));
        let mut legs = Vec::new();
        if let (Some(therapist), None, None | Some(Status::Available)) = (therapist, client, search.status) {
            let range = search.range.after(self.now());
            let query = self.store.available(permit, therapist).limit(search.size.get());
            legs.push(read(query, range, after.as_deref(), open).await?);
        }
        if legs.is_empty() || search.status != Some(Status::Available) {
            let filtered = therapist.is_some() || search.status.is_some();
            let limit = if filtered { MOST_FILTERED } else { search.size.get() };
            legs.push(read(self.store.visited(permit).limit(limit), search.range, after.as_deref(), open).await?);
        }
        let (rows, place) = merge(legs, search.size);
        let sealed = rows.iter().any(Seen::is_sealed).then_some(caller);
        let keys = self.keys(context, sealed).await?;
        let opened = rows.iter().map(|seen| seen.open(self.store.table(), keys.of(caller)));
        self.page(caller, &binding, opened.collect::<Result<_>>()?, place)
    }

    /// The place that the page before has reached.
    fn after(&self, caller: UserId, binding: &str, search: &Search) -> Result<Option<String>> {
        if search.token.is_empty() {
            return Ok(None);
        }
        let cursor = self.tokens.open(caller.as_bytes(), binding.as_bytes(), &search.token)?;
        let place = cursor.text(STARTS).ok_or_else(|| Error::internal("a page token says no place"))?;
        Ok(Some(place.to_owned()))
    }

    fn page<T>(&self, caller: UserId, binding: &str, items: Vec<T>, place: Option<String>) -> Result<Page<T>> {
        let seal =
            |place| self.tokens.seal(caller.as_bytes(), binding.as_bytes(), &Cursor::new([(STARTS.to_owned(), place)]));
        Ok(Page { items, next: place.map(seal).transpose()? })
    }
}

impl Search {
    fn has_status(&self, session: &Session) -> bool {
        self.status.is_none_or(|status| status == session.state.status())
    }

    /// What a page token is bound to beside its caller.
    fn binding(&self, list: &str, peer: Option<UserId>) -> String {
        let Self { status, range: Range { from, to }, size: _, token: _ } = self;
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let told = |at: &Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        format!("{list}/{peer}/{status:?}/{}/{}", told(from), told(to))
    }
}

impl Range {
    /// The part of it that is after an instant.
    fn after(self, now: Timestamp) -> Self {
        let next = Timestamp::from_second(now.as_second() + 1).unwrap_or(Timestamp::MAX);
        Self { from: Some(self.from.map_or(next, |from| from.max(next))), ..self }
    }

    /// The places of it that come after one, if there can be any.
    fn places(self, after: Option<&str>) -> Option<(String, String)> {
        let from = self.from.map_or_else(|| FIRST.to_owned(), instant);
        let to = self.to.map_or_else(|| LAST.to_owned(), instant);
        // Places have one length: what is longer than one, and begins so, comes right after it.
        let from = match after {
            Some(place) => from.max(format!("{place}{LAST}")),
            None => from,
        };
        (from <= to).then_some((from, to))
    }
}

/// Reads what a query finds in a range, after a place.
async fn read<T>(
    query: Query,
    range: Range,
    after: Option<&str>,
    open: impl Fn(Item) -> Result<Option<T>>,
) -> Result<Leg<T>> {
    let mut leg = Leg { shown: Vec::new(), horizon: None };
    let Some((from, to)) = range.places(after) else { return Ok(leg) };
    let rows = query.sort(Sort::Between(from, to)).page().await?;
    let mut last = None;
    for item in rows.items {
        let place = item.text(STARTS).ok_or_else(|| Error::internal("an index shows a session without its place"))?;
        let place = place.to_owned();
        last = Some(place.clone());
        leg.shown.extend(open(item)?.map(|shown| (place, shown)));
    }
    leg.horizon = last.filter(|_| rows.next.is_some());
    Ok(leg)
}

/// The first so many of what was read, in order and each once, and the place up to which nothing is missing; none, when that is
/// the end.
fn merge<T>(legs: Vec<Leg<T>>, size: PageSize) -> (Vec<T>, Option<String>) {
    let horizon = legs.iter().filter_map(|leg| leg.horizon.clone()).min();
    let mut all: Vec<(String, T)> = legs.into_iter().rev().flat_map(|leg| leg.shown).collect();
    // Stable: of a session that was booked between two reads, what the later one saw comes first.
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

    /// A leg over some numbers, that looks at so many after a place.
    fn leg(all: &[u16], shown: impl Fn(u16) -> bool, most: usize, after: Option<&str>) -> Leg<u16> {
        let place = |number: u16| format!("{number:05}");
        let rest: Vec<u16> = all.iter().copied().filter(|it| after.is_none_or(|after| *place(*it) > *after)).collect();
        let looked = rest.get(..most.min(rest.len())).unwrap();
        Leg {
            shown: looked.iter().filter(|it| shown(**it)).map(|it| (place(*it), *it)).collect(),
            horizon: (looked.len() < rest.len()).then(|| place(*looked.last().unwrap())),
        }
    }

    proptest! {
        #[test]
        fn pages_of_two_legs_are_all_that_both_show_in_order_and_once(
            one in proptest::collection::btree_set(0_u16..300, 0..60),
            other in proptest::collection::btree_set(0_u16..300, 0..60),
            page in 1_i32..20, most in 1_usize..30, modulus in 1_u16..5,
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
                let first = leg(&one, |_| true, usize::from(size(page).get()), at);
                let (items, next) = merge(vec![first, leg(&other, shown, most, at)], size(page));
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
    fn places_begin_after_the_one_that_was_reached_and_never_before_the_range() {
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
