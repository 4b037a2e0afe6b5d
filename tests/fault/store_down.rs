//! A DynamoDB that hangs, refuses connections, throttles or is slow: callers are told to retry, without internal
//! details.

use std::time::Duration;

use kit::engine::Engine;
use kit::fault::Mode;
use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use kit::wait::until;
use proto::auth::v1::auth_service_client::AuthServiceClient;
use proto::auth::v1::{GetMeRequest, LoginRequest};
use proto::therapists::v1::ListTherapistsRequest;
use proto::therapists::v1::therapist_service_client::TherapistServiceClient;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::world::{World, untimed_transport};

/// Internal words that no answer may contain: tables, the SDK and its dependencies, addresses, texts of the proxy.
const INSIDE: [&str; 12] = [
    "Users",
    "Clients",
    "Therapists",
    "dynamo",
    "aws",
    "sdk",
    "hyper",
    "timeout",
    "127.0.0.1",
    "injected",
    "throughput",
    "panicked",
];

struct People {
    client: Someone,
    therapist: Someone,
}

/// Returns a request for each read or write of every routable RPC. JWKS is not among them: it is cached in memory.
fn everything(mesh: &TestMesh, people: &People) -> Vec<(String, RequestBuilder)> {
    let People { client, therapist } = people;
    let account = json!({"email": "new@example.org", "password": PASSWORD, "role": "CLIENT"});
    let login = json!({"email": client.email, "password": PASSWORD});
    let refresh = json!({"refreshToken": client.refresh});
    let password = json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"});
    let profile = json!({"name": "X", "email": "x@example.org", "specialty": "Grief", "pincode": "110001"});
    let (own, listed) = (format!("/clients/{}", client.id), format!("/therapists/{}", therapist.id));
    let by_address = format!("/clients?email={}", client.email);
    let rows = [
        (Method::POST, "/auth/register", None, Some(account)),
        (Method::POST, "/auth/login", None, Some(login)),
        (Method::POST, "/auth/refresh", None, Some(refresh)),
        (Method::GET, "/auth/me", Some(client), None),
        (Method::PUT, "/auth/password", Some(client), Some(password)),
        (Method::POST, "/auth/logout", Some(therapist), None),
        (Method::GET, "/clients", Some(client), None),
        (Method::GET, &by_address, Some(therapist), None),
        (Method::POST, "/clients", Some(client), Some(profile.clone())),
        (Method::GET, &own, Some(client), None),
        (Method::PUT, &own, Some(client), Some(profile.clone())),
        (Method::DELETE, &own, Some(client), None),
        (Method::GET, "/therapists", Some(client), None),
        (Method::GET, "/therapists?specialty=grief&pincode=110001&name=n", Some(client), None),
        (Method::POST, "/therapists", Some(therapist), Some(profile.clone())),
        (Method::GET, &listed, Some(client), None),
        (Method::PUT, &listed, Some(therapist), Some(profile.clone())),
        (Method::DELETE, &listed, Some(therapist), None),
    ];
    let with_key = |path, who: &Someone| {
        mesh.request(Method::POST, path).bearer_auth(&who.token).header("idempotency-key", "k").json(&profile)
    };
    let keyed = [("/clients", client), ("/therapists", therapist)]
        .map(|(path, who)| (format!("POST {path} with a key"), with_key(path, who)));
    let rows = rows.into_iter().map(|(method, path, who, body)| {
        let mut request = mesh.request(method.clone(), path);
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        (format!("{method} {path}"), request)
    });
    rows.chain(keyed).collect()
}

fn assert_told_to_retry(what: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.reason()), (503, "UNAVAILABLE"), "{what}: {}", answer.body);
    answer.refused(503, "UNAVAILABLE");
    assert!(answer.retry_after().is_some_and(|seconds| seconds > 0.0), "{what}: {}", answer.body);
    assert_eq!(answer.headers["retry-after"], "1", "{what}");
    let shown = format!("{} {:?}", answer.body, answer.headers).to_lowercase();
    let told = INSIDE.iter().find(|word| shown.contains(&word.to_lowercase()));
    assert_eq!(told, None, "{what}: {shown}");
}

fn assert_told_to_retry_by_grpc(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("UNAVAILABLE"));
    assert!(details.retry_info().and_then(|retry| retry.retry_delay).is_some_and(|wait| !wait.is_zero()));
    assert!(INSIDE.iter().all(|word| !status.message().to_lowercase().contains(&word.to_lowercase())), "{status:?}");
}

fn bearer<T>(message: T, who: &Someone) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", who.token).parse().unwrap());
    request
}

/// Tests an outage and the recovery after it. Requests longer than the front's deadline would get 504, not 503.
async fn an_outage(mode: Mode) {
    let world =
        World::start_with(Engine::Embedded, |config| config.front.request_timeout = Duration::from_secs(8)).await;
    let mesh = &world.mesh;
    let client = mesh.client("Asha").await;
    let therapist = mesh.therapist("Noor", "Grief", "110001").await;
    let people = People { client, therapist };
    world.proxy.set(mode).await;

    let mut asked = JoinSet::new();
    for (what, request) in everything(mesh, &people) {
        asked.spawn(async move { (what, answer(request).await) });
    }
    for (what, answer) in asked.join_all().await {
        assert_told_to_retry(&what, &answer);
    }
    let by_grpc = async |address: String| {
        let mut auth = AuthServiceClient::with_origin(untimed_transport(), address.parse().unwrap());
        let mut again = auth.clone();
        let login = LoginRequest { email: people.client.email.clone(), password: PASSWORD.to_owned() };
        let me = bearer(GetMeRequest {}, &people.client);
        let (login, me) = tokio::join!(auth.login(login), again.get_me(me));
        assert_told_to_retry_by_grpc(&login.unwrap_err());
        assert_told_to_retry_by_grpc(&me.unwrap_err());
    };
    let address = mesh.service("therapists").parse().unwrap();
    let mut therapists = TherapistServiceClient::with_origin(untimed_transport(), address);
    let list = therapists.list_therapists(bearer(ListTherapistsRequest::default(), &people.client));
    let ((), (), list) = tokio::join!(by_grpc(mesh.url.clone()), by_grpc(mesh.service("auth")), list);
    assert_told_to_retry_by_grpc(&list.unwrap_err());

    world.proxy.set(Mode::Pass).await;
    until("a login works again", async || {
        let login = json!({"email": people.client.email, "password": PASSWORD});
        mesh.ask(Method::POST, "/auth/login", None, Some(login)).await.status == 200
    })
    .await;
    mesh.get("/auth/me", &people.client).await.expect(200);
    let own = mesh.get(&format!("/clients/{}", people.client.id), &people.client).await.expect(200);
    assert_eq!(own["name"], "Asha", "nothing was half written");
    let listed = mesh.get("/therapists?name=noor", &people.client).await.expect(200);
    assert_eq!(listed[0]["therapistId"], people.therapist.id.as_str());
    mesh.client("Ben").await;
    world.mesh.stop().await;
}

#[tokio::test]
async fn hanging_store_makes_every_rpc_unavailable() {
    Box::pin(an_outage(Mode::Hang)).await;
}

#[tokio::test]
async fn refusing_store_makes_every_rpc_unavailable() {
    Box::pin(an_outage(Mode::Refuse)).await;
}

#[tokio::test]
async fn throttling_store_makes_every_rpc_unavailable() {
    Box::pin(an_outage(Mode::Throttle)).await;
}

#[tokio::test]
async fn too_slow_store_makes_every_rpc_unavailable() {
    Box::pin(an_outage(Mode::Delay(Duration::from_secs(60)))).await;
}

#[tokio::test]
async fn slow_store_is_waited_for() {
    let world = World::start(Engine::Embedded).await;
    world.proxy.set(Mode::Delay(Duration::from_millis(100))).await;
    let client = world.mesh.client("Asha").await;
    world.mesh.get(&format!("/clients/{}", client.id), &client).await.expect(200);
    world.mesh.stop().await;
}

#[tokio::test]
async fn jwks_is_served_while_store_is_down() {
    let world = World::start(Engine::Embedded).await;
    world.proxy.set(Mode::Throttle).await;
    answer(world.mesh.request(Method::GET, "/.well-known/jwks.json")).await.expect(200);
    world.mesh.stop().await;
}

#[tokio::test]
async fn health_follows_store() {
    let soon = Duration::from_millis(50);
    let world = World::start_with(Engine::Embedded, |config| config.server.health_interval = soon).await;
    let mesh = &world.mesh;
    let of = async |domain: &str, service: &str| {
        let mut health = HealthClient::with_origin(untimed_transport(), mesh.service(domain).parse().unwrap());
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await;
        answer.unwrap().into_inner().status()
    };
    let of_front = async || {
        let mut health = HealthClient::with_origin(untimed_transport(), mesh.url.parse().unwrap());
        let by_grpc = health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status();
        let by_rest = answer(mesh.request(Method::GET, "/healthz")).await;
        (by_grpc, by_rest.status, by_rest.body["status"].as_str().map(str::to_owned))
    };
    for mode in [Mode::Hang, Mode::Refuse, Mode::Throttle] {
        for (mode, status, code) in [(mode, ServingStatus::NotServing, 503), (Mode::Pass, ServingStatus::Serving, 200)]
        {
            world.proxy.set(mode.clone()).await;
            for (domain, service) in [
                ("auth", ""),
                ("auth", "therapy.auth.v1.AuthService"),
                ("auth", "therapy.events.v1.SubscriberService"),
                ("clients", "therapy.clients.v1.ClientService"),
                ("therapists", "therapy.therapists.v1.TherapistService"),
            ] {
                let what = format!("{domain}'s {service:?} with {mode:?} is {status:?}");
                until(&what, async || of(domain, service).await == status).await;
            }
            let expected = (status, code, Some(status.as_str_name().to_owned()));
            until(&format!("the front with {mode:?} is {expected:?}"), async || of_front().await == expected).await;
        }
    }
    world.mesh.stop().await;
}
