use kit::engine::Engine;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{DAY, World};
use crate::model::{Channel, Intent, Limits, Relation};
use crate::transition::{Step, step};

kit::on_each_engine!(history_replay_equals_stored_relation);

const STEPS: usize = 400;
const SEED: [u8; 32] = *b"consent is what the client says.";

/// Generates an action: by the client or by the therapist, the intent, and the days that pass before it.
fn arbitrary_action() -> impl Strategy<Value = (bool, Intent, u32)> {
    let limits = (proptest::option::of(0..3_i64), proptest::option::of(1..40_i64));
    let grant = limits.prop_map(|(from, until)| {
        let day = |days: i64| kernel::Timestamp::from_second(4_102_444_800 + days * 86_400).unwrap().into();
        Intent::Grant(Limits { entries_from: from.map(day), expires_at: until.map(|days| day(days * 20)) })
    });
    let plain = proptest::sample::select(vec![
        Intent::Map,
        Intent::RequestMapping,
        Intent::Accept,
        Intent::Reject,
        Intent::End,
        Intent::RequestAccess,
        Intent::RejectAccess,
        Intent::RevokeAccess,
        Intent::RecordContact(Channel::Message),
        Intent::RecordContact(Channel::Appointment),
    ]);
    (any::<bool>(), prop_oneof![4 => plain, 1 => grant], prop_oneof![3 => Just(0_u32), 1 => 0..35_u32])
}

async fn history_replay_equals_stored_relation(engine: Engine) {
    println!("seed: {SEED:?}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    for _ in 0..STEPS {
        let (by_client, intent, days) = arbitrary_action().new_tree(&mut runner).unwrap().current();
        world.clock.advance(DAY * days);
        // Most are refused, and change nothing.
        let _ = if by_client { world.client(pair, intent).await } else { world.therapist(pair, intent).await };
    }
    let changes = world.ops.store.history(pair).await.unwrap();
    assert!(changes.len() > 30, "too little happened: {}", changes.len());
    let mut replayed = Relation::new(pair, changes[0].time);
    for change in &changes {
        assert_eq!(change.before, replayed.at(change.time), "{change:?}");
        assert_eq!(step(change.actor, change.action, change.before), Step::To(change.after), "{change:?}");
        replayed = replayed.changed(change);
    }
    // The mark of a pending event is not part of the history.
    let stored = world.stored(pair).await;
    assert_eq!(replayed, Relation { mark: None, ..stored });
}
