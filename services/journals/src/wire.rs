//! Converts between the messages of the proto and the types of the domain, and reports violations by field.

use std::collections::{BTreeMap, BTreeSet};

use convert::millisecond;
use jiff::tz::TimeZone;
use kernel::{ClientId, Error, FieldError, FieldReason, FreeText, Page, Timestamp, Violations};
use proto::journals::v1 as pb;

use crate::entry_query::{EntryQuery, Filter};
use crate::insights::{self, Bucket, Bucketful, MAX_BUCKETS, Plan, Sums, Tally};
use crate::model::{Change, Content, Draft, Emotion, Entry, EntryId, FeltAt, Intensity, Range, View, Visibility};
use crate::policy::{Grant, Read, Write};
use crate::vocabulary::{Family, VERSION, VOCABULARY, Words};

/// Maximum entries that search asks for at once.
const MAX_NAMES: usize = 100;

/// Default range of insights in milliseconds: 90 days.
const DEFAULT_RANGE: i64 = 90 * 24 * 60 * 60 * 1000;

/// Parses a new entry of the client's own journal. An entry id and an etag are ignored.
pub(crate) fn draft(entry: pb::JournalEntry, permit: Write, now: Timestamp) -> Result<Draft, Error> {
    let pb::JournalEntry {
        entry_id: _,
        client_id,
        emotion,
        intensity,
        timestamp,
        note,
        family: _,
        visibility,
        created_at: _,
        updated_at: _,
        etag: _,
    } = entry;
    let mut bad = Violations::default();
    own(&mut bad, &client_id, permit);
    let emotion = bad.check("emotion", emotion.unwrap_or_default().parse::<Emotion>());
    let intensity = bad.check("intensity", intensity.ok_or(FieldError::REQUIRED).and_then(Intensity::try_from));
    let felt_at = bad.check("timestamp", felt_at(timestamp, now));
    let note = bad.check("note", FreeText::try_from(note.unwrap_or_default()));
    let visibility = bad.check("visibility", parse_visibility(visibility));
    match (emotion, intensity, felt_at, note, visibility) {
        (Some(emotion), Some(intensity), Some(felt_at), Some(note), Some(visibility)) if bad.is_empty() => {
            let visibility = visibility.unwrap_or(Visibility::Shared);
            Ok(Draft { felt_at, content: Content { emotion, intensity, note, visibility } })
        }
        _ => Err(bad.into_error()),
    }
}

/// Parses the correction of an entry, but for its etag.
pub(crate) fn change(entry: pb::JournalEntry, permit: Write, id: EntryId) -> Result<Change, Error> {
    let pb::JournalEntry {
        entry_id,
        client_id,
        emotion,
        intensity,
        timestamp,
        note,
        family: _,
        visibility,
        created_at: _,
        updated_at: _,
        etag: _,
    } = entry;
    let mut bad = Violations::default();
    own(&mut bad, &client_id, permit);
    if !entry_id.is_empty() && entry_id.parse() != Ok(id) {
        bad.add("entryId", FieldError::new(FieldReason::Mismatch, "must be the id of the path, or be left out"));
    }
    if timestamp.is_some_and(|timestamp| millisecond::floor_from_proto(timestamp) != Ok(id.millisecond())) {
        bad.add(
            "timestamp",
            FieldError::new(FieldReason::Immutable, "can't be changed: remove the entry and add another one"),
        );
    }
    let emotion = emotion.map(|text| bad.check("emotion", text.parse::<Emotion>()));
    let intensity = intensity.map(|number| bad.check("intensity", Intensity::try_from(number)));
    let note = note.map(|text| bad.check("note", FreeText::try_from(text)));
    let visibility = bad.check("visibility", parse_visibility(visibility));
    if !bad.is_empty() {
        return Err(bad.into_error());
    }
    Ok(Change {
        emotion: emotion.flatten(),
        intensity: intensity.flatten(),
        note: note.flatten(),
        visibility: visibility.flatten(),
    })
}

/// Parses the id of the entry to remove; `None` when the text is not an id.
pub(crate) fn to_remove(entry_id: &str) -> Result<Option<EntryId>, Error> {
    if entry_id.is_empty() { Err(Error::invalid("entryId", FieldError::REQUIRED)) } else { Ok(entry_id.parse().ok()) }
}

/// Parses the query of a list of entries.
pub(crate) fn entry_query(request: pb::ListEntriesRequest) -> Result<EntryQuery, Error> {
    let pb::ListEntriesRequest { client_id: _, from, to, emotion, min_intensity, page_size, page_token } = request;
    let mut bad = Violations::default();
    let range = range(&mut bad, from, to, |to| Range { to: to.unwrap_or(i64::MAX), ..Range::ALL });
    let emotion = Some(emotion).filter(|emotion| !emotion.is_empty());
    let emotion = emotion.map(|emotion| bad.check("emotion", emotion.parse::<Emotion>()));
    let min_intensity = Some(min_intensity).filter(|min| *min != 0);
    let min_intensity = min_intensity.map(|min| bad.check("minIntensity", least_intensity(min)));
    let size = bad.check("pageSize", convert::page::size_from_proto(page_size));
    match (range, size) {
        (Some(range), Some(size)) if bad.is_empty() => {
            let filter = Filter { emotion: emotion.flatten().map(Into::into), min_intensity: min_intensity.flatten() };
            Ok(EntryQuery { range, filter, size, token: page_token })
        }
        _ => Err(bad.into_error()),
    }
}

/// Parses the range and the buckets of insights.
pub(crate) fn plan(request: pb::GetInsightsRequest, now: Timestamp) -> Result<Plan, Error> {
    let pb::GetInsightsRequest { client_id: _, from, to, bucket, time_zone } = request;
    let mut bad = Violations::default();
    let range = range(&mut bad, from, to, |to| {
        let to = to.unwrap_or_else(|| now.as_millisecond());
        Range { from: to.saturating_sub(DEFAULT_RANGE).max(millisecond::FIRST), to }
    });
    let bucket = match pb::Bucket::try_from(bucket) {
        Ok(pb::Bucket::Unspecified | pb::Bucket::Day) => Some(Bucket::Day),
        Ok(pb::Bucket::Week) => Some(Bucket::Week),
        Ok(pb::Bucket::Month) => Some(Bucket::Month),
        Err(_) => bad.check("bucket", Err(FieldError::not_one_of(&["DAY", "WEEK", "MONTH"]))),
    };
    let zone = bad.check("timeZone", zone(&time_zone));
    match (range, bucket, zone) {
        (Some(range), Some(bucket), Some(zone)) if bad.is_empty() => {
            let message = || format!("makes more than {MAX_BUCKETS} buckets of this time: choose a longer one");
            let too_short = || FieldError::of(FieldReason::OutOfRange, message());
            Plan::new(zone, bucket, range).ok_or_else(|| Error::invalid("bucket", too_short()))
        }
        _ => Err(bad.into_error()),
    }
}

pub(crate) fn entry(entry: View, client: ClientId) -> pb::JournalEntry {
    let View { id, content: Content { emotion, intensity, note, visibility }, created_at, updated_at, etag } = entry;
    pb::JournalEntry {
        entry_id: id.to_string(),
        client_id: client.to_string(),
        family: Family::of(&emotion).map_or("", Family::name).to_owned(),
        emotion: Some(emotion.into()),
        intensity: Some(intensity.get().into()),
        timestamp: Some(millisecond::to_proto(id.millisecond())),
        note: Some(note.into()),
        visibility: visibility_to_proto(visibility).into(),
        created_at: Some(millisecond::to_proto(created_at.as_millisecond())),
        updated_at: Some(millisecond::to_proto(updated_at.as_millisecond())),
        etag: etag.map(|version| version.to_string()).unwrap_or_default(),
    }
}

pub(crate) fn entries(page: Page<View>, client: ClientId) -> pb::ListEntriesResponse {
    let (entries, next_page_token) = convert::page::to_proto(page.map(|it| entry(it, client)));
    pb::ListEntriesResponse { entries, next_page_token }
}

/// Parses the name of an entry; `None` when it names nothing.
pub(crate) fn entry_name(name: &pb::EntryName) -> Option<(ClientId, EntryId)> {
    let pb::EntryName { client_id, entry_id } = name;
    client_id.parse().ok().zip(entry_id.parse().ok())
}

/// Parses the names of the wanted entries, each once. A name of nothing is skipped.
pub(crate) fn entry_names(
    request: pb::BatchGetReadableEntriesRequest,
) -> Result<BTreeMap<ClientId, BTreeSet<EntryId>>, Error> {
    let pb::BatchGetReadableEntriesRequest { names } = request;
    convert::batch::check_len("names", names.len(), MAX_NAMES)?;
    let mut ids = BTreeMap::<_, BTreeSet<_>>::new();
    for (client, id) in names.iter().filter_map(entry_name) {
        ids.entry(client).or_default().insert(id);
    }
    Ok(ids)
}

/// Returns the text of an entry for the index and for search.
pub(crate) fn entry_text(client: ClientId, entry: Entry) -> pb::EntryText {
    let Entry { id, content, created_at: _, updated_at: _, shared_since: _, version } = entry;
    let Content { emotion, intensity: _, note, visibility } = content;
    pb::EntryText {
        name: Some(pb::EntryName { client_id: client.to_string(), entry_id: id.to_string() }),
        version: convert::version::to_proto(version),
        visibility: visibility_to_proto(visibility).into(),
        emotion: emotion.into(),
        note: note.into(),
    }
}

/// Returns the entries with the grants by which they may be read.
pub(crate) fn readable_entries(entries: Vec<(Read, Entry)>) -> pb::BatchGetReadableEntriesResponse {
    let readable = |(permit, entry): (Read, Entry)| {
        let grant_id = permit.grant().map(Grant::id).unwrap_or_default().to_owned();
        pb::ReadableEntry { text: Some(entry_text(permit.client(), entry)), grant_id }
    };
    pb::BatchGetReadableEntriesResponse { entries: entries.into_iter().map(readable).collect() }
}

pub(crate) fn insights(sums: &Sums) -> pb::Insights {
    let bucket = match sums.plan().bucket() {
        Bucket::Day => pb::Bucket::Day,
        Bucket::Week => pb::Bucket::Week,
        Bucket::Month => pb::Bucket::Month,
    };
    pb::Insights {
        time_zone: sums.plan().zone().to_owned(),
        bucket: bucket.into(),
        buckets: sums.buckets().map(bucketful).collect(),
        changes: sums.changes().into_iter().map(strongest).collect(),
    }
}

fn bucketful(Bucketful { start, end, families }: Bucketful) -> pb::InsightBucket {
    let family = |(family, tally): (&str, Tally)| pb::FamilyInsight {
        family: family.to_owned(),
        count: convert::count::to_proto(tally.count),
        mean_intensity: tally.mean(),
    };
    pb::InsightBucket {
        start: Some(millisecond::to_proto(start)),
        end: Some(millisecond::to_proto(end)),
        families: families.into_iter().map(family).collect(),
    }
}

fn strongest(change: insights::Change) -> pb::InsightChange {
    let insights::Change { family, from, to, before, after } = change;
    pb::InsightChange {
        family: family.to_owned(),
        from: Some(millisecond::to_proto(from)),
        to: Some(millisecond::to_proto(to)),
        count_before: convert::count::to_proto(before.count),
        count_after: convert::count::to_proto(after.count),
        mean_intensity_before: before.mean(),
        mean_intensity_after: after.mean(),
    }
}

pub(crate) fn vocabulary() -> pb::Vocabulary {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let family = |Words { name, light, medium, strong }: &Words| pb::EmotionFamily {
        family: (*name).to_owned(),
        light: words(light),
        medium: words(medium),
        strong: words(strong),
    };
    pb::Vocabulary { version: VERSION.to_owned(), families: VOCABULARY.iter().map(family).collect() }
}

fn own(bad: &mut Violations, client_id: &str, permit: Write) {
    if !client_id.is_empty() && client_id.parse() != Ok(permit.client()) {
        bad.add("clientId", FieldError::new(FieldReason::Mismatch, "must be your own id, or be left out"));
    }
}

/// Parses the least intensity of a filter, for which zero is the same as none.
fn least_intensity(least: i32) -> Result<Intensity, FieldError> {
    Intensity::try_from(least).map_err(|_| FieldError::out_of_range(0, 5))
}

fn felt_at(timestamp: Option<prost_types::Timestamp>, now: Timestamp) -> Result<FeltAt, FieldError> {
    FeltAt::new(millisecond::floor_from_proto(timestamp.ok_or(FieldError::REQUIRED)?)?, now)
}

const fn visibility_to_proto(visibility: Visibility) -> pb::Visibility {
    match visibility {
        Visibility::Shared => pb::Visibility::Shared,
        Visibility::Private => pb::Visibility::Private,
    }
}

/// Parses the visibility of a request, if there is one.
fn parse_visibility(visibility: i32) -> Result<Option<Visibility>, FieldError> {
    match pb::Visibility::try_from(visibility) {
        Ok(pb::Visibility::Unspecified) => Ok(None),
        Ok(pb::Visibility::Shared) => Ok(Some(Visibility::Shared)),
        Ok(pb::Visibility::Private) => Ok(Some(Visibility::Private)),
        Err(_) => Err(FieldError::not_one_of(&["SHARED", "PRIVATE"])),
    }
}

fn zone(name: &str) -> Result<TimeZone, FieldError> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown());
    zone.ok_or(FieldError::new(FieldReason::UnknownValue, "is not an IANA time zone such as Asia/Kolkata"))
}

/// Parses a range whose bounds may be left out: `default` returns the missing ones, given the end if it is there.
///
/// Times are stored in milliseconds: an instant within a millisecond is rounded up to the next one.
fn range(
    bad: &mut Violations,
    from: Option<prost_types::Timestamp>,
    to: Option<prost_types::Timestamp>,
    default: impl FnOnce(Option<i64>) -> Range,
) -> Option<Range> {
    let (from, to) = convert::range::from_proto(bad, ("from", from), ("to", to), millisecond::ceil_from_proto)?;
    let default = default(to);
    let range = Range { from: from.unwrap_or(default.from), to: default.to };
    convert::range::require_order(bad, ("from", range.from), ("to", range.to)).then_some(range)
}

#[cfg(test)]
mod tests {
    use kernel::{LoginId, Person, Role, UserId};

    use super::*;
    use crate::policy;

    fn permit() -> Write {
        let user_id = UserId::from_bytes([1; 16]);
        let person = Person { user_id, role: Role::Client, login_id: LoginId::from_bytes([9; 16]) };
        policy::write(person, &user_id.to_string()).unwrap()
    }

    fn timestamp(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    fn fields(error: &Error) -> Vec<&str> {
        error.violations().iter().map(|violation| &*violation.field).collect()
    }

    #[test]
    fn invalid_timestamp_or_visibility_is_refused_by_field() {
        let entry = |timestamp, visibility| pb::JournalEntry {
            emotion: Some("calm".to_owned()),
            intensity: Some(3),
            timestamp: Some(timestamp),
            visibility,
            ..pb::JournalEntry::default()
        };
        let now = Timestamp::from_second(1_000).unwrap();
        assert!(draft(entry(timestamp(1_000, 999_999_999), 0), permit(), now).is_ok());
        for (bad, visibility, expected) in [
            (timestamp(0, -1), 0, &["timestamp"][..]),
            (timestamp(0, 1_000_000_000), 0, &["timestamp"]),
            (timestamp(i64::MAX, 0), 0, &["timestamp"]),
            (timestamp(i64::MIN, 0), 0, &["timestamp"]),
            (timestamp(-1, 999_999_999), 0, &["timestamp"]),
            (timestamp(253_402_300_800, 0), 7, &["timestamp", "visibility"]),
            (timestamp(0, 0), -1, &["visibility"]),
        ] {
            let refused = draft(entry(bad, visibility), permit(), now).unwrap_err();
            assert_eq!(fields(&refused), expected, "{bad:?}");
        }
        let id = EntryId::generate(FeltAt::new(5, now).unwrap(), &chassis::SystemEntropy);
        let refused = change(entry(timestamp(0, -1), 3), permit(), id).unwrap_err();
        assert_eq!(fields(&refused), ["timestamp", "visibility"]);
        assert!(change(entry(timestamp(0, 5_999_999), 0), permit(), id).is_ok());
    }

    #[test]
    fn range_bounds_round_up_to_the_millisecond() {
        let list = |from, to| {
            entry_query(pb::ListEntriesRequest { from: Some(from), to: Some(to), ..pb::ListEntriesRequest::default() })
        };
        let range = |from, to| list(from, to).map(|query| (query.range.from, query.range.to));
        assert_eq!(range(timestamp(1, 0), timestamp(2, 0)).unwrap(), (1_000, 2_000));
        assert_eq!(range(timestamp(1, 1), timestamp(2, 1)).unwrap(), (1_001, 2_001));
        assert_eq!(range(timestamp(-1, 999_999_999), timestamp(1, 1_000_001)).unwrap(), (0, 1_002));
        assert_eq!(fields(&range(timestamp(1, 1), timestamp(1, 2)).unwrap_err()), ["to"]);
        assert_eq!(fields(&range(timestamp(1, -1), timestamp(i64::MAX, 0)).unwrap_err()), ["from", "to"]);
    }

    #[test]
    fn insights_default_to_the_90_days_before_the_end() {
        let now = Timestamp::from_second(100 * 86_400).unwrap();
        let range = |from, to| {
            let request = pb::GetInsightsRequest { from, to, ..pb::GetInsightsRequest::default() };
            plan(request, now).unwrap().range()
        };
        let day = |day: i64| timestamp(day * 86_400, 0);
        let days = |from: i64, to: i64| Range { from: from * 86_400_000, to: to * 86_400_000 };
        assert_eq!(range(None, None), days(10, 100));
        assert_eq!(range(None, Some(day(95))), days(5, 95));
        assert_eq!(range(Some(day(99)), None), days(99, 100));
        assert_eq!(range(Some(day(-9)), Some(day(9))), days(-9, 9));
        // The range does not begin before the year 1, the first valid instant.
        assert_eq!(range(None, Some(day(-719_161))), days(-719_162, -719_161));
        let ends = |nanos| Some(prost_types::Timestamp { seconds: 253_402_300_799, nanos });
        assert_eq!(range(ends(0), ends(999_999_999)).to, millisecond::LAST);
    }
}
