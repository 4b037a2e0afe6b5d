//! Tests of appointments, on both engines, with fakes of sessions and mapping.

mod account_deletion;
mod answers;
mod facts;
mod interleavings;
mod lists;
mod practice;
mod requests;
mod saga;
mod withdrawals;

use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::Issuer;
use chassis::{Context, Platform, SystemEntropy, Tasks};
use dynamo::secret::{Secret, Secrets};
use kernel::{
    AppointmentId, ClientId, Error, Expected, LoginId, ManualClock, Person, Result, Role, SessionId, TherapistId,
    Timestamp, UserId,
};
use kit::engine::Engine;
use kit::peers::Peers;
use kit::subscriber::account_ended;
use proto::events::v1::event::Kind;
use proto::events::v1::{Event, RelationEnded};
use subscriber::AccountDeletionPermit;

use crate::model::{Appointment, Pair, Request};
use crate::ops::Ops;
use crate::policy::{self, Permit};
use crate::service::Services;
use crate::tests::practice::{Practice, State};
use crate::transition::{Action, Status};
use crate::{APPOINTMENTS, Deps, ops};

const HOUR: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Test fixture: the use cases over a table of their own, with a manual clock and one therapist.
struct World {
    ops: Arc<Ops>,
    clock: ManualClock,
    practice: Practice,
    peers: Peers,
    therapist: TherapistId,
}

impl World {
    async fn new(engine: Engine) -> Self {
        let dynamodb = engine.client().await;
        dynamodb.create_or_verify(&[&APPOINTMENTS]).await.unwrap();
        // In the year 2100, so that nothing which expires by this clock has expired by the engines' own.
        let now = Timestamp::from_second(4_102_444_800).unwrap();
        let clock = ManualClock::new(now);
        let shared = Arc::new(clock.clone());
        let (practice, peers) = (Practice::start(now).await, Peers::start().await);
        let tokens = Arc::new(Issuer::generate(shared.clone()).unwrap()).workload("appointments").tokens;
        let upstream = |url: &str| Upstream::new(url, tokens.clone(), kit::entropy::seeded()).unwrap();
        let (mapping, sessions) = (upstream(&peers.url()), upstream(&practice.url()));
        let platform = Platform { clock: shared, entropy: Arc::new(SystemEntropy), tasks: Tasks::default() };
        let secrets = Secrets::new(Secret::new([7; 32]), vec![]);
        let events = outbox::Config { recovery_interval: HOUR };
        let deps = Deps { dynamodb, secrets, mapping, sessions, events, platform };
        let therapist = UserId::generate(&clock, &SystemEntropy).into();
        Self { ops: Arc::new(ops(deps).unwrap()), clock, practice, peers, therapist }
    }

    fn user(&self) -> UserId {
        UserId::generate(&self.clock, &SystemEntropy)
    }

    /// Adds a slot of the therapist, a number of hours from now.
    fn slot(&self, hours: u32) -> SessionId {
        let id = SessionId::generate(&self.clock, &SystemEntropy);
        self.practice.add(id, self.therapist, self.ops.now() + HOUR * hours);
        id
    }

    fn request(&self, session: SessionId) -> Request {
        let start = self.practice.facts().slots[&session].start;
        Request { therapist: self.therapist, date: start.to_string().parse().unwrap(), session: Some(session) }
    }

    async fn ask(&self, client: ClientId, session: SessionId) -> Result<Appointment> {
        let asking = policy::ask(person(Role::Client, client.into()), "").unwrap();
        self.ops.create(&context(), asking, self.request(session), None).await
    }

    /// Creates a pending request of a new client.
    async fn asked(&self, session: SessionId) -> Appointment {
        self.ask(self.user().into(), session).await.unwrap()
    }

    /// Creates an ACCEPTED appointment of a new client, and delivers the event of its booking.
    async fn accepted(&self, session: SessionId) -> Appointment {
        let asked = self.asked(session).await;
        let accepted = self.therapist(asked.id, Action::Accept).await.unwrap();
        self.deliver_all().await;
        accepted
    }

    async fn therapist(&self, id: AppointmentId, action: Action) -> Result<Appointment> {
        self.ops.act(&context(), self.as_therapist(), id, action, &Expected::Anything).await
    }

    async fn client(&self, it: &Appointment, action: Action) -> Result<Appointment> {
        self.ops.act(&context(), as_client(it), it.id, action, &Expected::Anything).await
    }

    fn as_therapist(&self) -> Permit {
        policy::read(person(Role::Therapist, self.therapist.into()))
    }

    async fn stored(&self, it: &Appointment) -> Option<Appointment> {
        self.ops.store.read(as_client(it), it.id).await.unwrap()
    }

    async fn status(&self, it: &Appointment) -> Option<Status> {
        self.stored(it).await.map(|it| it.status_at(self.ops.now()))
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.practice.facts().now = self.ops.now();
    }

    /// Delivers an event to appointments, and marks it as delivered in sessions.
    async fn deliver(&self, kind: Kind) -> Result<()> {
        let event = Event { id: String::new(), time: None, kind: Some(kind.clone()) };
        let services = Services(Arc::clone(&self.ops));
        Box::pin(subscriber::deliver(&services, &context(), event)).await?;
        self.practice.facts().acknowledge(&kind);
        Ok(())
    }

    /// Ends the relation of a pair and begins a later version of it. Returns the version after the ending.
    async fn end_relation(&self, pair: Pair) -> u32 {
        let version = {
            let mut state = self.peers.state();
            state.relation += 2;
            state.relation - 1
        };
        self.deliver(relation_ended(pair, version)).await.unwrap();
        version
    }

    /// Delivers all pending events of sessions.
    async fn deliver_all(&self) {
        loop {
            let kind = self.practice.facts().events.pop();
            let Some(kind) = kind else { return };
            self.deliver(kind).await.unwrap();
        }
    }
}

fn relation_ended(pair: Pair, version: u32) -> Kind {
    let (client_id, therapist_id) = (pair.client.to_string(), pair.therapist.to_string());
    Kind::RelationEnded(RelationEnded { client_id, therapist_id, version })
}

fn context() -> Context {
    Context::background(TIMEOUT)
}

fn person(role: Role, user_id: UserId) -> Person {
    Person { user_id, role, login_id: LoginId::from_bytes([9; 16]) }
}

/// Returns the permit that the event of an account's end gives.
pub(crate) fn deleted(role: Role, id: UserId) -> AccountDeletionPermit {
    AccountDeletionPermit::from_proto(&account_ended(role, id), None).unwrap()
}

fn as_client(it: &Appointment) -> Permit {
    policy::read(person(Role::Client, it.pair.client.into()))
}

fn reason<T>(outcome: &Result<T>) -> &'static str {
    outcome.as_ref().err().map_or("", Error::reason)
}
