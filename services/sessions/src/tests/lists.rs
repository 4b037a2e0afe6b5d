use kernel::{Page, PageSize, SessionId, Timestamp};
use kit::engine::Engine;

use super::{Chance, NOW, World, context, slot};
use crate::list::{Range, Search};
use crate::model::{OwnSession, Status};
use crate::policy::{Own, Visit};

kit::on_each_engine!(
    pages_of_any_size_are_all_that_is_asked_for_and_may_be_seen,
    a_page_token_is_good_for_its_list_and_its_caller_alone,
    a_client_never_sees_what_has_begun_of_what_is_available,
);

const STATUSES: [Option<Status>; 4] = [None, Some(Status::Available), Some(Status::Booked), Some(Status::Cancelled)];

pub(super) fn search(status: Option<Status>, range: Range, size: i32, token: &str) -> Search {
    Search { status, range, size: PageSize::from_request(size).unwrap(), token: token.to_owned() }
}

struct Practice {
    world: World,
    therapists: Vec<Own>,
    clients: Vec<Visit>,
    sessions: Vec<OwnSession>,
}

async fn practice(engine: Engine, chance: &mut Chance) -> Practice {
    let world = World::new(engine).await;
    let therapists: Vec<_> = (0..2).map(|_| world.therapist()).collect();
    let clients: Vec<_> = (0..3).map(|_| world.client()).collect();
    let mut sessions = Vec::new();
    for number in 0..36 {
        for permit in &therapists {
            let client = (chance.below(2) == 0).then(|| *chance.of(&clients));
            let mut session = world.add(*permit, slot(1440 + number * 40, 30), client).await.unwrap();
            if chance.below(4) == 0 {
                session = world.set(*permit, session.session.id, Status::Cancelled).await.unwrap();
            }
            sessions.push(session);
        }
    }
    sessions.sort_by_key(|it| (it.session.slot.start(), it.session.id));
    Practice { world, therapists, clients, sessions }
}

impl Practice {
    async fn own(
        &self,
        permit: Own,
        client: Option<Visit>,
        status: Option<Status>,
        range: Range,
        size: i32,
    ) -> Vec<SessionId> {
        let client = client.map(Visit::client);
        let page = async |token: String| {
            let search = search(status, range, size, &token);
            let page = self.world.ops.list_own(&context(), permit, client, &search).await.unwrap();
            page.map(|own| own.session.id)
        };
        all(page, size).await
    }

    async fn seen(
        &self,
        permit: Visit,
        (therapist, only_own): (Option<Own>, bool),
        status: Option<Status>,
        range: Range,
        size: i32,
    ) -> Vec<SessionId> {
        let only = only_own.then_some(permit.client());
        let therapist = therapist.map(Own::therapist);
        let page = async |token: String| {
            let search = search(status, range, size, &token);
            let page = self.world.ops.list_seen(&context(), permit, therapist, only, &search).await.unwrap();
            page.map(|seen| seen.session.id)
        };
        all(page, size).await
    }

    fn expected(&self, shown: impl Fn(&OwnSession) -> bool, status: Option<Status>, range: Range) -> Vec<SessionId> {
        let asked = |it: &&OwnSession| {
            let start = it.session.slot.start();
            status.is_none_or(|status| it.session.state.status() == status)
                && range.from.is_none_or(|from| from <= start)
                && range.to.is_none_or(|to| start < to)
        };
        self.sessions.iter().filter(asked).filter(|it| shown(it)).map(|it| it.session.id).collect()
    }
}

/// What is on all pages, one after the other.
async fn all(page: impl AsyncFn(String) -> Page<SessionId>, size: i32) -> Vec<SessionId> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let Page { items, next } = page(token).await;
        assert!(items.len() <= usize::try_from(size).unwrap());
        all.extend(items);
        match next {
            Some(next) => token = next,
            None => return all,
        }
    }
}

fn drawn(chance: &mut Chance) -> Range {
    let mut bound = |minute| Timestamp::from_second(NOW + (minute + chance.below(500)) * 60).unwrap();
    let (from, to) = (bound(1300), bound(2000));
    match chance.below(4) {
        0 => Range::default(),
        1 => Range { from: Some(from), to: None },
        2 => Range { from: None, to: Some(to) },
        _ => Range { from: Some(from), to: Some(to) },
    }
}

async fn pages_of_any_size_are_all_that_is_asked_for_and_may_be_seen(engine: Engine) {
    let mut chance = Chance::new();
    let practice = practice(engine, &mut chance).await;
    for round in 0..24 {
        let (therapist, client) = (*chance.of(&practice.therapists), *chance.of(&practice.clients));
        let (range, status) = (drawn(&mut chance), *chance.of(&STATUSES));
        let size = i32::try_from(1 + chance.below(30)).unwrap();
        let owned = |it: &OwnSession| therapist.owns(&it.session);
        let visited = |it: &OwnSession| it.session.state.client() == Some(client.client());
        let why = format!("round {round}: {status:?} {range:?} {size}");
        let own = practice.own(therapist, None, status, range, size).await;
        assert_eq!(own, practice.expected(owned, status, range), "own: {why}");
        let with = practice.own(therapist, Some(client), status, range, size).await;
        assert_eq!(with, practice.expected(|it| owned(it) && visited(it), status, range), "with: {why}");
        let seen = practice.seen(client, (None, false), status, range, size).await;
        assert_eq!(seen, practice.expected(visited, status, range), "seen: {why}");
        let mine = practice.seen(client, (Some(therapist), true), status, range, size).await;
        assert_eq!(mine, practice.expected(|it| owned(it) && visited(it), status, range), "mine: {why}");
        let both = practice.seen(client, (Some(therapist), false), status, range, size).await;
        let may = |it: &OwnSession| owned(it) && client.sees(&it.session).is_some();
        assert_eq!(both, practice.expected(may, status, range), "both: {why}");
    }
}

async fn a_page_token_is_good_for_its_list_and_its_caller_alone(engine: Engine) {
    let practice = practice(engine, &mut Chance::new()).await;
    let ops = &practice.world.ops;
    let (therapist, other) = (practice.therapists[0], practice.therapists[1]);
    let client = practice.clients[0];
    let all = |token: &str| search(None, Range::default(), 3, token);
    let token = ops.list_own(&context(), therapist, None, &all("")).await.unwrap().next.unwrap();
    assert_eq!(ops.list_own(&context(), therapist, None, &all(&token)).await.unwrap().items.len(), 3);
    let from = Range { from: Some(Timestamp::from_second(NOW).unwrap()), to: None };
    for (permit, with, search) in [
        (other, None, all(&token)),
        (therapist, Some(client.client()), all(&token)),
        (therapist, None, search(Some(Status::Available), Range::default(), 3, &token)),
        (therapist, None, search(None, from, 3, &token)),
        (therapist, None, all("nonsense")),
    ] {
        let refused = ops.list_own(&context(), permit, with, &search).await.unwrap_err();
        assert_eq!(refused.violations()[0].field, "pageToken", "{search:?}");
    }
    let seen = async |therapist: Option<Own>, token: &str| {
        ops.list_seen(&context(), client, therapist.map(Own::therapist), None, &all(token)).await
    };
    assert!(seen(None, &token).await.is_err());
    let token = seen(Some(therapist), "").await.unwrap().next.unwrap();
    assert!(seen(Some(other), &token).await.is_err() && seen(None, &token).await.is_err());
    let (of, only) = (Some(therapist.therapist()), Some(client.client()));
    assert!(ops.list_seen(&context(), client, of, only, &all(&token)).await.is_err());
    // Time goes on between two pages.
    practice.world.clock.advance(std::time::Duration::from_secs(1440 * 60));
    assert!(seen(Some(therapist), &token).await.is_ok());
}

async fn a_client_never_sees_what_has_begun_of_what_is_available(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    for number in 0..6 {
        let booked = (number == 1).then_some(client);
        world.add(permit, slot(1440 + number * 60, 30), booked).await.unwrap();
    }
    let seen = async |status| {
        let search = search(status, Range::default(), 50, "");
        world.ops.list_seen(&context(), client, Some(permit.therapist()), None, &search).await.unwrap().items
    };
    assert_eq!((seen(None).await.len(), seen(Some(Status::Available)).await.len()), (6, 5));
    world.clock.advance(std::time::Duration::from_secs((1440 + 120) * 60));
    assert_eq!((seen(None).await.len(), seen(Some(Status::Available)).await.len()), (4, 3), "the own one stays");
    assert_eq!(seen(Some(Status::Booked)).await.len(), 1);
}
