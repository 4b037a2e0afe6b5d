use std::time::Duration;

use kernel::{ClientId, Expected, Role};
use kit::engine::Engine;

use super::{HOUR, World, context, person};
use crate::policy;
use crate::transition::Action;

kit::on_each_engine!(appointment_is_open_until_session_ends, open_appointments_filter_by_client,);

const MINUTE: Duration = Duration::from_secs(60);

async fn open(world: &World, clients: &[ClientId]) -> Vec<ClientId> {
    let own = policy::own(person(Role::Therapist, world.therapist.into()));
    world.ops.with_open(&context(), own, clients.iter().copied().collect()).await.unwrap().into_iter().collect()
}

async fn appointment_is_open_until_session_ends(engine: Engine) {
    let world = World::new(engine).await;
    let (expires, accepted) = (world.asked(world.slot(1)).await, world.accepted(world.slot(1)).await);
    let revoked = world.accepted(world.slot(3)).await;
    let rejected = world.asked(world.slot(3)).await;
    let removed = world.asked(world.slot(3)).await;
    let all = [&expires, &accepted, &revoked, &rejected, &removed].map(|it| it.pair.client);
    let is_open = async |who: &[ClientId]| {
        let mut who = who.to_vec();
        who.sort_unstable();
        assert_eq!(open(&world, &all).await, who);
    };
    is_open(&all).await;
    world.therapist(revoked.id, Action::Revoke).await.unwrap();
    world.therapist(rejected.id, Action::Reject).await.unwrap();
    world.ops.cancel(super::as_client(&removed), removed.id, &Expected::Anything).await.unwrap();
    is_open(&[expires.pair.client, accepted.pair.client]).await;
    world.advance(HOUR);
    is_open(&[accepted.pair.client]).await;
    world.advance(MINUTE * 50 - Duration::from_millis(1));
    is_open(&[accepted.pair.client]).await;
    world.advance(Duration::from_millis(1));
    is_open(&[]).await;
}

async fn open_appointments_filter_by_client(engine: Engine) {
    let world = World::new(engine).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(world.asked(world.slot(1)).await.pair.client);
    }
    clients.sort_unstable();
    assert_eq!(open(&world, &clients).await, clients);
    assert_eq!(open(&world, &clients[1..3]).await, clients[1..3]);
    assert_eq!(open(&world, &[clients[0], clients[4]]).await, [clients[0], clients[4]]);
    assert_eq!(open(&world, &[world.user().into()]).await, []);
    assert_eq!(open(&world, &[]).await, []);
    // A client gets an empty result.
    let own = policy::own(person(Role::Client, clients[0].into()));
    assert!(world.ops.with_open(&context(), own, [clients[0]].into()).await.unwrap().is_empty());
}
