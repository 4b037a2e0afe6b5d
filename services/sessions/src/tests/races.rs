use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use kit::engine::Engine;
use proto::events::v1::event::Kind;
use proto::events::v1::{SessionBooked, SessionWithdrawn};

use super::{SeededRng, World, at, reason, slot};
use crate::calendar::{self, Busy};
use crate::model::{OwnSession, Reserved, State, Status};
use crate::policy::Own;

kit::on_each_engine!(
    concurrent_repeats_create_one_session,
    concurrent_disjoint_sessions_are_all_added,
    concurrent_creations_never_overlap,
    concurrent_moves_and_reopenings_never_overlap,
    concurrent_reservations_book_once,
    cancellation_racing_reservation_leaves_no_booking,
);

/// Returns the stored sessions, after checking by brute force that no two overlap and that the calendar equals them.
async fn checked(world: &World, permit: Own) -> Vec<OwnSession> {
    let all = world.all(permit).await;
    let busy: Vec<Busy> = all.iter().filter_map(|it| Busy::of(&it.session)).collect();
    for (number, one) in busy.iter().enumerate() {
        for other in busy.iter().skip(number + 1) {
            assert!(one.end <= other.start || other.end <= one.start, "{one:?} and {other:?}");
        }
    }
    let days = calendar::days(all.iter().filter_map(|it| Busy::of(&it.session)));
    let calendar = world.ops.store.calendar(permit, days).await.unwrap().sessions();
    assert_eq!(calendar, busy, "the calendar is what is there");
    all
}

async fn concurrent_creations_never_overlap(engine: Engine) {
    let world = World::new(engine).await;
    let mut rng = SeededRng::new();
    for _ in 0..3 {
        let permit = world.therapist();
        // Around a midnight of UTC; each overlaps many others.
        let slots: Vec<_> = (0..64).map(|_| slot(1440 + 1200 + rng.below(480), 5 + rng.below(60))).collect();
        let added = join_all(slots.into_iter().map(|slot| world.add(permit, slot, None))).await;
        let there: BTreeSet<_> = checked(&world, permit).await.iter().map(|it| it.session.id).collect();
        let acknowledged: BTreeSet<_> = added.iter().flatten().map(|it| it.session.id).collect();
        assert_eq!(there, acknowledged, "each that was acknowledged, and no other");
        assert!(acknowledged.len() > 1);
        for refused in added.iter().filter(|added| added.is_err()) {
            assert!(matches!(reason(refused), "SESSION_OVERLAPS" | "CONFLICT"), "{refused:?}");
        }
    }
}

async fn concurrent_moves_and_reopenings_never_overlap(engine: Engine) {
    let world = World::new(engine).await;
    let permit = world.therapist();
    let mut sessions = Vec::new();
    for number in 0..12 {
        let added = world.add(permit, slot(1440 + number * 30, 20), None).await.unwrap();
        if number % 3 == 0 {
            world.set(permit, added.session.id, Status::Cancelled).await.unwrap();
        }
        sessions.push(added.session.id);
    }
    let tried = join_all(sessions.iter().enumerate().map(async |(number, id)| {
        let change = at(slot(5000 + i64::try_from(number).unwrap(), 15));
        let change = crate::model::Change { status: Some(Status::Available), ..change };
        world.update(permit, *id, change).await
    }))
    .await;
    assert_eq!(checked(&world, permit).await.len(), 12);
    assert_eq!(tried.iter().filter(|it| it.is_ok()).count(), 1, "they all overlap");
}

async fn concurrent_reservations_book_once(engine: Engine) {
    let world = World::new(engine).await;
    let permit = world.therapist();
    for round in 0..4 {
        let session = world.add(permit, slot(1440 + round * 60, 30), None).await.unwrap();
        let wanted: Vec<_> = (0..16).map(|_| (world.client(), world.appointment())).collect();
        let outcomes =
            join_all(wanted.iter().map(|(client, appointment)| world.reserve(&session, *client, *appointment))).await;
        let booked: Vec<_> = outcomes.iter().zip(&wanted).filter(|(it, _)| **it == Reserved::Booked).collect();
        let [(_, (client, appointment))] = booked[..] else { panic!("{outcomes:?}") };
        assert!(outcomes.iter().all(|it| matches!(it, Reserved::Booked | Reserved::Taken)), "{outcomes:?}");
        let State::Booked(Some(booking)) = world.read(permit, &session).await.unwrap().session.state else {
            panic!("it is booked")
        };
        assert_eq!((booking.client, booking.appointment), (client.client(), *appointment));
        let announced: BTreeSet<String> =
            world.taken().into_iter().filter_map(|event| booked_for(event.kind)).collect();
        assert_eq!(announced.len(), usize::try_from(round).unwrap() + 1, "others hear of the one, however often");
        assert!(announced.contains(&appointment.to_string()));
    }

    fn booked_for(kind: Option<Kind>) -> Option<String> {
        match kind {
            Some(Kind::SessionBooked(SessionBooked { appointment_id, .. })) => Some(appointment_id),
            _ => None,
        }
    }
}

async fn cancellation_racing_reservation_leaves_no_booking(engine: Engine) {
    let world = World::new(engine).await;
    let permit = world.therapist();
    for round in 0..24 {
        let session = world.add(permit, slot(1440 + round * 60, 30), None).await.unwrap();
        let (client, appointment) = (world.client(), world.appointment());
        let cancel = world.set(permit, session.session.id, Status::Cancelled);
        let (reserved, cancelled) = Box::pin(join(world.reserve(&session, client, appointment), cancel)).await;
        cancelled.unwrap();
        let withdrawn = world.taken().into_iter().any(|event| {
            matches!(event.kind, Some(Kind::SessionWithdrawn(SessionWithdrawn { appointment_id, .. }))
                if appointment_id == appointment.to_string())
        });
        match reserved {
            Reserved::Booked => assert!(withdrawn, "round {round}: whoever had it hears of it"),
            Reserved::Gone => assert!(!withdrawn, "round {round}"),
            Reserved::Taken | Reserved::Moved | Reserved::ClientEnded => panic!("round {round}: {reserved:?}"),
        }
        assert_eq!(world.read(permit, &session).await.unwrap().session.state.status(), Status::Cancelled);
    }
}

async fn concurrent_disjoint_sessions_are_all_added(engine: Engine) {
    let world = World::new(engine).await;
    let permit = world.therapist();
    let added = join_all((0..12).map(|number| world.add(permit, slot(1440 + number * 60, 60), None))).await;
    for added in added {
        added.unwrap();
    }
    assert_eq!(checked(&world, permit).await.len(), 12);
}

async fn concurrent_repeats_create_one_session(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, caller) = (world.therapist(), world.user());
    let claim =
        |body: &[u8]| world.ops.idempotency.claim_if_keyed(Some("key"), caller.as_bytes(), "rpc", body).unwrap();
    let send = async |body: &'static [u8]| {
        let draft = super::draft(slot(1440, 30), None, "shared", "private");
        world.ops.create(&super::context(), permit, draft, claim(body).as_ref()).await
    };
    let sent = join_all((0..8).map(|_| send(b"the request"))).await;
    let ids: BTreeSet<_> = sent.into_iter().map(|it| it.unwrap().session.id).collect();
    assert_eq!((ids.len(), checked(&world, permit).await.len()), (1, 1));
    assert_eq!(reason(&send(b"another one").await), "IDEMPOTENCY_KEY_REUSED");
    let (id, replayed) = (*ids.first().unwrap(), async || {
        world.ops.replayed(&super::context(), permit, claim(b"the request").as_ref()).await
    });
    world.set(permit, id, Status::Cancelled).await.unwrap();
    assert_eq!(replayed().await.unwrap().unwrap().session.state, State::Cancelled(None), "as it is now");
    world.ops.delete(&super::context(), permit, id).await.unwrap();
    assert_eq!(reason(&replayed().await), "NOT_FOUND");
    let therapist = permit.therapist().into();
    world.peers.end(therapist);
    world.ops.keyring.forget(therapist);
    assert_eq!(reason(&replayed().await), "ACCOUNT_ENDED");
}
