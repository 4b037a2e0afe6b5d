//! Tests of the store and its pages, on both engines.

mod changes;
mod fixture;
mod texts;

use std::sync::Arc;

use chassis::SystemEntropy;
use dynamo::seal::SealingKey;
use dynamo::secret::{Secret, Secrets};
use dynamo::{Key, PageTokens, Table};
use kernel::{ClientId, Kind, LoginId, PageSize, Person, Role, SystemClock, Timestamp, UserId, Version};
use kit::engine::Engine;
use kit::subscriber::account_ended;
use outbox::{Mark, Topic};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};
use subscriber::AccountDeletionPermit;

use crate::JOURNALS;
use crate::entry_query::{EntryQuery, Filter};
use crate::error::no_journal;
use crate::insights::{Bucket, Plan, Sums};
use crate::model::{Content, Entry, EntryId, FeltAt, Intensity, Range, Visibility};
use crate::pages::Pages;
use crate::policy::{self, Answer, Read, Reading, Write};
use crate::reads::sum;
use crate::store::Store;

kit::on_each_engine!(
    entry_opens_only_under_its_own_key_and_place,
    entry_without_time_of_sharing_shows_its_last_change,
    entries_of_one_millisecond_are_all_listed,
    pages_of_any_size_cover_the_permitted_list,
    private_entries_change_no_page_of_a_therapist,
    page_token_is_bound_to_its_grant,
    filtered_page_reads_at_most_500_entries,
    sums_cover_shown_entries_up_to_the_maximum,
    account_deletion_erases_only_own_entries,
);

const NOW: i64 = 1_800_000_000_000;

struct World {
    table: Table,
    pages: Pages,
    key: SealingKey,
    permit: Write,
}

fn person(role: Role, byte: u8) -> Person {
    Person { user_id: UserId::from_bytes([byte; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
}

fn write(byte: u8) -> Write {
    let person = person(Role::Client, byte);
    policy::write(person, &person.user_id.to_string()).unwrap()
}

fn caller() -> UserId {
    UserId::from_bytes([7; 16])
}

impl World {
    async fn new(engine: Engine) -> Self {
        let client = engine.client().await;
        client.create_or_verify(&[&JOURNALS]).await.unwrap();
        Self::over(&client)
    }

    /// Creates the fixture over an existing table.
    fn over(client: &dynamo::Client) -> Self {
        let table = client.table(&JOURNALS);
        let secrets = Secrets::new(Secret::new([1; 32]), vec![]);
        let pages = Pages {
            store: Store::new(table.clone(), Arc::new(SystemEntropy)),
            tokens: PageTokens::new(&secrets, "test", Arc::new(SystemEntropy)).unwrap(),
        };
        Self { table, pages, key: SealingKey::new(&[2; 32]).unwrap(), permit: write(1) }
    }

    fn client(&self) -> ClientId {
        self.permit.client()
    }

    fn granted(&self, grant: &str, entries_from: i64) -> Read {
        let reading = policy::read(person(Role::Therapist, 7), &self.client().to_string(), no_journal).unwrap();
        let Reading::Ask(question) = reading else { panic!("a therapist is asked about") };
        let answer = Answer { granted: true, grant_id: grant.to_owned(), entries_from };
        question.answered(answer).unwrap()
    }

    fn mark() -> Mark {
        Mark::of_topic(Topic::Text, &SystemClock, &SystemEntropy)
    }

    fn entry(millisecond: i64, emotion: &str, intensity: i32, visibility: Visibility) -> Entry {
        let now = Timestamp::from_millisecond(NOW).unwrap();
        let id = EntryId::generate(FeltAt::new(millisecond, now).unwrap(), &SystemEntropy);
        let content = Content {
            emotion: emotion.parse().unwrap(),
            intensity: Intensity::try_from(intensity).unwrap(),
            note: format!("about {emotion}").try_into().unwrap(),
            visibility,
        };
        Entry::new(id, content, now)
    }

    async fn add(&self, millisecond: i64, emotion: &str, intensity: i32, visibility: Visibility) -> Entry {
        let entry = Self::entry(millisecond, emotion, intensity, visibility);
        self.pages.store.add(self.permit, &self.key, &entry, Self::mark(), None).await.unwrap();
        entry
    }

    /// Reads every page.
    async fn all(&self, permit: &Read, range: Range, filter: (&str, i32), size: i32) -> Vec<Vec<Entry>> {
        let mut pages = Vec::new();
        let mut token = String::new();
        loop {
            let query = entry_query(range, filter, size, token);
            let page = self.pages.page(permit, &self.key, caller(), &query).await.unwrap();
            pages.push(page.items);
            match page.next {
                Some(next) => token = next,
                None => return pages,
            }
        }
    }
}

fn entry_query(range: Range, (emotion, min): (&str, i32), size: i32, token: String) -> EntryQuery {
    let filter = Filter {
        emotion: emotion.parse::<crate::model::Emotion>().ok().map(Into::into),
        min_intensity: Intensity::try_from(min).ok(),
    };
    EntryQuery { range, filter, size: PageSize::from_request(size).unwrap(), token }
}

async fn entry_opens_only_under_its_own_key_and_place(engine: Engine) {
    #[derive(Serialize, Deserialize)]
    struct Stored {
        #[serde(with = "serde_bytes")]
        content: Vec<u8>,
        format: u8,
        created_at: String,
        updated_at: String,
        version: u64,
    }
    let world = World::new(engine).await;
    let entry = world.add(NOW, "canary", 3, Visibility::Private).await;
    let place = |client: ClientId, id: EntryId| Key::new(format!("CLIENT#{client}"), format!("ENTRY#{id}"));
    let home = place(world.client(), entry.id);
    let stored: Stored = world.table.get(&home, dynamo::Read::Consistent).await.unwrap().unwrap();
    assert!(!stored.content.windows(6).any(|window| window == b"canary"), "sealed");
    let opened = async |permit: Write, id| world.pages.store.entry(&permit.read(), &world.key, id).await;
    assert_eq!(opened(world.permit, entry.id).await.unwrap(), Some(entry.clone()));
    let another = SealingKey::new(&[3; 32]).unwrap();
    let foreign = world.pages.store.entry(&world.permit.read(), &another, entry.id).await;
    assert_eq!(foreign.unwrap_err().kind(), Kind::Internal);

    let elsewhere = world.add(NOW, "other", 1, Visibility::Shared).await;
    for (permit, id) in [(write(5), entry.id), (world.permit, elsewhere.id)] {
        let _ = world.table.put(&place(permit.client(), id), &stored).run().await.unwrap();
        assert_eq!(opened(permit, id).await.unwrap_err().kind(), Kind::Internal);
    }
    for (byte, format) in [(stored.content.len() - 1, 1), (0, 1), (20, 1), (usize::MAX, 2)] {
        let mut changed = Stored { format, content: stored.content.clone(), ..read(&world, &home).await };
        if let Some(byte) = changed.content.get_mut(byte) {
            *byte ^= 1;
        }
        let _ = world.table.put(&home, &changed).run().await.unwrap();
        assert_eq!(opened(world.permit, entry.id).await.unwrap_err().kind(), Kind::Internal, "byte {byte}");
    }

    async fn read(world: &World, home: &Key) -> Stored {
        world.table.get(home, dynamo::Read::Consistent).await.unwrap().unwrap()
    }
}

/// Rule 8: if the time of sharing isn't stored, a therapist sees the time of the last change, since which the entry has
/// been SHARED.
async fn entry_without_time_of_sharing_shows_its_last_change(engine: Engine) {
    let world = World::new(engine).await;
    let (created_at, updated_at) =
        (Timestamp::from_millisecond(NOW).unwrap(), Timestamp::from_millisecond(NOW + 5).unwrap());
    let (own, granted) = (world.permit.read(), world.granted("g", i64::MIN));
    for (version, updated_at, seen) in
        [(Version::FIRST, created_at, created_at), (Version::FIRST.next(), updated_at, updated_at)]
    {
        let new = World::entry(NOW, "calm", 3, Visibility::Shared);
        let entry = Entry { created_at, updated_at, version, shared_since: None, ..new };
        world.pages.store.add(world.permit, &world.key, &entry, World::mark(), None).await.unwrap();
        let read = async |permit: &Read| {
            permit.view(world.pages.store.entry(permit, &world.key, entry.id).await.unwrap().unwrap())
        };
        let view = read(&granted).await;
        assert_eq!((view.created_at, view.updated_at, view.etag), (seen, seen, None), "{version}");
        let view = read(&own).await;
        assert_eq!((view.created_at, view.updated_at, view.etag), (created_at, updated_at, Some(version)));
    }
}

async fn entries_of_one_millisecond_are_all_listed(engine: Engine) {
    let world = World::new(engine).await;
    for _ in 0..20 {
        world.add(NOW, "calm", 3, Visibility::Shared).await;
    }
    let range = Range { from: NOW, to: NOW + 1 };
    let pages = world.all(&world.permit.read(), range, ("", 0), 7).await;
    let mut ids: Vec<_> = pages.concat().iter().map(|entry| entry.id).collect();
    assert!(ids.is_sorted_by(|one, other| one > other), "newest first, each once");
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

async fn account_deletion_erases_only_own_entries(engine: Engine) {
    let mut world = World::new(engine).await;
    for millisecond in 0..450 {
        world.add(NOW - millisecond, "calm", 3, Visibility::Shared).await;
    }
    let ended = world.permit;
    let event = account_ended(Role::Client, ended.client().into());
    let deletion = AccountDeletionPermit::from_proto(&event, None).unwrap();
    world.permit = write(2);
    world.add(NOW, "calm", 3, Visibility::Private).await;
    // Deliveries of the event may be repeated.
    for _ in 0..2 {
        world.pages.store.erase(deletion).await.unwrap();
        for (permit, left) in [(ended, 0), (world.permit, 1)] {
            let pages = world.all(&permit.read(), Range::ALL, ("", 0), 200).await;
            assert_eq!(pages.concat().len(), left);
        }
    }
}

async fn pages_of_any_size_cover_the_permitted_list(engine: Engine) {
    let world = World::new(engine).await;
    let mut runner = TestRunner::default();
    println!("seed: {:?}", runner.rng());
    let mut draw = |most: i64| (0..most).new_tree(&mut runner).unwrap().current();
    let words = ["furious", "Angry", "saudade", "SAUDADE", "calm", "lonely"];
    let mut entries = Vec::new();
    for _ in 0..120 {
        let visibility = if draw(3) == 0 { Visibility::Private } else { Visibility::Shared };
        let (emotion, strength) = (words[usize::try_from(draw(6)).unwrap()], i32::try_from(1 + draw(5)).unwrap());
        entries.push(world.add(NOW - draw(60), emotion, strength, visibility).await);
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    for round in 0..30 {
        let entries_from = NOW - draw(70);
        let permit = if round % 2 == 0 { world.permit.read() } else { world.granted("g", entries_from) };
        let from = NOW - 60 + draw(50);
        let range = if draw(3) == 0 { Range::ALL } else { Range { from, to: from + 1 + draw(40) } };
        let filter = [("", 0), ("", 3), ("anger", 0), ("Saudade", 2), ("calm", 0)][usize::try_from(draw(5)).unwrap()];
        let size = i32::try_from(1 + draw(40)).unwrap();
        let admitted = |entry: &&Entry| {
            let word = entry.content.emotion.as_str().to_lowercase();
            let word = match filter.0 {
                "" => true,
                "anger" => word == "furious" || word == "angry",
                wanted => word == wanted.to_lowercase(),
            };
            let time = entry.id.millisecond();
            let granted =
                permit.grant().is_none() || (entry.content.visibility == Visibility::Shared && time >= entries_from);
            word && granted
                && i32::from(entry.content.intensity.get()) >= filter.1
                && (range.from..range.to).contains(&time)
        };
        let expected: Vec<_> = entries.iter().filter(admitted).cloned().collect();
        let pages = world.all(&permit, range, filter, size).await;
        assert!(pages.iter().all(|page| page.len() <= usize::try_from(size).unwrap()));
        assert!(pages.concat() == expected, "round {round}: {filter:?}, {size} a page, {range:?}");
    }
}

async fn private_entries_change_no_page_of_a_therapist(engine: Engine) {
    let world = World::new(engine).await;
    for number in 0..40 {
        world.add(NOW - number * 20, "calm", 3, Visibility::Shared).await;
        for hidden in 1..=number.min(16) {
            world.add(NOW - number * 20 - hidden, "secret", 5, Visibility::Private).await;
        }
    }
    let permit = world.granted("g", i64::MIN);
    for size in [1, 3, 10, 20, 40, 50] {
        let pages = world.all(&permit, Range::ALL, ("", 0), size).await;
        let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
        let (size, full) = (usize::try_from(size).unwrap(), 40 / usize::try_from(size).unwrap());
        let expected: Vec<_> =
            std::iter::repeat_n(size, full).chain(Some(40 % size).filter(|rest| *rest > 0)).collect();
        assert_eq!(lengths, expected, "as if there were 40 entries in all");
        assert!(pages.concat().iter().all(|entry| entry.content.visibility == Visibility::Shared));
    }
    let only_hidden = Range { from: NOW - 40 * 20, to: NOW - 39 * 20 };
    assert_eq!(world.all(&permit, only_hidden, ("", 0), 1).await, [Vec::new()]);
}

async fn page_token_is_bound_to_its_grant(engine: Engine) {
    let world = World::new(engine).await;
    for number in 0..6 {
        world.add(NOW - number, "calm", 3, Visibility::Shared).await;
    }
    let page = async |permit: &Read, who: UserId, query: &EntryQuery| {
        world.pages.page(permit, &world.key, who, query).await.map_err(|error| error.kind())
    };
    let old = world.granted("one", i64::MIN);
    let all = |token: &str| entry_query(Range::ALL, ("", 0), 2, token.to_owned());
    let token = page(&old, caller(), &all("")).await.unwrap().next.unwrap();
    assert_eq!(page(&old, caller(), &all(&token)).await.unwrap().items.len(), 2);
    let refused = Some(Kind::InvalidArgument);
    for (permit, who, query) in [
        (world.granted("two", i64::MIN), caller(), all(&token)),
        (world.granted("one", NOW - 3), caller(), all(&token)),
        (old.clone(), UserId::from_bytes([8; 16]), all(&token)),
        (world.permit.read(), caller(), all(&token)),
        (old.clone(), caller(), entry_query(Range::ALL, ("calm", 0), 2, token.clone())),
        (old.clone(), caller(), entry_query(Range::ALL, ("", 1), 2, token.clone())),
        (old.clone(), caller(), entry_query(Range { from: 0, ..Range::ALL }, ("", 0), 2, token.clone())),
        (world.granted("one", NOW + 1), caller(), all(&token)),
    ] {
        assert_eq!(page(&permit, who, &query).await.err(), refused, "{query:?}");
    }
    let own = page(&world.permit.read(), caller(), &all("")).await.unwrap().next.unwrap();
    assert_eq!(page(&old, caller(), &all(&own)).await.err(), refused);
}

async fn filtered_page_reads_at_most_500_entries(engine: Engine) {
    let world = World::new(engine).await;
    for number in 0..510 {
        let visibility = if number == 509 { Visibility::Shared } else { Visibility::Private };
        world.add(NOW - number, "calm", 3, visibility).await;
    }
    let own = world.permit.read();
    let lengths = async |permit: &Read, filter, size| {
        world.all(permit, Range::ALL, filter, size).await.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&own, ("lonely", 0), 50).await, [0, 0], "an empty page that is not the last");
    assert_eq!(lengths(&own, ("", 3), 200).await, [200, 200, 110]);
    // Private entries are not revealed to a therapist, neither by a short page nor by a token for another page.
    let granted = world.granted("g", i64::MIN);
    for filter in [("", 0), ("calm", 0), ("", 3)] {
        assert_eq!(lengths(&granted, filter, 50).await, [1], "{filter:?}");
    }
    assert_eq!(lengths(&granted, ("lonely", 0), 50).await, [0]);
}

async fn sums_cover_shown_entries_up_to_the_maximum(engine: Engine) {
    let world = World::new(engine).await;
    for number in 0..20 {
        let visibility = if number % 2 == 0 { Visibility::Shared } else { Visibility::Private };
        world.add(NOW - number, "calm", 3, visibility).await;
    }
    let plan = || Plan::new(jiff::tz::TimeZone::UTC, Bucket::Day, Range { from: NOW - 100, to: NOW }).unwrap();
    let counted = async |permit: &Read, most: usize| {
        sum(&world.pages.store, permit, &world.key, plan(), most).await.map(|(sums, count)| {
            let all = |sums: Sums| sums.buckets().flat_map(|it| it.families).map(|(_, tally)| tally.count).sum::<u32>();
            (sums.map(all), count)
        })
    };
    assert_eq!(
        counted(&world.permit.read(), 19).await.unwrap(),
        (Some(19), 19),
        "the last one is felt at the end, which is not in it"
    );
    assert_eq!(counted(&world.permit.read(), 18).await.unwrap(), (None, 19), "too many, and so many are on record");
    let granted = world.granted("g", i64::MIN);
    assert_eq!(counted(&granted, 9).await.unwrap(), (Some(9), 9), "what is hidden neither counts nor is too many");
    assert_eq!(counted(&granted, 8).await.unwrap(), (None, 9));
    assert_eq!(counted(&world.granted("g", NOW - 4), 9).await.unwrap(), (Some(2), 2));
    assert_eq!(counted(&world.granted("g", NOW), 9).await.unwrap(), (Some(0), 0));
}
