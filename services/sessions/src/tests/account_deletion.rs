use std::time::Duration;

use kernel::{Kind as ErrorKind, Role};
use kit::engine::Engine;
use proto::events::v1::event::Kind;

use super::{World, context, deleted, draft, slot};
use crate::model::{OwnSession, State, Status};
use crate::policy::{ClientPermit, Own};

kit::on_each_engine!(client_deletion_frees_slots_and_erases_notes, therapist_deletion_keeps_sessions_of_clients,);

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn noted(world: &World, permit: Own, start: i64, client: Option<ClientPermit>) -> OwnSession {
    let draft = draft(slot(start, 30), client, "shared", "private");
    world.ops.create(&context(), permit, draft, None).await.unwrap()
}

fn shown(own: &OwnSession) -> (State, &str, &str) {
    (own.session.state, own.shared_notes.as_str(), own.private_notes.as_str())
}

async fn client_deletion_frees_slots_and_erases_notes(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client, other) = (world.therapist(), world.client(), world.client());
    let begun = noted(&world, permit, 10, Some(client)).await;
    world.clock.advance(DAY);
    let ahead = noted(&world, permit, 2000, Some(client)).await;
    let cancelled = noted(&world, permit, 2100, Some(client)).await;
    world.set(permit, cancelled.session.id, Status::Cancelled).await.unwrap();
    let others = noted(&world, permit, 2200, Some(other)).await;
    for _ in 0..2 {
        let permit = deleted(Role::Client, client.client().into());
        world.ops.handle_account_deleted(&context(), permit).await.unwrap();
    }
    let now = async |session| world.read(permit, session).await.unwrap();
    assert_eq!(shown(&now(&begun).await), (State::Booked(None), "", "private"));
    assert_eq!(shown(&now(&ahead).await), (State::Available, "", "private"));
    assert_eq!(shown(&now(&cancelled).await), (State::Cancelled(None), "", "private"));
    assert_eq!(shown(&now(&others).await), shown(&others));
    for session in [&begun, &cancelled] {
        let seen = world.ops.seen(&context(), client, session.session.id).await;
        assert_eq!(seen.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    }
}

async fn therapist_deletion_keeps_sessions_of_clients(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, client) = (world.therapist(), world.client());
    let begun = noted(&world, permit, 10, Some(client)).await;
    world.clock.advance(DAY);
    let ahead = noted(&world, permit, 2000, Some(client)).await;
    let available = noted(&world, permit, 2100, None).await;
    let cancelled = noted(&world, permit, 2200, None).await;
    world.set(permit, cancelled.session.id, Status::Cancelled).await.unwrap();
    let other = world.therapist();
    let others = noted(&world, other, 2100, None).await;
    for _ in 0..2 {
        let permit = deleted(Role::Therapist, permit.therapist().into());
        world.ops.handle_account_deleted(&context(), permit).await.unwrap();
    }
    let now = async |session| world.read(permit, session).await.unwrap();
    assert_eq!(shown(&now(&begun).await), (begun.session.state, "shared", ""));
    assert_eq!(shown(&now(&ahead).await), (State::Cancelled(Some(client.client())), "shared", ""));
    assert_eq!(shown(&now(&cancelled).await), (State::Cancelled(None), "", ""));
    assert_eq!(world.read(permit, &available).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(shown(&world.read(other, &others).await.unwrap()), shown(&others));
    let Some(Kind::SessionWithdrawn(withdrawn)) = world.taken().pop().unwrap().kind else { panic!("it is taken back") };
    assert_eq!(withdrawn.appointment_id, ahead.session.state.appointment().unwrap().to_string());
    assert!(
        world
            .ops
            .store
            .calendar(permit, [crate::slot::day(ahead.session.slot.start())].into())
            .await
            .unwrap()
            .sessions()
            .is_empty()
    );
}
