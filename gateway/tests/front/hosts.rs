//! Hosts that a front answers to, where it listens on loopback and elsewhere.

use std::process::Command;

use crate::stand::{Stand, json, reason};

#[tokio::test]
async fn front_on_loopback_refuses_names_that_lead_to_it() {
    let stand = Stand::start(&[]).await;
    let port = stand.address.port();
    for target in ["/front/items/a", "/docs", "/", "/docs/page.js", "/openapi.yaml", "/nothing"] {
        let rebound = stand.get(target).header("host", format!("evil.example:{port}"));
        assert_eq!(reason(&json(rebound, 403).await), "HOST_NOT_ALLOWED", "{target}");
    }
    for host in
        ["localhost".to_owned(), format!("localhost:{port}"), format!("[::1]:{port}"), "mesh.localhost".to_owned()]
    {
        for target in ["/front/items/a", "/docs"] {
            assert_eq!(stand.get(target).header("host", &host).send().await.unwrap().status(), 200, "{host} {target}");
        }
    }
}

#[tokio::test]
async fn front_elsewhere_answers_to_listed_hosts_alone() {
    let stand = Stand::elsewhere("api.example.org,*.clinic.example").await;
    for host in ["api.example.org", "API.example.org.:8443", "north.clinic.example"] {
        assert_eq!(stand.get("/front/items/a").header("host", host).send().await.unwrap().status(), 200, "{host}");
    }
    for host in ["localhost", "127.0.0.1", "clinic.example", "10.0.0.7:8080"] {
        let foreign = stand.get("/front/items/a").header("host", host);
        assert_eq!(reason(&json(foreign, 403).await), "HOST_NOT_ALLOWED", "{host}");
        assert_eq!(stand.get("/healthz").header("host", host).send().await.unwrap().status(), 200, "{host}");
    }
}

#[tokio::test]
async fn page_that_may_call_is_told_nothing_by_a_foreign_host() {
    let stand = Stand::start(&["--cors-origins=https://app.example.org"]).await;
    let asked = stand.request("OPTIONS", "/front/items/a").header("host", "evil.example");
    let asked = asked.header("origin", "https://app.example.org").header("access-control-request-method", "GET");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[test]
fn front_elsewhere_without_hosts_refuses_to_start() {
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
    let told = gateway(&[]);
    assert!(told.contains("0.0.0.0") && told.contains("MESH_HOSTS") && told.contains("api.example.org"), "{told}");
    let told = gateway(&[("MESH_HOSTS", "https://api.example.org")]);
    assert!(told.contains("MESH_HOSTS") && told.contains("a name or an address"), "{told}");
}
