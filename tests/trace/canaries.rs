//! Telemetry never contains texts, secrets or identities of people, neither of successes nor of failures.

use futures_util::{StreamExt as _, stream};
use kit::fault::Mode;
use kit::mesh::{Someone, answer};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::watched::{Seen, Watched};

/// Word that occurs in the requests only.
const CANARY: &str = "xanthocanary";

pub(crate) struct Canaries {
    /// Ids and tokens that the mesh made for these people.
    made: Vec<String>,
}

/// A client and a therapist with access to the journal, a session and a message.
struct Pair<'a> {
    client: &'a Someone,
    therapist: &'a Someone,
    entry_id: String,
    grant_id: String,
    session_id: String,
    message_id: String,
}

fn profile(who: &Someone) -> Value {
    json!({"name": format!("{CANARY} name"), "email": who.email, "specialty": format!("{CANARY} specialty"),
        "pincode": "110001"})
}

fn entry() -> Value {
    json!({"emotion": CANARY, "intensity": 3, "timestamp": "2099-12-31T23:00:00Z", "note": format!("{CANARY} note")})
}

fn session(client: &Someone, hour: u32) -> Value {
    json!({"sessionDate": format!("2100-02-01T{hour:02}:00:00Z"), "endTime": format!("{:02}:00", hour + 1),
        "clientId": client.id, "privateNotes": format!("{CANARY} private"), "sharedNotes": format!("{CANARY} shared")})
}

fn requests(watched: &Watched, who: &Someone, table: &str) -> Vec<RequestBuilder> {
    let mesh = &watched.mesh;
    let request = |method, path: &str| mesh.request(method, path).bearer_auth(&who.token);
    let profile = profile(who);
    let mut bad = profile.clone();
    bad["pincode"] = CANARY.into();
    let login = json!({"email": who.email, "password": format!("{CANARY} guess")});
    let twice = json!({"email": who.email, "password": format!("{CANARY} password"), "role": "CLIENT"});
    let own = format!("/{table}/{}", who.id);
    vec![
        request(Method::POST, &format!("/{table}")).json(&profile).header("idempotency-key", format!("{CANARY} key")),
        request(Method::POST, &format!("/{table}")).json(&profile),
        request(Method::POST, &format!("/{table}")).json(&bad),
        request(Method::GET, &own),
        request(Method::PUT, &own).json(&profile),
        request(Method::PUT, &own).json(&bad),
        request(Method::GET, &format!("/{table}?{CANARY}=1")),
        request(Method::GET, &format!("/therapists?specialty={CANARY}&name={CANARY}&pageToken={CANARY}")),
        request(Method::GET, &format!("/clients?email={CANARY}.mail@example.org")),
        request(Method::GET, &format!("/clients/{CANARY}")),
        request(Method::GET, &format!("/search?q={CANARY}&in=NOTES")),
        request(Method::GET, &format!("/search?q={CANARY}&in={CANARY}&clientId={CANARY}&from={CANARY}")),
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
    ]
}

impl<'a> Pair<'a> {
    async fn make(watched: &Watched, client: &'a Someone, therapist: &'a Someone) -> Self {
        let mesh = &watched.mesh;
        let (map, journal) = (format!("/mapping/{}", client.id), format!("/journal/{}", client.id));
        let target = json!({"therapistId": therapist.id});
        mesh.ask(Method::POST, &map, Some(client), Some(target)).await.expect(201);
        let grant = format!("{journal}/access?therapistId={}", therapist.id);
        let grant = mesh.ask(Method::PUT, &grant, Some(client), Some(json!({"access": "ACCEPTED"}))).await.expect(200);
        let made = mesh.ask(Method::POST, &journal, Some(client), Some(entry())).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let booked = mesh.ask(Method::POST, "/sessions", Some(therapist), Some(session(client, 9))).await.expect(201);
        let message = json!({"receiverId": therapist.id, "message": format!("{CANARY} message")});
        let sent = mesh.ask(Method::POST, "/messages", Some(client), Some(message)).await.expect(201);
        Self {
            client,
            therapist,
            entry_id: text(&made["entryId"]),
            grant_id: text(&grant["grantId"]),
            session_id: text(&booked["sessionId"]),
            message_id: text(&sent["messageId"]),
        }
    }

    /// Returns valid and invalid requests of both about journals, mappings and the access log.
    fn requests(&self, watched: &Watched) -> Vec<RequestBuilder> {
        let Self { client, therapist, entry_id, .. } = self;
        let ask = |method, path: &str, who: &Someone| watched.mesh.request(method, path).bearer_auth(&who.token);
        let (journal, mapping) = (format!("/journal/{}", client.id), format!("/mapping/{}", client.id));
        let one = format!("{journal}/entries/{entry_id}");
        let of_therapist = format!("therapistId={}", therapist.id);
        let access = format!("{journal}/access?{of_therapist}");
        let with = |field: &str, value: Value| {
            let mut entry = entry();
            entry[field] = value;
            entry
        };
        vec![
            ask(Method::POST, &journal, client).json(&entry()).header("idempotency-key", format!("{CANARY} entry")),
            ask(Method::POST, &journal, client).json(&with("intensity", 6.into())),
            ask(Method::POST, &journal, client).json(&with("intensity", CANARY.into())),
            ask(Method::POST, &journal, client).json(&with("note", CANARY.repeat(1_000).into())),
            ask(Method::POST, &journal, client).json(&with("timestamp", CANARY.into())),
            ask(Method::POST, &journal, therapist).json(&entry()),
            ask(Method::PUT, &one, client).json(&json!({"note": format!("{CANARY} corrected")})),
            ask(Method::PUT, &one, client).json(&with("etag", CANARY.into())),
            ask(Method::GET, &one, therapist),
            ask(Method::GET, &format!("{journal}/entries/{CANARY}"), therapist),
            ask(Method::GET, &journal, client),
            ask(Method::GET, &format!("{journal}?emotion={CANARY}"), therapist),
            ask(Method::GET, &format!("{journal}?pageToken={CANARY}&from={CANARY}"), therapist),
            ask(Method::GET, &format!("{journal}/insights"), therapist),
            ask(Method::GET, &format!("{journal}/insights?timeZone={CANARY}"), therapist),
            ask(Method::DELETE, &format!("{journal}?entryId={CANARY}"), client),
            ask(Method::DELETE, &format!("{journal}?entryId={entry_id}"), client),
            ask(Method::PUT, &access, client).json(&json!({"access": CANARY, "entriesFrom": CANARY})),
            ask(Method::PUT, &access, client).json(&json!({"access": "REVOKED"})),
            ask(Method::POST, &format!("{mapping}/request"), therapist).json(&json!({"requestType": CANARY})),
            ask(Method::POST, &format!("{mapping}/request"), therapist).json(&json!({"requestType": "JOURNAL_ACCESS"})),
            ask(Method::POST, &mapping, client).json(&json!({"therapistId": CANARY})),
            ask(Method::PUT, &format!("{mapping}?{of_therapist}"), client).json(&json!({"status": CANARY})),
            ask(Method::GET, &format!("{mapping}?pageToken={CANARY}"), client),
            ask(Method::GET, &format!("{mapping}/requests"), client),
            ask(Method::GET, &format!("/clients/{}/therapists", client.id), client),
            ask(Method::GET, &format!("/therapists/{}/clients", therapist.id), therapist),
            ask(Method::GET, &format!("/clients/{}/access-log", client.id), client),
            ask(Method::GET, &format!("/clients/{}/access-log?pageToken={CANARY}", client.id), client),
            ask(Method::GET, &format!("/search?q={CANARY}"), client),
            ask(Method::GET, &format!("/search?q={CANARY}&pageSize=1"), therapist),
            ask(Method::GET, &format!("/search?q=%22{CANARY}%20note%22%20{}*", &CANARY[..8]), therapist),
            ask(Method::GET, &format!("/search?q={CANARY}&in={CANARY}&clientId={CANARY}&from={CANARY}"), therapist),
            ask(Method::GET, &format!("/search?q={CANARY}&pageToken={CANARY}"), client),
            ask(Method::DELETE, &format!("{mapping}?{of_therapist}"), client),
        ]
    }

    /// Returns valid and invalid requests of both about sessions, appointments and messages.
    fn practice(&self, watched: &Watched) -> Vec<RequestBuilder> {
        let Self { client, therapist, session_id, message_id, .. } = self;
        let ask = |method, path: &str, who: &Someone| watched.mesh.request(method, path).bearer_auth(&who.token);
        let one = format!("/sessions/{session_id}");
        let history = format!("/messages/history?senderId={}&receiverId={}", client.id, therapist.id);
        let with = |mut body: Value, field: &str, value: Value| {
            body[field] = value;
            body
        };
        let message = json!({"receiverId": therapist.id, "message": format!("{CANARY} more")});
        let wish = json!({"therapistId": therapist.id, "sessionId": session_id, "appointmentDate": CANARY});
        let read = |message: &str| json!({"peerId": therapist.id, "messageId": message});
        vec![
            ask(Method::POST, "/sessions", therapist)
                .json(&session(client, 11))
                .header("idempotency-key", format!("{CANARY} session")),
            ask(Method::POST, "/sessions", therapist).json(&session(client, 9)),
            ask(Method::POST, "/sessions", therapist).json(&with(session(client, 12), "endTime", CANARY.into())),
            ask(Method::POST, "/sessions", therapist).json(&with(
                session(client, 12),
                "privateNotes",
                CANARY.repeat(1_000).into(),
            )),
            ask(Method::GET, &one, therapist),
            ask(Method::GET, &one, client),
            ask(Method::GET, &format!("/sessions/{CANARY}"), client),
            ask(Method::GET, &format!("/sessions?afterDate={CANARY}&pageToken={CANARY}&status={CANARY}"), therapist),
            ask(Method::GET, "/sessions", client),
            ask(Method::PUT, &one, therapist).json(&json!({"sharedNotes": format!("{CANARY} assignment")})),
            ask(Method::PUT, &format!("{one}/notes"), therapist).json(&json!({"privateNotes": CANARY})),
            ask(Method::PUT, &format!("{one}/notes"), therapist).json(&json!({"privateNotes": 1, "etag": CANARY})),
            ask(Method::PUT, &format!("{one}/notes"), client).json(&json!({"sharedNotes": CANARY})),
            ask(Method::POST, "/appointments", client).json(&wish),
            ask(Method::POST, "/appointments", client).json(&with(wish, "sessionId", CANARY.into())),
            ask(Method::GET, &format!("/appointments?status={CANARY}"), client),
            ask(Method::GET, "/appointments", client),
            ask(Method::PUT, &format!("/appointments/{CANARY}/status"), client).json(&json!({"status": CANARY})),
            ask(Method::POST, "/messages", client)
                .json(&message)
                .header("idempotency-key", format!("{CANARY} message")),
            ask(Method::POST, "/messages", client).json(&with(message.clone(), "message", CANARY.repeat(1_000).into())),
            ask(Method::POST, "/messages", client).json(&with(message.clone(), "receiverId", CANARY.into())),
            ask(Method::POST, "/messages", client).json(&with(message.clone(), "senderId", CANARY.into())),
            ask(Method::POST, "/messages", therapist).json(&with(message, "receiverId", (*client.id).into())),
            ask(Method::GET, &history, client),
            ask(Method::GET, &format!("{history}&pageToken={CANARY}"), therapist),
            ask(Method::GET, "/messages/conversations", therapist),
            ask(Method::GET, &format!("/messages/conversations?pageToken={CANARY}"), client),
            ask(Method::GET, &format!("/messages/watch?peerId={CANARY}&after={CANARY}"), client),
            ask(Method::PUT, "/messages/read", client).json(&read(message_id)),
            ask(Method::PUT, "/messages/read", client).json(&read(CANARY)),
            ask(Method::DELETE, &one, therapist),
        ]
    }
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
            let other = if role == "CLIENT" {
                watched.mesh.therapist("Noor", "Grief", "110001").await
            } else {
                watched.mesh.client("Asha").await
            };
            send(watched, &mode, requests(watched, &who, table)).await;
            // The fault may have prevented the profile, which a mapping needs.
            watched.mesh.ask(Method::POST, &format!("/{table}"), Some(&who), Some(profile(&who))).await;
            let (client, therapist) = if role == "CLIENT" { (&who, &other) } else { (&other, &who) };
            let pair = Pair::make(watched, client, therapist).await;
            send(watched, &mode, pair.practice(watched)).await;
            send(watched, &mode, pair.requests(watched)).await;
            made.extend([pair.entry_id, pair.grant_id, pair.session_id, pair.message_id]);
            let end = |who: &Someone| {
                let own = format!("/{table}/{}", who.id);
                watched.mesh.request(Method::DELETE, &own).bearer_auth(&who.token)
            };
            send(watched, &mode, vec![end(&who)]).await;
            for person in [who, other] {
                made.extend([person.id, person.token, person.refresh]);
            }
        }
    }
    Canaries { made }
}

/// Sends requests one after the other. Those that a fault refuses change nothing, so they are sent together: each waits for
/// its retries.
async fn send(watched: &Watched, mode: &Mode, requests: Vec<RequestBuilder>) {
    watched.proxy.set(mode.clone()).await;
    let most = if *mode == Mode::Pass { 1 } else { 16 };
    stream::iter(requests).for_each_concurrent(most, async |request| drop(answer(request).await)).await;
    watched.proxy.set(Mode::Pass).await;
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
