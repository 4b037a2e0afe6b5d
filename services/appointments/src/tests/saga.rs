use chassis::SystemEntropy;
use futures_util::future::join;
use kernel::{AppointmentId, Expected, SessionId};
use kit::engine::Engine;
use kit::wait::until;
use proto::events::v1::event::Kind;
use proto::events::v1::{AppointmentRevoked, SessionBooked, SessionWithdrawn};

use super::{HOUR, State, TIMEOUT, World, as_client, context};
use crate::model::{Appointment, Reserved};
use crate::transition::{Action, Status};

kit::on_each_engine!(
    booking_of_ended_appointment_releases_slot,
    repeated_booking_event_is_idempotent,
    unasked_booking_creates_one_appointment,
    withdrawal_ends_appointment_and_requests,
    recovery_delivers_pending_revocation,
    booking_of_other_session_changes_nothing,
    foreign_event_is_acknowledged,
    booking_racing_request_end_has_one_winner,
);

/// End of an appointment.
#[derive(Debug, Clone, Copy)]
enum End {
    Cancelled,
    Rejected,
    Withdrawn,
    Revoked,
    Expired,
}

fn withdrawn(session: SessionId, appointment: Option<AppointmentId>, available: bool) -> Kind {
    let appointment_id = appointment.map(|id| id.to_string()).unwrap_or_default();
    Kind::SessionWithdrawn(SessionWithdrawn { session_id: session.to_string(), appointment_id, available })
}

fn unasked(world: &World, session: SessionId, id: AppointmentId) -> SessionBooked {
    let start = world.practice.facts().slots[&session].start;
    SessionBooked {
        session_id: session.to_string(),
        therapist_id: world.therapist.to_string(),
        client_id: world.user().to_string(),
        appointment_id: id.to_string(),
        start: Some(convert::time::to_proto(start)),
        start_date: "2100-01-01T06:30:00+05:30".to_owned(),
        unasked: true,
    }
}

async fn booking_of_ended_appointment_releases_slot(engine: Engine) {
    let world = World::new(engine).await;
    for end in [End::Cancelled, End::Rejected, End::Withdrawn, End::Revoked, End::Expired] {
        let slot = world.slot(1);
        let asked = world.asked(slot).await;
        match end {
            End::Cancelled => world.ops.cancel(as_client(&asked), asked.id, &Expected::Anything).await.unwrap(),
            End::Rejected => drop(world.therapist(asked.id, Action::Reject).await.unwrap()),
            End::Withdrawn => world.deliver(withdrawn(slot, Some(asked.id), true)).await.unwrap(),
            End::Revoked => {
                world.therapist(asked.id, Action::Accept).await.unwrap();
                world.client(&asked, Action::Revoke).await.unwrap();
                world.deliver_all().await;
            }
            End::Expired => world.advance(HOUR),
        }
        // A late reservation, whose booking event is delivered.
        assert_eq!(world.ops.sessions.reserve(&context(), &asked).await.unwrap(), Reserved::Booked);
        assert_eq!(world.practice.state(slot), State::Booked(asked.id), "{end:?}");
        world.deliver_all().await;
        assert_eq!(world.practice.state(slot), State::Available, "{end:?}");
        assert_ne!(world.status(&asked).await, Some(Status::Accepted), "{end:?}");
    }
}

async fn repeated_booking_event_is_idempotent(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(1);
    let asked = world.asked(slot).await;
    let accepted = world.therapist(asked.id, Action::Accept).await.unwrap();
    let events = world.practice.facts().events.clone();
    for _ in 0..3 {
        world.deliver(events[0].clone()).await.unwrap();
        assert_eq!(world.stored(&asked).await, Some(accepted.clone()));
        assert_eq!(world.practice.state(slot), State::Booked(asked.id));
    }
    world.client(&asked, Action::Revoke).await.unwrap();
    let waits = world.asked(slot).await;
    world.deliver(events[0].clone()).await.unwrap();
    assert_eq!(world.practice.state(slot), State::Available);
    assert_eq!(world.status(&waits).await, Some(Status::Pending), "a newer request is not rejected");
}

async fn unasked_booking_creates_one_appointment(engine: Engine) {
    let world = World::new(engine).await;
    let (slot, id) = (world.slot(1), AppointmentId::generate(&world.clock, &SystemEntropy));
    let booked = unasked(&world, slot, id);
    world.practice.facts().slots.get_mut(&slot).unwrap().state = State::Booked(id);
    for _ in 0..3 {
        world.deliver(Kind::SessionBooked(booked.clone())).await.unwrap();
    }
    let made = world.ops.get(world.as_therapist(), id).await.unwrap();
    assert_eq!(made.status_at(world.ops.now()), Status::Accepted);
    assert_eq!((made.session, made.date.to_string()), (slot, booked.start_date.clone()));
    assert_eq!(made.pair.client.to_string(), booked.client_id);
    world.client(&made, Action::Revoke).await.unwrap();
    world.deliver(Kind::SessionBooked(booked)).await.unwrap();
    assert_eq!(world.status(&made).await, Some(Status::Revoked));
    assert_eq!(world.practice.state(slot), State::Available);
}

async fn withdrawal_ends_appointment_and_requests(engine: Engine) {
    let world = World::new(engine).await;
    for (available, others) in [(true, Status::Pending), (false, Status::Rejected)] {
        let slot = world.slot(1);
        let accepted = world.accepted(slot).await;
        // The slot is shown as available for a moment, so that a request exists although the slot is booked.
        world.practice.facts().slots.get_mut(&slot).unwrap().state = State::Available;
        let waits = world.asked(slot).await;
        for _ in 0..2 {
            world.deliver(withdrawn(slot, Some(accepted.id), available)).await.unwrap();
            assert_eq!(world.status(&accepted).await, Some(Status::Revoked));
            assert_eq!(world.stored(&accepted).await.unwrap().mark, None, "no event is due");
            assert_eq!(world.status(&waits).await, Some(others), "{available}");
        }
    }
    let slot = world.slot(1);
    let waits = world.asked(slot).await;
    world.deliver(withdrawn(slot, None, false)).await.unwrap();
    assert_eq!(world.status(&waits).await, Some(Status::Rejected));
}

async fn recovery_delivers_pending_revocation(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(1);
    let accepted = world.accepted(slot).await;
    world.practice.facts().unavailable = true;
    let revoked = world.client(&accepted, Action::Revoke).await.unwrap();
    assert_eq!(revoked.status_at(world.ops.now()), Status::Revoked);
    assert_eq!(world.practice.state(slot), State::Booked(accepted.id), "the event is not delivered");
    world.practice.facts().unavailable = false;
    let tasks = &world.ops.platform.tasks;
    tasks.spawn(world.ops.outbox.clone().recover(std::time::Duration::from_millis(1)));
    until("recovery", async || world.practice.state(slot) == State::Available).await;
    until("the mark is gone", async || world.stored(&accepted).await.unwrap().mark.is_none()).await;
    assert!(tasks.shutdown(TIMEOUT).await);
}

async fn booking_of_other_session_changes_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let (one, other) = (world.slot(1), world.slot(2));
    let asked = world.asked(one).await;
    let foreign = Appointment { session: other, ..asked.clone() };
    world.ops.apply_booking(&context(), &foreign.booked()).await.unwrap();
    assert_eq!(world.status(&asked).await, Some(Status::Pending));
}

async fn foreign_event_is_acknowledged(engine: Engine) {
    let world = World::new(engine).await;
    assert!(world.deliver(Kind::AppointmentRevoked(AppointmentRevoked::default())).await.is_ok());
}

async fn booking_racing_request_end_has_one_winner(engine: Engine) {
    let world = World::new(engine).await;
    for round in 0..40 {
        let slot = world.slot(1);
        let asked = world.asked(slot).await;
        assert_eq!(world.ops.sessions.reserve(&context(), &asked).await.unwrap(), Reserved::Booked);
        let cancels = round % 2 == 0;
        let end = async || {
            if cancels {
                return world.ops.cancel(as_client(&asked), asked.id, &Expected::Anything).await.is_ok();
            }
            world.therapist(asked.id, Action::Reject).await.is_ok()
        };
        let booked = world.practice.facts().events.remove(0);
        let ended = if round % 4 < 2 {
            join(world.deliver(booked), end()).await.1
        } else {
            join(end(), world.deliver(booked)).await.0
        };
        let left = if cancels { None } else { Some(Status::Rejected) };
        let expected = if ended { (left, State::Available) } else { (Some(Status::Accepted), State::Booked(asked.id)) };
        assert_eq!((world.status(&asked).await, world.practice.state(slot)), expected, "round {round}");
    }
}
