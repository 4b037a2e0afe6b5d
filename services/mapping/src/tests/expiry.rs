use std::time::Duration;

use kit::engine::Engine;

use super::{DAY, UNLIMITED, World, by_client, reason};
use crate::model::{Intent, Limits, REQUEST_LIFE};
use crate::transition::{Access, Mapping};

kit::on_each_engine!(
    unanswered_mapping_request_expires,
    unanswered_access_request_expires,
    grant_expires_at_its_expiry,
);

async fn unanswered_mapping_request_expires(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.therapist(pair, Intent::RequestMapping).await.unwrap();
    world.clock.advance(REQUEST_LIFE - Duration::from_nanos(1));
    assert_eq!(world.state(pair).await.mapping, Mapping::Requested);
    assert_eq!(reason(&world.therapist(pair, Intent::RequestMapping).await), "REQUEST_PENDING");
    world.clock.advance(Duration::from_nanos(1));
    assert_eq!(world.state(pair).await.mapping, Mapping::Expired);
    for answer in [Intent::Accept, Intent::Reject] {
        assert_eq!(reason(&world.client(pair, answer).await), "NO_PENDING_REQUEST");
    }
    assert_eq!(reason(&world.therapist(pair, Intent::End).await), "NOT_MAPPED");
    world.therapist(pair, Intent::RequestMapping).await.unwrap();
    world.client(pair, Intent::Accept).await.unwrap();
    world.clock.advance(REQUEST_LIFE * 2);
    assert_eq!(world.state(pair).await.mapping, Mapping::Active);
}

async fn unanswered_access_request_expires(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    world.therapist(pair, Intent::RequestAccess).await.unwrap();
    assert_eq!(reason(&world.therapist(pair, Intent::RequestAccess).await), "REQUEST_PENDING");
    world.clock.advance(REQUEST_LIFE);
    assert_eq!(world.state(pair).await.access, Access::Expired);
    assert_eq!(reason(&world.client(pair, Intent::RejectAccess).await), "NO_PENDING_REQUEST");
    world.therapist(pair, Intent::RequestAccess).await.unwrap();
    world.client(pair, UNLIMITED).await.unwrap();
    assert_eq!(reason(&world.therapist(pair, Intent::RequestAccess).await), "JOURNAL_ACCESS_EXISTS");
    world.clock.advance(REQUEST_LIFE);
    assert_eq!(world.state(pair).await.access, Access::Accepted);
}

async fn grant_expires_at_its_expiry(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    let limits = Limits { entries_from: None, expires_at: world.ops.now().checked_add(DAY).ok().map(Into::into) };
    let granted = world.client(pair, Intent::Grant(limits)).await.unwrap().grant;
    world.clock.advance(DAY - Duration::from_nanos(1));
    assert_eq!(world.ops.journal_access(by_client(pair)).await.unwrap(), granted);
    world.clock.advance(Duration::from_nanos(1));
    assert_eq!(world.ops.journal_access(by_client(pair)).await.unwrap(), None);
    assert_eq!(world.state(pair).await.access, Access::Expired);
    let other =
        Limits { entries_from: limits.entries_from, expires_at: world.ops.now().checked_add(DAY).ok().map(Into::into) };
    assert_ne!(world.client(pair, Intent::Grant(other)).await.unwrap().grant, granted);
    world.clock.advance(DAY);
    assert_eq!(world.client(pair, Intent::RevokeAccess).await.unwrap().access, Access::Revoked);
}
