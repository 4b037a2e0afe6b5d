//! Converts between the messages of the proto and the types of the domain.

use std::collections::BTreeSet;

use kernel::{Error, FieldError, FieldReason, Page, Violations};
use proto::journals::v1::Visibility;
use proto::search::v1 as pb;

use crate::model::{Found, Hit, Kind, Range, Request};
use crate::policy::{self, Side};
use crate::text::Snippet;

/// Converts a search, and decides on the side of the caller.
///
/// # Errors
/// PERMISSION_DENIED as [`policy::side`]; INVALID_ARGUMENT names every bad field.
pub(crate) fn request(person: kernel::Person, request: pb::SearchRequest) -> Result<(Side, Request), Error> {
    let pb::SearchRequest { q, r#in, client_id, from, to, page_size, page_token } = request;
    let mut bad = Violations::default();
    let kinds = bad.check("in", kinds(&r#in));
    let side = policy::side(person, kinds.as_ref().unwrap_or(&BTreeSet::new()), &client_id)?;
    let query = bad.check("q", if q.is_empty() { Err(FieldError::REQUIRED) } else { q.parse() });
    let range = range(&mut bad, from, to);
    let size = bad.check("pageSize", convert::page::size_from_proto(page_size));
    match (query, kinds, range, size) {
        (Some(query), Some(kinds), Some(range), Some(size)) if bad.is_empty() => {
            let kinds = if kinds.is_empty() { side.kinds() } else { kinds };
            Ok((side, Request { query, written: q, kinds, range, size, token: page_token }))
        }
        _ => Err(bad.into_error()),
    }
}

/// Converts the kinds, each given by commas or by repetition; none are named by an empty text.
fn kinds(given: &[String]) -> Result<BTreeSet<Kind>, FieldError> {
    let names = given.iter().filter(|names| !names.is_empty()).flat_map(|names| names.split(','));
    let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name.trim());
    names
        .map(|name| {
            kind(name).ok_or(FieldError::new(
                FieldReason::UnknownValue,
                "must be JOURNAL, NOTES or CLIENTS, or several separated by commas",
            ))
        })
        .collect()
}

/// Converts the bounds, of which the last is excluded.
fn range(
    bad: &mut Violations,
    from: Option<prost_types::Timestamp>,
    to: Option<prost_types::Timestamp>,
) -> Option<Range> {
    let bounds = convert::range::from_proto(bad, ("from", from), ("to", to), convert::millisecond::ceil_from_proto);
    let (from, to) = bounds?;
    let (first, end) = (from.unwrap_or(Range::ALL.from), to.unwrap_or(Range::ALL.to));
    let is_ordered = convert::range::require_order(bad, ("from", first), ("to", end));
    is_ordered.then(|| Range { from: first, to: to.map_or(Range::ALL.to, |to| to.saturating_sub(1)) })
}

/// Converts a page of hits.
pub(crate) fn response(page: Page<Hit>) -> pb::SearchResponse {
    let (hits, next_page_token) = convert::page::to_proto(page.map(hit));
    pb::SearchResponse { hits, next_page_token }
}

fn hit(hit: Hit) -> pb::Hit {
    let Hit { found, millisecond, snippet } = hit;
    let (kind, id, client_id, therapist_id, is_private) = match found {
        Found::Entry { name, is_private, grant: _ } => {
            (pb::hit::Kind::Journal, name.id.to_string(), name.client.to_string(), String::new(), is_private)
        }
        Found::Notes { session, therapist, client, is_private } => {
            let client = client.map(|client| client.to_string()).unwrap_or_default();
            (pb::hit::Kind::Notes, session.to_string(), client, therapist.to_string(), is_private)
        }
        Found::Client { client, therapist } => {
            (pb::hit::Kind::Clients, client.to_string(), client.to_string(), therapist.to_string(), false)
        }
    };
    let visibility = if is_private { Visibility::Private } else { Visibility::Shared };
    pb::Hit {
        kind: kind.into(),
        id,
        client_id,
        therapist_id,
        timestamp: Some(convert::millisecond::to_proto(millisecond)),
        matches: matches(&snippet),
        snippet: snippet.text().to_owned(),
        visibility: visibility.into(),
    }
}

/// Converts the places of matches, of which a snippet has 200 characters at most.
fn matches(snippet: &Snippet) -> Vec<pb::Match> {
    let point = |at: usize| i32::try_from(at).unwrap_or(i32::MAX);
    snippet.matches().iter().map(|place| pb::Match { start: point(place.start), end: point(place.end) }).collect()
}

#[cfg(test)]
mod tests {
    use kernel::{LoginId, Person, Role, UserId};

    use super::*;

    fn parsed(role: Role, request: pb::SearchRequest) -> Result<Request, Vec<String>> {
        let person = Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) };
        let parsed = super::request(person, request).map(|(_, request)| request);
        parsed.map_err(|error| error.violations().iter().map(|bad| bad.field.to_string()).collect())
    }

    fn asked(q: &str, r#in: &[&str]) -> pb::SearchRequest {
        let r#in = r#in.iter().map(|kind| (*kind).to_owned()).collect();
        pb::SearchRequest { q: q.to_owned(), r#in, ..Default::default() }
    }

    #[test]
    fn kinds_are_separated_by_commas_or_repeated() {
        use Kind::{Clients, Journal, Notes};
        let cases: [(&[&str], &[Kind]); 7] = [
            (&[], &[Journal, Notes, Clients]),
            (&[""], &[Journal, Notes, Clients]),
            (&["NOTES"], &[Notes]),
            (&["NOTES,JOURNAL"], &[Journal, Notes]),
            (&["NOTES", "JOURNAL"], &[Journal, Notes]),
            (&["NOTES, CLIENTS", "NOTES"], &[Notes, Clients]),
            (&["CLIENTS", ""], &[Clients]),
        ];
        for (given, expected) in cases {
            let kinds = parsed(Role::Therapist, asked("calm", given)).unwrap().kinds;
            assert_eq!(kinds, expected.iter().copied().collect(), "{given:?}");
        }
        for bad in ["notes", "NOTES;JOURNAL", "MESSAGES", "NOTES,", ","] {
            assert_eq!(parsed(Role::Client, asked("calm", &[bad])).unwrap_err(), ["in"], "{bad}");
        }
        assert_eq!(parsed(Role::Client, asked("calm", &[])).unwrap().kinds, BTreeSet::from([Journal, Notes]));
    }

    #[test]
    fn every_bad_field_is_named() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let bad = pb::SearchRequest { from: time(7), to: time(7), page_size: -1, ..asked("", &["x"]) };
        assert_eq!(parsed(Role::Client, bad).unwrap_err(), ["in", "q", "to", "pageSize"]);
        let one = pb::SearchRequest { from: time(7), to: time(8), ..asked("calm", &[]) };
        assert_eq!(parsed(Role::Client, one).unwrap().range, Range { from: 7_000, to: 7_999 });
        assert_eq!(parsed(Role::Client, asked("calm", &[])).unwrap().range, Range::ALL);
    }
}
