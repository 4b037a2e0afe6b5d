use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::{AccessTokens, Issuer, KeySet, Keys};
use chassis::{Context, Platform, Probe, Running, Service, server};
use clap::Parser;
use dynamo::seal::{Place, SealingKey};
use dynamo::{Key, KeyDef, TableDef};
use kernel::{Kind, ManualClock, Timestamp, UserId};
use kit::wait::until;
use proto::vault::v1::vault_service_server::{SERVICE_NAME, VaultService, VaultServiceServer};
use proto::vault::v1::{BatchGetDataKeysRequest, BatchGetDataKeysResponse, GetDataKeyRequest, GetDataKeyResponse};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::{Config, Keyring};

const LIFE: Duration = Duration::from_secs(30);
const MILLISECOND: Duration = Duration::from_millis(1);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    server: server::Config,

    #[command(flatten)]
    keyring: Config,
}

/// A vault with programmable answers, which it withholds until it is opened.
#[derive(Clone)]
struct Vault(Arc<State>);

struct State {
    asked: AtomicUsize,
    open: watch::Sender<bool>,
    answer: Mutex<GetDataKeyResponse>,
    /// Number of keys in each batch call.
    batches: Mutex<Vec<usize>>,
    /// People whose keys a batch call answers as destroyed.
    destroyed: Mutex<Vec<UserId>>,
}

#[tonic::async_trait]
impl VaultService for Vault {
    async fn get_data_key(&self, _: Request<GetDataKeyRequest>) -> Result<Response<GetDataKeyResponse>, Status> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        self.0.open.subscribe().wait_for(|open| *open).await.unwrap();
        Ok(Response::new(self.0.answer.lock().unwrap().clone()))
    }

    async fn batch_get_data_keys(
        &self,
        request: Request<BatchGetDataKeysRequest>,
    ) -> Result<Response<BatchGetDataKeysResponse>, Status> {
        let BatchGetDataKeysRequest { person_ids } = request.into_inner();
        self.0.batches.lock().unwrap().push(person_ids.len());
        self.0.open.subscribe().wait_for(|open| *open).await.unwrap();
        let (answer, destroyed) = (self.0.answer.lock().unwrap().clone(), self.0.destroyed.lock().unwrap().clone());
        let key = |id: &String| match destroyed.contains(&id.parse().unwrap()) {
            true => GetDataKeyResponse { destroyed: true, key: vec![] },
            false => answer.clone(),
        };
        Ok(Response::new(BatchGetDataKeysResponse { keys: person_ids.iter().map(key).collect() }))
    }
}

impl Vault {
    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    async fn was_asked(&self, times: usize) {
        until("vault is asked", async || self.asked() >= times).await;
        assert_eq!(self.asked(), times);
    }

    fn batches(&self) -> Vec<usize> {
        self.0.batches.lock().unwrap().clone()
    }

    async fn was_asked_for_many(&self, batches: &[usize]) {
        until("vault is asked", async || self.batches().len() >= batches.len()).await;
        assert_eq!(self.batches(), batches);
    }

    fn open(&self, open: bool) {
        self.0.open.send_replace(open);
    }

    fn answers(&self, destroyed: bool, key: &[u8]) {
        *self.0.answer.lock().unwrap() = GetDataKeyResponse { destroyed, key: key.to_vec() };
    }
}

struct World {
    vault: Vault,
    running: Running,
    clock: ManualClock,
    keyring: Keyring,
}

async fn world() -> World {
    let config = Cli::parse_from(["test"]);
    assert_eq!(config.keyring.data_key_life, LIFE);
    let platform = Platform::system();
    let vault = Vault(Arc::new(State {
        asked: AtomicUsize::new(0),
        open: watch::Sender::new(true),
        answer: Mutex::new(GetDataKeyResponse { destroyed: false, key: vec![7; 32] }),
        batches: Mutex::default(),
        destroyed: Mutex::default(),
    }));
    let service = Service {
        name: "vault",
        grpc_services: &[SERVICE_NAME],
        routes: Routes::new(VaultServiceServer::new(vault.clone())),
        probe: Probe::new(|| async { Ok(()) }),
    };
    let people =
        AccessTokens::new(config.server.identity(), Keys::fixed(KeySet::default()), Arc::clone(&platform.clock));
    let workload = Arc::new(Issuer::generate(Arc::clone(&platform.clock)).unwrap()).workload("sessions");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = server::start(service, listener, &config.server, people, workload.verifier).await.unwrap();
    let upstream =
        Upstream::new(&format!("http://{}", running.address()), workload.tokens, kit::entropy::seeded()).unwrap();
    let clock = ManualClock::new(Timestamp::from_second(4_102_444_800).unwrap());
    let platform = Platform { clock: Arc::new(clock.clone()), ..platform };
    let keyring = Keyring::new(upstream, &config.keyring, &platform);
    World { vault, running, clock, keyring }
}

fn person(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

fn context() -> Context {
    Context::background(Duration::from_secs(20))
}

impl Keyring {
    /// Returns those of these people who have a key.
    async fn have(&self, numbers: impl IntoIterator<Item = u8>) -> BTreeSet<u8> {
        let keys = self.keys(&context(), numbers.into_iter().map(person)).await.unwrap();
        keys.into_keys().map(|person| person.as_bytes()[0]).collect()
    }

    /// Asks for many keys at once, in the background.
    #[allow(clippy::disallowed_methods, reason = "a test waits for what it spawns")]
    fn ask_for_many(&self, numbers: impl IntoIterator<Item = u8> + Send + 'static) -> JoinHandle<BTreeSet<u8>> {
        let keyring = self.clone();
        tokio::spawn(async move { keyring.have(numbers.into_iter().collect::<Vec<_>>()).await })
    }

    async fn has(&self, number: u8) -> bool {
        self.key(&context(), person(number)).await.unwrap().is_some()
    }

    /// Asks for keys in the background.
    fn ask(&self, numbers: impl IntoIterator<Item = u8>) -> JoinSet<bool> {
        let ask = |number| {
            let keyring = self.clone();
            async move { keyring.has(number).await }
        };
        numbers.into_iter().map(ask).collect()
    }
}

#[tokio::test]
async fn key_opens_content_sealed_with_it() {
    static TABLE: TableDef = TableDef { name: "Things", key: KeyDef::PK_SK, indexes: &[], ttl: None };
    let World { keyring, .. } = world().await;
    let dynamodb = dynamo::Config { endpoint: Some("http://127.0.0.1:1".to_owned()), ..dynamo::Config::default() };
    let (table, key) = (dynamodb.connect(kit::entropy::seeded()).await.table(&TABLE), Key::new("a", "b"));
    let place = Place { table: &table, key: &key, attribute: "note", version: 1 };
    let sealed = SealingKey::new(&[7; 32]).unwrap().seal(&place, b"text", &*Platform::system().entropy).unwrap();
    let held = keyring.key(&context(), person(1)).await.unwrap().unwrap();
    assert_eq!(held.open(&place, &sealed).unwrap().as_slice(), b"text");
    assert_eq!(format!("{keyring:?}"), "Keyring");
}

#[tokio::test]
async fn key_lifetime_starts_before_vault_call() {
    let World { vault, clock, keyring, running: _running } = world().await;
    vault.open(false);
    let mut asking = keyring.ask([1]);
    vault.was_asked(1).await;
    clock.advance(Duration::from_secs(10));
    vault.open(true);
    assert!(asking.join_next().await.unwrap().unwrap());
    clock.advance(Duration::from_secs(20) - MILLISECOND);
    assert!(keyring.has(1).await);
    assert_eq!(vault.asked(), 1);
    vault.answers(true, b"");
    clock.advance(MILLISECOND);
    assert!(!keyring.has(1).await, "a destroyed key outlived its bound");
    assert_eq!(vault.asked(), 2);
}

#[tokio::test]
async fn late_answer_is_fetched_again() {
    let World { vault, clock, keyring, running: _running } = world().await;
    vault.open(false);
    let mut asking = keyring.ask([1]);
    vault.was_asked(1).await;
    clock.advance(LIFE);
    vault.open(true);
    assert!(asking.join_next().await.unwrap().unwrap());
    assert_eq!(vault.asked(), 2);
}

#[tokio::test]
async fn concurrent_lookups_fetch_key_once() {
    let World { vault, clock, keyring, running: _running } = world().await;
    for round in 1..=3 {
        vault.open(false);
        let asking = keyring.ask([1; 32]);
        vault.was_asked(round).await;
        vault.open(true);
        assert!(asking.join_all().await.into_iter().all(|has| has));
        assert_eq!(vault.asked(), round);
        clock.advance(LIFE);
    }
}

#[tokio::test]
async fn cancelled_fetch_is_taken_over_by_waiter() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    vault.open(false);
    let mut first = keyring.ask([1]);
    vault.was_asked(1).await;
    let others = keyring.ask([1; 8]);
    // The others are waiting: the runtime has one thread, and runs them before it comes back to us.
    tokio::task::yield_now().await;
    assert_eq!(vault.asked(), 1);
    first.shutdown().await;
    vault.was_asked(2).await;
    vault.open(true);
    assert!(others.join_all().await.into_iter().all(|has| has));
    assert_eq!(vault.asked(), 2);
}

#[tokio::test]
async fn waiting_for_fetch_respects_deadline() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    vault.open(false);
    let first = keyring.ask([1]);
    vault.was_asked(1).await;
    let hurried = keyring.key(&Context::background(MILLISECOND), person(1)).await;
    assert_eq!(hurried.unwrap_err().kind(), Kind::DeadlineExceeded);
    vault.open(true);
    assert_eq!(first.join_all().await, [true]);
    assert_eq!(vault.asked(), 1);
}

#[tokio::test]
async fn keys_of_different_people_are_fetched_in_parallel() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    vault.open(false);
    let asking = keyring.ask(1..=8);
    vault.was_asked(8).await;
    vault.open(true);
    assert!(asking.join_all().await.into_iter().all(|has| has));
}

#[tokio::test]
async fn expired_key_is_wiped_without_lookup() {
    let World { clock, keyring, running: _running, .. } = world().await;
    assert!(keyring.has(1).await);
    clock.advance(LIFE / 2);
    assert!(keyring.has(2).await);
    assert_eq!(keyring.0.cache.len(), 2);
    clock.advance(LIFE / 2);
    until("the first key is wiped", async || keyring.0.cache.len() == 1).await;
    clock.advance(LIFE / 2);
    until("the second key is wiped", async || keyring.0.cache.len() == 0).await;
}

#[tokio::test]
async fn cached_keys_survive_vault_outage_until_expiry() {
    let World { clock, keyring, running, .. } = world().await;
    assert!(keyring.has(1).await);
    assert!(running.drain().await);
    clock.advance(LIFE - MILLISECOND);
    assert!(keyring.has(1).await);
    let refused = async |number| keyring.key(&context(), person(number)).await.unwrap_err().kind();
    assert_eq!(refused(2).await, Kind::Unavailable);
    clock.advance(MILLISECOND);
    assert_eq!(refused(1).await, Kind::Unavailable);
}

#[tokio::test]
async fn destroyed_key_is_not_cached() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    vault.answers(true, b"");
    for asked in 1..=3 {
        assert!(!keyring.has(1).await);
        assert_eq!(vault.asked(), asked);
    }
    assert_eq!(keyring.0.cache.len(), 0);
}

#[tokio::test]
async fn forgotten_key_is_not_cached_by_pending_fetch() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    assert!(keyring.has(1).await && keyring.has(2).await);
    keyring.forget(person(1));
    assert!(keyring.has(2).await, "another person's key is still held");
    assert_eq!(vault.asked(), 2);
    vault.open(false);
    let before = keyring.ask([1]);
    vault.was_asked(3).await;
    keyring.forget(person(1));
    vault.open(true);
    assert_eq!(before.join_all().await, [true]);
    vault.answers(true, b"");
    assert!(!keyring.has(1).await, "the answer from before is held");
    assert_eq!(vault.asked(), 4);
}

#[tokio::test]
async fn malformed_key_is_internal_error() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    for key in [&[][..], &[7; 31], &[7; 33]] {
        vault.answers(false, key);
        assert_eq!(keyring.key(&context(), person(1)).await.unwrap_err().kind(), Kind::Internal);
    }
}

#[tokio::test]
async fn batch_skips_cached_keys() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    assert!(keyring.has(1).await);
    assert_eq!(keyring.have([1, 2, 3, 3]).await, BTreeSet::from([1, 2, 3]));
    assert_eq!((vault.asked(), vault.batches()), (1, vec![2]));
    assert_eq!(keyring.have([1, 2, 3]).await, BTreeSet::from([1, 2, 3]));
    assert!(keyring.has(2).await);
    assert!(keyring.have([]).await.is_empty());
    assert_eq!((vault.asked(), vault.batches()), (1, vec![2]));
}

#[tokio::test]
async fn batch_fetches_200_keys_per_call() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    let people = (0..401_u128).map(|number| UserId::from_bytes(number.to_be_bytes()));
    assert_eq!(keyring.keys(&context(), people).await.unwrap().len(), 401);
    assert_eq!(vault.batches(), [200, 200, 1]);
}

#[tokio::test]
async fn batch_omits_and_does_not_cache_destroyed_keys() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    *vault.0.destroyed.lock().unwrap() = vec![person(2)];
    assert_eq!(keyring.have(1..=3).await, BTreeSet::from([1, 3]));
    assert_eq!(keyring.have(1..=3).await, BTreeSet::from([1, 3]));
    assert_eq!(vault.batches(), [3, 1]);
}

#[tokio::test]
async fn batch_key_lifetime_starts_before_vault_call() {
    let World { vault, clock, keyring, running: _running } = world().await;
    vault.open(false);
    let asking = keyring.ask_for_many([1, 2]);
    vault.was_asked_for_many(&[2]).await;
    clock.advance(Duration::from_secs(10));
    vault.open(true);
    assert_eq!(asking.await.unwrap().len(), 2);
    clock.advance(Duration::from_secs(20) - MILLISECOND);
    assert_eq!(keyring.have([1, 2]).await.len(), 2);
    assert_eq!(vault.batches(), [2]);
    vault.answers(true, b"");
    clock.advance(MILLISECOND);
    assert!(keyring.have([1, 2]).await.is_empty(), "destroyed keys outlived their bound");
}

#[tokio::test]
async fn late_batch_answer_is_fetched_again() {
    let World { vault, clock, keyring, running: _running } = world().await;
    vault.open(false);
    let asking = keyring.ask_for_many([1, 2]);
    vault.was_asked_for_many(&[2]).await;
    clock.advance(LIFE);
    vault.open(true);
    assert_eq!(asking.await.unwrap().len(), 2);
    assert_eq!(vault.batches(), [2, 2]);
}

#[tokio::test]
async fn overlapping_batches_wait_for_each_others_keys() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    vault.open(false);
    let one = keyring.ask_for_many([1, 2]);
    vault.was_asked_for_many(&[2]).await;
    // The second fetches one key and waits for those of the first; the third waits for all.
    let other = keyring.ask_for_many([3, 2, 1]);
    vault.was_asked_for_many(&[2, 1]).await;
    let third = keyring.ask_for_many([1, 2, 3]);
    tokio::task::yield_now().await;
    vault.open(true);
    for asking in [one, other, third] {
        assert!(asking.await.unwrap().len() >= 2);
    }
    assert_eq!((vault.asked(), vault.batches()), (0, vec![2, 1]));
}

#[tokio::test]
async fn cancelled_batch_is_taken_over_by_waiter() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    vault.open(false);
    let first = keyring.ask_for_many(1..=4);
    vault.was_asked_for_many(&[4]).await;
    let other = keyring.ask_for_many(1..=4);
    tokio::task::yield_now().await;
    first.abort();
    vault.was_asked(1).await;
    vault.open(true);
    assert_eq!(other.await.unwrap().len(), 4);
    assert_eq!((vault.asked(), vault.batches()), (1, vec![4, 3]));
}

#[tokio::test]
async fn forgotten_key_is_not_cached_by_pending_batch() {
    let World { vault, keyring, running: _running, clock: _ } = world().await;
    vault.open(false);
    let before = keyring.ask_for_many([1, 2]);
    vault.was_asked_for_many(&[2]).await;
    keyring.forget(person(1));
    vault.open(true);
    assert_eq!(before.await.unwrap().len(), 2);
    vault.answers(true, b"");
    assert_eq!(keyring.have([1, 2]).await, BTreeSet::from([2]));
}
