//! Tests of the rules of mapping, on both engines.

mod account_deletion;
mod asking;
mod closing;
mod contacts;
mod expiry;
mod history;
mod lists;
mod races;
mod searching;

use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::Issuer;
use chassis::{Context, Platform, SystemEntropy, Tasks};
use dynamo::secret::{Secret, Secrets};
use kernel::{ClientId, Error, LoginId, ManualClock, Person, Role, TherapistId, Timestamp, UserId};
use kit::engine::Engine;
use kit::fault::Proxy;
use kit::subscriber::account_ended;
use subscriber::AccountDeletionPermit;

use crate::model::{Intent, Limits, Pair, Relation};
use crate::ops::Ops;
use crate::policy::{self, Act, AsClient, AsTherapist, Side};
use crate::transition::State;
use crate::{Deps, MAPPINGS, ops};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Address at which no service is.
const NOWHERE: &str = "http://127.0.0.1:9";
const UNLIMITED: Intent = Intent::Grant(Limits { entries_from: None, expires_at: None });

/// Fixture of the use cases with a table of its own and a manual clock. By default no other service is reachable.
struct World {
    ops: Arc<Ops>,
    clock: ManualClock,
}

impl World {
    async fn new(engine: Engine) -> Self {
        let dynamodb = engine.client().await;
        dynamodb.create_or_verify(&[&MAPPINGS]).await.unwrap();
        Self::over(dynamodb, NOWHERE)
    }

    /// Creates two fixtures over the same tables: the calls of the first to the database go through the proxy, those of the
    /// second don't.
    async fn proxied(engine: Engine, names: &str) -> (Self, Proxy, Self) {
        let config = engine.config().await;
        let proxy = Proxy::start(&engine.endpoint().await);
        let direct = config.clone().connect(kit::entropy::seeded()).await;
        direct.create_or_verify(&[&MAPPINGS]).await.unwrap();
        let proxied =
            dynamo::Config { endpoint: Some(proxy.endpoint()), ..config }.connect(kit::entropy::seeded()).await;
        (Self::over(proxied, names), proxy, Self::over(direct, names))
    }

    /// Creates the fixture over existing tables, with the services that know names at this address.
    fn over(dynamodb: dynamo::Client, names: &str) -> Self {
        // In the year 2100: what expires by this clock must not have expired by the engines' own.
        let clock = ManualClock::new(Timestamp::from_second(4_102_444_800).unwrap());
        let shared = Arc::new(clock.clone());
        let tokens = Arc::new(Issuer::generate(shared.clone()).unwrap()).workload("mapping").tokens;
        let auth = Upstream::new(NOWHERE, tokens.clone(), kit::entropy::seeded()).unwrap();
        let clients = Upstream::new(names, tokens.clone(), kit::entropy::seeded()).unwrap();
        let appointments = Upstream::new(NOWHERE, tokens.clone(), kit::entropy::seeded()).unwrap();
        let therapists = Upstream::new(names, tokens, kit::entropy::seeded()).unwrap();
        let events = outbox::Config { recovery_interval: DAY };
        let platform = Platform { clock: shared, entropy: Arc::new(SystemEntropy), tasks: Tasks::default() };
        let secrets = Secrets::new(Secret::new([7; 32]), vec![]);
        let deps = Deps { dynamodb, secrets, auth, clients, therapists, appointments, events, platform };
        Self { ops: Arc::new(ops(deps).unwrap()), clock }
    }

    fn user(&self) -> UserId {
        UserId::generate(&self.clock, &SystemEntropy)
    }

    /// Returns a client and a therapist without a relation.
    fn new_pair(&self) -> Pair {
        Pair { client: self.user().into(), therapist: self.user().into() }
    }

    async fn client(&self, pair: Pair, intent: Intent) -> Result<Relation, Error> {
        self.ops.act(as_client(pair.client).towards(pair.therapist), intent, None).await
    }

    async fn therapist(&self, pair: Pair, intent: Intent) -> Result<Relation, Error> {
        self.ops.act(as_therapist(pair.therapist).towards(pair.client), intent, None).await
    }

    /// Ends the relation by the client. The delivery of the event fails here.
    async fn close(&self, pair: Pair) -> Result<Relation, Error> {
        let context = Context::background(Duration::from_secs(20));
        self.ops.end(&context, by_client(pair)).await
    }

    async fn stored(&self, pair: Pair) -> Relation {
        self.ops.store.read(by_client(pair)).await.unwrap().unwrap()
    }

    async fn state(&self, pair: Pair) -> State {
        self.stored(pair).await.at(self.ops.now())
    }
}

fn person(role: Role, user_id: UserId) -> Person {
    Person { user_id, role, login_id: LoginId::from_bytes([9; 16]) }
}

/// Returns the permit that the event of an account's end gives.
pub(crate) fn deleted(role: Role, id: UserId) -> AccountDeletionPermit {
    AccountDeletionPermit::from_proto(&account_ended(role, id), None).unwrap()
}

fn as_client(id: ClientId) -> AsClient {
    match policy::side(person(Role::Client, id.into())) {
        Side::Client(own) => own,
        Side::Therapist(_) => panic!("a client is a client"),
    }
}

fn as_therapist(id: TherapistId) -> AsTherapist {
    match policy::side(person(Role::Therapist, id.into())) {
        Side::Therapist(own) => own,
        Side::Client(_) => panic!("a therapist is a therapist"),
    }
}

fn by_client(pair: Pair) -> Act {
    as_client(pair.client).towards(pair.therapist)
}

fn reason<T>(outcome: &Result<T, Error>) -> &'static str {
    outcome.as_ref().err().map_or("", Error::reason)
}
