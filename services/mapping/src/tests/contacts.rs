//! Who may make contact with whom, and what noting it costs.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::Context;
use kernel::{Role, TherapistId, UserId};
use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use proto::therapists::v1::therapist_name_service_server::{TherapistNameService, TherapistNameServiceServer};
use proto::therapists::v1::{BatchGetTherapistNamesRequest, BatchGetTherapistNamesResponse, TherapistName};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{World, as_client, as_therapist};
use crate::MAPPINGS;
use crate::model::{Channel, Intent, Pair};
use crate::ops::Contacted::{self, CallerEnded, NoSuchPeer};
use crate::policy::{Act, Undertaker};

/// Contact that is noted, whatever the version.
const RECORDED: Contacted = Contacted::Recorded(0);

kit::on_each_engine!(
    a_client_makes_contact_with_any_therapist_who_has_a_profile,
    a_therapist_makes_contact_with_a_client_who_has_agreed,
    nobody_makes_contact_with_or_from_an_account_that_is_ended,
    an_account_that_ends_while_contact_is_noted_has_none,
    a_client_who_ends_the_relation_meanwhile_is_not_reached,
    contact_that_is_noted_already_costs_one_read_and_asks_nobody,
);

/// A service that knows the names of therapists, and notes who is asked for.
#[derive(Clone, Default)]
struct Names {
    known: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TherapistNameService for Names {
    async fn batch_get_therapist_names(
        &self,
        request: Request<BatchGetTherapistNamesRequest>,
    ) -> Result<Response<BatchGetTherapistNamesResponse>, Status> {
        let BatchGetTherapistNamesRequest { therapist_ids } = request.into_inner();
        self.asked.lock().unwrap().extend(therapist_ids.clone());
        let mut known = self.known.lock().unwrap().clone();
        known.retain(|id| therapist_ids.contains(id));
        let name =
            |therapist_id| TherapistName { therapist_id, name: "Noor".to_owned(), specialty: "Grief".to_owned() };
        Ok(Response::new(BatchGetTherapistNamesResponse { names: known.into_iter().map(name).collect() }))
    }
}

/// A world in which therapists are known, whose calls go through a proxy.
struct Known {
    world: World,
    names: Names,
    proxy: Proxy,
    /// The same tables, without the proxy.
    direct: World,
    serving: JoinHandle<()>,
}

impl Known {
    #[allow(clippy::disallowed_methods, reason = "the task ends with this value")]
    async fn new(engine: Engine) -> Self {
        let names = Names::default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(TherapistNameServiceServer::new(names.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        let config = engine.config().await;
        let proxy = Proxy::start(&engine.endpoint().await);
        let direct = config.clone().connect().await;
        direct.create_or_verify(&[&MAPPINGS]).await.unwrap();
        let proxied = dynamo::Config { endpoint: Some(proxy.endpoint()), ..config }.connect().await;
        let (world, direct) = (World::over(proxied, &address), World::over(direct, &address));
        Self { world, names, proxy, direct, serving }
    }

    /// A client and a therapist with a profile.
    fn strangers(&self) -> Pair {
        let pair = self.world.strangers();
        self.names.known.lock().unwrap().push(pair.therapist.to_string());
        pair
    }

    async fn by_client(&self, pair: Pair, channel: Channel) -> Contacted {
        self.note(as_client(pair.client).towards(pair.therapist), channel).await
    }

    async fn by_therapist(&self, pair: Pair, channel: Channel) -> Contacted {
        self.note(as_therapist(pair.therapist).towards(pair.client), channel).await
    }

    async fn note(&self, permit: Act, channel: Channel) -> Contacted {
        let context = Context::background(Duration::from_secs(20));
        match self.world.ops.record_contact(&context, permit, channel).await.unwrap() {
            Contacted::Recorded(_) => RECORDED,
            refused @ (NoSuchPeer | CallerEnded) => refused,
        }
    }

    /// Notes contact, and does this once everything was looked at and before anything is written.
    async fn note_while<T>(&self, permit: Act, deed: impl Future<Output = T>) -> Contacted {
        drop(self.proxy.take_calls());
        self.proxy.only(|call| call.operation == "TransactWriteItems");
        self.proxy.set(Mode::Hang).await;
        let deed = async {
            self.proxy.called("TransactWriteItems").await;
            deed.await;
            self.proxy.set(Mode::Pass).await;
        };
        tokio::join!(self.note(permit, Channel::Message), deed).0
    }

    async fn end(&self, role: Role, id: impl Into<UserId>) {
        self.direct.ops.bury(Undertaker::of(role, id.into())).await.unwrap();
    }

    async fn contacts(&self, pair: Pair) -> usize {
        self.world.ops.store.read(super::by_client(pair)).await.unwrap().map_or(0, |there| there.contacts.len())
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn a_client_makes_contact_with_any_therapist_who_has_a_profile(engine: Engine) {
    let known = Known::new(engine).await;
    let pair = known.strangers();
    assert_eq!(known.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(known.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(known.by_client(pair, Channel::Appointment).await, RECORDED);
    assert_eq!(known.contacts(pair).await, 2);
    let nobody = known.world.strangers();
    let client_himself = Pair { client: pair.client, therapist: UserId::from(pair.client).into() };
    for stranger in [nobody, client_himself] {
        assert_eq!(known.by_client(stranger, Channel::Message).await, NoSuchPeer);
        assert_eq!(known.contacts(stranger).await, 0);
    }
}

async fn a_therapist_makes_contact_with_a_client_who_has_agreed(engine: Engine) {
    let known = Known::new(engine).await;
    let cases: [(&[(bool, Intent)], Contacted); 10] = [
        (&[], NoSuchPeer),
        (&[(false, Intent::RequestMapping)], NoSuchPeer),
        (&[(true, Intent::Map)], RECORDED),
        (&[(true, Intent::Map), (true, Intent::End)], NoSuchPeer),
        (&[(true, Intent::RecordContact(Channel::Message))], RECORDED),
        // Who had agreed once and was written to then has not agreed any more.
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
        // The end of a mapping by the therapist leaves contact as it was.
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
    for (deeds, expected) in cases {
        let pair = known.strangers();
        for (by_client, intent) in deeds {
            let (world, intent) = (&known.direct, *intent);
            let done = if *by_client { world.client(pair, intent).await } else { world.therapist(pair, intent).await };
            done.unwrap();
        }
        assert_eq!(known.by_therapist(pair, Channel::Message).await, expected, "{deeds:?}");
    }
    assert!(known.names.asked.lock().unwrap().is_empty());
}

async fn nobody_makes_contact_with_or_from_an_account_that_is_ended(engine: Engine) {
    let known = Known::new(engine).await;
    for noted in [false, true] {
        for (ended, to_client, to_therapist) in
            [(Role::Client, CallerEnded, NoSuchPeer), (Role::Therapist, NoSuchPeer, CallerEnded)]
        {
            let pair = known.strangers();
            if noted {
                assert_eq!(known.by_client(pair, Channel::Message).await, RECORDED);
                assert_eq!(known.by_therapist(pair, Channel::Message).await, RECORDED);
            }
            let who: UserId = if ended == Role::Client { pair.client.into() } else { pair.therapist.into() };
            known.end(ended, who).await;
            assert_eq!(known.by_client(pair, Channel::Message).await, to_client, "{ended} {noted}");
            assert_eq!(known.by_therapist(pair, Channel::Message).await, to_therapist, "{ended} {noted}");
        }
    }
}

async fn an_account_that_ends_while_contact_is_noted_has_none(engine: Engine) {
    let known = Known::new(engine).await;
    for (ended, expected) in [(Role::Client, CallerEnded), (Role::Therapist, NoSuchPeer)] {
        let pair = known.strangers();
        let who: UserId = if ended == Role::Client { pair.client.into() } else { pair.therapist.into() };
        let noted = known.note_while(super::by_client(pair), known.end(ended, who)).await;
        assert_eq!((noted, known.contacts(pair).await), (expected, 0), "{ended}");
    }
}

async fn a_client_who_ends_the_relation_meanwhile_is_not_reached(engine: Engine) {
    let known = Known::new(engine).await;
    let pair = known.strangers();
    known.direct.client(pair, Intent::Map).await.unwrap();
    let permit = as_therapist(pair.therapist).towards(pair.client);
    let noted = known.note_while(permit, Box::pin(known.direct.client(pair, Intent::End))).await;
    assert_eq!((noted, known.contacts(pair).await), (NoSuchPeer, 0));
}

async fn contact_that_is_noted_already_costs_one_read_and_asks_nobody(engine: Engine) {
    let known = Known::new(engine).await;
    let pair = known.strangers();
    drop(known.proxy.take_calls());
    assert_eq!(known.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(known.proxy.take_calls(), ["BatchGetItem", "GetItem", "TransactWriteItems"]);
    assert_eq!(known.by_therapist(pair, Channel::Message).await, RECORDED);
    drop(known.proxy.take_calls());
    let asked = known.names.asked.lock().unwrap().clone();
    assert_eq!(asked, [TherapistId::to_string(&pair.therapist)]);
    assert_eq!(known.by_client(pair, Channel::Message).await, RECORDED);
    assert_eq!(known.proxy.take_calls(), ["BatchGetItem"]);
    assert_eq!(known.by_therapist(pair, Channel::Message).await, RECORDED);
    assert_eq!(known.proxy.take_calls(), ["BatchGetItem"]);
    assert_eq!(known.names.asked.lock().unwrap().len(), 1);
}
