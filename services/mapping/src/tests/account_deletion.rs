use kernel::{Role, UserId};
use kit::engine::Engine;

use super::{UNLIMITED, World, as_therapist, deleted, reason};
use crate::model::{Intent, Pair};
use crate::policy;
use crate::transition::{Access, Mapping, State};

kit::on_each_engine!(
    therapist_deletion_ends_every_relation_once,
    client_deletion_ends_every_relation,
    interrupted_deletion_resumes,
    ended_account_begins_no_relation,
    ended_therapist_loses_access_of_a_missed_relation,
);

const MANY: usize = 9;

/// Creates relations of one person in every state that account deletion handles.
async fn relations(world: &World, role: Role, id: UserId) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for number in 0..MANY {
        let other = world.new_pair();
        let pair = match role {
            Role::Client => Pair { client: id.into(), ..other },
            Role::Therapist => Pair { therapist: id.into(), ..other },
        };
        world.therapist(pair, Intent::RequestMapping).await.unwrap();
        match number % 4 {
            0 => {}
            1 => drop(world.client(pair, Intent::Reject).await.unwrap()),
            2 => drop(world.client(pair, Intent::Accept).await.unwrap()),
            _ => {
                world.client(pair, Intent::Accept).await.unwrap();
                world.client(pair, UNLIMITED).await.unwrap();
            }
        }
        pairs.push(pair);
    }
    pairs
}

async fn assert_all_ended(world: &World, pairs: &[Pair]) {
    for (number, pair) in pairs.iter().enumerate() {
        let expected = match number % 4 {
            1 => State { mapping: Mapping::Rejected, access: Access::None },
            3 => State { mapping: Mapping::Ended, access: Access::Revoked },
            _ => State { mapping: Mapping::Ended, access: Access::None },
        };
        assert_eq!(world.state(*pair).await, expected, "{number}");
    }
}

async fn versions(world: &World, pairs: &[Pair]) -> Vec<u32> {
    let mut versions = Vec::new();
    for pair in pairs {
        versions.push(world.stored(*pair).await.version);
    }
    versions
}

async fn therapist_deletion_ends_every_relation_once(engine: Engine) {
    let world = World::new(engine).await;
    let noor = world.user();
    let pairs = relations(&world, Role::Therapist, noor).await;
    let untouched = world.new_pair();
    world.client(untouched, Intent::Map).await.unwrap();
    let end = deleted(Role::Therapist, noor);
    world.ops.handle_account_deleted(end).await.unwrap();
    assert_all_ended(&world, &pairs).await;
    assert_eq!(world.state(untouched).await.mapping, Mapping::Active);
    let before = versions(&world, &pairs).await;
    world.ops.handle_account_deleted(end).await.unwrap();
    assert_eq!(versions(&world, &pairs).await, before);
}

async fn client_deletion_ends_every_relation(engine: Engine) {
    let world = World::new(engine).await;
    let asha = world.user();
    let pairs = relations(&world, Role::Client, asha).await;
    world.ops.handle_account_deleted(deleted(Role::Client, asha)).await.unwrap();
    assert_all_ended(&world, &pairs).await;
}

async fn interrupted_deletion_resumes(engine: Engine) {
    let world = World::new(engine).await;
    let noor = world.user();
    let pairs = relations(&world, Role::Therapist, noor).await;
    let end = deleted(Role::Therapist, noor);
    // Simulates a crash after the marker and some of the relations.
    world.ops.store.mark_ended(end, world.ops.now()).await.unwrap();
    for pair in &pairs[..4] {
        world.ops.act(policy::ended(end, *pair).unwrap(), Intent::AccountEnded, None).await.unwrap();
    }
    world.ops.handle_account_deleted(end).await.unwrap();
    assert_all_ended(&world, &pairs).await;
}

async fn ended_account_begins_no_relation(engine: Engine) {
    let world = World::new(engine).await;
    let (ended_client, ended_therapist) = (world.new_pair(), world.new_pair());
    world.ops.handle_account_deleted(deleted(Role::Client, ended_client.client.into())).await.unwrap();
    world.ops.handle_account_deleted(deleted(Role::Therapist, ended_therapist.therapist.into())).await.unwrap();
    assert_eq!(reason(&world.therapist(ended_client, Intent::RequestMapping).await), "NOT_FOUND");
    assert_eq!(reason(&world.client(ended_client, Intent::Map).await), "ACCOUNT_ENDED");
    assert_eq!(reason(&world.client(ended_therapist, Intent::Map).await), "NOT_FOUND");
    assert_eq!(reason(&world.therapist(ended_therapist, Intent::RequestMapping).await), "ACCOUNT_ENDED");
}

async fn ended_therapist_loses_access_of_a_missed_relation(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    world.client(pair, UNLIMITED).await.unwrap();
    let reader = as_therapist(pair.therapist).towards(pair.client);
    assert!(world.ops.journal_access(reader).await.unwrap().is_some());
    let end = deleted(Role::Therapist, pair.therapist.into());
    world.ops.store.mark_ended(end, world.ops.now()).await.unwrap();
    assert_eq!(world.state(pair).await.access, Access::Accepted);
    assert!(world.ops.journal_access(reader).await.unwrap().is_none());
}
