use kit::engine::Engine;

use super::{DAY, UNLIMITED, World, reason};
use crate::model::{Channel, Intent, Pair};
use crate::transition::{Asked, Mapping};

kit::on_each_engine!(
    mapping_rejection_pauses_requests_until_the_limit,
    access_rejection_pauses_requests_until_the_limit,
    client_contact_resets_rejections,
);

async fn reject(world: &World, pair: Pair, request: Intent, answer: Intent) {
    world.therapist(pair, request).await.unwrap();
    world.client(pair, answer).await.unwrap();
}

/// A rejected request may be repeated after seven days, and after three rejections not any more.
async fn mapping_rejection_pauses_requests_until_the_limit(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    for _ in 0..2 {
        reject(&world, pair, Intent::RequestMapping, Intent::Reject).await;
        assert!(world.stored(pair).await.may_be_asked(Asked::Mapping, world.ops.now()).is_err());
        let refused = world.therapist(pair, Intent::RequestMapping).await.unwrap_err();
        assert_eq!((refused.reason(), refused.retry_delay()), ("ASK_AGAIN_LATER", Some(DAY * 7)));
        world.clock.advance(DAY * 7 - std::time::Duration::from_millis(1));
        assert_eq!(reason(&world.therapist(pair, Intent::RequestMapping).await), "ASK_AGAIN_LATER");
        world.clock.advance(std::time::Duration::from_millis(1));
    }
    reject(&world, pair, Intent::RequestMapping, Intent::Reject).await;
    world.clock.advance(DAY * 1000);
    assert_eq!(reason(&world.therapist(pair, Intent::RequestMapping).await), "REJECTED_TOO_OFTEN");
    world.client(pair, Intent::Map).await.unwrap();
    world.therapist(pair, Intent::End).await.unwrap();
    world.therapist(pair, Intent::RequestMapping).await.unwrap();
}

/// A rejected request may be repeated after seven days, and after three rejections not any more.
async fn access_rejection_pauses_requests_until_the_limit(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    for _ in 0..3 {
        reject(&world, pair, Intent::RequestAccess, Intent::RejectAccess).await;
        let refused = reason(&world.therapist(pair, Intent::RequestAccess).await);
        assert!(["ASK_AGAIN_LATER", "REJECTED_TOO_OFTEN"].contains(&refused), "{refused}");
        world.clock.advance(DAY * 7);
    }
    assert_eq!(reason(&world.therapist(pair, Intent::RequestAccess).await), "REJECTED_TOO_OFTEN");
    // A grant without a pending request resets the rejections like an accepted request.
    world.client(pair, UNLIMITED).await.unwrap();
    world.client(pair, Intent::RevokeAccess).await.unwrap();
    world.therapist(pair, Intent::RequestAccess).await.unwrap();
}

async fn client_contact_resets_rejections(engine: Engine) {
    let world = World::new(engine).await;
    for channel in [Channel::Message, Channel::Appointment] {
        let pair = world.new_pair();
        world.client(pair, Intent::RecordContact(channel)).await.unwrap();
        reject(&world, pair, Intent::RequestMapping, Intent::Reject).await;
        assert_eq!(reason(&world.therapist(pair, Intent::RequestMapping).await), "ASK_AGAIN_LATER");
        let before = world.stored(pair).await;
        let after = world.client(pair, Intent::RecordContact(channel)).await.unwrap();
        assert_eq!((after.contacts.len(), after.version), (1, before.version + 1));
        assert_eq!(world.client(pair, Intent::RecordContact(channel)).await.unwrap(), after, "it is recorded once");
        world.therapist(pair, Intent::RequestMapping).await.unwrap();
        assert_eq!(world.state(pair).await.mapping, Mapping::Requested);
    }
}
