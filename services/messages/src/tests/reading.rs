use kernel::Kind;
use kit::engine::Engine;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{World, member, page, person};
use crate::model::{Message, MessageId, Pair, Side};
use crate::ops::{Ops, Read};
use crate::policy;

kit::on_each_engine!(unread_count_matches_model, foreign_message_cannot_be_marked_read,);

const SIDES: [Side; 2] = [Side::Client, Side::Therapist];

/// Reference model of a conversation, which counts messages one by one.
#[derive(Default)]
struct Model {
    messages: Vec<Message>,
    /// Number of messages that each side has read.
    read: [usize; 2],
}

impl Model {
    fn unread(&self, side: usize) -> u64 {
        let after = self.messages.iter().skip(self.read[side]);
        after.filter(|message| message.sender != SIDES[side]).count() as u64
    }

    /// Returns the read mark of a side.
    fn mark(&self, side: usize) -> Read {
        let last = self.read[side].checked_sub(1).map(|at| self.messages[at].id.to_string());
        Read { message_id: last.unwrap_or_default(), unread: self.unread(side) }
    }
}

async fn unread(world: &World, ops: &Ops, pair: Pair, side: Side) -> u64 {
    let own = policy::own(person(pair, side));
    let page = ops.conversations(&world.context(pair, side), own, &page(50, "")).await.unwrap();
    page.items.iter().find(|it| it.permit.pair() == pair).map_or(0, |it| it.unread)
}

async fn unread_count_matches_model(engine: Engine) {
    let world = World::new(engine).await;
    let ops = world.replica().await;
    let mut runner = TestRunner::default();
    println!("seed: {:?}", runner.rng());
    let mut draw = |most: usize| (0..most).new_tree(&mut runner).unwrap().current();
    for _ in 0..4 {
        let (pair, mut model) = (world.new_pair(), Model::default());
        for _ in 0..40 {
            let side = draw(2);
            if draw(2) == 0 || model.messages.is_empty() {
                model.messages.push(world.send(&ops, pair, SIDES[side], "hello").await.unwrap());
            } else {
                // The message may be read already, and may be of either side.
                let at = draw(model.messages.len());
                model.read[side] = model.read[side].max(at + 1);
                let marked = ops.mark_read(member(pair, SIDES[side]), model.messages[at].id).await.unwrap();
                assert_eq!(marked, model.mark(side));
            }
            let side = draw(2);
            assert_eq!(unread(&world, &ops, pair, SIDES[side]).await, model.unread(side));
        }
    }
}

async fn foreign_message_cannot_be_marked_read(engine: Engine) {
    let world = World::new(engine).await;
    let (ops, pair) = (world.replica().await, world.new_pair());
    let other = Pair { therapist: world.user().into(), ..pair };
    let own = world.send(&ops, pair, Side::Client, "hello").await.unwrap();
    let foreign = world.send(&ops, other, Side::Therapist, "hello").await.unwrap();
    let made_up = MessageId::generate(own.id.at(), own.id.position(), &chassis::SystemEntropy);
    let beyond = MessageId::generate(own.id.at(), own.id.position().after(1), &chassis::SystemEntropy);
    for id in [foreign.id, made_up, beyond] {
        let refused = ops.mark_read(member(pair, Side::Therapist), id).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::NotFound, "{id}");
    }
    assert_eq!(unread(&world, &ops, pair, Side::Therapist).await, 1);
    assert_eq!(ops.mark_read(member(pair, Side::Therapist), own.id).await.unwrap().unread, 0);
}
