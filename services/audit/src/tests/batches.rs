//! Batches of accesses by the RPC: content, cost, refusals and the chains afterwards.

use std::sync::Arc;

use chassis::Caller;
use chassis::client::Upstream;
use chassis::identity::Issuer;
use dynamo::PageTokens;
use kernel::{ClientId, LoginId, Person, Role, UserId};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use peers::TherapistNames;
use proto::audit::v1::access::Action as PbAction;
use proto::audit::v1::audit_service_server::AuditService as _;
use proto::audit::v1::{BatchRecordAccessesRequest, RecordAccessRequest};
use tonic::{Code, Request, Status};

use super::support::{World, findings, secrets};
use crate::model::{Access, Action};
use crate::ops::{Ops, Recorder};
use crate::service::Audit;
use crate::store::{Record, Store};
use crate::{AUDIT, policy};

kit::on_each_engine!(
    batch_records_each_access_for_its_client,
    batch_of_hundred_is_one_call_and_links,
    invalid_batch_records_nothing,
    batch_without_answer_is_recorded_once,
    failed_batch_records_nothing_and_succeeds_again,
);

const THERAPIST: UserId = UserId::from_bytes([7; 16]);

/// Fixture of the service, whose calls to the database go through a proxy.
struct Fixture {
    world: World,
    proxy: Proxy,
    service: Audit,
}

impl Fixture {
    async fn new(engine: Engine) -> Self {
        let config = engine.config().await;
        let proxy = Proxy::start(&engine.endpoint().await);
        let world = World::over(config.clone().connect(kit::entropy::seeded()).await).await;
        let config = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config };
        let store = Store::new(config.connect(kit::entropy::seeded()).await.table(&AUDIT));
        let clock = Arc::new(world.clock.clone());
        let workload = Arc::new(Issuer::generate(clock.clone()).unwrap()).workload("audit");
        let nowhere = Upstream::new("http://127.0.0.1:9", workload.tokens, kit::entropy::seeded()).unwrap();
        let service = Audit(Arc::new(Ops {
            recorder: Recorder { store: store.clone(), clock, entropy: world.entropy.clone() },
            store,
            tokens: PageTokens::new(&secrets(&[1]), "audit/page-tokens", world.entropy.clone()).unwrap(),
            therapists: TherapistNames::new(nowhere),
        }));
        Self { world, proxy, service }
    }

    async fn record(&self, role: Option<Role>, accesses: Vec<RecordAccessRequest>) -> Result<(), Code> {
        let mut request = Request::new(BatchRecordAccessesRequest { accesses });
        let person = role.map(|role| Person { user_id: THERAPIST, role, login_id: LoginId::from_bytes([9; 16]) });
        request.extensions_mut().insert(Caller { person, workload: None });
        let answer = self.service.batch_record_accesses(request).await;
        answer.map(drop).map_err(|refused: Status| refused.code())
    }

    async fn by_therapist(&self, accesses: Vec<RecordAccessRequest>) -> Result<(), Code> {
        self.record(Some(Role::Therapist), accesses).await
    }

    /// Returns a client's accesses, which are all of the therapist, in the order of their counts.
    async fn stored(&self, client: ClientId) -> Vec<Access> {
        let rows = self.world.store.records(policy::all_chains(), client).page().await.unwrap();
        let access = |item| {
            let Record { facts, personal, .. } = Record::try_from(item).unwrap();
            let personal = personal.unwrap();
            assert_eq!((UserId::from(personal.therapist), facts.time), (THERAPIST, self.world.recorder.clock.now()));
            let (entry_id, grant_id) = (personal.entry_id, personal.grant_id);
            Access { action: facts.action, entry_count: facts.entry_count, entry_id, grant_id }
        };
        let mut accesses: Vec<_> = rows.items.into_iter().map(access).collect();
        accesses.sort_by_key(|access| access.entry_count);
        accesses
    }

    /// Links all records and returns the number of linked ones. The chains must be sound.
    async fn link(&self) -> u64 {
        self.world.link_all(&self.world.linker(&[1])).await;
        let report = self.world.verify(&[1], None).await;
        assert_eq!((findings(&report), report.unlinked), (vec![], 0));
        report.linked
    }
}

fn search(client: ClientId, entry_count: i32) -> RecordAccessRequest {
    RecordAccessRequest {
        client_id: client.to_string(),
        action: PbAction::Search.into(),
        entry_count,
        entry_id: String::new(),
        grant_id: "a grant".to_owned(),
    }
}

fn searched(entry_count: u32) -> Access {
    Access { action: Action::Search, entry_count, entry_id: String::new(), grant_id: "a grant".to_owned() }
}

async fn batch_records_each_access_for_its_client(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let (one, other) = (fixture.world.client(), fixture.world.client());
    let entry =
        RecordAccessRequest { action: PbAction::Entry.into(), entry_id: "an entry".to_owned(), ..search(other, 9) };
    for (accesses, calls) in [
        (vec![], &[][..]),
        (vec![search(one, 1)], &["PutItem"]),
        (vec![search(one, 2), search(other, 3), search(one, 4), entry], &["TransactWriteItems"]),
    ] {
        fixture.by_therapist(accesses).await.unwrap();
        assert_eq!(fixture.proxy.take_calls(), calls);
    }
    assert_eq!(fixture.stored(one).await, [1, 2, 4].map(searched));
    let entry = Access { action: Action::Entry, entry_id: "an entry".to_owned(), ..searched(9) };
    assert_eq!(fixture.stored(other).await, [searched(3), entry]);
    assert_eq!(fixture.link().await, 5);
}

async fn batch_of_hundred_is_one_call_and_links(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let (all, few) = (fixture.world.client(), fixture.world.client());
    fixture.world.read_by_therapist(few, 1).await;
    let accesses = (0..100).map(|number| search(if number < 10 { few } else { all }, number)).collect();
    fixture.by_therapist(accesses).await.unwrap();
    assert_eq!(fixture.proxy.take_calls(), ["TransactWriteItems"]);
    fixture.world.read_by_therapist(few, 2).await;
    assert_eq!(fixture.link().await, 102);
    assert_eq!((fixture.world.linked(all).await.len(), fixture.world.linked(few).await.len()), (90, 12));
}

async fn invalid_batch_records_nothing(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let client = fixture.world.client();
    let good = || search(client, 1);
    let changed = |change: fn(&mut RecordAccessRequest)| {
        let mut access = good();
        change(&mut access);
        vec![good(), access]
    };
    let (therapist, bad) = (Some(Role::Therapist), Code::InvalidArgument);
    for (role, accesses, expected) in [
        (therapist, changed(|it| it.client_id = "no id".to_owned()), bad),
        (therapist, changed(|it| it.action = 0), bad),
        (therapist, changed(|it| it.action = 99), bad),
        (therapist, changed(|it| it.entry_count = -1), bad),
        (therapist, changed(|it| it.entry_id = "x".repeat(65)), bad),
        (therapist, changed(|it| it.grant_id = "x".repeat(65)), bad),
        (therapist, vec![good(); 101], bad),
        (Some(Role::Client), vec![good(); 2], Code::PermissionDenied),
        (Some(Role::Client), vec![], Code::PermissionDenied),
        (None, vec![good(); 2], Code::Unauthenticated),
    ] {
        assert_eq!(fixture.record(role, accesses.clone()).await, Err(expected), "{role:?} {accesses:?}");
    }
    assert_eq!(fixture.proxy.take_calls(), [""; 0]);
    assert_eq!(fixture.stored(client).await, []);
}

async fn batch_without_answer_is_recorded_once(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let client = fixture.world.client();
    fixture.proxy.next([Mode::LoseAnswer]);
    fixture.by_therapist(vec![search(client, 1), search(client, 2)]).await.unwrap();
    assert_eq!(fixture.proxy.take_calls(), ["TransactWriteItems"; 2]);
    assert_eq!(fixture.stored(client).await, [1, 2].map(searched));
    assert_eq!(fixture.link().await, 2);
}

async fn failed_batch_records_nothing_and_succeeds_again(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let client = fixture.world.client();
    let batch = || vec![search(client, 1), search(client, 2)];
    fixture.proxy.set(Mode::Throttle).await;
    assert_eq!(fixture.by_therapist(batch()).await, Err(Code::Unavailable));
    fixture.proxy.set(Mode::Pass).await;
    assert_eq!(fixture.stored(client).await, []);
    fixture.by_therapist(batch()).await.unwrap();
    assert_eq!(fixture.stored(client).await, [1, 2].map(searched));
}
