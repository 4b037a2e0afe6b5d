use futures_util::future::join_all;
use kernel::{ClientId, Expected, Kind, Role, TherapistId};
use kit::engine::Engine;
use proto::mapping::v1::record_contact_response::Outcome as Contact;
use proto::sessions::v1::find_slot_response::Outcome as Find;

use super::{HOUR, World, as_client, context, deleted, person, reason};
use crate::model::Request;
use crate::policy;
use crate::store::Added;
use crate::transition::{Action, Status};

kit::on_each_engine!(
    slot_lookup_decides_request,
    session_is_found_by_therapist_and_time,
    contact_is_recorded_before_request,
    request_for_lost_session_is_rejected,
    pending_requests_per_therapist_are_limited_to_five,
    concurrent_requests_respect_limits,
    second_request_for_session_is_refused_while_pending,
    repeated_key_returns_same_appointment,
    repeated_key_returns_same_appointment_despite_changes,
    concurrent_repeats_return_one_appointment,
    deleted_account_blocks_requests,
);

const CREATE: &str = "/test";

async fn slot_lookup_decides_request(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(1);
    let client = world.user().into();
    for (found, kind, expected) in [
        (Find::None, Kind::NotFound, "NOT_FOUND"),
        (Find::Taken, Kind::AlreadyExists, "SLOT_TAKEN"),
        (Find::Past, Kind::FailedPrecondition, "SESSION_OVER"),
        (Find::OtherTime, Kind::InvalidArgument, "appointmentDate"),
        (Find::Ambiguous, Kind::InvalidArgument, "sessionId"),
    ] {
        world.practice.facts().find.push(found);
        let refused = world.ask(client, slot).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{found:?}");
        let reported = refused.violations().first().map_or(refused.reason(), |bad| &*bad.field);
        assert_eq!(reported, expected, "{found:?}");
    }
    assert!(world.peers.state().contacts.is_empty(), "nothing was asked for");
    assert!(world.ask(client, slot).await.is_ok());
}

async fn session_is_found_by_therapist_and_time(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(2);
    let asking = policy::ask(person(Role::Client, world.user()), "").unwrap();
    let request = Request { session: None, ..world.request(slot) };
    let asked = world.ops.create(&context(), asking, request, None).await.unwrap();
    assert_eq!((asked.session, asked.date), (slot, request.date));
    let another = Request { therapist: TherapistId::from_bytes([5; 16]), ..world.request(slot) };
    assert_eq!(reason(&world.ops.create(&context(), asking, another, None).await), "NOT_FOUND");
}

async fn contact_is_recorded_before_request(engine: Engine) {
    let world = World::new(engine).await;
    let (slot, client) = (world.slot(1), world.user().into());
    for (outcome, expected) in [(Contact::NoSuchPeer, "NOT_FOUND"), (Contact::CallerEnded, "ACCOUNT_ENDED")] {
        world.peers.state().contact = outcome;
        assert_eq!(reason(&world.ask(client, slot).await), expected);
    }
    world.peers.state().contact = Contact::Recorded;
    world.ask(client, slot).await.unwrap();
    assert_eq!(world.peers.state().contacts, vec![world.therapist.to_string(); 3]);
}

async fn request_for_lost_session_is_rejected(engine: Engine) {
    let world = World::new(engine).await;
    for (again, expected) in [
        (Find::Taken, Status::Rejected),
        (Find::None, Status::Rejected),
        (Find::OtherTime, Status::Pending),
        (Find::Available, Status::Pending),
    ] {
        let slot = world.slot(1);
        world.practice.facts().find = vec![Find::Available, again];
        let asked = world.asked(slot).await;
        assert_eq!(asked.status_at(world.ops.now()), expected, "{again:?}");
        assert_eq!(world.status(&asked).await, Some(expected), "{again:?}");
    }
}

/// Answered, cancelled and expired requests do not count.
async fn pending_requests_per_therapist_are_limited_to_five(engine: Engine) {
    let world = World::new(engine).await;
    let client: ClientId = world.user().into();
    let slots: Vec<_> = (1..=9).map(|hours| world.slot(hours)).collect();
    let mut asked = Vec::new();
    for slot in &slots[..5] {
        asked.push(world.ask(client, *slot).await.unwrap());
    }
    let refused = world.ask(client, slots[5]).await;
    assert_eq!(reason(&refused), "TOO_MANY_REQUESTS_PENDING");
    assert_eq!(refused.unwrap_err().kind(), Kind::ResourceExhausted);
    assert!(world.ask(world.user().into(), slots[5]).await.is_ok(), "others may ask");
    world.therapist(asked[4].id, Action::Reject).await.unwrap();
    asked.push(world.ask(client, slots[5]).await.unwrap());
    world.ops.cancel(as_client(&asked[3]), asked[3].id, &Expected::Anything).await.unwrap();
    world.ask(client, slots[6]).await.unwrap();
    assert_eq!(reason(&world.ask(client, slots[7]).await), "TOO_MANY_REQUESTS_PENDING");
    world.advance(HOUR);
    assert_eq!(world.status(&asked[0]).await, Some(Status::Expired));
    world.ask(client, slots[7]).await.unwrap();
    assert_eq!(reason(&world.ask(client, slots[8]).await), "TOO_MANY_REQUESTS_PENDING");
}

async fn concurrent_requests_respect_limits(engine: Engine) {
    let world = World::new(engine).await;
    let (client, other): (ClientId, ClientId) = (world.user().into(), world.user().into());
    let slots: Vec<_> = (1..=12).map(|hours| world.slot(hours)).collect();
    let asked = futures_util::future::join_all(slots.iter().map(|slot| world.ask(client, *slot))).await;
    assert_eq!(asked.iter().filter(|asked| asked.is_ok()).count(), 5);
    let asked = futures_util::future::join_all((0..12).map(|_| world.ask(other, slots[0]))).await;
    assert_eq!(asked.iter().filter(|asked| asked.is_ok()).count(), 1);
}

async fn second_request_for_session_is_refused_while_pending(engine: Engine) {
    let world = World::new(engine).await;
    let (client, slot) = (world.user().into(), world.slot(1));
    let asked = world.ask(client, slot).await.unwrap();
    let refused = world.ask(client, slot).await;
    assert_eq!((reason(&refused), refused.unwrap_err().kind()), ("REQUEST_PENDING", Kind::AlreadyExists));
    world.therapist(asked.id, Action::Reject).await.unwrap();
    assert_ne!(world.ask(client, slot).await.unwrap().id, asked.id);
}

async fn repeated_key_returns_same_appointment(engine: Engine) {
    let world = World::new(engine).await;
    let (client, slot) = (world.user(), world.slot(1));
    let asking = policy::ask(person(Role::Client, client), "").unwrap();
    let ask = async |key: &str, body: &[u8]| {
        let claim = world.ops.idempotency.claim_if_keyed(Some(key), client.as_bytes(), CREATE, body).unwrap();
        world.ops.create(&context(), asking, world.request(slot), claim.as_ref()).await
    };
    let asked = ask("one", b"body").await.unwrap();
    assert_eq!(ask("one", b"body").await.unwrap(), asked);
    assert_eq!(reason(&ask("one", b"other body").await), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(reason(&ask("two", b"body").await), "REQUEST_PENDING");
    let accepted = world.therapist(asked.id, Action::Accept).await.unwrap();
    assert_eq!(ask("one", b"body").await.unwrap(), accepted, "as it is now, though the session is taken");
}

/// A repeated request is judged by nothing but the client's own account.
async fn repeated_key_returns_same_appointment_despite_changes(engine: Engine) {
    let world = World::new(engine).await;
    let client = world.user();
    let asking = policy::ask(person(Role::Client, client), "").unwrap();
    let ask = async |key: &str, slot| {
        let claim = world.ops.idempotency.claim_if_keyed(Some(key), client.as_bytes(), CREATE, b"body").unwrap();
        world.ops.create(&context(), asking, world.request(slot), claim.as_ref()).await
    };
    let (one, other) = (world.slot(1), world.slot(2));
    let (asked, cancelled) = (ask("one", one).await.unwrap(), ask("other", other).await.unwrap());
    world.ops.cancel(as_client(&cancelled), cancelled.id, &Expected::Anything).await.unwrap();
    world.peers.state().contact = Contact::NoSuchPeer;
    world.advance(HOUR * 3);
    assert_eq!(ask("one", one).await.unwrap(), asked, "the relation and the session are over");
    assert_eq!(reason(&ask("other", other).await), "NOT_FOUND");
    world.ops.handle_account_deleted(&context(), deleted(Role::Client, client)).await.unwrap();
    assert_eq!(reason(&ask("one", one).await), "ACCOUNT_ENDED");
}

async fn concurrent_repeats_return_one_appointment(engine: Engine) {
    let world = World::new(engine).await;
    for _ in 0..5 {
        let (client, slot) = (world.user(), world.slot(1));
        let asking = policy::ask(person(Role::Client, client), "").unwrap();
        let ask = async || {
            let claim = world.ops.idempotency.claim_if_keyed(Some("key"), client.as_bytes(), CREATE, b"body").unwrap();
            world.ops.create(&context(), asking, world.request(slot), claim.as_ref()).await.unwrap().id
        };
        let mut ids = join_all((0..6).map(|_| ask())).await;
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }
}

async fn deleted_account_blocks_requests(engine: Engine) {
    let world = World::new(engine).await;
    let slot = world.slot(1);
    let asked = world.asked(slot).await;
    let fresh = |it: &crate::model::Appointment| crate::model::Appointment {
        id: kernel::AppointmentId::generate(&world.clock, &chassis::SystemEntropy),
        ..it.clone()
    };
    let client = asked.pair.client;
    world.ops.handle_account_deleted(&context(), deleted(Role::Client, client.into())).await.unwrap();
    assert_eq!(
        world.ops.store.add(as_client(&asked), &fresh(&asked), None).await.unwrap(),
        Added::Ended(client.into())
    );
    assert_eq!(reason(&world.ask(client, slot).await), "ACCOUNT_ENDED");
    let other = world.asked(slot).await;
    world.ops.handle_account_deleted(&context(), deleted(Role::Therapist, world.therapist.into())).await.unwrap();
    assert_eq!(
        world.ops.store.add(as_client(&other), &fresh(&other), None).await.unwrap(),
        Added::Ended(world.therapist.into())
    );
    assert_eq!(reason(&world.ask(world.user().into(), slot).await), "NOT_FOUND");
}
