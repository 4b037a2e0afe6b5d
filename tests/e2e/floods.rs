//! Floods of requests that never complete must not delay other callers.

use std::time::Duration;

use kit::mesh::{PASSWORD, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

kit::on_each_env!(fronts: calls_without_message_do_not_block_others);

const CONNECTIONS: usize = 6;
const STREAMS: u32 = 250;
/// Timeout of another caller's request, on a machine that does other things too.
const NEIGHBOUR: Duration = Duration::from_secs(30);

/// The bytes of a frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a call, written as literals (RFC 7541, section 6.2.2).
fn headers(path: &str, token: &str) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "127.0.0.1"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &authorization),
    ];
    let mut block = Vec::new();
    for text in fields.into_iter().flat_map(|(name, value)| [name, value].into_iter().enumerate()) {
        let (at, text) = text;
        if at == 0 {
            block.push(0);
        }
        // An integer with a prefix of 7 bits (RFC 7541, section 5.1).
        match text.len().checked_sub(127) {
            None => block.push(u8::try_from(text.len()).unwrap()),
            Some(rest) => {
                block.push(127);
                let mut rest = rest;
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
        }
        block.extend(text.as_bytes());
    }
    block
}

/// Opens connections with many calls that send no message each, and reopens them when they are closed.
fn flood(mesh: &TestMesh, path: &'static str, attacker: &Someone) -> JoinSet<()> {
    let mut flood = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (front, block) = (mesh.url.trim_start_matches("http://").to_owned(), headers(path, &attacker.token));
        flood.spawn(async move {
            loop {
                let Ok(mut stream) = TcpStream::connect(&front).await else { continue };
                let mut bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
                bytes.extend((0..STREAMS).flat_map(|number| frame(1, 4, 2 * number + 1, &block)));
                if stream.write_all(&bytes).await.is_ok() {
                    let mut told = Vec::new();
                    let _ = stream.read_to_end(&mut told).await;
                }
            }
        });
    }
    flood
}

async fn calls_without_message_do_not_block_others(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
    let attacker = mesh.client("Mallory").await;
    let map = json!({"therapistId": noor.id});
    mesh.ask(Method::POST, &format!("/mapping/{}", asha.id), Some(&asha), Some(map)).await.expect(201);
    let floods = [
        flood(&mesh, "/therapy.auth.v1.AuthService/Login", &attacker),
        flood(&mesh, "/therapy.mapping.v1.MappingService/ListRelatedTherapists", &attacker),
    ];
    let path = format!("/journal/{}/access?therapistId={}", asha.id, noor.id);
    let login = json!({"email": asha.email, "password": PASSWORD});
    let served = async |request: reqwest::RequestBuilder| {
        tokio::time::timeout(NEIGHBOUR, answer(request)).await.expect("a neighbour is answered").expect(200)
    };
    for _ in 0..5 {
        served(mesh.request(Method::POST, "/auth/login").json(&login)).await;
        served(mesh.request(Method::GET, &format!("/clients/{}/therapists", asha.id)).bearer_auth(&asha.token)).await;
        for access in ["ACCEPTED", "REVOKED"] {
            let change = mesh.request(Method::PUT, &path).bearer_auth(&asha.token).json(&json!({"access": access}));
            assert_eq!(served(change).await["journalAccess"], access);
        }
    }
    drop(floods);
    mesh.stop().await;
}
