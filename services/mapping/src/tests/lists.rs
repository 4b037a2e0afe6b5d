use std::time::Duration;

use chassis::Context;
use dynamo::Idempotency;
use futures_util::{StreamExt as _, stream};
use kernel::{ClientId, Kind, Page, PageSize, TherapistId};
use kit::engine::Engine;

use super::{UNLIMITED, World, as_client, as_therapist, by_client};
use crate::model::{Channel, Intent, Pair, Relation, Shown, Wanted};
use crate::transition::Mapping;

kit::on_each_engine!(
    filtered_list_is_complete_ordered_and_fills_pages,
    filtered_page_stops_at_the_read_limit,
    page_token_is_bound_to_list_and_caller,
    agreed_clients_follow_the_clients_actions,
    idempotent_request_returns_the_first_result,
    list_succeeds_while_auth_is_unavailable,
);

/// Actions in order: true is the client's, false the therapist's.
type Steps = &'static [(bool, Intent)];

fn page_request(size: i32, token: &str) -> Wanted<'_> {
    Wanted { size: PageSize::from_request(size).unwrap(), token }
}

async fn read_all(world: &World, client: ClientId, shown: Shown, size: i32) -> Vec<Page<Relation>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let page = world.ops.of_client(as_client(client), shown, page_request(size, &token)).await.unwrap();
        let next = page.next.clone();
        pages.push(page);
        match next {
            Some(next) => token = next,
            None => return pages,
        }
    }
}

async fn filtered_list_is_complete_ordered_and_fills_pages(engine: Engine) {
    let world = World::new(engine).await;
    let client: ClientId = world.user().into();
    let (mut mapped, mut with_access, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..23 {
        let pair = Pair { client, therapist: world.user().into() };
        world.therapist(pair, Intent::RequestMapping).await.unwrap();
        match number % 3 {
            0 => waiting.push(pair.therapist),
            1 => {
                world.client(pair, Intent::Map).await.unwrap();
                mapped.push(pair.therapist);
            }
            _ => {
                world.client(pair, Intent::Map).await.unwrap();
                world.client(pair, UNLIMITED).await.unwrap();
                mapped.push(pair.therapist);
                with_access.push(pair.therapist);
            }
        }
    }
    let without: Vec<_> = mapped.iter().copied().filter(|id| !with_access.contains(id)).collect();
    let all: Vec<_> = mapped.iter().chain(&waiting).copied().collect();
    for (shown, mut expected) in [
        (Shown::Mapped(None), mapped),
        (Shown::Mapped(Some(true)), with_access),
        (Shown::Mapped(Some(false)), without),
        (Shown::Waiting, waiting),
        (Shown::All, all),
    ] {
        expected.sort_unstable();
        for size in [1, 3, 7, 200] {
            let pages = read_all(&world, client, shown, size).await;
            let full = usize::try_from(size).unwrap();
            let (_, but_last) = pages.split_last().unwrap();
            assert!(but_last.iter().all(|page| page.items.len() == full), "{shown:?} by {size}");
            let ids: Vec<TherapistId> = pages.iter().flat_map(|page| &page.items).map(|it| it.therapist_id).collect();
            assert_eq!(ids, expected, "{shown:?} by {size}");
        }
    }
}

/// A filtered page reads a limited number of relations; its token continues after the last relation read.
async fn filtered_page_stops_at_the_read_limit(engine: Engine) {
    let world = World::new(engine).await;
    let client: ClientId = world.user().into();
    let mut therapists: Vec<TherapistId> = (0..503).map(|_| world.user().into()).collect();
    therapists.sort_unstable();
    let pairs: Vec<_> = therapists.iter().map(|therapist| Pair { client, therapist: *therapist }).collect();
    let record = |pair| world.client(pair, Intent::RecordContact(Channel::Message));
    stream::iter(pairs.clone())
        .map(record)
        .buffer_unordered(8)
        .for_each(|recorded| async { drop(recorded.unwrap()) })
        .await;
    for number in [2, 501] {
        world.client(pairs[number], Intent::Map).await.unwrap();
    }
    let pages = read_all(&world, client, Shown::Mapped(None), 50).await;
    let ids: Vec<Vec<_>> = pages.iter().map(|page| page.items.iter().map(|it| it.therapist_id).collect()).collect();
    assert_eq!(ids, [vec![therapists[2]], vec![therapists[501]]]);
    assert_eq!(read_all(&world, client, Shown::Waiting, 50).await.len(), 2, "an empty page need not be the last");
}

async fn page_token_is_bound_to_list_and_caller(engine: Engine) {
    let world = World::new(engine).await;
    let client: ClientId = world.user().into();
    for _ in 0..3 {
        world.client(Pair { client, therapist: world.user().into() }, Intent::Map).await.unwrap();
    }
    let page = world.ops.of_client(as_client(client), Shown::Mapped(None), page_request(1, "")).await.unwrap();
    let token = page.next.unwrap();
    let refused = |page: Result<Page<Relation>, kernel::Error>| {
        let error = page.unwrap_err();
        assert_eq!((error.kind(), &*error.violations()[0].field), (Kind::InvalidArgument, "pageToken"));
    };
    let other: ClientId = world.user().into();
    refused(world.ops.of_client(as_client(other), Shown::Mapped(None), page_request(1, &token)).await);
    for shown in [Shown::Mapped(Some(true)), Shown::Mapped(Some(false)), Shown::Waiting, Shown::All] {
        refused(world.ops.of_client(as_client(client), shown, page_request(1, &token)).await);
    }
    let same_id: TherapistId = kernel::UserId::from(client).into();
    refused(world.ops.of_therapist(as_therapist(same_id), page_request(1, &token)).await);
    refused(world.ops.agreed(as_therapist(same_id), page_request(1, &token)).await);
    world.ops.of_client(as_client(client), Shown::Mapped(None), page_request(2, &token)).await.unwrap();
}

async fn agreed_clients_follow_the_clients_actions(engine: Engine) {
    let world = World::new(engine).await;
    let therapist: TherapistId = world.user().into();
    let steps: [(Steps, bool, bool); 6] = [
        (&[(false, Intent::RequestMapping)], false, false),
        (&[(false, Intent::RequestMapping), (true, Intent::Reject)], false, false),
        (&[(false, Intent::RequestMapping), (true, Intent::Accept)], true, true),
        (&[(true, Intent::Map), (true, Intent::End)], false, true),
        (&[(true, Intent::RecordContact(Channel::Appointment))], true, true),
        (&[(true, Intent::Map), (false, Intent::RecordContact(Channel::Message)), (true, Intent::End)], false, true),
    ];
    let mut expected = Vec::new();
    for (steps, agreed, sees_name) in steps {
        let pair = Pair { client: world.user().into(), therapist };
        for (by_client, intent) in steps {
            let done =
                if *by_client { world.client(pair, *intent).await } else { world.therapist(pair, *intent).await };
            done.unwrap();
        }
        assert_eq!(world.stored(pair).await.is_agreed(world.ops.now()), agreed, "{steps:?}");
        assert_eq!(world.stored(pair).await.may_see_client_name(), sees_name, "{steps:?}");
        expected.extend(agreed.then_some(pair.client));
    }
    expected.sort_unstable();
    let page = world.ops.agreed(as_therapist(therapist), page_request(50, "")).await.unwrap();
    assert_eq!(page.items.iter().map(|it| it.client_id).collect::<Vec<_>>(), expected);
    let (mut one_by_one, mut token) = (Vec::new(), String::new());
    loop {
        let page = world.ops.of_therapist(as_therapist(therapist), page_request(1, &token)).await.unwrap();
        one_by_one.extend(page.items);
        let Some(next) = page.next else { break };
        token = next;
    }
    assert_eq!(one_by_one.len(), 6);
    assert!(one_by_one.is_sorted_by_key(|it| it.client_id));
}

async fn idempotent_request_returns_the_first_result(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    let caller = *pair.client.as_bytes();
    let claim = |body: &'static [u8]| {
        let keyed = dynamo::IdempotentRequest { caller: &caller, rpc: "/map", key: "k", body };
        world.ops.idempotency.claim(keyed).unwrap()
    };
    let first = world.ops.act(by_client(pair), Intent::Map, Some(&claim(b"a"))).await.unwrap();
    let replayed = Idempotency::replayed(Some(&claim(b"a"))).await.unwrap();
    assert_eq!(replayed, Some(pair.therapist));
    // The record is checked before the state: the second of two concurrent requests returns the first's result.
    let again = world.ops.act(by_client(pair), Intent::End, Some(&claim(b"a"))).await.unwrap();
    assert_eq!(again, first);
    let third = world.ops.act(by_client(pair), Intent::Map, Some(&claim(b"a"))).await.unwrap();
    assert_eq!(third, first);
    let reused = world.ops.act(by_client(pair), Intent::End, Some(&claim(b"b"))).await.unwrap_err();
    assert_eq!(reused.reason(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(world.state(pair).await.mapping, Mapping::Active);
}

async fn list_succeeds_while_auth_is_unavailable(engine: Engine) {
    let world = World::new(engine).await;
    let context = Context::background(Duration::from_secs(2));
    world.ops.invitations.receive(&context, as_client(ClientId::from_bytes([1; 16])), world.ops.now()).await.unwrap();
}
