use kernel::Role;
use kit::engine::Engine;

use super::{HOUR, State, World, context, deleted};
use crate::transition::{Action, Status};

kit::on_each_engine!(client_deletion_removes_appointments_and_frees_slots, therapist_deletion_ends_open_appointments,);

async fn client_deletion_removes_appointments_and_frees_slots(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(1);
    let accepted = world.accepted(slot).await;
    let client = accepted.pair.client;
    let waits = world.ask(client, world.slot(2)).await.unwrap();
    let revoked_slot = world.slot(3);
    let revoked = world.ask(client, revoked_slot).await.unwrap();
    world.therapist(revoked.id, Action::Accept).await.unwrap();
    world.deliver_all().await;
    world.practice.facts().unavailable = true;
    world.client(&revoked, Action::Revoke).await.unwrap();
    let other = world.accepted(world.slot(4)).await;
    let ended = deleted(Role::Client, client.into());
    let interrupted = world.ops.handle_account_deleted(&context(), ended).await;
    assert!(interrupted.is_err(), "not done while sessions is unavailable");
    world.practice.facts().unavailable = false;
    for _ in 0..2 {
        world.ops.handle_account_deleted(&context(), ended).await.unwrap();
        for it in [&accepted, &waits, &revoked] {
            assert_eq!(world.stored(it).await, None);
        }
        assert_eq!(world.practice.state(slot), State::Available);
        assert_eq!(world.practice.state(revoked_slot), State::Available);
        assert_eq!(world.status(&other).await, Some(Status::Accepted));
    }
}

/// Appointments whose session has begun stay.
async fn therapist_deletion_ends_open_appointments(engine: Engine) {
    let world = World::new(engine).await;
    let (past, coming) = (world.slot(1), world.slot(3));
    let (took_place, accepted) = (world.accepted(past).await, world.accepted(coming).await);
    let (expires, waits) = (world.asked(world.slot(1)).await, world.asked(world.slot(4)).await);
    world.advance(HOUR * 2);
    for _ in 0..2 {
        let ended = deleted(Role::Therapist, world.therapist.into());
        world.ops.handle_account_deleted(&context(), ended).await.unwrap();
        assert_eq!(world.status(&took_place).await, Some(Status::Accepted));
        assert_eq!(world.status(&expires).await, Some(Status::Expired));
        assert_eq!(world.status(&accepted).await, Some(Status::Revoked));
        assert_eq!(world.status(&waits).await, Some(Status::Rejected));
        assert_eq!(world.stored(&accepted).await.unwrap().mark, None);
        assert_eq!(world.practice.state(coming), State::Booked(accepted.id), "sessions handles the deletion itself");
        assert_eq!(world.practice.state(past), State::Booked(took_place.id));
    }
}
