use kernel::{Kind as ErrorKind, Timestamp};
use kit::engine::Engine;
use kit::subscriber::Reaction;
use kit::wait::until;
use proto::events::v1::event::Kind;
use proto::events::v1::{SessionBooked, SessionWithdrawn};

use super::{World, at, context, reason, slot};
use crate::model::{Change, State, Status};
use crate::policy::Slots;
use crate::slots::{Found, Reserved, Which};

kit::on_each_engine!(
    a_session_for_a_client_is_booked_at_once_and_told_of,
    a_slot_is_reserved_again_for_the_same_appointment_alone,
    a_slot_is_released_by_the_appointment_that_has_it_alone,
    what_is_taken_back_is_told_with_the_appointment_that_had_it,
    a_booking_stands_though_nobody_takes_its_event_and_changes_no_more_until_somebody_does,
    a_session_is_removed_only_once_others_have_heard,
    recovery_tells_what_was_not_told,
    the_start_of_what_is_booked_stays_and_its_end_may_move,
    a_slot_is_found_by_its_id_or_by_a_time,
    a_slot_of_another_client_is_found_only_by_its_id_and_until_it_begins,
);

fn kinds(world: &World) -> Vec<Kind> {
    world.taken().into_iter().filter_map(|event| event.kind).collect()
}

fn withdrawn(session: &crate::model::OwnSession, appointment: &str, available: bool) -> Kind {
    let (session_id, appointment_id) = (session.session.id.to_string(), appointment.to_owned());
    Kind::SessionWithdrawn(SessionWithdrawn { session_id, appointment_id, available })
}

async fn a_session_for_a_client_is_booked_at_once_and_told_of(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let booked = world.add(permit, slot(1440, 30), Some(client)).await.unwrap();
    let appointment = booked.session.state.appointment().unwrap();
    let start = booked.session.slot.start();
    let expected = SessionBooked {
        session_id: booked.session.id.to_string(),
        therapist_id: permit.therapist().to_string(),
        client_id: client.client().to_string(),
        appointment_id: appointment.to_string(),
        start: Some(crate::wire::timestamp(start)),
        start_date: "2100-01-02T00:00:00Z".to_owned(),
        unasked: true,
    };
    assert_eq!(kinds(&world), [Kind::SessionBooked(expected)]);
    let stranger = super::visit(world.user().into());
    let refused = world.add(permit, slot(1500, 30), Some(stranger)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::NotFound, "there is no such client"));
    assert_eq!(world.all(permit).await.len(), 1, "nothing is left of what was refused");
}

async fn a_slot_is_reserved_again_for_the_same_appointment_alone(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = world.add(permit, slot(1440, 30), None).await.unwrap();
    let appointment = world.book(&session, client).await;
    assert_eq!(world.reserve(&session, client, appointment).await, Reserved::Booked);
    let told = kinds(&world);
    let [Kind::SessionBooked(SessionBooked { appointment_id, unasked: false, .. })] = &told[..] else {
        panic!("what was taken is not told again: {told:?}")
    };
    assert_eq!(appointment_id, &appointment.to_string());
    assert_eq!(world.reserve(&session, client, world.appointment()).await, Reserved::Taken);
    assert_eq!(world.reserve(&session, world.client(), appointment).await, Reserved::Taken);
    let mut elsewhere = session.clone();
    elsewhere.session.therapist = world.therapist().therapist();
    assert_eq!(world.reserve(&elsewhere, client, appointment).await, Reserved::Gone);

    let other = world.add(permit, slot(1500, 30), None).await.unwrap();
    world.update(permit, other.session.id, at(slot(1501, 30))).await.unwrap();
    assert_eq!(world.reserve(&other, client, world.appointment()).await, Reserved::Moved);
    let other = world.read(permit, &other).await.unwrap();
    let ended = world.client();
    world.peers.destroy(ended.client().into());
    assert_eq!(world.reserve(&other, ended, world.appointment()).await, Reserved::ClientEnded);
    world.set(permit, other.session.id, Status::Cancelled).await.unwrap();
    assert_eq!(world.reserve(&other, client, world.appointment()).await, Reserved::Gone);
}

async fn a_slot_is_released_by_the_appointment_that_has_it_alone(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = world.add(permit, slot(1440, 30), None).await.unwrap();
    let appointment = world.book(&session, client).await;
    world.release(&session, world.appointment()).await;
    assert_eq!(world.read(permit, &session).await.unwrap().session.state.appointment(), Some(appointment));
    for _ in 0..2 {
        world.release(&session, appointment).await;
        assert_eq!(world.read(permit, &session).await.unwrap().session.state, State::Available);
    }
    let next = world.book(&session, client).await;
    world.release(&session, appointment).await;
    assert_eq!(world.read(permit, &session).await.unwrap().session.state.appointment(), Some(next));
    assert_eq!(kinds(&world).len(), 2, "a release is told to nobody");
}

async fn what_is_taken_back_is_told_with_the_appointment_that_had_it(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = world.add(permit, slot(1440, 30), None).await.unwrap();
    let id = session.session.id;
    let last = async |status| {
        let told = kinds(&world).len();
        world.set(permit, id, status).await.unwrap();
        kinds(&world).get(told).cloned()
    };
    let appointment = world.book(&session, client).await.to_string();
    assert_eq!(last(Status::Available).await, Some(withdrawn(&session, &appointment, true)));
    let appointment = world.book(&session, client).await.to_string();
    assert_eq!(last(Status::Cancelled).await, Some(withdrawn(&session, &appointment, false)));
    assert_eq!(last(Status::Cancelled).await, None);
    assert_eq!(last(Status::Available).await, None, "nobody had it, and nobody has to hear");
    assert_eq!(last(Status::Cancelled).await, Some(withdrawn(&session, "", false)));
    assert_eq!(reason(&world.set(permit, id, Status::Booked).await), "BOOKED_BY_ACCEPTING");
    world.clock.advance(std::time::Duration::from_secs(3 * 24 * 3600));
    assert_eq!(reason(&world.set(permit, id, Status::Available).await), "SESSION_OVER");
}

async fn a_booking_stands_though_nobody_takes_its_event_and_changes_no_more_until_somebody_does(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    world.appointments(Reaction::Fail);
    let booked = world.add(permit, slot(1440, 30), Some(client)).await.unwrap();
    let id = booked.session.id;
    assert_eq!(reason(&world.set(permit, id, Status::Cancelled).await), "UNAVAILABLE");
    let noted = world.update(permit, id, super::noted(None, Some("x"))).await.unwrap();
    assert_eq!(noted.session.state, booked.session.state, "notes change all the same");
    world.appointments(Reaction::Take);
    let appointment = booked.session.state.appointment().unwrap().to_string();
    world.set(permit, id, Status::Cancelled).await.unwrap();
    let told = kinds(&world);
    assert!(matches!(&told[..], [Kind::SessionBooked(_), last] if *last == withdrawn(&booked, &appointment, false)));

    world.appointments(Reaction::Fail);
    let other = world.add(permit, slot(1500, 30), Some(client)).await.unwrap();
    world.release(&other, other.session.state.appointment().unwrap()).await;
    world.appointments(Reaction::Take);
    world.set(permit, other.session.id, Status::Cancelled).await.unwrap();
    assert_eq!(kinds(&world).last(), Some(&withdrawn(&other, "", false)), "what was given back is told to nobody");
    assert_eq!(kinds(&world).len(), 3);
}

async fn a_session_is_removed_only_once_others_have_heard(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let booked = world.add(permit, slot(1440, 30), Some(client)).await.unwrap();
    let (id, delete) = (booked.session.id, async |id| world.ops.delete(&context(), permit, id).await);
    world.appointments(Reaction::Fail);
    assert_eq!(reason(&delete(id).await), "UNAVAILABLE");
    assert_eq!(world.read(permit, &booked).await.unwrap().session.state.status(), Status::Cancelled);
    world.add(permit, slot(1440, 30), None).await.unwrap();
    world.appointments(Reaction::Take);
    delete(id).await.unwrap();
    assert_eq!(world.read(permit, &booked).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(delete(id).await.unwrap_err().kind(), ErrorKind::NotFound);
    let appointment = booked.session.state.appointment().unwrap().to_string();
    assert_eq!(kinds(&world).last(), Some(&withdrawn(&booked, &appointment, false)));
    let other = world.therapist();
    let foreign = world.add(other, slot(1440, 30), None).await.unwrap();
    assert_eq!(delete(foreign.session.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn recovery_tells_what_was_not_told(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    world.appointments(Reaction::Fail);
    let booked = world.add(permit, slot(1440, 30), Some(client)).await.unwrap();
    world.appointments(Reaction::Take);
    let recovery = world.ops.outbox.clone().recover(std::time::Duration::from_millis(20));
    tokio::select! {
        () = recovery => panic!("recovery ended"),
        () = until("appointments has heard", async || !world.taken().is_empty()) => {}
    }
    world.set(permit, booked.session.id, Status::Cancelled).await.unwrap();
    assert!(kinds(&world).len() >= 2);
}

async fn the_start_of_what_is_booked_stays_and_its_end_may_move(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let booked = world.add(permit, slot(1440, 30), Some(client)).await.unwrap();
    let id = booked.session.id;
    world.add(permit, slot(1500, 30), None).await.unwrap();
    let end = |end: &str| Change { end: Some(end.parse().unwrap()), ..Change::default() };
    assert_eq!(reason(&world.update(permit, id, at(slot(1445, 30))).await), "SESSION_BOOKED");
    assert_eq!(reason(&world.update(permit, id, end("01:01")).await), "SESSION_OVERLAPS");
    let longer = world.update(permit, id, end("01:00")).await.unwrap();
    assert_eq!(longer.session.state, booked.session.state);
    assert_eq!(reason(&world.add(permit, slot(1490, 5), None).await), "SESSION_OVERLAPS");
}

async fn a_slot_is_found_by_its_id_or_by_a_time(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let minute = |minute: i64| Timestamp::from_second(super::NOW + minute * 60).unwrap();
    let day = |start: &str, end: &str| {
        let told = crate::slot::Told {
            date: "2100-01-05T00:00:00+05:30".parse().unwrap(),
            start: Some(start.parse().unwrap()),
            end: end.parse().unwrap(),
        };
        crate::slot::Slot::new(told).unwrap()
    };
    let first = world.add(permit, day("09:00", "10:00"), None).await.unwrap();
    let (date, start) = (first.session.slot.date(), first.session.slot.start());
    let stranger = world.client();
    let find_as = async |client, which| {
        world.ops.find(Slots::of_appointments(), client, permit.therapist(), which).await.unwrap()
    };
    let find = async |which| find_as(stranger, which).await;
    let available = Found::Available(first.session.id, start);
    let by_id = |time| Which::Session(first.session.id, time);
    let within = Timestamp::from_second(start.as_second() + 59 * 60 + 59).unwrap();
    let end = first.session.slot.end();
    for which in [
        by_id(None),
        by_id(Some(date)),
        by_id(Some(start)),
        by_id(Some(within)),
        Which::At(date),
        Which::At(start),
        Which::At(within),
    ] {
        assert_eq!(find(which).await, available, "{which:?}");
    }
    assert_eq!(find(by_id(Some(end))).await, Found::OtherTime);
    assert_eq!(find(Which::At(end)).await, Found::None);
    let other = world.therapist();
    let foreign = world.ops.find(Slots::of_appointments(), stranger, other.therapist(), by_id(None)).await.unwrap();
    assert_eq!(foreign, Found::None, "another therapist has no such session");

    let second = world.add(permit, day("11:00", "12:00"), None).await.unwrap();
    assert_eq!(find(Which::At(date)).await, Found::Ambiguous, "both are of that date");
    assert_eq!(find(Which::At(start)).await, available, "one is at that time");
    let appointment = world.book(&first, client).await;
    assert_eq!(find(Which::At(date)).await, Found::Available(second.session.id, second.session.slot.start()));
    assert_eq!((find(Which::At(start)).await, find(by_id(None)).await), (Found::None, Found::Taken));
    assert_eq!(find(by_id(Some(end))).await, Found::Taken, "nothing of when it is");
    let theirs = [Which::At(start), by_id(None), by_id(Some(end))];
    for (which, found) in theirs.into_iter().zip([Found::Taken, Found::Taken, Found::OtherTime]) {
        assert_eq!(find_as(client, which).await, found, "{which:?}");
    }
    world.release(&first, appointment).await;
    world.set(permit, first.session.id, Status::Cancelled).await.unwrap();
    assert_eq!((find(Which::At(start)).await, find(by_id(None)).await), (Found::None, Found::None));
    assert_eq!(find_as(client, by_id(None)).await, Found::None);
    let soon = world.add(permit, slot(1440, 30), None).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(1440 * 60));
    assert_eq!(find(Which::Session(soon.session.id, None)).await, Found::Past);
    assert_eq!(find(Which::At(minute(1441))).await, Found::Past);
}

/// Rule 14: a session of another client is passed over as if it did not exist.
async fn a_slot_of_another_client_is_found_only_by_its_id_and_until_it_begins(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client, stranger) = (world.therapist(), world.client(), world.client());
    let find = async |client, which| {
        world.ops.find(Slots::of_appointments(), client, permit.therapist(), which).await.unwrap()
    };
    let booked = world.add(permit, slot(1440, 30), Some(client)).await.unwrap();
    let (id, start) = (booked.session.id, booked.session.slot.start());
    let later = crate::slot::Told {
        date: start.to_string().parse().unwrap(),
        start: Some("05:00".parse().unwrap()),
        end: "06:00".parse().unwrap(),
    };
    let by_id = Which::Session(id, Some(start));
    assert_eq!((find(stranger, by_id).await, find(stranger, Which::At(start)).await), (Found::Taken, Found::None));
    assert_eq!((find(client, by_id).await, find(client, Which::At(start)).await), (Found::Taken, Found::Taken));

    // Of the same date, and at another time: what is meant doesn't depend on what the stranger doesn't see.
    let offered = world.add(permit, crate::slot::Slot::new(later).unwrap(), None).await.unwrap();
    let available = Found::Available(offered.session.id, offered.session.slot.start());
    assert_eq!(find(stranger, Which::At(start)).await, available);
    world.set(permit, offered.session.id, Status::Cancelled).await.unwrap();

    world.clock.advance(std::time::Duration::from_secs(1440 * 60));
    for which in [by_id, Which::Session(id, None), Which::At(start)] {
        assert_eq!(find(stranger, which).await, Found::None, "{which:?}");
        assert_eq!(find(client, which).await, Found::Past, "{which:?}");
    }
}
