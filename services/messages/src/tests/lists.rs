use dynamo::{Key, Read};
use futures_util::future::join_all;
use kernel::{ClientId, Kind, TherapistId};
use kit::engine::Engine;
use kit::fault::Proxy;
use serde::{Deserialize, Serialize};

use super::{World, member, page, person, reason, side_of, text_of};
use crate::lists::Conversation;
use crate::model::{Pair, Side};
use crate::ops::Ops;
use crate::policy;

kit::on_each_engine!(
    pages_of_any_size_cover_conversation,
    page_token_is_bound_to_caller_and_conversation,
    moved_or_changed_message_does_not_open,
    conversations_sort_by_last_message,
    conversations_page_costs_one_call_of_each_kind,
    conversations_page_ends_at_1_mib_of_text,
    missing_conversation_is_empty,
);

async fn pages_of_any_size_cover_conversation(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    for number in 0..45 {
        world.send(&ops, pair, side_of(number), &format!("message {number}")).await.unwrap();
    }
    let whole = world.history(&ops, pair, Side::Client, 200).await;
    assert_eq!(whole.len(), 45);
    assert!(whole.is_sorted_by(|one, next| one.id > next.id), "newest first");
    for size in [1, 2, 7, 44, 45, 46] {
        for side in [Side::Client, Side::Therapist] {
            assert_eq!(world.history(&ops, pair, side, size).await, whole, "{size}");
        }
    }
    for (number, message) in whole.iter().rev().enumerate() {
        assert_eq!((message.sender, message.text.as_str()), (side_of(number), &*format!("message {number}")));
    }
}

async fn page_token_is_bound_to_caller_and_conversation(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let other = Pair { therapist: world.user().into(), ..pair };
    for pair in [pair, other] {
        for number in 0..3 {
            world.send(&ops, pair, side_of(number), "hello").await.unwrap();
        }
    }
    let list = async |pair: Pair, side, token: &str| {
        ops.list(&world.context(pair, side), member(pair, side), &page(2, token)).await
    };
    let token = list(pair, Side::Client, "").await.unwrap().next.unwrap();
    assert_eq!(list(pair, Side::Client, &token).await.unwrap().items.len(), 1);
    for (pair, side, token) in
        [(pair, Side::Therapist, &*token), (other, Side::Client, &*token), (pair, Side::Client, "made up")]
    {
        assert_eq!(list(pair, side, token).await.unwrap_err().kind(), Kind::InvalidArgument);
    }
    let own = policy::own(person(pair, Side::Client));
    let refused = ops.conversations(&world.context(pair, Side::Client), own, &page(2, &token)).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::InvalidArgument);
}

/// The seal binds a message to its key and its format.
async fn moved_or_changed_message_does_not_open(engine: Engine) {
    #[derive(Serialize, Deserialize)]
    struct Stored {
        message_id: String,
        #[serde(with = "serde_bytes")]
        content: Vec<u8>,
        format: u8,
        by_client: u64,
    }
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    for text in ["canary", "other"] {
        world.send(&ops, pair, Side::Client, text).await.unwrap();
    }
    let table = ops.store.table();
    let place =
        |position: u64| Key::new(format!("THREAD#{}#{}", pair.client, pair.therapist), format!("{position:020}"));
    let stored = async |position| table.get::<Stored>(&place(position), Read::Consistent).await.unwrap().unwrap();
    let list = async || ops.list(&world.context(pair, Side::Client), member(pair, Side::Client), &page(1, "")).await;
    let (canary, good) = (stored(1).await, stored(2).await);
    assert!(!canary.content.windows(6).any(|window| window == b"canary"), "sealed");
    let mut changed = good.content.clone();
    changed[20] ^= 1;
    for (content, format) in [(canary.content, 1), (changed, 1), (good.content.clone(), 2)] {
        let bad = Stored { message_id: good.message_id.clone(), content, format, by_client: 2 };
        let _ = table.put(&place(2), &bad).run().await.unwrap();
        assert_eq!(list().await.unwrap_err().kind(), Kind::Internal);
    }
    let _ = table.put(&place(2), &good).run().await.unwrap();
    assert_eq!(list().await.unwrap().items[0].text, text_of("other"));
}

/// Returns every page of a person's conversations.
async fn conversations(world: &World, ops: &Ops, pair: Pair, side: Side, size: i32) -> Vec<Vec<Conversation>> {
    let (own, mut pages, mut wanted) = (policy::own(person(pair, side)), Vec::new(), page(size, ""));
    loop {
        let page = ops.conversations(&world.context(pair, side), own, &wanted).await.unwrap();
        pages.push(page.items);
        match page.next {
            Some(next) => wanted.token = next,
            None => return pages,
        }
    }
}

async fn conversations_sort_by_last_message(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, therapist) = (world.replica().await, TherapistId::from(world.user()));
    let pairs: Vec<_> = (0..7).map(|_| Pair { client: world.user().into(), therapist }).collect();
    for (number, at) in [0, 1, 2, 3, 4, 5, 6, 2, 0, 5].into_iter().enumerate() {
        world.clock.advance(std::time::Duration::from_millis(1));
        world.send(&ops, pairs[at], side_of(number), &format!("{number}")).await.unwrap();
    }
    let order = [5, 0, 2, 6, 4, 3, 1];
    for size in [1, 3, 7, 50] {
        let pages = conversations(&world, &ops, pairs[0], Side::Therapist, size).await;
        assert!(pages.iter().all(|page| page.len() <= usize::try_from(size).unwrap()));
        let found: Vec<_> = pages.iter().flatten().map(|it| it.permit.pair()).collect();
        assert_eq!(found, order.map(|at| pairs[at]), "{size}");
    }
    let pages = conversations(&world, &ops, pairs[0], Side::Therapist, 50).await;
    let first = &pages[0][0];
    assert_eq!((first.last.text.as_str(), first.last.sender), ("9", side_of(9)));
    assert_eq!(first.peer_name, format!("name of {}", pairs[5].client));
    // A client sees only the own conversations.
    let own = conversations(&world, &ops, pairs[2], Side::Client, 50).await.concat_all();
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].permit.pair(), own[0].last.text.as_str()), (pairs[2], "7"));
    // An ended account has neither text nor name any more.
    world.peers.end(pairs[5].client.into());
    world.peers.end(therapist.into());
    let fresh = world.replica().await;
    let left = conversations(&world, &fresh, pairs[0], Side::Therapist, 3).await.concat_all();
    assert_eq!(left.len(), 6);
    let nameless = conversations(&world, &fresh, pairs[2], Side::Client, 3).await.concat_all();
    assert_eq!(nameless[0].peer_name, "");
    let (context, own) = (world.context(pairs[5], Side::Client), policy::own(person(pairs[5], Side::Client)));
    assert_eq!(reason(&fresh.conversations(&context, own, &page(3, "")).await), "ACCOUNT_ENDED");
}

trait ConcatAll<T> {
    fn concat_all(self) -> Vec<T>;
}

impl<T> ConcatAll<T> for Vec<Vec<T>> {
    fn concat_all(self) -> Vec<T> {
        self.into_iter().flatten().collect()
    }
}

async fn conversations_page_costs_one_call_of_each_kind(engine: Engine) {
    let world = World::new(engine).await;
    let proxy = Proxy::start(&world.engine.endpoint.clone().unwrap());
    let (ops, therapist) = (world.replica().await, TherapistId::from(world.user()));
    let pairs: Vec<_> = (0..30).map(|_| Pair { client: world.user().into(), therapist }).collect();
    join_all(pairs.iter().map(|pair| world.send(&ops, *pair, Side::Client, "hello"))).await;
    let fresh = world.replica_by(&world.clock, &proxy.endpoint()).await;
    let calls = |world: &World| {
        let state = world.peers.state();
        (state.contacts.len(), state.key_calls, state.name_calls.len())
    };
    let before = calls(&world);
    let pages = conversations(&world, &fresh, pairs[0], Side::Therapist, 50).await;
    assert_eq!(pages[0].len(), 30);
    assert_eq!(proxy.take_calls(), ["Query", "BatchGetItem"]);
    assert_eq!(calls(&world), (before.0, before.1 + 1, before.2 + 1));
    let pair = pairs[0];
    fresh.list(&world.context(pair, Side::Client), member(pair, Side::Client), &page(50, "")).await.unwrap();
    assert_eq!(proxy.take_calls(), ["Query"]);
}

async fn conversations_page_ends_at_1_mib_of_text(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, therapist) = (world.replica().await, TherapistId::from(world.user()));
    let pairs: Vec<_> = (0..60).map(|_| Pair { client: world.user().into(), therapist }).collect();
    let text = "\u{1F600}".repeat(10_000);
    let sent = join_all(pairs.iter().map(|pair| world.send(&ops, *pair, Side::Client, &text))).await;
    assert!(sent.iter().all(Result::is_ok));
    let pages = conversations(&world, &ops, pairs[0], Side::Therapist, 200).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [27, 27, 6]);
    let mut found: Vec<_> = pages.concat_all().iter().map(|it| it.permit.pair().client).collect();
    found.sort_unstable();
    let mut clients: Vec<ClientId> = pairs.iter().map(|pair| pair.client).collect();
    clients.sort_unstable();
    assert_eq!(found, clients, "each once");
}

async fn missing_conversation_is_empty(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    for side in [Side::Client, Side::Therapist] {
        assert!(world.history(&ops, pair, side, 50).await.is_empty());
        assert!(conversations(&world, &ops, pair, side, 50).await.concat_all().is_empty());
    }
}
