use std::time::Duration;

use dynamo::{PageRequest, PageTokens};
use kernel::{ClientId, Clock as _, LoginId, Page, PageSize, Person, Role, Timestamp, UserId};
use kit::engine::Engine;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::support::{World, secrets};
use crate::groups::{Group, MAX_RECORDS_READ, page};
use crate::model::{Access, Action};
use crate::policy;

kit::on_each_engine!(
    equal_reads_within_minute_form_one_group,
    different_reads_form_separate_groups,
    pages_of_any_size_cover_all_groups,
    group_over_read_limit_continues_on_next_page,
);

/// The content of a record without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    therapist: u8,
    access: Access,
}

/// An item of a page, with its times in seconds since the clock began.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    content: Content,
    time: i64,
    first_time: i64,
    count: u32,
}

/// Returns the content of an access that listed no entries.
fn empty() -> Content {
    let access =
        Access { action: Action::List, entry_count: 0, entry_id: String::new(), grant_id: "a grant".to_owned() };
    Content { therapist: 1, access }
}

fn second(time: Timestamp) -> i64 {
    time.as_second() - 4_102_444_800
}

impl From<Group> for Line {
    fn from(group: Group) -> Self {
        let (facts, personal) = (group.latest.facts, group.latest.personal.unwrap());
        let access = Access {
            action: facts.action,
            entry_count: facts.entry_count,
            entry_id: personal.entry_id,
            grant_id: personal.grant_id,
        };
        let content = Content { therapist: personal.therapist.as_bytes()[0], access };
        Self { content, time: second(facts.time), first_time: second(group.first_time), count: group.count }
    }
}

async fn record(world: &World, client: ClientId, content: Content) {
    let user_id = UserId::from_bytes([content.therapist; 16]);
    let person = Person { user_id, role: Role::Therapist, login_id: LoginId::from_bytes([9; 16]) };
    world.recorder.record(policy::therapist(person).unwrap().reading(client), content.access).await.unwrap();
}

/// Returns every page of a log, each made of at most `max_records` records.
async fn pages(world: &World, client: ClientId, size: i32, max_records: u16) -> Vec<Vec<Line>> {
    let tokens = PageTokens::new(&secrets(&[1]), "audit/page-tokens", world.entropy.clone()).unwrap();
    let person = Person { user_id: client.into(), role: Role::Client, login_id: LoginId::from_bytes([9; 16]) };
    let permit = policy::read(person, &client.to_string()).unwrap();
    let size = PageSize::from_request(size).unwrap();
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let request = PageRequest { caller: client.as_bytes(), token: &token, size, filters: &[] };
        let Page { items, next } = page(&world.store, &tokens, permit, request, max_records).await.unwrap();
        assert!(items.len() <= usize::from(size.get()));
        pages.push(items.into_iter().map(Line::from).collect());
        match next {
            Some(next) => token = next,
            None => return pages,
        }
    }
}

/// Rule 15: 300 empty reads, five a second.
async fn equal_reads_within_minute_form_one_group(engine: Engine) {
    let world = World::new(engine).await;
    let (client, other) = (world.client(), world.client());
    for _ in 0..300 {
        record(&world, client, empty()).await;
        world.clock.advance(Duration::from_millis(200));
    }
    record(&world, other, empty()).await;
    let line = Line { content: empty(), time: 59, first_time: 0, count: 300 };
    for size in [1, 50, 200] {
        assert_eq!(pages(&world, client, size, MAX_RECORDS_READ).await, [[line.clone()]], "{size} a page");
    }
    // 61 seconds after the first read, those of the first second are more than a minute ago.
    world.clock.advance(Duration::from_secs(1));
    record(&world, client, empty()).await;
    let later = Line { content: empty(), time: 61, first_time: 1, count: 296 };
    let before = Line { content: empty(), time: 0, first_time: 0, count: 5 };
    for size in [1, 2, 50] {
        let pages = pages(&world, client, size, MAX_RECORDS_READ).await;
        assert_eq!(pages.concat(), [later.clone(), before.clone()], "{size} a page");
    }
}

async fn different_reads_form_separate_groups(engine: Engine) {
    let world = World::new(engine).await;
    let client = world.client();
    let with = |change: fn(&mut Access)| {
        let mut content = empty();
        change(&mut content.access);
        content
    };
    let all = [
        empty(),
        Content { therapist: 2, ..empty() },
        with(|access| access.action = Action::Insight),
        with(|access| access.entry_count = 1),
        with(|access| access.entry_id = "an entry".to_owned()),
        with(|access| access.grant_id = "another grant".to_owned()),
        empty(),
    ];
    for content in &all {
        world.clock.advance(Duration::from_secs(1));
        record(&world, client, content.clone()).await;
    }
    let pages = pages(&world, client, 50, MAX_RECORDS_READ).await;
    let content: Vec<_> = pages.concat().into_iter().rev().map(|line| (line.content, line.count)).collect();
    assert_eq!(content, all.map(|content| (content, 1)), "what is equal and has another between is no neighbour");
}

async fn pages_of_any_size_cover_all_groups(engine: Engine) {
    let world = World::new(engine).await;
    let client = world.client();
    let mut runner = TestRunner::default();
    println!("seed: {:?}", runner.rng());
    let mut draw = |most: u8| (0..most).new_tree(&mut runner).unwrap().current();
    let (mut expected, mut content) = (Vec::<Line>::new(), empty());
    let mut records = Vec::new();
    for _ in 0..250 {
        world.clock.advance(Duration::from_secs(1 + u64::from(draw(20))));
        if draw(5) == 0 {
            content.therapist = draw(3);
        }
        record(&world, client, content.clone()).await;
        records.push((content.clone(), second(world.clock.now())));
    }
    for (content, time) in records.into_iter().rev() {
        match expected.last_mut() {
            Some(line) if line.content == content && line.time - time <= 60 => {
                line.first_time = time;
                line.count += 1;
            }
            _ => expected.push(Line { content, time, first_time: time, count: 1 }),
        }
    }
    assert!(expected.len() < 200, "there are groups");
    for size in [1, 2, 7, 50, 200] {
        let pages = pages(&world, client, size, MAX_RECORDS_READ).await;
        assert_eq!(pages.concat(), expected, "{size} a page");
        let (last, full) = pages.split_last().unwrap();
        let size = usize::try_from(size).unwrap();
        assert!(full.iter().all(|page| page.len() == size) && !last.is_empty(), "no page is short, or one too many");
    }
}

async fn group_over_read_limit_continues_on_next_page(engine: Engine) {
    let world = World::new(engine).await;
    let client = world.client();
    for _ in 0..16 {
        world.clock.advance(Duration::from_secs(1));
        record(&world, client, empty()).await;
    }
    let line = |time, first_time, count| Line { content: empty(), time, first_time, count };
    let expected = [[line(16, 10, 7)], [line(9, 3, 7)], [line(2, 1, 2)]];
    assert_eq!(pages(&world, client, 50, 7).await, expected);
    assert_eq!(pages(&world, client, 1, 17).await, [[line(16, 1, 16)]]);
}
