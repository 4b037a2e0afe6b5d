//! Account deletions on each engine, with subscribers that fail: the tombstone's content, its deliveries and its
//! retention.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test waits for what it spawns")]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use account_deletion::{AccountDeletions, PENDING};
use chassis::client::Upstream;
use chassis::identity::Issuer;
use chassis::{Context, Platform, SystemEntropy, Tasks};
use dynamo::{Condition, EXPIRES_AT, Erasure, Item, Key, KeyDef, Read, Table, TableDef};
use kernel::{Error, Expected, Kind, ManualClock, Result, Role, Timestamp, UserId, Version};
use kit::engine::Engine;
use kit::subscriber::Reaction::{Fail, Take};
use kit::subscriber::{Deliveries, Subscriber};
use kit::wait::until;
use proto::events::v1::event::Kind as What;
use proto::events::v1::{AccountEnded, account_ended};
use serde::{Deserialize, Serialize};

kit::on_each_engine!(
    deletion_notifies_all_once_and_erases_profile,
    failed_deletion_is_retried_with_same_event,
    failed_deletion_is_finished_by_recovery,
    concurrent_deletions_send_one_event,
    deletion_requires_current_profile_version,
    deletion_of_unexpected_profile_writes_nothing,
    deletion_stays_pending_until_disk_is_erased,
    refused_deletion_writes_nothing,
    begun_deletion_skips_precondition,
    deletion_refused_after_concurrent_deletion_succeeds,
);

static PEOPLE: TableDef = TableDef { name: "People", key: KeyDef::PK_SK, indexes: &[PENDING], ttl: Some(EXPIRES_AT) };
const NAMES: [&str; 2] = ["auth", "vault"];
const USER: UserId = UserId::from_bytes([7; 16]);
const SECRET: &str = "a name that nobody may find";

#[derive(Serialize, Deserialize)]
struct Profile {
    name: String,
    version: Version,
}

impl TryFrom<Item> for Profile {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        item.parse()
    }
}

/// A disk that may be full. `erased` is set when its deleted content is overwritten.
#[derive(Debug, Default)]
struct Disk {
    full: AtomicBool,
    erased: AtomicBool,
}

impl Erasure for Disk {
    fn erase(&self) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        let full = self.full.load(Ordering::Relaxed);
        self.erased.store(!full, Ordering::Relaxed);
        Box::pin(async move { if full { Err(Error::unavailable("the disk is full")) } else { Ok(()) } })
    }
}

struct World {
    table: Table,
    deliveries: Deliveries,
    down: Arc<AtomicBool>,
    disk: Arc<Disk>,
    deletions: AccountDeletions,
    _subscribers: Vec<Subscriber>,
}

fn key(user: UserId) -> Key {
    Key::new(format!("PERSON#{user}"), "PROFILE")
}

impl World {
    /// The last subscriber fails while it is down.
    async fn new(engine: Engine, role: Role) -> Self {
        let disk = Arc::new(Disk::default());
        let client = engine.client().await.with_erasure(disk.clone());
        client.create_or_verify(&[&PEOPLE]).await.unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(4_102_444_800).unwrap()));
        let tokens = Arc::new(Issuer::generate(clock.clone()).unwrap()).workload("people").tokens;
        let (deliveries, down) = (Deliveries::default(), Arc::new(AtomicBool::new(false)));
        let (mut listening, mut subscribers) = (Vec::new(), Vec::new());
        for name in NAMES {
            let down = Arc::clone(&down);
            let fails = move || name == "vault" && down.load(Ordering::Relaxed);
            let subscriber = deliveries.subscriber(name, move |_| if fails() { Fail } else { Take }).await;
            let upstream = Upstream::new(&subscriber.url(), tokens.clone(), kit::entropy::seeded()).unwrap();
            subscribers.push(outbox::Subscriber { name, upstream });
            listening.push(subscriber);
        }
        let platform = Platform { clock, entropy: Arc::new(SystemEntropy), tasks: Tasks::default() };
        let table = client.table(&PEOPLE);
        let deletions = AccountDeletions::new(table.clone(), subscribers, role, platform, key);
        Self { table, deliveries, down, disk, deletions, _subscribers: listening }
    }

    async fn profile(&self) {
        let profile = Profile { name: SECRET.to_owned(), version: Version::FIRST };
        let _ = self.table.put(&key(USER), &profile).run().await.unwrap();
    }

    async fn end(&self) -> Result<()> {
        self.end_if(std::future::ready(Ok(()))).await
    }

    async fn end_if(&self, may: impl Future<Output = Result<()>>) -> Result<()> {
        let context = Context::background(Duration::from_secs(20));
        self.deletions.end(&context, USER, may, |profile: Profile| (profile.version, None)).await
    }

    async fn there(&self) -> Item {
        self.table.get_item(&key(USER), Read::Consistent).await.unwrap().expect("something is there")
    }

    /// Returns the event, and asserts that all deliveries were of this one.
    fn the_event(&self) -> AccountEnded {
        let deliveries = self.deliveries.all();
        let first = &deliveries[0].event;
        assert!(first.id.parse::<kernel::EventId>().is_ok() && first.time.is_some());
        assert!(deliveries.iter().all(|it| it.event == *first), "{deliveries:?}");
        let Some(What::AccountEnded(ended)) = first.kind.clone() else { unreachable!("there is no other kind") };
        ended
    }
}

async fn deletion_notifies_all_once_and_erases_profile(engine: Engine) {
    for (role, shown) in
        [(Role::Client, account_ended::Role::Client), (Role::Therapist, account_ended::Role::Therapist)]
    {
        let world = World::new(engine, role).await;
        world.profile().await;
        world.end().await.unwrap();
        let order: Vec<_> = world.deliveries.all().into_iter().map(|it| it.to).collect();
        assert_eq!(order, NAMES);
        assert_eq!(world.the_event(), AccountEnded { user_id: USER.to_string(), role: shown.into() });
        let left = world.there().await;
        let mut attributes = format!("{left:?}");
        for expected in ["\"pk\"", "\"sk\"", "\"user_id\"", "\"role\"", "\"expires_at\""] {
            assert!(attributes.contains(expected), "{attributes}");
            attributes = attributes.replace(expected, "");
        }
        assert!(!attributes.contains('"'), "there is more: {attributes}");
        #[derive(Deserialize)]
        struct Expiry {
            expires_at: i64,
        }
        assert_eq!(left.parse::<Expiry>().unwrap().expires_at, 4_102_444_800 + 24 * 3600);
        world.end().await.unwrap();
        assert_eq!(world.deliveries.all().len(), NAMES.len());
    }
}

async fn deletion_stays_pending_until_disk_is_erased(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    world.profile().await;
    world.disk.full.store(true, Ordering::Relaxed);
    assert_eq!(world.end().await.unwrap_err().kind(), Kind::Unavailable);
    assert!(world.there().await.text("pending").is_some());
    world.disk.full.store(false, Ordering::Relaxed);
    world.end().await.unwrap();
    assert!(world.disk.erased.load(Ordering::Relaxed));
    assert!(world.there().await.text("pending").is_none());
}

async fn failed_deletion_is_retried_with_same_event(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    world.profile().await;
    world.down.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(world.end().await.unwrap_err().kind(), Kind::Internal);
        assert!(world.there().await.text("pending").is_some());
        assert!(world.there().await.text("name").is_none(), "the profile is gone with the first step");
    }
    world.down.store(false, Ordering::Relaxed);
    world.end().await.unwrap();
    assert_eq!(world.the_event().user_id, USER.to_string());
    world.end().await.unwrap();
}

async fn failed_deletion_is_finished_by_recovery(engine: Engine) {
    let world = World::new(engine, Role::Therapist).await;
    world.down.store(true, Ordering::Relaxed);
    world.end().await.unwrap_err();
    world.down.store(false, Ordering::Relaxed);
    let recovery = tokio::spawn(world.deletions.clone().recover(Duration::from_millis(20)));
    until("the ending is over", async || world.there().await.text("pending").is_none()).await;
    recovery.abort();
    assert_eq!(world.deliveries.taken_by("vault").len(), 1);
    assert_eq!(world.the_event().role(), account_ended::Role::Therapist);
    world.end().await.unwrap();
}

async fn concurrent_deletions_send_one_event(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    world.profile().await;
    let (one, other) = tokio::join!(world.end(), world.end());
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert_eq!(world.the_event().user_id, USER.to_string());
    assert!(world.there().await.text("pending").is_none());
}

async fn deletion_requires_current_profile_version(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    world.profile().await;
    let (table, changes) = (&world.table, Arc::new(AtomicBool::new(false)));
    let changed = Arc::clone(&changes);
    // The first time, the returned version differs from the stored one.
    let stale = move |profile: Profile| {
        let seen = if changed.swap(true, Ordering::Relaxed) { profile.version } else { profile.version.next() };
        (seen, Some(table.check(&Key::new("NOBODY", "NOTHING"), Condition::absent())))
    };
    let context = Context::background(Duration::from_secs(20));
    world.deletions.end(&context, USER, std::future::ready(Ok(())), stale).await.unwrap();
    assert!(changes.load(Ordering::Relaxed));
    assert_eq!(world.deliveries.all().len(), NAMES.len());
}

async fn deletion_of_unexpected_profile_writes_nothing(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    let end = async |expected: &Expected| {
        let mut context = Context::background(Duration::from_secs(20));
        context.expected = expected.clone();
        let ended = world.deletions.end(&context, USER, std::future::ready(Ok(())), |it: Profile| (it.version, None));
        ended.await.as_ref().map_err(Error::reason).copied()
    };
    let (present, stale) = (Expected::OneOf(vec![b"1".to_vec()]), Expected::OneOf(vec![b"2".to_vec()]));
    for expected in [&Expected::Existing, &present] {
        assert_eq!(end(expected).await, Err("STALE_ETAG"), "there is no profile");
    }
    world.profile().await;
    assert_eq!(end(&stale).await, Err("STALE_ETAG"));
    assert_eq!(world.there().await.text("name"), Some(SECRET));
    assert!(world.deliveries.all().is_empty());
    assert_eq!(end(&present).await, Ok(()));
    // The repetition finds what the first one did.
    assert_eq!(end(&present).await, Ok(()));
    assert_eq!(world.deliveries.all().len(), NAMES.len());
}

fn refused() -> Error {
    Error::new(Kind::Unauthenticated, "LOGIN_ENDED", "no")
}

async fn refused_deletion_writes_nothing(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    world.profile().await;
    let outcome = world.end_if(async { Err(refused()) }).await;
    assert_eq!(outcome.unwrap_err().reason(), "LOGIN_ENDED");
    assert_eq!(world.there().await.text("name"), Some(SECRET));
    assert!(world.deliveries.all().is_empty());
}

async fn begun_deletion_skips_precondition(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    world.down.store(true, Ordering::Relaxed);
    world.end().await.unwrap_err();
    world.down.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        world.end_if(async { unreachable!("the account is ended already") }).await.unwrap();
    }
}

async fn deletion_refused_after_concurrent_deletion_succeeds(engine: Engine) {
    let world = World::new(engine, Role::Client).await;
    world.profile().await;
    let late = Box::pin(async {
        world.end().await?;
        Err(refused())
    });
    world.end_if(late).await.unwrap();
}
