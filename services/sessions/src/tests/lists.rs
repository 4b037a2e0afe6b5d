use kernel::{Page, PageSize, SessionId, Timestamp};
use kit::engine::Engine;

use super::{NOW, SeededRng, World, context, slot};
use crate::model::{OwnSession, Range, SessionQuery, Status};
use crate::policy::{ClientPermit, Own};

kit::on_each_engine!(
    pages_of_any_size_hold_all_visible_sessions,
    page_token_is_bound_to_list_and_caller,
    begun_available_session_is_hidden_from_clients,
);

const STATUSES: [Option<Status>; 4] = [None, Some(Status::Available), Some(Status::Booked), Some(Status::Cancelled)];

pub(super) fn query(status: Option<Status>, range: Range, size: i32, token: &str) -> SessionQuery {
    SessionQuery { status, range, size: PageSize::from_request(size).unwrap(), token: token.to_owned() }
}

struct Fixture {
    world: World,
    therapists: Vec<Own>,
    clients: Vec<ClientPermit>,
    sessions: Vec<OwnSession>,
}

async fn fixture(engine: Engine, rng: &mut SeededRng) -> Fixture {
    let world = World::new(engine).await;
    let therapists: Vec<_> = (0..2).map(|_| world.therapist()).collect();
    let clients: Vec<_> = (0..3).map(|_| world.client()).collect();
    let mut sessions = Vec::new();
    for number in 0..36 {
        for permit in &therapists {
            let client = (rng.below(2) == 0).then(|| *rng.of(&clients));
            let mut session = world.add(*permit, slot(1440 + number * 40, 30), client).await.unwrap();
            if rng.below(4) == 0 {
                session = world.set(*permit, session.session.id, Status::Cancelled).await.unwrap();
            }
            sessions.push(session);
        }
    }
    sessions.sort_by_key(|it| (it.session.slot.start(), it.session.id));
    Fixture { world, therapists, clients, sessions }
}

impl Fixture {
    async fn own(
        &self,
        permit: Own,
        client: Option<ClientPermit>,
        status: Option<Status>,
        range: Range,
        size: i32,
    ) -> Vec<SessionId> {
        let client = client.map(ClientPermit::client);
        let page = async |token: String| {
            let query = query(status, range, size, &token);
            let page = self.world.ops.list_own(&context(), permit, client, &query).await.unwrap();
            page.map(|own| own.session.id)
        };
        all(page, size).await
    }

    async fn seen(
        &self,
        permit: ClientPermit,
        (therapist, only_own): (Option<Own>, bool),
        status: Option<Status>,
        range: Range,
        size: i32,
    ) -> Vec<SessionId> {
        let only = only_own.then_some(permit.client());
        let therapist = therapist.map(Own::therapist);
        let page = async |token: String| {
            let query = query(status, range, size, &token);
            let page = self.world.ops.list_seen(&context(), permit, therapist, only, &query).await.unwrap();
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

/// Returns the ids of all pages, in order.
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

fn drawn(rng: &mut SeededRng) -> Range {
    let mut bound = |minute| Timestamp::from_second(NOW + (minute + rng.below(500)) * 60).unwrap();
    let (from, to) = (bound(1300), bound(2000));
    match rng.below(4) {
        0 => Range::default(),
        1 => Range { from: Some(from), to: None },
        2 => Range { from: None, to: Some(to) },
        _ => Range { from: Some(from), to: Some(to) },
    }
}

async fn pages_of_any_size_hold_all_visible_sessions(engine: Engine) {
    let mut rng = SeededRng::new();
    let fixture = fixture(engine, &mut rng).await;
    for round in 0..24 {
        let (therapist, client) = (*rng.of(&fixture.therapists), *rng.of(&fixture.clients));
        let (range, status) = (drawn(&mut rng), *rng.of(&STATUSES));
        let size = i32::try_from(1 + rng.below(30)).unwrap();
        let owned = |it: &OwnSession| therapist.owns(&it.session);
        let of_client = |it: &OwnSession| it.session.state.client() == Some(client.client());
        let why = format!("round {round}: {status:?} {range:?} {size}");
        let own = fixture.own(therapist, None, status, range, size).await;
        assert_eq!(own, fixture.expected(owned, status, range), "own: {why}");
        let with = fixture.own(therapist, Some(client), status, range, size).await;
        assert_eq!(with, fixture.expected(|it| owned(it) && of_client(it), status, range), "with: {why}");
        let seen = fixture.seen(client, (None, false), status, range, size).await;
        assert_eq!(seen, fixture.expected(of_client, status, range), "seen: {why}");
        let mine = fixture.seen(client, (Some(therapist), true), status, range, size).await;
        assert_eq!(mine, fixture.expected(|it| owned(it) && of_client(it), status, range), "mine: {why}");
        let both = fixture.seen(client, (Some(therapist), false), status, range, size).await;
        let may = |it: &OwnSession| owned(it) && client.sees(&it.session).is_some();
        assert_eq!(both, fixture.expected(may, status, range), "both: {why}");
    }
}

async fn page_token_is_bound_to_list_and_caller(engine: Engine) {
    let fixture = fixture(engine, &mut SeededRng::new()).await;
    let ops = &fixture.world.ops;
    let (therapist, other) = (fixture.therapists[0], fixture.therapists[1]);
    let client = fixture.clients[0];
    let all = |token: &str| query(None, Range::default(), 3, token);
    let token = ops.list_own(&context(), therapist, None, &all("")).await.unwrap().next.unwrap();
    assert_eq!(ops.list_own(&context(), therapist, None, &all(&token)).await.unwrap().items.len(), 3);
    let from = Range { from: Some(Timestamp::from_second(NOW).unwrap()), to: None };
    for (permit, with, query) in [
        (other, None, all(&token)),
        (therapist, Some(client.client()), all(&token)),
        (therapist, None, query(Some(Status::Available), Range::default(), 3, &token)),
        (therapist, None, query(None, from, 3, &token)),
        (therapist, None, all("nonsense")),
    ] {
        let refused = ops.list_own(&context(), permit, with, &query).await.unwrap_err();
        assert_eq!(refused.violations()[0].field, "pageToken", "{query:?}");
    }
    let seen = async |therapist: Option<Own>, token: &str| {
        ops.list_seen(&context(), client, therapist.map(Own::therapist), None, &all(token)).await
    };
    assert!(seen(None, &token).await.is_err());
    let token = seen(Some(therapist), "").await.unwrap().next.unwrap();
    assert!(seen(Some(other), &token).await.is_err() && seen(None, &token).await.is_err());
    let (of, only) = (Some(therapist.therapist()), Some(client.client()));
    assert!(ops.list_seen(&context(), client, of, only, &all(&token)).await.is_err());
    // Time passes between two pages.
    fixture.world.clock.advance(std::time::Duration::from_secs(1440 * 60));
    assert!(seen(Some(therapist), &token).await.is_ok());
}

async fn begun_available_session_is_hidden_from_clients(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    for number in 0..6 {
        let booked = (number == 1).then_some(client);
        world.add(permit, slot(1440 + number * 60, 30), booked).await.unwrap();
    }
    let seen = async |status| {
        let query = query(status, Range::default(), 50, "");
        world.ops.list_seen(&context(), client, Some(permit.therapist()), None, &query).await.unwrap().items
    };
    assert_eq!((seen(None).await.len(), seen(Some(Status::Available)).await.len()), (6, 5));
    world.clock.advance(std::time::Duration::from_secs((1440 + 120) * 60));
    assert_eq!((seen(None).await.len(), seen(Some(Status::Available)).await.len()), (4, 3), "the own one stays");
    assert_eq!(seen(Some(Status::Booked)).await.len(), 1);
}
