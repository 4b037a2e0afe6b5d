//! Calls that send headers and no message, to a whole mesh: they don't use up the concurrency limit of a service, so
//! other callers are served, however many streams each connection and each second brings.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use kit::engine::Engine;
use kit::mesh::{Someone, TestMesh, answer};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::frames::{Connection, END_HEADERS, HEADERS, fields, frame};

const CONNECTIONS: u32 = 6;
const STREAMS: u32 = 250;
/// About 124 streams a second, for five seconds, on connections of a hundred each.
const PACE: Duration = Duration::from_millis(8);
const PACED: u32 = 620;
const PACED_STREAMS: u32 = 100;
/// Timeout of another caller's request.
const NEIGHBOUR_TIMEOUT: Duration = Duration::from_secs(20);

/// RPCs that are called, with and without authentication.
const CALLED: [&str; 6] = [
    "/therapy.auth.v1.AuthService/Login",
    "/therapy.auth.v1.AuthService/Refresh",
    "/therapy.mapping.v1.MappingService/ListMappings",
    "/therapy.journals.v1.JournalService/ListEntries",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// Encodes the headers of a call whose message never follows.
fn begun(number: u32, token: &str) -> Vec<u8> {
    let list = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", CALLED[number as usize % CALLED.len()]),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &format!("Bearer {token}")),
    ];
    frame(HEADERS, END_HEADERS, 2 * number + 1, &fields(&list))
}

/// Holds calls open until the test is over, and opens them again if the front closes.
async fn hold(front: SocketAddr, token: &str, over: &CancellationToken) {
    let all: Vec<u8> = (0..STREAMS).flat_map(|number| begun(number, token)).collect();
    let again = async {
        loop {
            Connection::open(front).await.send_until_closed(&all).await;
        }
    };
    tokio::select! { () = again => {}, () = over.cancelled() => {} }
}

/// Begins calls at a fixed rate and leaves all of them open.
async fn paced(front: SocketAddr, token: &str) {
    let mut open = Vec::new();
    for number in 0..PACED {
        if number % PACED_STREAMS == 0 {
            open.push(Connection::open(front).await);
        }
        let last = open.last_mut().unwrap();
        if !last.send(&begun(number % PACED_STREAMS, token)).await {
            *last = Connection::open(front).await;
        }
        sleep(PACE).await;
    }
}

struct Neighbours<'m> {
    mesh: &'m TestMesh,
    url: String,
    client: Someone,
    therapist: Someone,
}

impl Neighbours<'_> {
    async fn ask(&self, method: Method, path: &str, who: Option<&Someone>, body: Option<Value>) -> Result<(), String> {
        let mut request = self.mesh.http.request(method.clone(), format!("{}{path}", self.url));
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        match timeout(NEIGHBOUR_TIMEOUT, answer(request)).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("{method} {path}: {} {}", answer.status, answer.body)),
            Err(_) => Err(format!("{method} {path}: no answer")),
        }
    }

    /// Makes a login, two reads, a grant and its revocation.
    async fn go_on(&self) -> Result<(), String> {
        let (client, therapist) = (&self.client.id, &self.therapist.id);
        let login = json!({"email": self.client.email, "password": kit::mesh::PASSWORD});
        self.ask(Method::POST, "/auth/login", None, Some(login)).await?;
        self.ask(Method::GET, &format!("/clients/{client}/therapists"), Some(&self.client), None).await?;
        let grant = format!("/journal/{client}/access?therapistId={therapist}");
        self.ask(Method::PUT, &grant, Some(&self.client), Some(json!({"access": "ACCEPTED"}))).await?;
        self.ask(Method::GET, &format!("/journal/{client}"), Some(&self.therapist), None).await?;
        let revoked = format!("/mapping/{client}/access?therapistId={therapist}");
        self.ask(Method::DELETE, &revoked, Some(&self.client), None).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_without_message_do_not_block_others() {
    let mesh = TestMesh::start(Engine::Embedded).await;
    let envoy = mesh.envoy().await;
    let client = mesh.client("Asha Rao").await;
    let therapist = mesh.therapist("Noor Haddad", "Grief", "110001").await;
    let attacker = mesh.join("CLIENT").await;
    let map = json!({"therapistId": therapist.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", client.id), Some(&client), Some(map)).await.expect(201);

    for url in [mesh.url.clone(), envoy.url()] {
        let front = url.trim_start_matches("http://").parse().unwrap();
        let (client, therapist) = (client.clone(), therapist.clone());
        let neighbours = Neighbours { mesh: &mesh, url: url.clone(), client, therapist };
        // Envoy may not have fetched the keys yet.
        let known = async { while neighbours.go_on().await.is_err() {} };
        timeout(NEIGHBOUR_TIMEOUT, known).await.unwrap();

        let over = CancellationToken::new();
        let attack = async {
            let _over = over.clone().drop_guard();
            paced(front, &attacker.token).await;
        };
        let served = async {
            let mut rounds = 0;
            while !over.is_cancelled() || rounds == 0 {
                neighbours.go_on().await?;
                rounds += 1;
            }
            Ok::<_, String>(rounds)
        };
        let held = join_all((0..CONNECTIONS).map(|_| hold(front, &attacker.token, &over)));
        let (_, (), served) = tokio::join!(held, attack, served);
        served.unwrap_or_else(|refused| panic!("at {url} a neighbour gets {refused}"));
        neighbours.go_on().await.unwrap();
    }
    drop(envoy);
    mesh.stop().await;
}
