use kernel::{Role, TherapistId};
use kit::engine::Engine;

use super::{World, deleted, side_of};
use crate::model::{Pair, Side};
use crate::ops::Ops;
use crate::store::{heads, thread};

kit::on_each_engine!(client_deletion_erases_only_own_conversations, therapist_deletion_keeps_conversations,);

/// Counts the items of a client's conversations.
async fn items(ops: &Ops, pairs: &[Pair]) -> usize {
    let mut count = 0;
    for pair in pairs {
        for partition in [thread(*pair), heads(pair.client)] {
            count += ops.store.table().query(partition).consistent().page().await.unwrap().items.len();
        }
    }
    count
}

async fn client_deletion_erases_only_own_conversations(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, client) = (world.replica().await, world.user());
    let therapists: Vec<_> = (0..3).map(|_| TherapistId::from(world.user())).collect();
    let ended: Vec<_> = therapists.iter().map(|it| Pair { client: client.into(), therapist: *it }).collect();
    let other = Pair { client: world.user().into(), therapist: therapists[0] };
    for pair in ended.iter().chain([&other]) {
        for number in 0..3 {
            world.send(&ops, *pair, side_of(number), "hello").await.unwrap();
        }
    }
    let sends = (0..230).map(|_| world.send(&ops, ended[0], Side::Client, "more"));
    assert!(futures_util::future::join_all(sends).await.iter().all(Result::is_ok));
    // The outbox may deliver the event repeatedly.
    for _ in 0..2 {
        ops.handle_account_deleted(deleted(Role::Client, client)).await.unwrap();
        assert_eq!(items(&ops, &ended).await, 0);
        assert_eq!(world.history(&ops, other, Side::Therapist, 50).await.len(), 3);
    }
    // The task of the conversation has cached the old end, and starts over.
    world.send(&ops, ended[0], Side::Therapist, "hello?").await.unwrap();
    world.assert_complete(&ops, ended[0], ["hello?".to_owned()]).await;
}

async fn therapist_deletion_keeps_conversations(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    world.send(&ops, pair, Side::Therapist, "hello").await.unwrap();
    ops.handle_account_deleted(deleted(Role::Therapist, pair.therapist.into())).await.unwrap();
    world.assert_complete(&ops, pair, ["hello".to_owned()]).await;
}
