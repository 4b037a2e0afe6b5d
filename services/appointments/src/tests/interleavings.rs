use std::sync::Mutex;

use futures_util::future::join_all;
use kernel::{ClientId, Expected, SessionId};
use kit::engine::Engine;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proto::events::v1::event::Kind;

use super::{State, World, as_client, context};
use crate::model::{Appointment, Pair};
use crate::transition::{Action, Status};

kit::on_each_engine!(acceptance_and_slot_agree_in_any_interleaving);

const HISTORIES: usize = 25;
const CLIENTS: usize = 3;

/// Command of a generated history.
#[derive(Debug, Clone, Copy)]
enum Command {
    Ask(usize),
    Accept(usize),
    Reject(usize),
    Cancel(usize),
    Revoke(usize),
    /// Late reservation of an earlier acceptance.
    LateReservation(usize),
    Withdraw {
        available: bool,
    },
    /// Delivery of one of the events, and again later if `again`.
    Deliver {
        index: usize,
        again: bool,
    },
    /// End of the relation by the client.
    EndRelation(usize),
    /// Change of the availability of sessions.
    SetUnavailable(bool),
}

fn command() -> impl Strategy<Value = Command> {
    let client = 0..CLIENTS;
    prop_oneof![
        3 => client.clone().prop_map(Command::Ask),
        3 => client.clone().prop_map(Command::Accept),
        1 => client.clone().prop_map(Command::Reject),
        1 => client.clone().prop_map(Command::Cancel),
        2 => client.clone().prop_map(Command::Revoke),
        2 => client.clone().prop_map(Command::LateReservation),
        1 => client.prop_map(Command::EndRelation),
        1 => any::<bool>().prop_map(|available| Command::Withdraw { available }),
        4 => (0_usize..8, any::<bool>()).prop_map(|(index, again)| Command::Deliver { index, again }),
        1 => any::<bool>().prop_map(Command::SetUnavailable),
    ]
}

/// Run of commands on one session, with all appointments that were requested.
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

    async fn run(&self, command: Command) {
        let world = self.world;
        match command {
            Command::Ask(client) => {
                if let Ok(asked) = world.ask(self.clients[client], self.session).await {
                    self.asked.lock().unwrap().push(asked);
                }
            }
            Command::Accept(client) => self.act(client, Action::Accept).await,
            Command::Reject(client) => self.act(client, Action::Reject).await,
            Command::Revoke(client) => self.act(client, Action::Revoke).await,
            Command::Cancel(client) => {
                if let Some(it) = self.last(client) {
                    let _refused = world.ops.cancel(as_client(&it), it.id, &Expected::Anything).await;
                }
            }
            Command::LateReservation(client) => {
                if let Some(it) = self.last(client) {
                    let _outcome = world.ops.sessions.reserve(&context(), &it).await;
                }
            }
            Command::Withdraw { available } => world.practice.facts().withdraw(self.session, available),
            Command::Deliver { index, again } => self.deliver(index, again).await,
            Command::EndRelation(client) => {
                world.end_relation(Pair { client: self.clients[client], therapist: world.therapist }).await;
            }
            Command::SetUnavailable(unavailable) => world.practice.facts().unavailable = unavailable,
        }
    }

    async fn act(&self, client: usize, action: Action) {
        if let Some(it) = self.last(client) {
            let _refused = self.world.therapist(it.id, action).await;
        }
    }

    /// Delivers an event; after a failure it stays pending.
    async fn deliver(&self, index: usize, again: bool) {
        let event: Option<Kind> = {
            let mut facts = self.world.practice.facts();
            let count = facts.events.len();
            (count > 0).then(|| facts.events.remove(index % count))
        };
        let Some(event) = event else { return };
        if self.world.deliver(event.clone()).await.is_err() || again {
            self.world.practice.facts().events.push(event);
        }
    }

    /// Delivers all pending events, as recovery does on both sides.
    async fn recover(&self) {
        self.world.practice.facts().unavailable = false;
        for it in self.all() {
            if let Some(now) = self.world.stored(&it).await {
                self.world.ops.publish(&context(), &now).await;
            }
        }
        self.world.deliver_all().await;
    }

    async fn check(&self, commands: &[Vec<Command>]) {
        let state = self.world.practice.state(self.session);
        for it in self.all() {
            let now = self.world.status(&it).await;
            let has_slot = state == State::Booked(it.id);
            assert_eq!(now == Some(Status::Accepted), has_slot, "{it:?} is {now:?}, {state:?}: {commands:?}");
            let is_open = now == Some(Status::Pending);
            assert!(!is_open || state == State::Available, "{it:?} waits for {state:?}: {commands:?}");
        }
    }
}

/// An appointment is ACCEPTED if and only if it has the slot.
async fn acceptance_and_slot_agree_in_any_interleaving(engine: Engine) {
    let world = World::new(engine).await;
    // A fixed seed: some random ones book nothing in so few histories, which would test nothing.
    let mut runner = TestRunner::deterministic();
    let histories = prop::collection::vec(prop::collection::vec(command(), 1..4), 5..25);
    let mut accepted = 0;
    for _ in 0..HISTORIES {
        let commands = histories.new_tree(&mut runner).unwrap().current();
        let clients = (0..CLIENTS).map(|_| world.user().into()).collect();
        let history = History { world: &world, session: world.slot(1), clients, asked: Mutex::default() };
        for concurrent in &commands {
            join_all(concurrent.iter().map(|command| history.run(*command))).await;
        }
        history.recover().await;
        history.check(&commands).await;
        accepted += usize::from(matches!(world.practice.state(history.session), State::Booked(_)));
    }
    assert!(accepted > 0, "none was ever accepted: nothing was tested");
}
