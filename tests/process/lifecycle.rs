//! Lifecycle of the process: start, shutdown, and the data kept across restarts.

use std::path::Path;

use kit::engine::Engine;
use kit::fault::{Mode, Proxy};
use kit::mesh::{Someone, answer};
use kit::wait::until;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::process::Process;

#[tokio::test]
async fn announcement_shows_addresses_and_next_step() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    assert_eq!(mesh.ask(Method::GET, "/healthz", None, None).await.expect(200), json!({"status": "SERVING"}));
    assert!(mesh.announced("DynamoDB").starts_with("http://127.0.0.1:"), "{}", mesh.announcement);
    assert_eq!(Path::new(mesh.announced("data")), data.path().canonicalize().unwrap());
    for service in ["auth 127.0.0.1:", "clients 127.0.0.1:", "therapists 127.0.0.1:"] {
        assert!(mesh.announced("services").contains(service), "{}", mesh.announcement);
    }
    assert_eq!(mesh.announced("docs"), format!("{}/docs", mesh.url));
}

/// After the announcement the process handles signals and shuts down gracefully.
#[test]
fn signal_right_after_announcement_stops_process() {
    let data = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let (status, said) = Process::start(data.path()).stop(Signal::TERM);
        assert!(status.success() && said.ends_with("stopped"), "{status}: {said}");
    }
}

#[tokio::test]
async fn signal_stops_process_gracefully() {
    for signal in [Signal::TERM, Signal::INT] {
        let data = tempfile::tempdir().unwrap();
        let mesh = Process::start(data.path());
        mesh.join("asha@example.org", "CLIENT").await;
        let (status, said) = mesh.stop(signal);
        assert!(status.success(), "{signal:?}: {status}");
        assert!(said.ends_with("stopped"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_request_is_answered_before_exit() {
    let data = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&Engine::Embedded.endpoint().await);
    let endpoint = proxy.endpoint();
    let key = Engine::Embedded.access_key().await;
    std::fs::write(data.path().join("dynamodb-access-key"), key.as_str()).unwrap();
    let settings = [
        ("MESH_DYNAMODB_ENDPOINT", endpoint.as_str()),
        ("MESH_TABLE_PREFIX", "life-"),
        ("MESH_DYNAMODB_ATTEMPT_TIMEOUT", "1m"),
        ("MESH_DYNAMODB_OPERATION_TIMEOUT", "1m"),
    ];
    let mesh = Process::start_with(data.path(), &settings);
    let who = mesh.join("asha@example.org", "CLIENT").await;
    proxy.only(|call| call.operation == "GetItem" && call.names("life-Users"));
    proxy.set(Mode::Hang).await;
    let _ = proxy.take_calls();
    let mut under_way = JoinSet::new();
    under_way.spawn(answer(mesh.request(Method::GET, "/auth/me").bearer_auth(&who.token)));
    proxy.called("GetItem").await;
    mesh.send(Signal::TERM);
    let address = mesh.url.trim_start_matches("http://");
    until("it takes no more connections", async || TcpStream::connect(address).await.is_err()).await;
    proxy.set(Mode::Pass).await;
    let me = under_way.join_next().await.unwrap().unwrap().expect(200);
    assert_eq!(me["userId"], who.id.as_str());
    let (status, said) = mesh.ended();
    assert!(status.success() && said.ends_with("stopped"), "{status}: {said}");
}

/// Data whose writes were acknowledged.
struct Acknowledged {
    client: Someone,
    therapist: Someone,
    profiles: [Value; 2],
    keys: Value,
}

impl Acknowledged {
    async fn by(mesh: &Process) -> Self {
        let client = mesh.join("asha@example.org", "CLIENT").await;
        let therapist = mesh.join("noor@example.org", "THERAPIST").await;
        let post = async |path, who: &Someone| {
            let profile = json!({"name": "Asha", "email": who.email, "specialty": "Grief", "pincode": "110001"});
            mesh.ask(Method::POST, path, Some(&who.token), Some(profile)).await.expect(201)
        };
        let keys = mesh.ask(Method::GET, "/.well-known/jwks.json", None, None).await.expect(200);
        let profiles = [post("/clients", &client).await, post("/therapists", &therapist).await];
        Self { client, therapist, profiles, keys }
    }

    async fn assert_kept(&self, mesh: &Process) {
        let Self { client, therapist, profiles, keys } = self;
        assert_eq!(mesh.ask(Method::GET, "/.well-known/jwks.json", None, None).await.expect(200), *keys);
        let rows = [(client, "/clients", &profiles[0]), (therapist, "/therapists", &profiles[1])];
        for (who, path, profile) in rows {
            // Tokens stay valid: the signing key is kept.
            let path = format!("{path}/{}", who.id);
            assert_eq!(mesh.ask(Method::GET, &path, Some(&who.token), None).await.expect(200), *profile);
            let again = mesh.login(&who.email).await;
            assert_eq!(again.id, who.id);
            let refresh = json!({"refreshToken": who.refresh});
            mesh.ask(Method::POST, "/auth/refresh", None, Some(refresh)).await.expect(200);
        }
        let found = mesh.ask(Method::GET, "/therapists?specialty=grief", Some(&client.token), None).await.expect(200);
        assert_eq!(found, json!([profiles[1]]));
    }
}

#[tokio::test]
async fn acknowledged_data_survives_stop() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let there = Acknowledged::by(&mesh).await;
    assert!(mesh.stop(Signal::TERM).0.success());
    let mesh = Process::start(data.path());
    there.assert_kept(&mesh).await;
    assert!(mesh.stop(Signal::TERM).0.success());
}

#[tokio::test]
async fn acknowledged_data_survives_kill() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let there = Acknowledged::by(&mesh).await;
    mesh.kill();
    let mesh = Process::start(data.path());
    there.assert_kept(&mesh).await;
}
