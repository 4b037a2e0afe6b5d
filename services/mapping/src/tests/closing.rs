//! Tests of ending a relation by the client, in any state.

use kit::engine::Engine;

use super::{UNLIMITED, World, as_therapist, by_client, reason};
use crate::model::{Channel, Intent, Pair, Wanted};
use crate::transition::{Access, Mapping, State};

kit::on_each_engine!(
    client_ending_closes_any_relation,
    client_action_reopens_a_closed_relation,
    therapist_ending_keeps_contact,
    ending_event_is_stored_until_delivered,
    ending_without_relation_is_not_found,
);

/// Actions in order: true is the client's, false the therapist's.
type Steps = &'static [(bool, Intent)];

const MESSAGE: Intent = Intent::RecordContact(Channel::Message);

const RELATIONS: [(Steps, Mapping, Access); 7] = [
    (&[(true, MESSAGE)], Mapping::Ended, Access::None),
    (&[(true, Intent::RecordContact(Channel::Appointment))], Mapping::Ended, Access::None),
    (&[(false, Intent::RequestMapping)], Mapping::Rejected, Access::None),
    (&[(false, Intent::RequestMapping), (true, Intent::Reject)], Mapping::Rejected, Access::None),
    (&[(true, Intent::Map), (true, UNLIMITED)], Mapping::Ended, Access::Revoked),
    (&[(true, Intent::Map), (false, Intent::End)], Mapping::Ended, Access::None),
    (
        &[(true, Intent::Map), (false, MESSAGE), (true, MESSAGE), (false, Intent::RequestAccess)],
        Mapping::Ended,
        Access::Revoked,
    ),
];

async fn apply(world: &World, pair: Pair, steps: Steps) {
    for (by_client, intent) in steps {
        let done = if *by_client { world.client(pair, *intent).await } else { world.therapist(pair, *intent).await };
        done.unwrap();
    }
}

/// Asserts that the therapist can neither send requests nor make contact.
async fn assert_closed(world: &World, pair: Pair) {
    for intent in [Intent::RequestMapping, Intent::RequestAccess] {
        assert_eq!(reason(&world.therapist(pair, intent).await), "NOT_FOUND");
    }
    assert_eq!(reason(&world.therapist(pair, MESSAGE).await), "NOT_AGREED");
    let first = Wanted { size: kernel::PageSize::from_request(50).unwrap(), token: "" };
    let agreed = world.ops.agreed(as_therapist(pair.therapist), first).await.unwrap();
    assert!(agreed.items.is_empty());
}

async fn client_ending_closes_any_relation(engine: Engine) {
    let world = World::new(engine).await;
    for (steps, mapping, access) in RELATIONS {
        let pair = world.new_pair();
        apply(&world, pair, steps).await;
        let could_see_name = world.stored(pair).await.may_see_client_name();
        let ended = world.close(pair).await.unwrap();
        assert_eq!(ended.at(world.ops.now()), State { mapping, access }, "{steps:?}");
        assert_eq!(ended.may_see_client_name(), could_see_name, "{steps:?}: the name stays visible");
        assert!(world.ops.journal_access(by_client(pair)).await.unwrap().is_none());
        assert_closed(&world, pair).await;
        assert_eq!(world.close(pair).await.unwrap(), ended, "{steps:?}: again it changes nothing");
    }
}

async fn client_action_reopens_a_closed_relation(engine: Engine) {
    let world = World::new(engine).await;
    for (steps, ..) in RELATIONS {
        for opens in [Intent::Map, MESSAGE, Intent::RecordContact(Channel::Appointment)] {
            let pair = world.new_pair();
            apply(&world, pair, steps).await;
            world.close(pair).await.unwrap();
            world.client(pair, opens).await.unwrap();
            world.therapist(pair, MESSAGE).await.unwrap();
            if opens == Intent::Map {
                world.therapist(pair, Intent::End).await.unwrap();
            }
            world.therapist(pair, Intent::RequestMapping).await.unwrap();
            world.close(pair).await.unwrap();
            assert_closed(&world, pair).await;
        }
    }
}

async fn therapist_ending_keeps_contact(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    apply(&world, pair, &[(true, MESSAGE), (true, Intent::Map), (false, Intent::End)]).await;
    world.therapist(pair, MESSAGE).await.unwrap();
    assert_eq!(world.stored(pair).await.mark, None);
    let other = world.new_pair();
    world.client(other, MESSAGE).await.unwrap();
    assert_eq!(reason(&world.therapist(other, Intent::End).await), "NOT_MAPPED");
}

async fn ending_event_is_stored_until_delivered(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, MESSAGE).await.unwrap();
    let first = world.close(pair).await.unwrap();
    assert_eq!((first.closed_version, first.version), (2, 2));
    assert!(first.event().is_some());
    // A later change keeps the pending event.
    let later = world.client(pair, MESSAGE).await.unwrap();
    assert_eq!((later.event(), world.stored(pair).await.event()), (first.event(), first.event()));
    // The event of the next ending replaces the pending one.
    let second = world.close(pair).await.unwrap();
    assert_eq!(second.closed_version, 4);
    assert_ne!(second.event().unwrap().id, first.event().unwrap().id);
    assert_eq!(world.stored(pair).await, second);
}

async fn ending_without_relation_is_not_found(engine: Engine) {
    let world = World::new(engine).await;
    assert_eq!(reason(&world.close(world.new_pair()).await), "NOT_FOUND");
}
