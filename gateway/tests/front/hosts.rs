//! Hosts that a front answers to, where it listens on loopback and elsewhere.

use std::process::Command;

use crate::test_env::{TestEnv, json, reason};

#[tokio::test]
async fn loopback_front_rejects_foreign_hosts() {
    let env = TestEnv::start(&[]).await;
    let port = env.address.port();
    for target in ["/front/items/a", "/docs", "/", "/docs/page.js", "/openapi.yaml", "/nothing"] {
        let rebound = env.get(target).header("host", format!("evil.example:{port}"));
        assert_eq!(reason(&json(rebound, 403).await), "HOST_NOT_ALLOWED", "{target}");
    }
    for host in
        ["localhost".to_owned(), format!("localhost:{port}"), format!("[::1]:{port}"), "mesh.localhost".to_owned()]
    {
        for target in ["/front/items/a", "/docs"] {
            assert_eq!(env.get(target).header("host", &host).send().await.unwrap().status(), 200, "{host} {target}");
        }
    }
}

#[tokio::test]
async fn front_beyond_loopback_answers_only_to_listed_hosts() {
    let env = TestEnv::beyond_loopback("api.example.org,*.clinic.example").await;
    for host in ["api.example.org", "API.example.org.:8443", "north.clinic.example"] {
        assert_eq!(env.get("/front/items/a").header("host", host).send().await.unwrap().status(), 200, "{host}");
    }
    for host in ["localhost", "127.0.0.1", "clinic.example", "10.0.0.7:8080"] {
        let foreign = env.get("/front/items/a").header("host", host);
        assert_eq!(reason(&json(foreign, 403).await), "HOST_NOT_ALLOWED", "{host}");
        assert_eq!(env.get("/healthz").header("host", host).send().await.unwrap().status(), 200, "{host}");
    }
}

#[tokio::test]
async fn preflight_for_foreign_host_is_rejected() {
    let env = TestEnv::start(&["--cors-origins=https://app.example.org"]).await;
    let asked = env.request("OPTIONS", "/front/items/a").header("host", "evil.example");
    let asked = asked.header("origin", "https://app.example.org").header("access-control-request-method", "GET");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[test]
fn front_beyond_loopback_without_hosts_fails_to_start() {
    let gateway = |hosts: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        let settings = [
            ("MESH_LISTEN", "0.0.0.0:0"),
            ("MESH_UPSTREAMS", "auth=http://127.0.0.1:1"),
            ("MESH_WORKLOAD_TOKEN_FILE", "/dev/null"),
            ("MESH_WORKLOAD_JWKS_FILE", "/dev/null"),
        ];
        let refused = command.env_clear().envs(settings).envs(hosts.iter().copied()).output().unwrap();
        assert!(!refused.status.success());
        String::from_utf8(refused.stderr).unwrap()
    };
    let stderr = gateway(&[]);
    assert!(
        stderr.contains("0.0.0.0") && stderr.contains("MESH_HOSTS") && stderr.contains("api.example.org"),
        "{stderr}"
    );
    let stderr = gateway(&[("MESH_HOSTS", "https://api.example.org")]);
    assert!(stderr.contains("MESH_HOSTS") && stderr.contains("a name or an address"), "{stderr}");
}
