//! Tests of the RPCs that a search needs: grants of several clients, and the clients among whom a therapist may search.

use std::time::Duration;

use chassis::Caller;
use dynamo::{BatchWrite, Table};
use kernel::{Clock as _, Role, TherapistId, Timestamp, UserId};
use kit::engine::Engine;
use kit::fault::Mode;
use proto::mapping::v1 as pb;
use proto::mapping::v1::consent_service_server::ConsentService as _;
use tonic::{Code, Request, Status};

use super::{DAY, NOWHERE, UNLIMITED, World, as_therapist, by_client, deleted, person};
use crate::MAPPINGS;
use crate::item::key;
use crate::model::{Channel, Grant, GrantId, Intent, Limits, Pair, REQUEST_LIFE, Relation};
use crate::searchable::{ListLimits, SearchableClients};
use crate::service::Services;
use crate::transition::{Access, Mapping};

kit::on_each_engine!(
    grants_and_searchable_clients_follow_the_relation,
    batch_check_leaves_out_expired_grants,
    batch_check_leaves_out_ended_accounts,
    batch_check_accepts_hundred_clients,
    searchable_clients_are_none_to_clients_and_nobody,
    agreed_since_is_the_earliest_kept_agreement,
    relation_missing_in_the_index_is_found_by_its_client,
    relation_ended_after_the_index_was_read_is_left_out,
    searchable_clients_are_limited_to_thousand,
    relations_read_for_the_list_are_limited,
    calls_for_a_search_cost_one_read,
);

/// Actions in order: true is the client's, false the therapist's.
type Steps = &'static [(bool, Intent)];

const MESSAGE: Intent = Intent::RecordContact(Channel::Message);
const APPOINTMENT: Intent = Intent::RecordContact(Channel::Appointment);

/// Histories with whether the therapist may read the journal after them, and search among the client's texts.
const CASES: [(Steps, bool, bool); 16] = [
    (&[], false, false),
    (&[(false, Intent::RequestMapping)], false, false),
    (&[(false, Intent::RequestMapping), (true, Intent::Reject)], false, false),
    (&[(false, Intent::RequestMapping), (true, Intent::Accept)], false, true),
    (&[(true, Intent::Map)], false, true),
    (&[(true, Intent::Map), (false, Intent::RequestAccess)], false, true),
    (&[(true, Intent::Map), (false, Intent::RequestAccess), (true, Intent::RejectAccess)], false, true),
    (&[(true, Intent::Map), (true, UNLIMITED)], true, true),
    (&[(true, Intent::Map), (true, UNLIMITED), (true, Intent::RevokeAccess)], false, true),
    (&[(true, Intent::Map), (true, UNLIMITED), (true, Intent::RevokeAccess), (true, UNLIMITED)], true, true),
    (&[(true, Intent::Map), (true, UNLIMITED), (true, Intent::End)], false, false),
    (&[(true, Intent::Map), (true, UNLIMITED), (false, Intent::End)], false, false),
    (&[(true, MESSAGE)], false, true),
    (&[(true, MESSAGE), (true, Intent::Map), (true, UNLIMITED), (false, Intent::End)], false, true),
    (&[(true, MESSAGE), (true, Intent::End)], false, false),
    (&[(true, Intent::Map), (false, MESSAGE), (true, Intent::End)], false, false),
];

/// Histories of relations that their clients don't agree to.
const NOT_AGREED: [Steps; 3] = [
    &[(false, Intent::RequestMapping)],
    &[(false, Intent::RequestMapping), (true, Intent::Reject)],
    &[(true, Intent::Map), (true, UNLIMITED), (true, Intent::End)],
];

fn request<T>(role: Role, id: impl Into<UserId>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller { person: Some(person(role, id.into())), workload: None });
    request
}

fn by_therapist<T>(therapist: TherapistId, message: T) -> Request<T> {
    request(Role::Therapist, therapist, message)
}

impl World {
    /// Creates the fixture with the handle of its table.
    async fn with_table(engine: Engine) -> (Self, Table) {
        let dynamodb = engine.client().await;
        dynamodb.create_or_verify(&[&MAPPINGS]).await.unwrap();
        let table = dynamodb.table(&MAPPINGS);
        (Self::over(dynamodb, NOWHERE), table)
    }

    fn services(&self) -> Services {
        Services(self.ops.clone())
    }

    /// Takes these steps, one a day.
    async fn take(&self, pair: Pair, steps: Steps) {
        for (by_client, intent) in steps {
            let done = if *by_client { self.client(pair, *intent).await } else { self.therapist(pair, *intent).await };
            done.unwrap();
            self.clock.advance(DAY);
        }
    }

    async fn check(&self, pair: Pair) -> pb::CheckJournalAccessResponse {
        let wanted = pb::CheckJournalAccessRequest { client_id: pair.client.to_string() };
        let answer = self.services().check_journal_access(by_therapist(pair.therapist, wanted)).await;
        answer.unwrap().into_inner()
    }

    /// Returns the grants in the order of the clients' ids.
    async fn batch_check(&self, therapist: TherapistId, client_ids: &[String]) -> Vec<pb::JournalGrant> {
        let wanted = pb::BatchCheckJournalAccessRequest { client_ids: client_ids.to_vec() };
        let answer = self.services().batch_check_journal_access(by_therapist(therapist, wanted)).await;
        let mut grants = answer.unwrap().into_inner().grants;
        grants.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        grants
    }

    async fn batch_check_one(&self, pair: Pair) -> Vec<pb::JournalGrant> {
        self.batch_check(pair.therapist, &[pair.client.to_string()]).await
    }

    async fn searchable(&self, therapist: TherapistId, with_agreement: bool) -> pb::ListSearchableClientsResponse {
        self.searchable_one(therapist, "", with_agreement).await
    }

    async fn searchable_one(
        &self,
        therapist: TherapistId,
        client_id: &str,
        with_agreement: bool,
    ) -> pb::ListSearchableClientsResponse {
        let wanted = pb::ListSearchableClientsRequest { client_id: client_id.to_owned(), with_agreement };
        self.services().list_searchable_clients(by_therapist(therapist, wanted)).await.unwrap().into_inner()
    }
}

fn ids(found: &pb::ListSearchableClientsResponse) -> Vec<&str> {
    assert!(!found.too_many);
    found.clients.iter().map(|it| it.client_id.as_str()).collect()
}

/// Stores mapped relations of one therapist, each with a grant. Returns the clients' ids in order.
async fn store_granted(world: &World, table: &Table, therapist: TherapistId, count: usize) -> Vec<String> {
    let mut clients: Vec<_> = (0..count).map(|_| world.new_pair().client).collect();
    clients.sort_unstable();
    let granted = |client| {
        let pair = Pair { client, therapist };
        let id = GrantId::generate(&world.clock, &chassis::SystemEntropy);
        let relation = Relation {
            mapping: Mapping::Active,
            access: Access::Accepted,
            grant: Some(Grant { id, limits: Limits::default() }),
            was_mapped: true,
            version: 1,
            ..Relation::new(pair, world.clock.now())
        };
        BatchWrite::put(key(pair), &relation).unwrap()
    };
    table.batch_write(clients.iter().map(|client| granted(*client)).collect()).await.unwrap();
    clients.iter().map(ToString::to_string).collect()
}

async fn grants_and_searchable_clients_follow_the_relation(engine: Engine) {
    let world = World::new(engine).await;
    let therapist: TherapistId = world.user().into();
    let (mut asked, mut granted, mut searchable) = (vec!["no id".to_owned(), String::new()], Vec::new(), Vec::new());
    for (steps, grants, searches) in CASES {
        let pair = Pair { client: world.user().into(), therapist };
        world.take(pair, steps).await;
        let checked = world.check(pair).await;
        assert_eq!(checked.granted, grants, "{steps:?}");
        let id = pair.client.to_string();
        let grant = grants.then(|| pb::JournalGrant {
            client_id: id.clone(),
            grant_id: checked.grant_id,
            entries_from: checked.entries_from,
        });
        for with_agreement in [false, true] {
            let found = world.searchable_one(therapist, &id, with_agreement).await;
            assert_eq!(ids(&found), vec![&id; usize::from(searches)], "{steps:?}");
            assert!(found.clients.iter().all(|it| it.grant == grant), "{steps:?}");
            assert!(found.clients.iter().all(|it| it.agreed_since.is_some() == with_agreement), "{steps:?}");
            searchable.extend(found.clients.into_iter().map(|it| (with_agreement, it)));
        }
        granted.extend(grant);
        asked.extend([id.clone(), id]);
    }
    // Other clients of other therapists are of no account.
    world.take(world.new_pair(), &[(true, Intent::Map), (true, UNLIMITED)]).await;
    granted.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    searchable.sort_by(|one, other| one.1.client_id.cmp(&other.1.client_id));
    assert_eq!(world.batch_check(therapist, &asked).await, granted);
    for with_agreement in [false, true] {
        let expected: Vec<_> = searchable.iter().filter(|it| it.0 == with_agreement).map(|it| it.1.clone()).collect();
        let found = world.searchable(therapist, with_agreement).await;
        assert_eq!((found.too_many, found.clients), (false, expected));
    }
    assert_eq!(ids(&world.searchable_one(therapist, "no id", true).await), [""; 0]);
}

async fn batch_check_leaves_out_expired_grants(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.client(pair, Intent::Map).await.unwrap();
    let (from, over) = (Timestamp::from_second(1_800_000_000).unwrap(), world.ops.now().checked_add(DAY).unwrap());
    let limits = Limits { entries_from: Some(from.into()), expires_at: Some(over.into()) };
    let grant = world.client(pair, Intent::Grant(limits)).await.unwrap().grant.unwrap();
    let expected = [pb::JournalGrant {
        client_id: pair.client.to_string(),
        grant_id: grant.id.to_string(),
        entries_from: Some(convert::time::to_proto(from)),
    }];
    world.clock.advance(DAY - Duration::from_nanos(1));
    assert_eq!(world.batch_check_one(pair).await, expected);
    assert_eq!(world.searchable(pair.therapist, true).await.clients[0].grant.as_ref(), expected.first());
    world.clock.advance(Duration::from_nanos(1));
    assert_eq!(world.batch_check_one(pair).await, []);
    for with_agreement in [false, true] {
        let found = world.searchable(pair.therapist, with_agreement).await;
        assert_eq!((ids(&found).len(), found.clients[0].grant.clone()), (1, None), "the mapping stays");
    }
}

/// The index by which a therapist's relations are ended lags, and may have missed one.
async fn batch_check_leaves_out_ended_accounts(engine: Engine) {
    let world = World::new(engine).await;
    for role in [Role::Client, Role::Therapist] {
        let pair = world.new_pair();
        world.take(pair, &[(true, Intent::Map), (true, UNLIMITED)]).await;
        let other = Pair { client: world.user().into(), ..pair };
        world.take(other, &[(true, Intent::Map), (true, UNLIMITED)]).await;
        let asked = [pair, other].map(|pair| pair.client.to_string());
        assert_eq!(world.batch_check(pair.therapist, &asked).await.len(), 2);
        let ended: UserId = if role == Role::Client { pair.client.into() } else { pair.therapist.into() };
        world.ops.store.mark_ended(deleted(role, ended), world.ops.now()).await.unwrap();
        assert!(world.stored(pair).await.grant_at(world.ops.now()).is_some());
        assert!(!world.check(pair).await.granted, "{role}");
        let left = world.batch_check(pair.therapist, &asked).await;
        let left: Vec<_> = left.into_iter().map(|grant| grant.client_id).collect();
        assert_eq!(left, vec![asked[1].clone(); usize::from(role == Role::Client)], "{role}");
    }
}

async fn batch_check_accepts_hundred_clients(engine: Engine) {
    let (world, table) = World::with_table(engine).await;
    let therapist: TherapistId = world.user().into();
    let clients = store_granted(&world, &table, therapist, 101).await;
    let grants = world.batch_check(therapist, &clients[1..]).await;
    assert!(grants.iter().map(|grant| &grant.client_id).eq(&clients[1..]));
    let wanted = pb::BatchCheckJournalAccessRequest { client_ids: clients };
    let refused = world.services().batch_check_journal_access(by_therapist(therapist, wanted)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

async fn searchable_clients_are_none_to_clients_and_nobody(engine: Engine) {
    let world = World::new(engine).await;
    let pair = world.new_pair();
    world.take(pair, &[(true, Intent::Map), (true, UNLIMITED)]).await;
    let services = world.services();
    let check = || pb::BatchCheckJournalAccessRequest { client_ids: vec![pair.client.to_string()] };
    let lists = ["".to_owned(), pair.client.to_string()]
        .map(|client_id| pb::ListSearchableClientsRequest { client_id, with_agreement: true });
    for id in [UserId::from(pair.client), pair.therapist.into()] {
        let grants = services.batch_check_journal_access(request(Role::Client, id, check())).await.unwrap();
        assert_eq!(grants.into_inner().grants, []);
        for list in lists.clone() {
            let found = services.list_searchable_clients(request(Role::Client, id, list)).await.unwrap();
            assert_eq!(ids(&found.into_inner()), [""; 0]);
        }
    }
    let code = |refused: Status| refused.code();
    let grants = services.batch_check_journal_access(Request::new(check())).await;
    assert_eq!(grants.map(drop).map_err(code), Err(Code::Unauthenticated));
    let found = services.list_searchable_clients(Request::new(lists[0].clone())).await;
    assert_eq!(found.map(drop).map_err(code), Err(Code::Unauthenticated));
}

async fn agreed_since_is_the_earliest_kept_agreement(engine: Engine) {
    let world = World::new(engine).await;
    let therapist: TherapistId = world.user().into();
    let cases: [(Steps, u32); 10] = [
        (&[(true, Intent::Map)], 0),
        (&[(true, Intent::Map), (true, UNLIMITED)], 0),
        (&[(false, Intent::RequestMapping), (true, Intent::Accept)], 1),
        (&[(true, Intent::Map), (true, MESSAGE)], 0),
        (&[(true, MESSAGE), (true, APPOINTMENT), (true, Intent::Map)], 0),
        (&[(true, Intent::Map), (false, MESSAGE), (true, APPOINTMENT), (false, Intent::End)], 2),
        (&[(true, Intent::Map), (false, Intent::End), (true, Intent::Map)], 2),
        (&[(true, MESSAGE), (true, Intent::Map), (false, Intent::End), (true, Intent::Map)], 0),
        (&[(true, MESSAGE), (true, Intent::End), (true, MESSAGE)], 2),
        (&[(true, Intent::Map), (true, Intent::End), (true, APPOINTMENT), (true, Intent::Map)], 2),
    ];
    for (steps, day) in cases {
        let pair = Pair { client: world.user().into(), therapist };
        let expected = world.ops.now().checked_add(DAY * day).unwrap();
        world.take(pair, steps).await;
        let found = world.searchable_one(therapist, &pair.client.to_string(), true).await;
        assert_eq!(found.clients[0].agreed_since, Some(convert::time::to_proto(expected)), "{steps:?}");
        let all = world.searchable(therapist, true).await;
        assert!(all.clients.contains(&found.clients[0]), "{steps:?}");
    }
}

async fn relation_missing_in_the_index_is_found_by_its_client(engine: Engine) {
    let (world, table) = World::with_table(engine).await;
    let pair = world.new_pair();
    world.take(pair, &[(true, Intent::Map), (true, UNLIMITED)]).await;
    // The same id in another case is another partition of the index.
    let elsewhere = pair.therapist.to_string().to_uppercase();
    table.update(&key(pair)).set("therapist_id", elsewhere).run().await.map(drop).unwrap();
    for with_agreement in [false, true] {
        assert_eq!(ids(&world.searchable(pair.therapist, with_agreement).await), [""; 0]);
        let id = pair.client.to_string();
        assert_eq!(ids(&world.searchable_one(pair.therapist, &id, with_agreement).await), [&id]);
    }
    assert_eq!(world.batch_check_one(pair).await.len(), 1);
}

async fn relation_ended_after_the_index_was_read_is_left_out(engine: Engine) {
    let (world, proxy, direct) = World::proxied(engine, NOWHERE).await;
    let [ended, revoked] = {
        let therapist: TherapistId = direct.user().into();
        [(); 2].map(|()| Pair { client: direct.user().into(), therapist })
    };
    for pair in [ended, revoked] {
        direct.take(pair, &[(true, Intent::Map), (true, UNLIMITED)]).await;
    }
    proxy.only(|call| call.operation == "BatchGetItem");
    proxy.set(Mode::Hang).await;
    let meanwhile = async {
        proxy.called("BatchGetItem").await;
        direct.client(ended, Intent::End).await.unwrap();
        direct.client(revoked, Intent::RevokeAccess).await.unwrap();
        proxy.set(Mode::Pass).await;
    };
    let (found, ()) = tokio::join!(world.searchable(ended.therapist, true), meanwhile);
    assert_eq!((ids(&found), &found.clients[0].grant), (vec![&*revoked.client.to_string()], &None));
    assert_eq!(direct.ops.journal_access(by_client(revoked)).await.unwrap(), None);
}

async fn searchable_clients_are_limited_to_thousand(engine: Engine) {
    let (world, table) = World::with_table(engine).await;
    let therapist: TherapistId = world.user().into();
    let clients = store_granted(&world, &table, therapist, 1000).await;
    for steps in NOT_AGREED {
        world.take(Pair { client: world.user().into(), therapist }, steps).await;
    }
    let erased = world.user();
    world.take(Pair { client: erased.into(), therapist }, &[(true, Intent::Map)]).await;
    world.ops.handle_account_deleted(deleted(Role::Client, erased)).await.unwrap();
    // Then the request has expired.
    for later in [Duration::ZERO, REQUEST_LIFE] {
        world.clock.advance(later);
        for with_agreement in [false, true] {
            let found = world.searchable(therapist, with_agreement).await;
            assert_eq!(ids(&found), clients, "other relations don't count");
            assert!(found.clients.iter().all(|it| it.grant.is_some()));
        }
    }
    world.take(Pair { client: world.user().into(), therapist }, &[(true, MESSAGE)]).await;
    let too_many = pb::ListSearchableClientsResponse { too_many: true, clients: Vec::new() };
    for with_agreement in [false, true] {
        assert_eq!(world.searchable(therapist, with_agreement).await, too_many);
        assert_eq!(ids(&world.searchable_one(therapist, &clients[7], with_agreement).await), [&clients[7]]);
    }
}

/// Relations that no client agrees to are read page by page, up to a limit of their own.
async fn relations_read_for_the_list_are_limited(engine: Engine) {
    let world = World::new(engine).await;
    let limits = ListLimits { clients: 1, relations: 4 };
    let permit = as_therapist(world.user().into());
    let client = || Pair { client: world.user().into(), therapist: permit.id() };
    let count = async |with_agreement| {
        let found = world.ops.searchable_clients_within(limits, permit, with_agreement).await.unwrap();
        match found {
            SearchableClients::Found(relations) => Some(relations.len()),
            SearchableClients::TooMany => None,
        }
    };
    for steps in NOT_AGREED {
        world.take(client(), steps).await;
    }
    world.take(client(), &[(true, MESSAGE)]).await;
    assert_eq!((count(false).await, count(true).await), (Some(1), Some(1)));
    world.take(client(), NOT_AGREED[0]).await;
    assert_eq!((count(false).await, count(true).await), (None, None));
}

async fn calls_for_a_search_cost_one_read(engine: Engine) {
    let (world, proxy, direct) = World::proxied(engine, NOWHERE).await;
    let pair = direct.new_pair();
    direct.take(pair, &[(true, Intent::Map), (true, UNLIMITED)]).await;
    let id = pair.client.to_string();
    let asked: Vec<_> = (1..49).map(|_| direct.user().to_string()).chain([id.clone()]).collect();
    drop(proxy.take_calls());
    assert_eq!(world.batch_check(pair.therapist, &asked).await.len(), 1);
    assert_eq!(proxy.take_calls(), ["BatchGetItem"]);
    for (client_id, with_agreement, calls) in [
        (&*id, false, &["GetItem"][..]),
        (&*id, true, &["GetItem"]),
        ("", false, &["Query"]),
        ("", true, &["Query", "BatchGetItem"]),
        ("no id", true, &[]),
    ] {
        let found = world.searchable_one(pair.therapist, client_id, with_agreement).await;
        assert_eq!(found.clients.len(), usize::from(client_id != "no id"));
        assert_eq!(proxy.take_calls(), calls, "{client_id:?} {with_agreement}");
    }
}
