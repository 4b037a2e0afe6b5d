use std::collections::BTreeMap;

use kernel::SessionId;
use kit::engine::Engine;

use super::{SeededRng, World, at, context, reason, slot};
use crate::calendar::{self, Busy};
use crate::model::Status;
use crate::slot::Slot;

kit::on_each_engine!(calendar_matches_model);

/// Reference model of the calendar: a list of sessions that do not overlap.
#[derive(Default)]
struct Model(BTreeMap<SessionId, (Slot, bool)>);

impl Model {
    fn is_free(&self, slot: Slot, but: Option<SessionId>) -> bool {
        let overlaps = |other: &Slot| slot.start() < other.end() && other.start() < slot.end();
        !self.0.iter().any(|(id, (other, takes))| *takes && Some(*id) != but && overlaps(other))
    }
}

async fn calendar_matches_model(engine: Engine) {
    let world = World::new(engine).await;
    let (permit, mut model, mut rng) = (world.therapist(), Model::default(), SeededRng::new());
    let drawn = |rng: &mut SeededRng| slot(1440 + rng.below(3 * 1440), 1 + rng.below(180));
    for step in 0..220 {
        let ids: Vec<_> = model.0.keys().copied().collect();
        let kind = if ids.is_empty() { 0 } else { rng.below(6) };
        let one = (kind > 1).then(|| *rng.of(&ids));
        match (kind, one) {
            (2 | 3, Some(id)) => {
                let (_, takes) = model.0[&id];
                let wanted = drawn(&mut rng);
                let moved = world.update(permit, id, at(wanted)).await;
                let expected = if takes && !model.is_free(wanted, Some(id)) { "SESSION_OVERLAPS" } else { "" };
                assert_eq!(reason(&moved), expected, "step {step}: {wanted:?}");
                if moved.is_ok() {
                    model.0.insert(id, (wanted, takes));
                }
            }
            (4, Some(id)) => {
                let (slot, takes) = model.0[&id];
                let asked = if takes { Status::Cancelled } else { Status::Available };
                let changed = world.set(permit, id, asked).await;
                let expected = if !takes && !model.is_free(slot, Some(id)) { "SESSION_OVERLAPS" } else { "" };
                assert_eq!(reason(&changed), expected, "step {step}: {asked:?} of {slot:?}");
                if changed.is_ok() {
                    model.0.insert(id, (slot, !takes));
                }
            }
            (5, Some(id)) => {
                world.ops.delete(&context(), permit, id).await.unwrap();
                model.0.remove(&id);
            }
            _ => {
                let wanted = drawn(&mut rng);
                let added = world.add(permit, wanted, None).await;
                let expected = if model.is_free(wanted, None) { "" } else { "SESSION_OVERLAPS" };
                assert_eq!(reason(&added), expected, "step {step}: {wanted:?}");
                model.0.extend(added.ok().map(|it| (it.session.id, (wanted, true))));
            }
        }
    }
    let mut expected: Vec<_> = model.0.iter().map(|(id, (slot, takes))| (slot.start(), *id, *takes)).collect();
    expected.sort_unstable();
    let all = world.all(permit).await;
    let there = all.iter().map(|it| (it.session.slot.start(), it.session.id, it.session.state.takes_time()));
    assert_eq!(there.collect::<Vec<_>>(), expected);
    let busy: Vec<_> = all.iter().filter_map(|it| Busy::of(&it.session)).collect();
    let days = calendar::days(busy.iter().copied());
    assert_eq!(world.ops.store.calendar(permit, days).await.unwrap().sessions(), busy);
}
