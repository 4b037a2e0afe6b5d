//! Tests of recording contact: authorization, races and cost.

use std::time::Duration;

use chassis::Context;
use kernel::{Role, UserId};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use kit::peers::Peers;

use super::{World, as_client, as_therapist, deleted};
use crate::model::ContactOutcome::{self, CallerEnded, CallerWithoutProfile, NoSuchPeer};
use crate::model::{Channel, Intent, Pair};
use crate::policy::Act;

/// Recorded contact, with the version left out.
const RECORDED: ContactOutcome = ContactOutcome::Recorded(0);

kit::on_each_engine!(
    client_contacts_therapist_with_profile,
    client_begins_conversation_with_profile_only,
    therapist_contacts_client_who_agreed,
    contact_with_or_from_ended_account_is_refused,
    contact_racing_account_deletion_is_refused,
    contact_racing_the_ending_is_refused,
    recorded_contact_costs_one_read,
);

/// Fixture with fake peers, whose calls to the database go through a proxy.
struct Fixture {
    world: World,
    peers: Peers,
    proxy: Proxy,
    /// Fixture over the same tables, without the proxy.
    direct: World,
}

impl Fixture {
    async fn new(engine: Engine) -> Self {
        let peers = Peers::start().await;
        let (world, proxy, direct) = World::proxied(engine, &peers.url()).await;
        Self { world, peers, proxy, direct }
    }

    async fn by_client(&self, pair: Pair, channel: Channel) -> ContactOutcome {
        self.record(as_client(pair.client).towards(pair.therapist), channel).await
    }

    async fn by_therapist(&self, pair: Pair, channel: Channel) -> ContactOutcome {
        self.record(as_therapist(pair.therapist).towards(pair.client), channel).await
    }

    async fn record(&self, permit: Act, channel: Channel) -> ContactOutcome {
        let context = Context::background(Duration::from_secs(20));
        match self.world.ops.record_contact(&context, permit, channel).await.unwrap() {
            ContactOutcome::Recorded(_) => RECORDED,
            refused @ (NoSuchPeer | CallerEnded | CallerWithoutProfile) => refused,
        }
    }

    /// Records contact, and runs `interruption` between its reads and its write.
    async fn record_while<T>(&self, permit: Act, interruption: impl Future<Output = T>) -> ContactOutcome {
        drop(self.proxy.take_calls());
        self.proxy.only(|call| call.operation == "TransactWriteItems");
        self.proxy.set(Mode::Hang).await;
        let interruption = async {
            self.proxy.called("TransactWriteItems").await;
            interruption.await;
            self.proxy.set(Mode::Pass).await;
        };
        tokio::join!(self.record(permit, Channel::Message), interruption).0
    }

    async fn end(&self, role: Role, id: impl Into<UserId>) {
        self.direct.ops.handle_account_deleted(deleted(role, id.into())).await.unwrap();
    }

    async fn contacts(&self, pair: Pair) -> usize {
        self.world.ops.store.read(super::by_client(pair)).await.unwrap().map_or(0, |there| there.contacts.len())
    }
}

async fn client_contacts_therapist_with_profile(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let pair = fixture.world.new_pair();
    assert_eq!(fixture.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(fixture.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(fixture.by_client(pair, Channel::Appointment).await, RECORDED);
    assert_eq!(fixture.contacts(pair).await, 2);
    let unknown = fixture.world.new_pair();
    let client_as_therapist = Pair { client: pair.client, therapist: UserId::from(pair.client).into() };
    for pair in [unknown, client_as_therapist] {
        fixture.peers.end(pair.therapist.into());
        assert_eq!(fixture.by_client(pair, Channel::Message).await, NoSuchPeer);
        assert_eq!(fixture.contacts(pair).await, 0);
    }
}

async fn client_begins_conversation_with_profile_only(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let without_profile = || {
        let pair = fixture.world.new_pair();
        fixture.peers.end(pair.client.into());
        pair
    };
    let pair = without_profile();
    assert_eq!(fixture.by_client(pair, Channel::Message).await, CallerWithoutProfile);
    assert_eq!(fixture.by_client(pair, Channel::Appointment).await, RECORDED);
    fixture.direct.client(pair, Intent::Map).await.unwrap();
    assert_eq!(fixture.by_client(pair, Channel::Message).await, CallerWithoutProfile);
    assert_eq!(fixture.contacts(pair).await, 1);
    // A conversation that has begun goes on.
    assert_eq!(fixture.by_therapist(pair, Channel::Message).await, RECORDED);
    assert_eq!(fixture.by_client(pair, Channel::Message).await, RECORDED);
    let pair = without_profile();
    fixture.direct.client(pair, Intent::RecordContact(Channel::Message)).await.unwrap();
    assert_eq!(fixture.by_client(pair, Channel::Message).await, RECORDED);
}

async fn therapist_contacts_client_who_agreed(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let cases: [(&[(bool, Intent)], ContactOutcome); 10] = [
        (&[], NoSuchPeer),
        (&[(false, Intent::RequestMapping)], NoSuchPeer),
        (&[(true, Intent::Map)], RECORDED),
        (&[(true, Intent::Map), (true, Intent::End)], NoSuchPeer),
        (&[(true, Intent::RecordContact(Channel::Message))], RECORDED),
        // Contact by the therapist doesn't count as agreement after the client has ended the mapping.
        (&[(true, Intent::Map), (false, Intent::RecordContact(Channel::Message)), (true, Intent::End)], NoSuchPeer),
        (
            &[
                (true, Intent::RecordContact(Channel::Appointment)),
                (true, Intent::Map),
                (false, Intent::RecordContact(Channel::Message)),
                (true, Intent::End),
            ],
            NoSuchPeer,
        ),
        // The end of a mapping by the therapist keeps the client's contact.
        (&[(true, Intent::RecordContact(Channel::Appointment)), (true, Intent::Map), (false, Intent::End)], RECORDED),
        (&[(true, Intent::RecordContact(Channel::Message)), (true, Intent::End)], NoSuchPeer),
        (
            &[
                (true, Intent::RecordContact(Channel::Message)),
                (true, Intent::End),
                (true, Intent::RecordContact(Channel::Message)),
            ],
            RECORDED,
        ),
    ];
    for (steps, expected) in cases {
        let pair = fixture.world.new_pair();
        for (by_client, intent) in steps {
            let (world, intent) = (&fixture.direct, *intent);
            let done = if *by_client { world.client(pair, intent).await } else { world.therapist(pair, intent).await };
            done.unwrap();
        }
        assert_eq!(fixture.by_therapist(pair, Channel::Message).await, expected, "{steps:?}");
    }
    assert!(fixture.peers.state().name_calls.is_empty());
}

async fn contact_with_or_from_ended_account_is_refused(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    for recorded in [false, true] {
        for (ended, to_client, to_therapist) in
            [(Role::Client, CallerEnded, NoSuchPeer), (Role::Therapist, NoSuchPeer, CallerEnded)]
        {
            let pair = fixture.world.new_pair();
            if recorded {
                assert_eq!(fixture.by_client(pair, Channel::Message).await, RECORDED);
                assert_eq!(fixture.by_therapist(pair, Channel::Message).await, RECORDED);
            }
            let who: UserId = if ended == Role::Client { pair.client.into() } else { pair.therapist.into() };
            fixture.end(ended, who).await;
            assert_eq!(fixture.by_client(pair, Channel::Message).await, to_client, "{ended} {recorded}");
            assert_eq!(fixture.by_therapist(pair, Channel::Message).await, to_therapist, "{ended} {recorded}");
        }
    }
}

async fn contact_racing_account_deletion_is_refused(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    for (ended, expected) in [(Role::Client, CallerEnded), (Role::Therapist, NoSuchPeer)] {
        let pair = fixture.world.new_pair();
        let who: UserId = if ended == Role::Client { pair.client.into() } else { pair.therapist.into() };
        let recorded = fixture.record_while(super::by_client(pair), fixture.end(ended, who)).await;
        assert_eq!((recorded, fixture.contacts(pair).await), (expected, 0), "{ended}");
    }
}

async fn contact_racing_the_ending_is_refused(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let pair = fixture.world.new_pair();
    fixture.direct.client(pair, Intent::Map).await.unwrap();
    let permit = as_therapist(pair.therapist).towards(pair.client);
    let recorded = fixture.record_while(permit, Box::pin(fixture.direct.client(pair, Intent::End))).await;
    assert_eq!((recorded, fixture.contacts(pair).await), (NoSuchPeer, 0));
}

async fn recorded_contact_costs_one_read(engine: Engine) {
    let fixture = Fixture::new(engine).await;
    let pair = fixture.world.new_pair();
    drop(fixture.proxy.take_calls());
    assert_eq!(fixture.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(fixture.proxy.take_calls(), ["BatchGetItem", "GetItem", "TransactWriteItems"]);
    assert_eq!(fixture.by_therapist(pair, Channel::Message).await, RECORDED);
    drop(fixture.proxy.take_calls());
    let asked = fixture.peers.state().name_calls.clone();
    assert_eq!(asked, [[pair.therapist.to_string()], [pair.client.to_string()]]);
    assert_eq!(fixture.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(fixture.proxy.take_calls(), ["BatchGetItem"]);
    assert_eq!(fixture.by_therapist(pair, Channel::Message).await, RECORDED);
    assert_eq!(fixture.proxy.take_calls(), ["BatchGetItem"]);
    assert_eq!(fixture.peers.state().name_calls, asked);
}
