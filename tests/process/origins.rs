//! Origins whose pages may call the all-in-one from a browser.

use kit::mesh::{Answer, answer};
use reqwest::Method;

use crate::process::Process;

const LOCAL: [&str; 3] = ["http://localhost:3000", "http://127.0.0.1:5173", "http://localhost"];
const APP: &str = "https://app.example.org";
const FOREIGN: [&str; 4] = [
    "https://evil.example",
    "https://localhost:3000",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
];

/// Sends the preflight request of a page that wants to log in.
async fn preflight(mesh: &Process, origin: &str) -> Answer {
    let request = mesh.request(Method::OPTIONS, "/auth/login").header("host", "localhost").header("origin", origin);
    answer(request.header("access-control-request-method", "POST")).await
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap())
}

async fn assert_refused(mesh: &Process, origin: &str) {
    let refused = preflight(mesh, origin).await;
    let body = refused.refused(403, "ORIGIN_NOT_ALLOWED");
    assert!(body["message"].as_str().unwrap().contains("MESH_CORS_ORIGINS"), "{body}");
    assert_eq!(allowed(&refused), None, "{origin}");
}

#[tokio::test]
async fn pages_of_this_machine_may_call_by_default() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start(data.path());
    let told = mesh.announced("browser pages");
    assert!(told.starts_with("of http://localhost:*, http://127.0.0.1:* may call"), "{told}");
    for origin in LOCAL {
        let asked = preflight(&mesh, origin).await;
        assert_eq!((asked.status, allowed(&asked)), (200, Some(origin)));
        let read = answer(mesh.request(Method::GET, "/emotions").header("origin", origin)).await;
        assert_eq!((read.status, allowed(&read)), (401, Some(origin)), "errors are read too");
    }
    for origin in FOREIGN {
        assert_refused(&mesh, origin).await;
        let hidden = answer(mesh.request(Method::GET, "/emotions").header("origin", origin)).await;
        assert_eq!((hidden.status, allowed(&hidden)), (401, None), "{origin}");
    }
}

#[tokio::test]
async fn listed_origins_replace_those_of_this_machine() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start_with(data.path(), &[("MESH_CORS_ORIGINS", APP)]);
    assert!(mesh.announced("browser pages").starts_with(&format!("of {APP} may call")), "{}", mesh.announcement);
    assert_eq!(allowed(&preflight(&mesh, APP).await), Some(APP));
    for origin in LOCAL.iter().chain(&FOREIGN) {
        assert_refused(&mesh, origin).await;
    }
}

#[tokio::test]
async fn none_allows_no_pages_on_loopback() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start_with(data.path(), &[("MESH_CORS_ORIGINS", "none")]);
    assert!(mesh.announced("browser pages").starts_with("of other sites may not call"), "{}", mesh.announcement);
    for origin in LOCAL.iter().chain(&FOREIGN).chain(&["none"]) {
        assert_refused(&mesh, origin).await;
    }
}

#[tokio::test]
async fn public_front_allows_no_pages_by_default() {
    let data = tempfile::tempdir().unwrap();
    let mesh = Process::start_with(data.path(), &[("MESH_LISTEN", "0.0.0.0:0"), ("MESH_HOSTS", "localhost")]);
    assert!(mesh.announced("browser pages").starts_with("of other sites may not call"), "{}", mesh.announcement);
    for origin in LOCAL.iter().chain(&FOREIGN) {
        assert_refused(&mesh, origin).await;
    }
}
