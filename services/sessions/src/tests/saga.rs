use kernel::{Expected, Kind as ErrorKind, Timestamp};
use kit::engine::Engine;
use kit::subscriber::Reaction;
use kit::wait::until;
use proto::events::v1::event::Kind;
use proto::events::v1::{SessionBooked, SessionWithdrawn};
use proto::mapping::v1::record_contact_response::Outcome;

use super::{World, at, context, expected, expecting, reason, slot};
use crate::model::{Change, Reserved, SlotLookup, SlotSelector, State, Status};
use crate::policy::ClientPermit;

kit::on_each_engine!(
    session_for_client_is_booked_and_published,
    reservation_is_idempotent_per_appointment,
    release_requires_holding_appointment,
    withdrawal_event_names_its_appointment,
    undelivered_booking_blocks_status_changes,
    deletion_waits_for_event_delivery,
    stale_deletion_is_rejected,
    deletion_loses_no_concurrent_change,
    failed_deletion_completes_when_repeated,
    recovery_delivers_pending_event,
    booked_session_keeps_start_and_may_change_end,
    slot_is_found_by_id_or_time,
    foreign_slot_is_found_only_by_id_before_start,
);

fn kinds(world: &World) -> Vec<Kind> {
    world.taken().into_iter().filter_map(|event| event.kind).collect()
}

fn withdrawn(session: &crate::model::OwnSession, appointment: &str, available: bool) -> Kind {
    let (session_id, appointment_id) = (session.session.id.to_string(), appointment.to_owned());
    Kind::SessionWithdrawn(SessionWithdrawn { session_id, appointment_id, available })
}

async fn session_for_client_is_booked_and_published(engine: Engine) {
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
        start: Some(convert::time::to_proto(start)),
        start_date: "2100-01-02T00:00:00Z".to_owned(),
        unasked: true,
    };
    assert_eq!(kinds(&world), [Kind::SessionBooked(expected)]);
    let stranger = world.client();
    world.peers.state().contact = Outcome::NoSuchPeer;
    let refused = world.add(permit, slot(1500, 30), Some(stranger)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::NotFound, "there is no such client"));
    assert_eq!(world.peers.state().contacts.last(), Some(&stranger.client().to_string()));
    assert_eq!(world.all(permit).await.len(), 1, "nothing is left of what was refused");
}

async fn reservation_is_idempotent_per_appointment(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = world.add(permit, slot(1440, 30), None).await.unwrap();
    let appointment = world.book(&session, client).await;
    assert_eq!(world.reserve(&session, client, appointment).await, Reserved::Booked);
    let events = kinds(&world);
    let [Kind::SessionBooked(SessionBooked { appointment_id, unasked: false, .. })] = &events[..] else {
        panic!("what was taken is not told again: {events:?}")
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
    world.peers.end(ended.client().into());
    assert_eq!(world.reserve(&other, ended, world.appointment()).await, Reserved::ClientEnded);
    world.set(permit, other.session.id, Status::Cancelled).await.unwrap();
    assert_eq!(world.reserve(&other, client, world.appointment()).await, Reserved::Gone);
}

async fn release_requires_holding_appointment(engine: Engine) {
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

async fn withdrawal_event_names_its_appointment(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let session = world.add(permit, slot(1440, 30), None).await.unwrap();
    let id = session.session.id;
    let last = async |status| {
        let before = kinds(&world).len();
        world.set(permit, id, status).await.unwrap();
        kinds(&world).get(before).cloned()
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

/// A booking stands without delivery of its event; its status can't change until a subscriber takes the event.
async fn undelivered_booking_blocks_status_changes(engine: Engine) {
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
    let events = kinds(&world);
    assert!(matches!(&events[..], [Kind::SessionBooked(_), last] if *last == withdrawn(&booked, &appointment, false)));

    world.appointments(Reaction::Fail);
    let other = world.add(permit, slot(1500, 30), Some(client)).await.unwrap();
    world.release(&other, other.session.state.appointment().unwrap()).await;
    world.appointments(Reaction::Take);
    world.set(permit, other.session.id, Status::Cancelled).await.unwrap();
    assert_eq!(kinds(&world).last(), Some(&withdrawn(&other, "", false)), "what was given back is told to nobody");
    assert_eq!(kinds(&world).len(), 3);
}

async fn deletion_waits_for_event_delivery(engine: Engine) {
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

async fn stale_deletion_is_rejected(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    for client in [None, Some(client)] {
        let read = world.add(permit, slot(1440, 30), client).await.unwrap();
        let id = read.session.id;
        let delete = async |expected| world.ops.delete(&expecting(expected), permit, id).await;
        let changed = world.update(permit, id, super::noted(None, Some("changed since"))).await.unwrap();
        let taken = world.taken().len();
        for stale in [expected(read.session.version), Expected::OneOf(Vec::new())] {
            assert_eq!(reason(&delete(stale).await), "STALE_ETAG");
        }
        let kept = world.read(permit, &read).await.unwrap();
        assert_eq!((kept.session, world.taken().len()), (changed.session, taken), "it is as it was");
        // A session that is booked is cancelled first, which makes another version.
        delete(expected(changed.session.version)).await.unwrap();
        assert_eq!(reason(&delete(Expected::Existing).await), "NOT_FOUND");
    }
}

/// Whoever deletes a session in the version that was read loses no change of another, also between the cancellation of a
/// booked session and its removal.
async fn deletion_loses_no_concurrent_change(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    for number in 0..24 {
        let read =
            world.add(permit, slot(1440 + number * 30, 30), Some(client).filter(|_| number % 2 == 0)).await.unwrap();
        let id = read.session.id;
        let context = expecting(expected(read.session.version));
        let change = async {
            for _ in 0..number % 4 {
                tokio::task::yield_now().await;
            }
            world.update(permit, id, super::noted(None, Some("of another"))).await
        };
        let (changed, deleted) = tokio::join!(change, world.ops.delete(&context, permit, id));
        match deleted {
            Ok(()) => assert_eq!(reason(&changed), "NOT_FOUND"),
            Err(_) => {
                assert_eq!((reason(&deleted), reason(&changed)), ("STALE_ETAG", ""));
                assert_eq!(reason(&world.ops.delete(&context, permit, id).await), "STALE_ETAG", "also repeated");
                assert_eq!(world.read(permit, &read).await.unwrap().private_notes.as_str(), "of another");
            }
        }
    }
}

/// The same `If-Match` deletes a session that the failed deletion has cancelled, unless it was changed since.
async fn failed_deletion_completes_when_repeated(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    for (number, (delivered, changed)) in [(false, false), (true, false), (false, true)].into_iter().enumerate() {
        let start = 1440 + 30 * i64::try_from(number).unwrap();
        let read = world.add(permit, slot(start, 30), Some(client)).await.unwrap();
        let id = read.session.id;
        let delete = async |version| world.ops.delete(&expecting(expected(version)), permit, id).await;
        world.appointments(Reaction::Fail);
        assert_eq!(reason(&delete(read.session.version).await), "UNAVAILABLE");
        world.appointments(Reaction::Take);
        if delivered {
            let stored = world.ops.store.own(permit, id).await.unwrap().unwrap();
            world.ops.deliver_pending(&context(), &stored).await.unwrap();
        }
        if changed {
            let changed = world.update(permit, id, super::noted(None, Some("changed since"))).await.unwrap();
            assert_eq!(changed.session.state.status(), Status::Cancelled);
            assert_eq!(reason(&delete(read.session.version).await), "STALE_ETAG");
            delete(changed.session.version).await.unwrap();
        } else {
            delete(read.session.version).await.unwrap();
        }
        assert_eq!(world.read(permit, &read).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

async fn recovery_delivers_pending_event(engine: Engine) {
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

async fn booked_session_keeps_start_and_may_change_end(engine: Engine) {
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

async fn slot_is_found_by_id_or_time(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let minute = |minute: i64| Timestamp::from_second(super::NOW + minute * 60).unwrap();
    let day = |start: &str, end: &str| {
        let spec = crate::slot::SlotSpec {
            date: "2100-01-05T00:00:00+05:30".parse().unwrap(),
            start: Some(start.parse().unwrap()),
            end: end.parse().unwrap(),
        };
        crate::slot::Slot::new(spec).unwrap()
    };
    let first = world.add(permit, day("09:00", "10:00"), None).await.unwrap();
    let (date, start) = (first.session.slot.date(), first.session.slot.start());
    let stranger = world.client();
    let find_as = async |client: ClientPermit, selector| {
        world.ops.find(client.find_slot(permit.therapist()), selector).await.unwrap()
    };
    let find = async |selector| find_as(stranger, selector).await;
    let available = SlotLookup::Available(first.session.id, start);
    let by_id = |time| SlotSelector::Session(first.session.id, time);
    let within = Timestamp::from_second(start.as_second() + 59 * 60 + 59).unwrap();
    let end = first.session.slot.end();
    for selector in [
        by_id(None),
        by_id(Some(date)),
        by_id(Some(start)),
        by_id(Some(within)),
        SlotSelector::At(date),
        SlotSelector::At(start),
        SlotSelector::At(within),
    ] {
        assert_eq!(find(selector).await, available, "{selector:?}");
    }
    assert_eq!(find(by_id(Some(end))).await, SlotLookup::OtherTime);
    assert_eq!(find(SlotSelector::At(end)).await, SlotLookup::None);
    let other = world.therapist();
    let foreign = world.ops.find(stranger.find_slot(other.therapist()), by_id(None)).await.unwrap();
    assert_eq!(foreign, SlotLookup::None, "another therapist has no such session");

    let second = world.add(permit, day("11:00", "12:00"), None).await.unwrap();
    assert_eq!(find(SlotSelector::At(date)).await, SlotLookup::Ambiguous, "both are of that date");
    assert_eq!(find(SlotSelector::At(start)).await, available, "one is at that time");
    let appointment = world.book(&first, client).await;
    assert_eq!(
        find(SlotSelector::At(date)).await,
        SlotLookup::Available(second.session.id, second.session.slot.start())
    );
    assert_eq!((find(SlotSelector::At(start)).await, find(by_id(None)).await), (SlotLookup::None, SlotLookup::Taken));
    assert_eq!(find(by_id(Some(end))).await, SlotLookup::Taken, "nothing of when it is");
    let theirs = [SlotSelector::At(start), by_id(None), by_id(Some(end))];
    for (selector, found) in theirs.into_iter().zip([SlotLookup::Taken, SlotLookup::Taken, SlotLookup::OtherTime]) {
        assert_eq!(find_as(client, selector).await, found, "{selector:?}");
    }
    world.release(&first, appointment).await;
    world.set(permit, first.session.id, Status::Cancelled).await.unwrap();
    assert_eq!((find(SlotSelector::At(start)).await, find(by_id(None)).await), (SlotLookup::None, SlotLookup::None));
    assert_eq!(find_as(client, by_id(None)).await, SlotLookup::None);
    let soon = world.add(permit, slot(1440, 30), None).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(1440 * 60));
    assert_eq!(find(SlotSelector::Session(soon.session.id, None)).await, SlotLookup::Past);
    assert_eq!(find(SlotSelector::At(minute(1441))).await, SlotLookup::Past);
}

/// Rule 14: a session of another client is skipped as if it did not exist.
async fn foreign_slot_is_found_only_by_id_before_start(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client, stranger) = (world.therapist(), world.client(), world.client());
    let find = async |client: ClientPermit, selector| {
        world.ops.find(client.find_slot(permit.therapist()), selector).await.unwrap()
    };
    let booked = world.add(permit, slot(1440, 30), Some(client)).await.unwrap();
    let (id, start) = (booked.session.id, booked.session.slot.start());
    let later = crate::slot::SlotSpec {
        date: start.to_string().parse().unwrap(),
        start: Some("05:00".parse().unwrap()),
        end: "06:00".parse().unwrap(),
    };
    let by_id = SlotSelector::Session(id, Some(start));
    assert_eq!(
        (find(stranger, by_id).await, find(stranger, SlotSelector::At(start)).await),
        (SlotLookup::Taken, SlotLookup::None)
    );
    assert_eq!(
        (find(client, by_id).await, find(client, SlotSelector::At(start)).await),
        (SlotLookup::Taken, SlotLookup::Taken)
    );

    // Same date, other time: the result doesn't depend on sessions that the stranger can't see.
    let offered = world.add(permit, crate::slot::Slot::new(later).unwrap(), None).await.unwrap();
    let available = SlotLookup::Available(offered.session.id, offered.session.slot.start());
    assert_eq!(find(stranger, SlotSelector::At(start)).await, available);
    world.set(permit, offered.session.id, Status::Cancelled).await.unwrap();

    world.clock.advance(std::time::Duration::from_secs(1440 * 60));
    for selector in [by_id, SlotSelector::Session(id, None), SlotSelector::At(start)] {
        assert_eq!(find(stranger, selector).await, SlotLookup::None, "{selector:?}");
        assert_eq!(find(client, selector).await, SlotLookup::Past, "{selector:?}");
    }
}
