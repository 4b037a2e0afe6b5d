use futures_util::future::join;
use kit::engine::Engine;

use super::{State, World, reason, relation_ended};
use crate::model::Pair;
use crate::transition::{Action, Status};

kit::on_each_engine!(
    relation_end_withdraws_only_pending_requests,
    late_relation_end_keeps_newer_requests,
    request_older_than_relation_end_is_refused,
    acceptance_racing_withdrawal_is_consistent,
);

const ROUNDS: u32 = 16;

async fn relation_end_withdraws_only_pending_requests(engine: Engine) {
    let world = World::new(engine).await;
    let accepted = world.accepted(world.slot(1)).await;
    let client = accepted.pair.client;
    let (one, two) = (world.slot(2), world.slot(3));
    let waiting = [world.ask(client, one).await.unwrap(), world.ask(client, two).await.unwrap()];
    let rejected = world.ask(client, world.slot(4)).await.unwrap();
    world.therapist(rejected.id, Action::Reject).await.unwrap();
    let others = world.asked(two).await;
    for _ in 0..2 {
        world.end_relation(accepted.pair).await;
        for it in &waiting {
            assert_eq!(world.stored(it).await, None);
            assert_eq!(reason(&world.therapist(it.id, Action::Accept).await), "NOT_FOUND");
        }
        assert_eq!(world.status(&accepted).await, Some(Status::Accepted));
        assert_eq!(world.status(&rejected).await, Some(Status::Rejected));
        assert_eq!(world.status(&others).await, Some(Status::Pending));
    }
    assert_eq!(world.practice.state(one), State::Available);
}

async fn late_relation_end_keeps_newer_requests(engine: Engine) {
    let world = World::new(engine).await;
    let first = world.asked(world.slot(1)).await;
    let version = world.end_relation(first.pair).await;
    let second = world.ask(first.pair.client, world.slot(2)).await.unwrap();
    world.deliver(relation_ended(first.pair, version)).await.unwrap();
    assert_eq!(world.stored(&first).await, None);
    assert_eq!(world.status(&second).await, Some(Status::Pending));
}

async fn request_older_than_relation_end_is_refused(engine: Engine) {
    let world = World::new(engine).await;
    let pair = Pair { client: world.user().into(), therapist: world.therapist };
    let version = world.peers.state().relation;
    let ended = world.end_relation(pair).await;
    // Mapping recorded the contact in the version before the ending.
    world.peers.state().relation = version;
    let slot = world.slot(1);
    assert_eq!(reason(&world.ask(pair.client, slot).await), "CONFLICT");
    world.peers.state().relation = ended + 1;
    world.ask(pair.client, slot).await.unwrap();
}

async fn acceptance_racing_withdrawal_is_consistent(engine: Engine) {
    let world = World::new(engine).await;
    for round in 0..ROUNDS {
        let slot = world.slot(round + 1);
        let asked = world.asked(slot).await;
        let (accepted, _) = join(world.therapist(asked.id, Action::Accept), world.end_relation(asked.pair)).await;
        world.deliver_all().await;
        let status = world.status(&asked).await;
        match &accepted {
            Ok(_) => assert_eq!(status, Some(Status::Accepted), "round {round}"),
            Err(_) => assert_eq!((reason(&accepted), status), ("NOT_FOUND", None), "round {round}"),
        }
        let has_slot = world.practice.state(slot) == State::Booked(asked.id);
        assert_eq!(has_slot, status.is_some(), "round {round}");
    }
}
