use std::sync::Mutex;

use futures_util::future::join_all;
use kernel::{ClientId, SessionId};
use kit::engine::Engine;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proto::events::v1::event::Kind;

use super::{State, World, as_client, context};
use crate::model::{Appointment, Pair};
use crate::transition::{Action, Status};

kit::on_each_engine!(whatever_happens_in_whatever_order_an_appointment_is_accepted_if_and_only_if_it_has_the_slot);

const HISTORIES: usize = 25;
const CLIENTS: usize = 3;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Ask(usize),
    Accept(usize),
    Reject(usize),
    Cancel(usize),
    Revoke(usize),
    /// A reservation that was sent before, and comes only now.
    LateReservation(usize),
    Withdraw {
        available: bool,
    },
    /// One of the events is delivered, and perhaps once more later.
    Deliver {
        which: usize,
        again: bool,
    },
    /// The client ends the relation with the therapist.
    EndRelation(usize),
    /// Sessions hears nothing, or hears again.
    Deafen(bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    let client = 0..CLIENTS;
    prop_oneof![
        3 => client.clone().prop_map(Deed::Ask),
        3 => client.clone().prop_map(Deed::Accept),
        1 => client.clone().prop_map(Deed::Reject),
        1 => client.clone().prop_map(Deed::Cancel),
        2 => client.clone().prop_map(Deed::Revoke),
        2 => client.clone().prop_map(Deed::LateReservation),
        1 => client.prop_map(Deed::EndRelation),
        1 => any::<bool>().prop_map(|available| Deed::Withdraw { available }),
        4 => (0_usize..8, any::<bool>()).prop_map(|(which, again)| Deed::Deliver { which, again }),
        1 => any::<bool>().prop_map(Deed::Deafen),
    ]
}

/// Everything that clients have asked for, the last of each.
struct History<'a> {
    world: &'a World,
    session: SessionId,
    clients: Vec<ClientId>,
    asked: Mutex<Vec<Appointment>>,
}

impl History<'_> {
    fn all(&self) -> Vec<Appointment> {
        self.asked.lock().unwrap().clone()
    }

    fn last(&self, client: usize) -> Option<Appointment> {
        self.all().into_iter().rev().find(|it| it.pair.client == self.clients[client])
    }

    async fn happen(&self, deed: Deed) {
        let world = self.world;
        match deed {
            Deed::Ask(client) => {
                if let Ok(asked) = world.ask(self.clients[client], self.session).await {
                    self.asked.lock().unwrap().push(asked);
                }
            }
            Deed::Accept(client) => self.act(client, Action::Accept).await,
            Deed::Reject(client) => self.act(client, Action::Reject).await,
            Deed::Revoke(client) => self.act(client, Action::Revoke).await,
            Deed::Cancel(client) => {
                if let Some(it) = self.last(client) {
                    let _refused = world.ops.cancel(as_client(&it), it.id).await;
                }
            }
            Deed::LateReservation(client) => {
                if let Some(it) = self.last(client) {
                    let _outcome = world.ops.sessions.reserve(&context(), &it).await;
                }
            }
            Deed::Withdraw { available } => world.practice.facts().withdraw(self.session, available),
            Deed::Deliver { which, again } => self.deliver(which, again).await,
            Deed::EndRelation(client) => {
                world.end_relation(Pair { client: self.clients[client], therapist: world.therapist }).await;
            }
            Deed::Deafen(deaf) => world.practice.facts().deaf = deaf,
        }
    }

    async fn act(&self, client: usize, action: Action) {
        if let Some(it) = self.last(client) {
            let _refused = self.world.therapist(it.id, action).await;
        }
    }

    /// An event that is not taken comes again.
    async fn deliver(&self, which: usize, again: bool) {
        let event: Option<Kind> = {
            let mut facts = self.world.practice.facts();
            let count = facts.events.len();
            (count > 0).then(|| facts.events.remove(which % count))
        };
        let Some(event) = event else { return };
        if self.world.deliver(event.clone()).await.is_err() || again {
            self.world.practice.facts().events.push(event);
        }
    }

    /// What recovery does on both sides.
    async fn recover(&self) {
        self.world.practice.facts().deaf = false;
        for it in self.all() {
            if let Some(now) = self.world.stored(&it).await {
                self.world.ops.announce(&context(), &now).await;
            }
        }
        self.world.deliver_all().await;
    }

    async fn check(&self, deeds: &[Vec<Deed>]) {
        let state = self.world.practice.state(self.session);
        for it in self.all() {
            let now = self.world.status(&it).await;
            let has_slot = state == State::Booked(it.id);
            assert_eq!(now == Some(Status::Accepted), has_slot, "{it:?} is {now:?}, {state:?}: {deeds:?}");
            let is_open = now == Some(Status::Pending);
            assert!(!is_open || state == State::Available, "{it:?} waits for {state:?}: {deeds:?}");
        }
    }
}

async fn whatever_happens_in_whatever_order_an_appointment_is_accepted_if_and_only_if_it_has_the_slot(engine: Engine) {
    let world = World::new(engine).await;
    let mut runner = TestRunner::default();
    println!("seed: {:?}", runner.rng());
    let histories = prop::collection::vec(prop::collection::vec(deed(), 1..4), 5..25);
    let mut accepted = 0;
    for _ in 0..HISTORIES {
        let deeds = histories.new_tree(&mut runner).unwrap().current();
        let clients = (0..CLIENTS).map(|_| world.user().into()).collect();
        let history = History { world: &world, session: world.slot(1), clients, asked: Mutex::default() };
        for at_once in &deeds {
            join_all(at_once.iter().map(|deed| history.happen(*deed))).await;
        }
        history.recover().await;
        history.check(&deeds).await;
        accepted += usize::from(matches!(world.practice.state(history.session), State::Booked(_)));
    }
    assert!(accepted > 0, "none was ever accepted: nothing was tested");
}
