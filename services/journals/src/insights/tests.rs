use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;

use super::*;
use crate::model::Range;
use crate::vocabulary::VOCABULARY;

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata", "America/Havana"];

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn starts(name: &str, bucket: Bucket, from: &str, to: &str) -> Vec<String> {
    let plan = Plan::new(zone(name), bucket, Range { from: at(from), to: at(to) }).unwrap();
    plan.buckets().map(|(start, _)| Timestamp::from_millisecond(start).unwrap().to_string()).collect()
}

fn family(name: &str) -> Option<Family> {
    Some(Family::named(name).unwrap())
}

#[test]
fn day_of_23_or_25_hours_begins_at_local_midnight() {
    let berlin = starts("Europe/Berlin", Bucket::Day, "2026-03-28T12:00:00Z", "2026-03-31T00:00:00Z");
    assert_eq!(
        berlin,
        ["2026-03-28T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"]
    );
    let autumn = starts("Europe/Berlin", Bucket::Day, "2026-10-24T22:00:00Z", "2026-10-27T00:00:00Z");
    assert_eq!(autumn, ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"]);
    let kolkata = starts("Asia/Kolkata", Bucket::Day, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    assert_eq!(kolkata, ["2026-01-01T00:00:00Z", "2026-01-01T18:30:00Z"]);
}

#[test]
fn day_without_midnight_begins_later_and_skipped_day_is_absent() {
    // On 4 November 2018 the clocks went from 00:00 to 01:00.
    let sao_paulo = starts("America/Sao_Paulo", Bucket::Day, "2018-11-03T03:00:00Z", "2018-11-05T03:00:00Z");
    assert_eq!(sao_paulo, ["2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]);
    // There was no 30 December 2011.
    let apia = starts("Pacific/Apia", Bucket::Day, "2011-12-29T10:00:00Z", "2011-12-31T10:00:01Z");
    assert_eq!(apia, ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]);
    // On 4 November 2018 the clocks went from 01:00 back to 00:00: midnight came twice.
    let havana = starts("America/Havana", Bucket::Day, "2018-11-03T04:00:00Z", "2018-11-05T05:00:01Z");
    assert_eq!(havana, ["2018-11-03T04:00:00Z", "2018-11-04T04:00:00Z", "2018-11-05T05:00:00Z"]);
}

#[test]
fn weeks_begin_on_monday_and_months_on_the_first() {
    let weeks = starts("UTC", Bucket::Week, "2026-11-22T00:00:00Z", "2026-12-01T00:00:00Z");
    assert_eq!(weeks, ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]);
    let months = starts("Europe/Berlin", Bucket::Month, "2026-02-10T00:00:00Z", "2026-05-01T00:00:00Z");
    assert_eq!(
        months,
        ["2026-02-10T00:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"]
    );
}

#[test]
fn plan_has_at_most_400_buckets() {
    let days =
        |days: i64| Range { from: at("2026-01-01T00:00:00Z"), to: at("2026-01-01T00:00:00Z") + days * 86_400_000 };
    assert_eq!(Plan::new(TimeZone::UTC, Bucket::Day, days(400)).map(|plan| plan.len()), Some(400));
    assert!(Plan::new(TimeZone::UTC, Bucket::Day, days(401)).is_none());
    assert_eq!(Plan::new(TimeZone::UTC, Bucket::Month, days(401)).map(|plan| plan.len()), Some(14));
}

#[test]
fn first_and_last_instants_have_buckets() {
    let (first, last) = (at("0001-01-01T00:00:00Z"), 253_402_300_799_999);
    for name in ZONES {
        assert!(Plan::new(zone(name), Bucket::Month, Range { from: first, to: first + 1 }).is_some());
        for bucket in [Bucket::Day, Bucket::Week, Bucket::Month] {
            let plan = Plan::new(zone(name), bucket, Range { from: last - 86_400_000 * 9, to: last + 1 }).unwrap();
            assert_eq!(plan.buckets().last().unwrap().1, last + 1, "{name}");
        }
    }
}

#[test]
fn changes_are_ordered_by_strength_deterministically() {
    let day = |day: i64| at("2026-01-01T12:00:00Z") + day * 86_400_000;
    let range = Range { from: at("2026-01-01T00:00:00Z"), to: at("2026-01-05T00:00:00Z") };
    let mut sums = Sums::new(Plan::new(TimeZone::UTC, Bucket::Day, range).unwrap());
    for (days, name, intensity) in
        [(0, "anger", 5), (0, "anger", 4), (1, "fear", 3), (2, "fear", 3), (2, "hurt", 3), (3, "happiness", 2)]
    {
        sums.add(day(days), family(name), intensity);
    }
    sums.add(day(3), None, 1);
    let listed: Vec<_> = sums.changes().iter().map(|c| (c.family, c.from, c.before.weight, c.after.weight)).collect();
    let begin = |number: i64| range.from + number * 86_400_000;
    assert_eq!(
        listed,
        [
            ("anger", begin(0), 9, 0),
            ("fear", begin(2), 3, 0),
            ("hurt", begin(2), 3, 0),
            ("hurt", begin(1), 0, 3),
            ("fear", begin(0), 0, 3),
        ]
    );
    let last = sums.buckets().last().unwrap();
    assert_eq!(
        last.families.iter().map(|(name, tally)| (*name, tally.count)).collect::<Vec<_>>(),
        [("happiness", 1), ("", 1)]
    );
}

/// Returns the first day of the bucket that contains a day, by counting days back.
fn oracle(bucket: Bucket, day: Date) -> Date {
    let begins = |day: &Date| match bucket {
        Bucket::Day => true,
        Bucket::Week => day.weekday() == jiff::civil::Weekday::Monday,
        Bucket::Month => day.day() == 1,
    };
    std::iter::successors(Some(day), |day| Some(day.checked_sub(1.day()).unwrap())).find(begins).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn entry_is_in_the_bucket_of_its_local_day(
        name in prop::sample::select(&ZONES[..]),
        bucket in prop::sample::select(&[Bucket::Day, Bucket::Week, Bucket::Month][..]),
        begin in prop::sample::select(&["2011-12-20T00:00:00Z", "2018-10-01T00:00:00Z", "2018-11-01T07:00:00Z", "2026-03-20T03:30:00Z", "2026-10-01T00:00:00Z"][..]),
        offset in 0_i64..30 * 86_400_000,
        length in 1_i64..120 * 86_400_000,
        felt in prop::collection::vec((0_i64..160 * 86_400_000, 0_usize..=FAMILIES, 1_u8..=5), 0..60),
    ) {
        let range = Range { from: at(begin) + offset, to: at(begin) + offset + length };
        let zone = zone(name);
        let plan = Plan::new(zone.clone(), bucket, range).unwrap();
        let mut sums = Sums::new(plan);
        let day_of = |millisecond: i64| {
            oracle(bucket, Timestamp::from_millisecond(millisecond).unwrap().to_zoned(zone.clone()).date())
        };
        let mut expected = std::collections::BTreeMap::<(Date, &str), (u32, u32)>::new();
        for (after, place, intensity) in felt {
            let (millisecond, name) = (at(begin) + after, VOCABULARY.get(place).map_or("", |words| words.name));
            sums.add(millisecond, Family::named(name), intensity);
            if (range.from..range.to).contains(&millisecond) {
                let tally = expected.entry((day_of(millisecond), name)).or_default();
                *tally = (tally.0 + 1, tally.1 + u32::from(intensity));
            }
        }
        let buckets: Vec<_> = sums.buckets().collect();
        prop_assert_eq!(buckets.first().unwrap().start, range.from);
        prop_assert_eq!(buckets.last().unwrap().end, range.to);
        let mut found = std::collections::BTreeMap::new();
        for (number, bucketful) in buckets.iter().enumerate() {
            prop_assert!(bucketful.start < bucketful.end);
            prop_assert!(buckets.get(number + 1).is_none_or(|next| next.start == bucketful.end));
            // The first and the last instant of a bucket are of one local day, week or month.
            prop_assert_eq!(day_of(bucketful.start), day_of(bucketful.end - 1));
            prop_assert!(number == 0 || day_of(bucketful.start - 1) < day_of(bucketful.start));
            for (name, tally) in &bucketful.families {
                found.insert((day_of(bucketful.start), *name), (tally.count, tally.weight));
            }
        }
        prop_assert_eq!(found, expected);
    }
}
