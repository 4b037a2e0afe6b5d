//! Tests of conversations, on both engines.

mod account_deletion;
mod faults;
mod lists;
mod reading;
mod sending;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::Issuer;
use chassis::{Context, Platform, SystemEntropy, Tasks};
use dynamo::secret::{Secret, Secrets};
use kernel::{Clock, Error, LoginId, ManualClock, PageSize, Person, Role, SystemClock, Timestamp, UserId};
use kit::engine::Engine;
use kit::peers::Peers;
use kit::subscriber::account_ended;
use subscriber::AccountDeletionPermit;

use crate::config::Config;
use crate::model::{Message, Pair, Side, Text, Wanted};
use crate::ops::Ops;
use crate::policy::{self, Member};
use crate::{Deps, MESSAGES};

/// Lifetime of access tokens.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// Test fixture: a table of its own, and replicas of the service over it. [`Peers`] answers their calls.
struct World {
    engine: dynamo::Config,
    peers: Peers,
    clock: ManualClock,
}

impl World {
    async fn new(engine: Engine) -> Self {
        let engine = engine.config().await;
        engine.connect(kit::entropy::seeded()).await.create_or_verify(&[&MESSAGES]).await.unwrap();
        // In the year 2100, so that nothing which expires by this clock has expired by the engines' own.
        let clock = ManualClock::new(Timestamp::from_second(4_102_444_800).unwrap());
        Self { engine, peers: Peers::start().await, clock }
    }

    /// Starts a replica with short intervals, for tests that wait for its background tasks.
    async fn replica(&self) -> Arc<Ops> {
        self.replica_by(&self.clock, &self.engine.endpoint.clone().unwrap()).await
    }

    async fn replica_by(&self, clock: &ManualClock, endpoint: &str) -> Arc<Ops> {
        let dynamodb = dynamo::Config { endpoint: Some(endpoint.to_owned()), ..self.engine.clone() };
        let interval = Duration::from_millis(50);
        let config = Config { watch_poll_interval: interval, login_check_interval: interval, max_watchers: 40 };
        self.replica_of(dynamodb, clock, config).await
    }

    async fn replica_of(&self, dynamodb: dynamo::Config, clock: &ManualClock, config: Config) -> Arc<Ops> {
        let tokens = Arc::new(Issuer::generate(Arc::new(SystemClock)).unwrap()).workload("messages").tokens;
        let peers = Upstream::new(&self.peers.url(), tokens, kit::entropy::seeded()).unwrap();
        let clock = Arc::new(clock.clone());
        let platform = Platform { clock, entropy: Arc::new(SystemEntropy), tasks: Tasks::default() };
        let deps = Deps {
            dynamodb: dynamodb.connect(kit::entropy::seeded()).await,
            secrets: Secrets::new(Secret::new([7; 32]), vec![]),
            vault: peers.clone(),
            keyring: keyring::Config { data_key_life: Duration::from_secs(30) },
            mapping: peers.clone(),
            auth: peers.clone(),
            clients: peers.clone(),
            therapists: peers,
            config,
            platform,
        };
        Arc::new(crate::ops(deps).unwrap())
    }

    /// Returns a client and a therapist without earlier contact.
    fn new_pair(&self) -> Pair {
        Pair { client: self.user().into(), therapist: self.user().into() }
    }

    fn user(&self) -> UserId {
        UserId::generate(&self.clock, &SystemEntropy)
    }

    /// Returns the context of a call by one side, with a login whose id is that of the account.
    fn context(&self, pair: Pair, side: Side) -> Context {
        let mut context = Context::background(Duration::from_secs(60));
        context.caller.person = Some(person(pair, side));
        context.token_expires = Some(self.clock.now().saturating_add(TOKEN_LIFE).unwrap());
        context
    }

    async fn send(&self, ops: &Ops, pair: Pair, side: Side, text: &str) -> Result<Message, Error> {
        self.send_keyed(ops, pair, side, text, None).await
    }

    async fn send_keyed(
        &self,
        ops: &Ops,
        pair: Pair,
        side: Side,
        text: &str,
        key: Option<&str>,
    ) -> Result<Message, Error> {
        let caller = pair.of(side);
        let claim = ops.idempotency.claim_if_keyed(key, caller.as_bytes(), "test", text.as_bytes()).unwrap();
        let claim = key.map(str::to_owned).zip(claim);
        ops.send(&self.context(pair, side), member(pair, side), text_of(text), claim).await
    }

    /// Returns every message, newest first, by pages of this size.
    async fn history(&self, ops: &Ops, pair: Pair, side: Side, size: i32) -> Vec<Message> {
        let (mut all, mut wanted) = (Vec::new(), page(size, ""));
        loop {
            let page = ops.list(&self.context(pair, side), member(pair, side), &wanted).await.unwrap();
            all.extend(page.items);
            match page.next {
                Some(next) => wanted.token = next,
                None => return all,
            }
        }
    }

    /// Asserts that the messages have no gap, and that each text is there once.
    async fn assert_complete(&self, ops: &Ops, pair: Pair, texts: impl IntoIterator<Item = String>) {
        let mut messages = self.history(ops, pair, Side::Client, 200).await;
        messages.reverse();
        assert_eq!(messages, self.oldest_first(ops, pair, Side::Therapist).await, "the same for both");
        let positions: Vec<_> = messages.iter().map(|message| message.id.position().0).collect();
        assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
        assert!(messages.is_sorted_by(|one, next| one.id < next.id && one.id.at() <= next.id.at()));
        let mut found: Vec<_> = messages.into_iter().map(|message| String::from(message.text)).collect();
        let mut texts: Vec<_> = texts.into_iter().collect();
        found.sort_unstable();
        texts.sort_unstable();
        assert_eq!(found, texts);
    }

    async fn oldest_first(&self, ops: &Ops, pair: Pair, side: Side) -> Vec<Message> {
        let mut messages = self.history(ops, pair, side, 37).await;
        messages.reverse();
        messages
    }
}

fn person(pair: Pair, side: Side) -> Person {
    let user_id = pair.of(side);
    let role = match side {
        Side::Client => Role::Client,
        Side::Therapist => Role::Therapist,
    };
    Person { user_id, role, login_id: LoginId::from_bytes(*user_id.as_bytes()) }
}

/// Returns the permit that the event of an account's end gives.
fn deleted(role: Role, id: UserId) -> AccountDeletionPermit {
    AccountDeletionPermit::from_proto(&account_ended(role, id), None).unwrap()
}

fn member(pair: Pair, side: Side) -> Member {
    policy::own(person(pair, side)).with(pair.of(side.other()))
}

fn text_of(text: &str) -> Text {
    text.to_owned().try_into().unwrap()
}

fn page(size: i32, token: &str) -> Wanted {
    Wanted { size: PageSize::from_request(size).unwrap(), token: token.to_owned() }
}

fn reason<T>(outcome: &Result<T, Error>) -> &'static str {
    outcome.as_ref().err().map_or("", Error::reason)
}

/// Returns the sender of a message by its number: the therapist sends every third.
const fn side_of(number: usize) -> Side {
    if number.is_multiple_of(3) { Side::Therapist } else { Side::Client }
}
