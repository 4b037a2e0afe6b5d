//! What it means that a client ends a relation, whatever it is.

use kit::engine::Engine;

use super::{UNLIMITED, World, as_therapist, by_client, reason};
use crate::list::Wanted;
use crate::model::{Channel, Intent, Pair};
use crate::transition::{Access, Mapping, State};

kit::on_each_engine!(
    ending_by_the_client_closes_every_kind_of_relation,
    closed_relation_opens_by_what_the_client_does,
    ending_by_the_therapist_ends_a_mapping_alone,
    ending_keeps_its_event_until_it_is_taken,
    ending_of_no_relation_is_not_found,
);

/// Who does what: the client, or else the therapist.
type Deeds = &'static [(bool, Intent)];

const MESSAGE: Intent = Intent::RecordContact(Channel::Message);

const RELATIONS: [(Deeds, Mapping, Access); 7] = [
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

async fn play(world: &World, pair: Pair, deeds: Deeds) {
    for (by_client, intent) in deeds {
        let done = if *by_client { world.client(pair, *intent).await } else { world.therapist(pair, *intent).await };
        done.unwrap();
    }
}

/// The therapist can neither ask nor make contact.
async fn is_closed(world: &World, pair: Pair) {
    for intent in [Intent::RequestMapping, Intent::RequestAccess] {
        assert_eq!(reason(&world.therapist(pair, intent).await), "NOT_FOUND");
    }
    assert_eq!(reason(&world.therapist(pair, MESSAGE).await), "NOT_AGREED");
    let first = Wanted { size: kernel::PageSize::from_request(50).unwrap(), token: "" };
    let agreed = world.ops.agreed(as_therapist(pair.therapist), first).await.unwrap();
    assert!(agreed.items.is_empty());
}

async fn ending_by_the_client_closes_every_kind_of_relation(engine: Engine) {
    let world = World::new(engine).await;
    for (deeds, mapping, access) in RELATIONS {
        let pair = world.strangers();
        play(&world, pair, deeds).await;
        let was_acquainted = world.stored(pair).await.is_acquainted();
        let ended = world.close(pair).await.unwrap();
        assert_eq!(ended.at(world.ops.now()), State { mapping, access }, "{deeds:?}");
        assert_eq!(ended.is_acquainted(), was_acquainted, "{deeds:?}: who knew the name knows it");
        assert!(world.ops.journal_access(by_client(pair)).await.unwrap().is_none());
        is_closed(&world, pair).await;
        assert_eq!(world.close(pair).await.unwrap(), ended, "{deeds:?}: again it changes nothing");
    }
}

async fn closed_relation_opens_by_what_the_client_does(engine: Engine) {
    let world = World::new(engine).await;
    for (deeds, ..) in RELATIONS {
        for opens in [Intent::Map, MESSAGE, Intent::RecordContact(Channel::Appointment)] {
            let pair = world.strangers();
            play(&world, pair, deeds).await;
            world.close(pair).await.unwrap();
            world.client(pair, opens).await.unwrap();
            world.therapist(pair, MESSAGE).await.unwrap();
            if opens == Intent::Map {
                world.therapist(pair, Intent::End).await.unwrap();
            }
            world.therapist(pair, Intent::RequestMapping).await.unwrap();
            world.close(pair).await.unwrap();
            is_closed(&world, pair).await;
        }
    }
}

async fn ending_by_the_therapist_ends_a_mapping_alone(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.strangers();
    play(&world, pair, &[(true, MESSAGE), (true, Intent::Map), (false, Intent::End)]).await;
    world.therapist(pair, MESSAGE).await.unwrap();
    assert_eq!(world.stored(pair).await.mark, None);
    let other = world.strangers();
    world.client(other, MESSAGE).await.unwrap();
    assert_eq!(reason(&world.therapist(other, Intent::End).await), "NOT_MAPPED");
}

async fn ending_keeps_its_event_until_it_is_taken(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.strangers();
    world.client(pair, MESSAGE).await.unwrap();
    let first = world.close(pair).await.unwrap();
    assert_eq!((first.closed_version, first.version), (2, 2));
    assert!(first.event().is_some());
    // What happens meanwhile carries it along.
    let later = world.client(pair, MESSAGE).await.unwrap();
    assert_eq!((later.event(), world.stored(pair).await.event()), (first.event(), first.event()));
    // The next one says all that the first one did.
    let second = world.close(pair).await.unwrap();
    assert_eq!(second.closed_version, 4);
    assert_ne!(second.event().unwrap().id, first.event().unwrap().id);
    assert_eq!(world.stored(pair).await, second);
}

async fn ending_of_no_relation_is_not_found(engine: Engine) {
    let world = World::new(engine).await;
    assert_eq!(reason(&world.close(world.strangers()).await), "NOT_FOUND");
}
