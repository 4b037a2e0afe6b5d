use futures_util::future::{join, join_all};
use kit::engine::Engine;

use super::{UNLIMITED, World, by_client, reason};
use crate::model::{Channel, Intent};
use crate::transition::{Access, Mapping, State};

kit::on_each_engine!(
    concurrent_accept_and_reject_apply_one,
    concurrent_end_and_grant_leave_no_access,
    concurrent_request_and_map_leave_an_active_mapping,
    concurrent_contact_is_recorded_once,
    grant_is_replaced_only_by_other_limits,
    new_mapping_does_not_restore_the_ended_grant,
);

const ROUNDS: usize = 32;

async fn concurrent_accept_and_reject_apply_one(engine: Engine) {
    let world = World::new(engine).await;
    for round in 0..ROUNDS {
        let pair = world.new_pair();
        world.therapist(pair, Intent::RequestMapping).await.unwrap();
        let (accept, reject) = join(world.client(pair, Intent::Accept), world.client(pair, Intent::Reject)).await;
        let now = world.state(pair).await.mapping;
        match (&accept, &reject) {
            (Ok(_), Err(_)) => assert_eq!((reason(&reject), now), ("NO_PENDING_REQUEST", Mapping::Active)),
            (Err(_), Ok(_)) => assert_eq!((reason(&accept), now), ("NO_PENDING_REQUEST", Mapping::Rejected)),
            _ => panic!("round {round}: {accept:?} and {reject:?}"),
        }
    }
}

async fn concurrent_end_and_grant_leave_no_access(engine: Engine) {
    let world = World::new(engine).await;
    for round in 0..ROUNDS {
        let pair = world.new_pair();
        world.client(pair, Intent::Map).await.unwrap();
        let (end, grant) = join(world.therapist(pair, Intent::End), world.client(pair, UNLIMITED)).await;
        assert!(end.is_ok(), "round {round}: {end:?}");
        let State { mapping, access } = world.state(pair).await;
        assert_eq!(mapping, Mapping::Ended, "round {round}");
        match &grant {
            Ok(_) => assert_eq!(access, Access::Revoked, "round {round}"),
            Err(_) => assert_eq!((reason(&grant), access), ("NOT_MAPPED", Access::None), "round {round}"),
        }
        assert!(world.ops.journal_access(by_client(pair)).await.unwrap().is_none(), "round {round}");
    }
}

async fn concurrent_request_and_map_leave_an_active_mapping(engine: Engine) {
    let world = World::new(engine).await;
    for round in 0..ROUNDS {
        let pair = world.new_pair();
        let (request, map) = join(world.therapist(pair, Intent::RequestMapping), world.client(pair, Intent::Map)).await;
        assert!(map.is_ok(), "round {round}: {map:?}");
        assert!(request.is_ok() || reason(&request) == "MAPPING_EXISTS", "round {round}: {request:?}");
        assert_eq!(world.state(pair).await.mapping, Mapping::Active, "round {round}");
    }
}

async fn concurrent_contact_is_recorded_once(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    let contact = Intent::RecordContact(Channel::Message);
    for recorded in join_all((0..6).map(|_| world.client(pair, contact))).await {
        recorded.unwrap();
    }
    assert_eq!(world.stored(pair).await.version, 1);
    world.therapist(pair, contact).await.unwrap();
    world.client(pair, Intent::RecordContact(Channel::Appointment)).await.unwrap();
    world.client(pair, contact).await.unwrap();
    let there = world.stored(pair).await;
    assert_eq!((there.version, there.contacts.len()), (3, 3));
    assert_eq!(world.state(pair).await, State { mapping: Mapping::None, access: Access::None });
}

async fn grant_is_replaced_only_by_other_limits(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    let first = world.client(pair, UNLIMITED).await.unwrap();
    assert_eq!(world.client(pair, UNLIMITED).await.unwrap(), first);
    let limits = crate::model::Limits { entries_from: Some(world.ops.now().into()), expires_at: None };
    world.clock.advance(super::DAY);
    let second = world.client(pair, Intent::Grant(limits)).await.unwrap();
    assert_ne!(second.grant.unwrap().id, first.grant.unwrap().id);
    assert!(second.access_since > first.access_since);
    assert_eq!(world.ops.journal_access(by_client(pair)).await.unwrap(), second.grant);
}

async fn new_mapping_does_not_restore_the_ended_grant(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    let old = world.client(pair, UNLIMITED).await.unwrap().grant.unwrap();
    world.therapist(pair, Intent::End).await.unwrap();
    world.client(pair, Intent::Map).await.unwrap();
    assert_eq!(world.state(pair).await, State { mapping: Mapping::Active, access: Access::Revoked });
    assert_eq!(world.ops.journal_access(by_client(pair)).await.unwrap(), None);
    let new = world.client(pair, UNLIMITED).await.unwrap().grant.unwrap();
    assert_ne!(new.id, old.id);
}
