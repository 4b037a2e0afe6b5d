use kernel::{Expected, Kind, Role, Version};
use kit::engine::Engine;
use proto::sessions::v1::reserve_slot_response::Outcome as Reserve;

use super::{HOUR, State, World, as_client, context, person, reason};
use crate::model::Appointment;
use crate::policy;
use crate::transition::{Action, Status};

kit::on_each_engine!(
    acceptance_rejects_other_requests,
    reservation_outcome_decides_acceptance,
    repeated_change_is_idempotent,
    revocation_by_either_side_frees_slot,
    begun_session_cannot_be_revoked,
    request_expires_when_session_begins,
    client_cancels_only_pending_requests,
    stale_etag_is_rejected,
    expired_request_has_another_etag,
    foreign_appointment_is_not_found,
);

async fn acceptance_rejects_other_requests(engine: Engine) {
    let world = World::new(engine).await;
    let (slot, elsewhere) = (world.slot(1), world.slot(2));
    let mut asked = Vec::new();
    for _ in 0..12 {
        asked.push(world.asked(slot).await);
    }
    let other = world.asked(elsewhere).await;
    let accepted = world.therapist(asked[3].id, Action::Accept).await.unwrap();
    assert_eq!(accepted.status_at(world.ops.now()), Status::Accepted);
    assert_eq!(world.practice.state(slot), State::Booked(accepted.id));
    for (number, it) in asked.iter().enumerate() {
        let expected = if number == 3 { Status::Accepted } else { Status::Rejected };
        assert_eq!(world.status(it).await, Some(expected), "{number}");
    }
    assert_eq!(world.status(&other).await, Some(Status::Pending));
    assert_eq!(reason(&world.therapist(asked[4].id, Action::Accept).await), "NOT_PENDING");
}

async fn reservation_outcome_decides_acceptance(engine: Engine) {
    let world = World::new(engine).await;
    for (outcome, kind, expected, after) in [
        (Reserve::Taken, Kind::AlreadyExists, "SLOT_TAKEN", Some(Status::Rejected)),
        (Reserve::Gone, Kind::FailedPrecondition, "SESSION_GONE", Some(Status::Rejected)),
        (Reserve::Moved, Kind::FailedPrecondition, "SESSION_MOVED", Some(Status::Pending)),
        (Reserve::ClientEnded, Kind::NotFound, "NOT_FOUND", None),
    ] {
        let asked = world.asked(world.slot(1)).await;
        world.practice.facts().reserve.push(outcome);
        let refused = world.therapist(asked.id, Action::Accept).await;
        assert_eq!((reason(&refused), refused.unwrap_err().kind()), (expected, kind), "{outcome:?}");
        assert_eq!(world.status(&asked).await, after, "{outcome:?}");
    }
}

async fn repeated_change_is_idempotent(engine: Engine) {
    let world = World::new(engine).await;
    let accepted = world.accepted(world.slot(1)).await;
    assert_eq!(world.therapist(accepted.id, Action::Accept).await.unwrap(), accepted);
    let revoked = world.client(&accepted, Action::Revoke).await.unwrap();
    assert_eq!(revoked.version, accepted.version.next());
    for again in [world.client(&accepted, Action::Revoke).await, world.therapist(accepted.id, Action::Revoke).await] {
        assert_eq!(again.unwrap().version, revoked.version);
    }
    assert_eq!(reason(&world.therapist(accepted.id, Action::Accept).await), "NOT_PENDING");
    let asked = world.asked(world.slot(2)).await;
    let rejected = world.therapist(asked.id, Action::Reject).await.unwrap();
    assert_eq!(world.therapist(asked.id, Action::Reject).await.unwrap(), rejected);
    assert_eq!(reason(&world.therapist(asked.id, Action::Accept).await), "NOT_PENDING");
    assert_eq!(reason(&world.client(&asked, Action::Revoke).await), "NOT_ACCEPTED");
}

async fn revocation_by_either_side_frees_slot(engine: Engine) {
    let world = World::new(engine).await;
    for by_client in [true, false] {
        let slot = world.slot(1);
        let accepted = world.accepted(slot).await;
        let revoked = match by_client {
            true => world.client(&accepted, Action::Revoke).await,
            false => world.therapist(accepted.id, Action::Revoke).await,
        };
        assert_eq!(revoked.unwrap().status_at(world.ops.now()), Status::Revoked);
        assert_eq!(world.practice.state(slot), State::Available);
        assert_eq!(world.stored(&accepted).await.unwrap().mark, None, "the event is delivered");
        assert_eq!(world.practice.state(world.accepted(slot).await.session), world.practice.state(slot));
    }
}

async fn begun_session_cannot_be_revoked(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(1);
    let asked = world.asked(slot).await;
    world.therapist(asked.id, Action::Accept).await.unwrap();
    world.advance(HOUR);
    assert_eq!(reason(&world.therapist(asked.id, Action::Revoke).await), "SESSION_OVER");
    let by_client = world.ops.act(&context(), as_client(&asked), asked.id, Action::Revoke, &Expected::Anything).await;
    assert_eq!(reason(&by_client), "SESSION_OVER");
    assert_eq!(world.practice.state(slot), State::Booked(asked.id), "the session keeps its client");
}

async fn request_expires_when_session_begins(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(2);
    let (asked, accepted) = (world.asked(slot).await, world.accepted(world.slot(2)).await);
    world.advance(HOUR);
    assert_eq!(world.status(&asked).await, Some(Status::Pending));
    world.advance(HOUR);
    assert_eq!(world.status(&asked).await, Some(Status::Expired));
    assert_eq!(world.status(&accepted).await, Some(Status::Accepted));
    for action in [Action::Accept, Action::Reject] {
        assert_eq!(reason(&world.therapist(asked.id, action).await), "APPOINTMENT_EXPIRED");
    }
    assert_eq!(reason(&world.client(&asked, Action::Revoke).await), "NOT_ACCEPTED");
    assert_eq!(reason(&world.ops.cancel(as_client(&asked), asked.id, &Expected::Anything).await), "NOT_PENDING");
    assert_eq!(world.practice.state(slot), State::Available);
}

async fn client_cancels_only_pending_requests(engine: Engine) {
    let world = World::new(engine).await;
    let cancel = async |it: &Appointment| world.ops.cancel(as_client(it), it.id, &Expected::Anything).await;
    let asked = world.asked(world.slot(1)).await;
    cancel(&asked).await.unwrap();
    assert_eq!(world.stored(&asked).await, None);
    assert_eq!(reason(&cancel(&asked).await), "NOT_FOUND");
    assert_eq!(reason(&world.therapist(asked.id, Action::Accept).await), "NOT_FOUND");
    let accepted = world.accepted(world.slot(1)).await;
    assert_eq!(reason(&cancel(&accepted).await), "NOT_PENDING");
}

async fn stale_etag_is_rejected(engine: Engine) {
    let world = World::new(engine).await;
    let asked = world.asked(world.slot(1)).await;
    let act = async |action, expected: Version| {
        let expected = Expected::Anything.and_etag(&expected.to_string()).unwrap();
        world.ops.act(&context(), world.as_therapist(), asked.id, action, &expected).await
    };
    for action in [Action::Accept, Action::Reject] {
        assert_eq!(reason(&act(action, asked.version.next()).await), "STALE_ETAG");
    }
    let accepted = act(Action::Accept, Version::FIRST).await.unwrap();
    assert_eq!(reason(&act(Action::Revoke, asked.version).await), "STALE_ETAG");
    assert!(act(Action::Revoke, accepted.version).await.is_ok());
    let (asked, cancel) = (world.asked(world.slot(2)).await, async |it: &Appointment, expected: &Expected| {
        world.ops.cancel(as_client(it), it.id, expected).await
    });
    for stale in [Expected::OneOf(vec![b"2".to_vec()]), Expected::OneOf(Vec::new())] {
        assert_eq!(reason(&cancel(&asked, &stale).await), "STALE_ETAG");
        assert_eq!(world.status(&asked).await, Some(Status::Pending));
    }
    cancel(&asked, &Expected::OneOf(vec![b"2".to_vec(), b"1".to_vec()])).await.unwrap();
    assert_eq!(reason(&cancel(&asked, &Expected::Existing).await), "NOT_FOUND");
}

/// The etag that was read before is stale afterwards, though nothing is stored.
async fn expired_request_has_another_etag(engine: Engine) {
    let world = World::new(engine).await;
    let (asked, accepted) = (world.asked(world.slot(1)).await, world.accepted(world.slot(1)).await);
    let etags = || [&asked, &accepted].map(|it| it.etag_at(world.ops.now()));
    let [pending, booked] = etags();
    world.advance(HOUR);
    let [expired, begun] = etags();
    assert_ne!(expired, pending);
    assert_eq!(begun, booked);
    let reject = async |etag: &str| {
        let expected = Expected::Anything.and_etag(etag).unwrap();
        world.ops.act(&context(), world.as_therapist(), asked.id, Action::Reject, &expected).await
    };
    assert_eq!(reason(&reject(&pending).await), "STALE_ETAG");
    assert_eq!(reason(&reject(&expired).await), "APPOINTMENT_EXPIRED");
}

async fn foreign_appointment_is_not_found(engine: Engine) {
    let world = World::new(engine).await;
    let accepted = world.accepted(world.slot(1)).await;
    for role in [Role::Client, Role::Therapist] {
        let permit = policy::read(person(role, world.user()));
        assert_eq!(reason(&world.ops.get(permit, accepted.id).await), "NOT_FOUND");
        assert_eq!(reason(&world.ops.cancel(permit, accepted.id, &Expected::Anything).await), "NOT_FOUND");
        for action in [Action::Accept, Action::Reject, Action::Revoke] {
            assert_eq!(
                reason(&world.ops.act(&context(), permit, accepted.id, action, &Expected::Anything).await),
                "NOT_FOUND"
            );
        }
    }
    assert_eq!(world.ops.get(as_client(&accepted), accepted.id).await.unwrap().id, accepted.id);
    assert_eq!(world.ops.get(world.as_therapist(), accepted.id).await.unwrap().id, accepted.id);
}
