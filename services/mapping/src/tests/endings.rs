use kernel::{Role, UserId};
use kit::engine::Engine;

use super::{UNLIMITED, World, as_therapist, reason};
use crate::model::{Intent, Pair};
use crate::policy::Undertaker;
use crate::transition::{Access, Mapping, State};

kit::on_each_engine!(
    the_end_of_a_therapist_ends_every_mapping_and_access_and_again_changes_nothing,
    the_end_of_a_client_ends_every_mapping_and_access,
    an_ending_that_was_interrupted_goes_on,
    nothing_begins_with_an_account_that_is_ended,
    a_therapist_whose_account_is_ended_reads_nothing_also_by_a_relation_that_was_missed,
);

const MANY: usize = 9;

/// Relations of one person in every state that an ending meets.
async fn relations(world: &World, role: Role, id: UserId) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for number in 0..MANY {
        let other = world.strangers();
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

async fn all_are_ended(world: &World, pairs: &[Pair]) {
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

async fn the_end_of_a_therapist_ends_every_mapping_and_access_and_again_changes_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let noor = world.user();
    let pairs = relations(&world, Role::Therapist, noor).await;
    let untouched = world.strangers();
    world.client(untouched, Intent::Map).await.unwrap();
    let end = Undertaker::of(Role::Therapist, noor);
    world.ops.bury(end).await.unwrap();
    all_are_ended(&world, &pairs).await;
    assert_eq!(world.state(untouched).await.mapping, Mapping::Active);
    let before = versions(&world, &pairs).await;
    world.ops.bury(end).await.unwrap();
    assert_eq!(versions(&world, &pairs).await, before);
}

async fn the_end_of_a_client_ends_every_mapping_and_access(engine: Engine) {
    let world = World::new(engine).await;
    let asha = world.user();
    let pairs = relations(&world, Role::Client, asha).await;
    world.ops.bury(Undertaker::of(Role::Client, asha)).await.unwrap();
    all_are_ended(&world, &pairs).await;
}

async fn an_ending_that_was_interrupted_goes_on(engine: Engine) {
    let world = World::new(engine).await;
    let noor = world.user();
    let pairs = relations(&world, Role::Therapist, noor).await;
    let end = Undertaker::of(Role::Therapist, noor);
    // A crash after the marker and some of the relations.
    world.ops.store.mark_ended(end, world.ops.now()).await.unwrap();
    for pair in &pairs[..4] {
        world.ops.act(end.towards(*pair).unwrap(), Intent::AccountEnded, None).await.unwrap();
    }
    world.ops.bury(end).await.unwrap();
    all_are_ended(&world, &pairs).await;
}

async fn nothing_begins_with_an_account_that_is_ended(engine: Engine) {
    let world = World::new(engine).await;
    let (ended_client, ended_therapist) = (world.strangers(), world.strangers());
    world.ops.bury(Undertaker::of(Role::Client, ended_client.client.into())).await.unwrap();
    world.ops.bury(Undertaker::of(Role::Therapist, ended_therapist.therapist.into())).await.unwrap();
    assert_eq!(reason(&world.therapist(ended_client, Intent::RequestMapping).await), "NOT_FOUND");
    assert_eq!(reason(&world.client(ended_client, Intent::Map).await), "ACCOUNT_ENDED");
    assert_eq!(reason(&world.client(ended_therapist, Intent::Map).await), "NOT_FOUND");
    assert_eq!(reason(&world.therapist(ended_therapist, Intent::RequestMapping).await), "ACCOUNT_ENDED");
}

async fn a_therapist_whose_account_is_ended_reads_nothing_also_by_a_relation_that_was_missed(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.strangers();
    world.client(pair, Intent::Map).await.unwrap();
    world.client(pair, UNLIMITED).await.unwrap();
    let reader = as_therapist(pair.therapist).towards(pair.client);
    assert!(world.ops.journal_access(reader).await.unwrap().is_some());
    let end = Undertaker::of(Role::Therapist, pair.therapist.into());
    world.ops.store.mark_ended(end, world.ops.now()).await.unwrap();
    assert_eq!(world.state(pair).await.access, Access::Accepted);
    assert!(world.ops.journal_access(reader).await.unwrap().is_none());
}
