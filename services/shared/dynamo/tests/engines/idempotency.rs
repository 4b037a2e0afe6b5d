use std::sync::Arc;
use std::time::Duration;

use dynamo::secret::{Secret, Secrets};
use dynamo::{Claim, Condition, Idempotency, IdempotentRequest, REMEMBERED, Table, Transact};
use futures_util::future::join_all;
use kernel::{Kind, ManualClock, Result, Timestamp};
use kit::engine::Engine;

use crate::support::{Thing, key, table, thing};

kit::on_each_engine![
    repeated_request_returns_same_resource,
    identical_request_race_creates_one_resource,
    key_reuse_with_other_request_is_refused,
    key_is_scoped_to_caller_and_rpc,
    expired_key_is_reusable_before_record_deletion,
    record_survives_secret_rotation,
    record_holds_no_request_content,
    record_names_resource_of_its_kind,
];

struct World {
    table: Table,
    clock: ManualClock,
    records: Idempotency,
}

impl World {
    async fn new(engine: Engine) -> Self {
        let table = table(engine).await;
        let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
        let records = Idempotency::new(table.clone(), &secrets(&[1]), Arc::new(clock.clone())).unwrap();
        Self { table, clock, records }
    }

    async fn resources(&self) -> Vec<Thing> {
        self.table.query("THINGS").consistent().page().await.unwrap().parse().unwrap()
    }

    /// A use case as services write it: one transaction of the item and the record.
    async fn make(&self, request: IdempotentRequest<'_>, id: &str) -> Result<String> {
        let claim = self.records.claim(request)?;
        if let Some(made) = Idempotency::replayed(Some(&claim)).await? {
            return Ok(made);
        }
        self.commit(&claim, id).await
    }

    async fn commit(&self, claim: &Claim, id: &str) -> Result<String> {
        let put = self.table.put(&key(id), &thing(id, 1)).when(Condition::absent());
        match self.table.transact([put.into(), claim.action(id)]).await? {
            Transact::Done => Ok(id.to_owned()),
            Transact::Failed(verdicts) => Ok(claim.lost(&verdicts[1])?.expect("ids are new: only the claim can fail")),
        }
    }
}

fn secrets(bytes: &[u8]) -> Secrets {
    let mut all = bytes.iter().map(|byte| Secret::new([*byte; 32]));
    Secrets::new(all.next().unwrap(), all.collect())
}

async fn replayed(claim: &Claim) -> Result<Option<String>> {
    Idempotency::replayed(Some(claim)).await
}

const REQUEST: IdempotentRequest<'static> =
    IdempotentRequest { caller: b"anna", rpc: "/therapy.Things/Make", key: "key-1", body: b"body" };

async fn repeated_request_returns_same_resource(engine: Engine) {
    let world = World::new(engine).await;
    assert_eq!(world.make(REQUEST, "first").await.unwrap(), "first");
    assert_eq!(world.make(REQUEST, "second").await.unwrap(), "first");
    assert_eq!(world.resources().await, [thing("first", 1)]);
}

async fn identical_request_race_creates_one_resource(engine: Engine) {
    let world = World::new(engine).await;
    // No request looks for the record first: all of them race in the transaction.
    let world = &world;
    let race = |n: usize| async move {
        let claim = world.records.claim(REQUEST).unwrap();
        world.commit(&claim, &format!("by {n}")).await.unwrap()
    };
    let ids = join_all((0..16).map(race)).await;
    let made = world.resources().await;
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(ids.iter().all(|id| *id == made[0].name), "{ids:?}");
}

async fn key_reuse_with_other_request_is_refused(engine: Engine) {
    let world = World::new(engine).await;
    world.make(REQUEST, "first").await.unwrap();
    let other = IdempotentRequest { body: b"other body", ..REQUEST };
    let error = world.make(other, "second").await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (Kind::AlreadyExists, "IDEMPOTENCY_KEY_REUSED"));
    let claim = world.records.claim(other).unwrap();
    assert_eq!(world.commit(&claim, "third").await.unwrap_err().reason(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(world.resources().await.len(), 1);
}

async fn key_is_scoped_to_caller_and_rpc(engine: Engine) {
    let world = World::new(engine).await;
    let requests = [
        REQUEST,
        IdempotentRequest { caller: b"otto", ..REQUEST },
        IdempotentRequest { rpc: "/therapy.Things/Break", ..REQUEST },
        IdempotentRequest { key: "key-2", ..REQUEST },
        // Where one part ends and the next begins matters.
        IdempotentRequest { caller: b"ann", rpc: "a/therapy.Things/Make", ..REQUEST },
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let id = format!("{number}");
        assert_eq!(world.make(request, &id).await.unwrap(), id);
    }
}

async fn expired_key_is_reusable_before_record_deletion(engine: Engine) {
    let world = World::new(engine).await;
    world.make(REQUEST, "first").await.unwrap();
    world.clock.advance(REMEMBERED - Duration::from_secs(1));
    assert_eq!(world.make(REQUEST, "second").await.unwrap(), "first");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.make(IdempotentRequest { body: b"other body", ..REQUEST }, "third").await.unwrap(), "third");
    assert_eq!(world.resources().await.len(), 2);
}

async fn record_survives_secret_rotation(engine: Engine) {
    let world = World::new(engine).await;
    world.make(REQUEST, "first").await.unwrap();
    let with =
        |secrets: Secrets| Idempotency::new(world.table.clone(), &secrets, Arc::new(world.clock.clone())).unwrap();
    let rotated = with(secrets(&[2, 1])).claim(REQUEST).unwrap();
    assert_eq!(replayed(&rotated).await.unwrap().as_deref(), Some("first"));
    let forgotten = with(secrets(&[2])).claim(REQUEST).unwrap();
    assert_eq!(replayed(&forgotten).await.unwrap_err().reason(), "IDEMPOTENCY_KEY_REUSED");
}

async fn record_names_resource_of_its_kind(engine: Engine) {
    let world = World::new(engine).await;
    assert_eq!(Idempotency::replayed::<u32>(None).await.unwrap(), None, "a request without a key");
    let claim = world.records.claim(REQUEST).unwrap();
    assert_eq!(Idempotency::replayed::<u32>(Some(&claim)).await.unwrap(), None);
    world.make(REQUEST, "7").await.unwrap();
    assert_eq!(Idempotency::replayed(Some(&claim)).await.unwrap(), Some(7));
    assert_eq!(Idempotency::replayed::<bool>(Some(&claim)).await.unwrap_err().kind(), Kind::Internal);
}

async fn record_holds_no_request_content(engine: Engine) {
    let world = World::new(engine).await;
    let claim = world.records.claim(REQUEST).unwrap();
    let other = thing("other", 1);
    let _ = world.table.put_new(&key("first"), &other).await.unwrap();
    let _ = world.table.transact([claim.action("first")]).await.unwrap();
    // The failed claim of another request returns the whole record.
    let rival = world.records.claim(IdempotentRequest { body: b"rival", ..REQUEST }).unwrap();
    let Transact::Failed(verdicts) = world.table.transact([rival.action("second")]).await.unwrap() else { panic!() };
    let dynamo::Verdict::ConditionFailed(Some(record)) = &verdicts[0] else { panic!("{verdicts:?}") };
    let mut attributes = format!("{record:?}");
    attributes.retain(|c| c.is_ascii_lowercase() || c == '_' || c == ',');
    for name in ["expires_at", "mac", "pk", "resource", "sk"] {
        assert!(attributes.contains(name), "{record:?}");
    }
    assert!(record.text("pk").unwrap().starts_with("IDEM#"));
    assert!(!record.text("pk").unwrap().contains(REQUEST.key));
}

#[tokio::test]
async fn key_must_be_1_to_255_printable_ascii() {
    let table = dynamo::Config { endpoint: Some("http://127.0.0.1:1".to_owned()), ..dynamo::Config::default() };
    let table = table.connect(kit::entropy::seeded()).await.table(&crate::support::THINGS);
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let records = Idempotency::new(table, &secrets(&[1]), clock).unwrap();
    for good in ["k", "550e8400-e29b-41d4-a716-446655440000", " ~", &"x".repeat(255)] {
        assert!(records.claim(IdempotentRequest { key: good, ..REQUEST }).is_ok(), "{good}");
    }
    for bad in ["", "tab\t", "line\n", "é", "\u{7f}", &"x".repeat(256)] {
        let error = records.claim(IdempotentRequest { key: bad, ..REQUEST }).err().unwrap();
        assert_eq!((error.kind(), &*error.violations()[0].field), (Kind::InvalidArgument, "Idempotency-Key"), "{bad}");
    }
}
