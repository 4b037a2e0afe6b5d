//! What people wrote, their secrets and who they are never leave by telemetry, neither on the good path nor on the bad.

use kit::fault::Mode;
use kit::mesh::{Someone, answer};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::watched::{Seen, Watched};

/// What is in everything that the requests say, and nowhere else.
const CANARY: &str = "xanthocanary";

pub(crate) struct Canaries {
    /// What the mesh made for these people: ids and tokens.
    made: Vec<String>,
}

fn requests(watched: &Watched, who: &Someone, table: &str) -> Vec<RequestBuilder> {
    let mesh = &watched.mesh;
    let request = |method, path: &str| mesh.request(method, path).bearer_auth(&who.token);
    let profile = json!({"name": format!("{CANARY} name"), "email": format!("{CANARY}.mail@example.org"),
        "specialty": format!("{CANARY} specialty"), "pincode": CANARY});
    let login = json!({"email": who.email, "password": format!("{CANARY} guess")});
    let twice = json!({"email": who.email, "password": format!("{CANARY} password"), "role": "CLIENT"});
    let own = format!("/{table}/{}", who.id);
    vec![
        request(Method::POST, &format!("/{table}")).json(&profile).header("idempotency-key", format!("{CANARY} key")),
        request(Method::POST, &format!("/{table}")).json(&profile),
        request(Method::GET, &own),
        request(Method::PUT, &own).json(&profile),
        request(Method::GET, &format!("/{table}?{CANARY}=1")),
        request(Method::GET, &format!("/therapists?specialty={CANARY}&name={CANARY}&pageToken={CANARY}")),
        request(Method::GET, &format!("/clients?email={CANARY}.mail@example.org")),
        request(Method::GET, &format!("/clients/{CANARY}")),
        request(Method::GET, &format!("/{CANARY}")),
        request(Method::POST, "/auth/login").json(&login),
        request(Method::POST, "/auth/register").json(&twice),
        request(Method::POST, "/auth/register").json(&json!({"email": CANARY, "password": CANARY, "role": CANARY})),
        request(Method::POST, "/auth/login").header("content-type", "application/json").body(format!("{{\"{CANARY}")),
        request(Method::POST, "/auth/login").header("content-type", CANARY).body(CANARY),
        request(Method::POST, "/auth/refresh").json(&json!({"refreshToken": CANARY})),
        request(Method::PUT, "/auth/password").json(&json!({"currentPassword": CANARY, "newPassword": CANARY})),
        mesh.request(Method::GET, "/auth/me").bearer_auth(CANARY),
        mesh.request(Method::POST, &format!("/therapy.auth.v1.AuthService/{CANARY}"))
            .header("content-type", "application/grpc"),
        request(Method::GET, "/auth/me")
            .header("user-agent", CANARY)
            .header(CANARY, CANARY)
            .header("tracestate", CANARY),
        request(Method::GET, "/auth/me").header("x-forwarded-for", "203.0.113.77"),
        request(Method::DELETE, &own),
    ]
}

pub(crate) async fn play(watched: &Watched) -> Canaries {
    let mut made = Vec::new();
    for (role, table) in [("CLIENT", "clients"), ("THERAPIST", "therapists")] {
        for mode in [Mode::Throttle, Mode::Pass] {
            let email = format!("{CANARY}.{}.{table}@example.org", made.len());
            let password = format!("{CANARY} password");
            let account = json!({"email": email, "password": password, "role": role});
            watched.mesh.ask(Method::POST, "/auth/register", None, Some(account)).await.expect(201);
            let who = watched.mesh.login(&email, &password).await;
            watched.proxy.set(mode).await;
            for request in requests(watched, &who, table) {
                answer(request).await;
            }
            watched.proxy.set(Mode::Pass).await;
            made.extend([who.id, who.token, who.refresh]);
        }
    }
    Canaries { made }
}

impl Canaries {
    pub(crate) fn check(&self, seen: &Seen) {
        let kit::otlp::Received { services: _, spans, metrics, logs } = &seen.received;
        let made = self.made.iter().map(String::as_str);
        let secrets: Vec<&str> = made.chain([CANARY, "203.0.113.77"]).collect();
        let told = spans.iter().map(|span| format!("{span:?}"));
        let told = told.chain(metrics.iter().map(|metric| format!("{metric:?}")));
        for told in told.chain(logs.iter().map(|log| format!("{log:?}"))) {
            let folded = told.to_lowercase();
            let found = secrets.iter().find(|secret| folded.contains(&secret.to_lowercase()));
            assert_eq!(found, None, "{told}");
        }
    }
}
