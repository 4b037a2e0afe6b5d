//! DynamoDB calls of each RPC: a change of the calls of a request fails the test.

use std::any::Any;
use std::collections::BTreeSet;

use kit::mesh::{PASSWORD, Someone};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::watched::{Seen, Trace, Watched};

mod consent;
mod internal;
mod practice;
mod search;

/// Label of a request, its trace, and its expected DynamoDB calls in the order of their starts.
type Row = (&'static str, Trace, &'static [&'static str]);

pub(crate) struct Calls {
    rows: Vec<Row>,
    /// Rows with concurrent parts, whose calls have no order.
    at_once: Vec<Row>,
}

struct Recorder<'a> {
    watched: &'a Watched,
    rows: Vec<Row>,
    at_once: Vec<Row>,
    /// Open streams, kept until all requests are made: one that is dropped may miss its last call.
    streams: Vec<Box<dyn Any>>,
}

impl Recorder<'_> {
    fn request(&self, method: Method, path: &str, who: Option<&Someone>, body: Option<&Value>) -> RequestBuilder {
        let mut request = self.watched.mesh.request(method, path);
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    async fn row(&mut self, what: &'static str, request: RequestBuilder, calls: &'static [&'static str]) -> Value {
        let (trace, answer) = self.watched.ask(request).await;
        assert!((200..300).contains(&answer.status), "{what}: {} {}", answer.status, answer.body);
        self.rows.push((what, trace, calls));
        answer.body
    }

    /// Records a request with concurrent parts, such as the deliveries of the end of an account.
    async fn concurrent(&mut self, what: &'static str, request: RequestBuilder, calls: &'static [&'static str]) {
        self.row(what, request, calls).await;
        self.at_once.extend(self.rows.pop());
    }

    /// Records a streamed answer, read up to its first event if one is expected.
    async fn stream(
        &mut self,
        what: &'static str,
        request: RequestBuilder,
        comes: bool,
        calls: &'static [&'static str],
    ) {
        let (trace, parent) = self.watched.new_trace();
        let mut response = request.header("traceparent", parent).send().await.unwrap();
        assert_eq!(response.status(), 200, "{what}");
        let mut read = Vec::new();
        while comes && !read.windows(5).any(|it| it == b"data:") {
            read.extend(response.chunk().await.unwrap().expect("another event"));
        }
        self.streams.push(Box::new(response));
        self.rows.push((what, trace, calls));
    }
}

pub(crate) async fn play(watched: &Watched) -> Calls {
    let mut recorder = Recorder { watched, rows: Vec::new(), at_once: Vec::new(), streams: Vec::new() };
    let (client, therapist) = accounts(&mut recorder).await;
    profiles_of_clients(&mut recorder, &client, &therapist).await;
    profiles_of_therapists(&mut recorder, &therapist).await;
    practice::play(&mut recorder).await;
    consent::play(&mut recorder).await;
    search::play(&mut recorder).await;
    Calls { rows: recorder.rows, at_once: recorder.at_once }
}

async fn accounts(recorder: &mut Recorder<'_>) -> (Someone, Someone) {
    let account = json!({"email": "counted@example.org", "password": PASSWORD, "role": "CLIENT"});
    let request = recorder.request(Method::POST, "/auth/register", None, Some(&account));
    // Failures of the source, its budgets, the missing credential; then the spent budget.
    let calls = &[
        "GetItem Users",
        "BatchGetItem Users",
        "TransactGetItems Users",
        "UpdateItem Users",
        "TransactWriteItems Users",
    ];
    recorder.row("Register", request, calls).await;

    let login = json!({"email": "counted@example.org", "password": PASSWORD});
    let request = recorder.request(Method::POST, "/auth/login", None, Some(&login));
    // Failures of the address and its credential, those of the source before and after the wait for a thread; then the
    // account.
    let calls = &[
        "GetItem Users",
        "TransactGetItems Users",
        "GetItem Users",
        "GetItem Users",
        "GetItem Users",
        "PutItem Users",
    ];
    let first = Someone::of(&recorder.row("Login", request, calls).await);

    let refresh = json!({"refreshToken": first.refresh});
    let request = recorder.request(Method::POST, "/auth/refresh", None, Some(&refresh));
    // The account and the login.
    let calls = &["GetItem Users", "GetItem Users", "UpdateItem Users"];
    let client = Someone::of(&recorder.row("Refresh", request, calls).await);

    let request = recorder.request(Method::GET, "/auth/me", Some(&client), None);
    recorder.row("GetMe", request, &["GetItem Users"]).await;
    let request = recorder.request(Method::GET, "/.well-known/jwks.json", None, None);
    recorder.row("GetJwks", request, &[]).await;

    let password = json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"});
    let request = recorder.request(Method::PUT, "/auth/password", Some(&client), Some(&password));
    let calls = &[
        "GetItem Users",
        "GetItem Users",
        "TransactGetItems Users",
        "GetItem Users",
        "GetItem Users",
        "TransactWriteItems Users",
    ];
    recorder.row("ChangePassword", request, calls).await;

    let leaving = recorder.watched.mesh.join("CLIENT").await;
    let request = recorder.request(Method::POST, "/auth/logout", Some(&leaving), None);
    recorder.row("Logout", request, &["DeleteItem Users"]).await;
    (client, recorder.watched.mesh.join("THERAPIST").await)
}

async fn profiles_of_clients(recorder: &mut Recorder<'_>, client: &Someone, therapist: &Someone) {
    let mut profile = json!({"name": "Asha", "email": "counted@example.org", "pincode": "110001"});
    let request = recorder.request(Method::POST, "/clients", Some(client), Some(&profile));
    // The address of the account first.
    recorder.row("CreateClient", request, &["GetItem Users", "PutItem Clients"]).await;

    let keyed = recorder.watched.mesh.join("CLIENT").await;
    let other = json!({"name": "Ben", "email": keyed.email, "pincode": "110001"});
    let request =
        || recorder.request(Method::POST, "/clients", Some(&keyed), Some(&other)).header("idempotency-key", "k");
    let (first, again) = (request(), request());
    recorder
        .row("CreateClient with a key", first, &["GetItem Clients", "GetItem Users", "TransactWriteItems Clients"])
        .await;
    recorder.row("CreateClient with a key, again", again, &["GetItem Clients", "GetItem Clients"]).await;

    let path = format!("/clients/{}", client.id);
    let request = recorder.request(Method::GET, &path, Some(client), None);
    recorder.row("GetClient", request, &["GetItem Clients"]).await;
    profile["name"] = "Asha Rao".into();
    let request = recorder.request(Method::PUT, &path, Some(client), Some(&profile));
    recorder.row("UpdateClient", request, &["GetItem Users", "GetItem Clients", "PutItem Clients"]).await;

    let request = recorder.request(Method::GET, "/clients", Some(client), None);
    recorder.row("ListClients, the own", request, &["GetItem Clients"]).await;
    let request = recorder.request(Method::GET, "/clients?email=counted@example.org", Some(therapist), None);
    recorder.row("ListClients by address: nobody is related", request, &["Query Mappings"]).await;
    let request = recorder.request(Method::GET, "/clients", Some(therapist), None);
    recorder.row("ListClients, the related: none", request, &["Query Mappings"]).await;

    let request = recorder.request(Method::DELETE, &path, Some(client), None);
    let calls = &[
        "GetItem Clients",
        // Check of the login.
        "BatchGetItem Users",
        "TransactWriteItems Clients",
        // The account and its credential.
        "GetItem Users",
        "TransactGetItems Users",
        "TransactWriteItems Users",
        "Query Users",
        "DeleteItem Users",
        "DeleteItem Users",
        // Relations: a marker, and the existing ones.
        "PutItem Mappings",
        "Query Mappings",
        // The data key, and the entries it encrypts: none.
        "PutItem DataKeys",
        "Query Journals",
        // Conversations, a marker and the appointments, sessions.
        "Query Messages",
        "PutItem Appointments",
        "Query Appointments",
        "Query Sessions",
        // Searches: a marker, and the scopes of the person: none.
        "PutItem SearchIndex",
        "Query SearchIndex",
        "UpdateItem Clients",
    ];
    recorder.concurrent("DeleteClient", request, calls).await;
}

async fn profiles_of_therapists(recorder: &mut Recorder<'_>, therapist: &Someone) {
    let mut profile = json!({"name": "Noor", "email": therapist.email, "specialty": "Grief", "pincode": "110001"});
    let request = recorder.request(Method::POST, "/therapists", Some(therapist), Some(&profile));
    recorder.row("CreateTherapist", request, &["GetItem Users", "PutItem Therapists"]).await;

    let keyed = recorder.watched.mesh.join("THERAPIST").await;
    let other = json!({"name": "Ravi", "email": keyed.email, "specialty": "Sleep", "pincode": "110001"});
    let request =
        || recorder.request(Method::POST, "/therapists", Some(&keyed), Some(&other)).header("idempotency-key", "k");
    let (first, again) = (request(), request());
    let calls = &["GetItem Therapists", "GetItem Users", "TransactWriteItems Therapists"];
    recorder.row("CreateTherapist with a key", first, calls).await;
    recorder.row("CreateTherapist with a key, again", again, &["GetItem Therapists", "GetItem Therapists"]).await;

    let path = format!("/therapists/{}", therapist.id);
    let request = recorder.request(Method::GET, &path, Some(therapist), None);
    recorder.row("GetTherapist", request, &["GetItem Therapists"]).await;
    profile["name"] = "Noor Haddad".into();
    let request = recorder.request(Method::PUT, &path, Some(therapist), Some(&profile));
    recorder.row("UpdateTherapist", request, &["GetItem Users", "GetItem Therapists", "PutItem Therapists"]).await;

    for filter in ["", "?specialty=grief", "?pincode=110001", "?name=n", "?specialty=grief&pincode=110001&name=n"] {
        let request = recorder.request(Method::GET, &format!("/therapists{filter}"), Some(therapist), None);
        recorder.row("ListTherapists", request, &["Query Therapists"]).await;
    }
    let first = recorder.request(Method::GET, "/therapists?pageSize=1", Some(therapist), None);
    let token = kit::mesh::answer(first).await.headers["x-next-page-token"].to_str().unwrap().to_owned();
    let path_of_next = format!("/therapists?pageSize=1&pageToken={token}");
    let request = recorder.request(Method::GET, &path_of_next, Some(therapist), None);
    recorder.row("ListTherapists, the next page", request, &["Query Therapists"]).await;

    let request = recorder.request(Method::DELETE, &path, Some(therapist), None);
    let calls = &[
        "GetItem Therapists",
        // Check of the login.
        "BatchGetItem Users",
        "TransactWriteItems Therapists",
        // The account and its credential.
        "GetItem Users",
        "TransactGetItems Users",
        "TransactWriteItems Users",
        "Query Users",
        "DeleteItem Users",
        "DeleteItem Users",
        // Relations: a marker, and the existing ones.
        "PutItem Mappings",
        "Query Mappings",
        // The data key, and the entries it encrypts: none.
        "PutItem DataKeys",
        "Query Journals",
        // A marker and the appointments, future sessions and notes.
        "PutItem Appointments",
        "Query Appointments",
        "Query Sessions",
        "Query Sessions",
        // Searches: a marker, and the scopes of the person: none.
        "PutItem SearchIndex",
        "Query SearchIndex",
        "UpdateItem Therapists",
    ];
    recorder.concurrent("DeleteTherapist", request, calls).await;
}

impl Calls {
    pub(crate) fn check(&self, seen: &Seen) {
        let sorted = |calls: &[&str]| {
            let mut calls: Vec<_> = calls.iter().map(|call| (*call).to_owned()).collect();
            calls.sort();
            calls
        };
        let in_order = self.rows.iter().filter(|(_, trace, expected)| seen.dynamodb_calls(*trace) != *expected);
        let at_once = self.at_once.iter().filter(|(_, trace, expected)| {
            let mut calls = seen.dynamodb_calls(*trace);
            calls.sort();
            calls != sorted(expected)
        });
        let others = in_order.chain(at_once);
        let others: Vec<_> =
            others.map(|(what, trace, _)| format!("{what}: {:?}", seen.dynamodb_calls(*trace))).collect();
        assert!(others.is_empty(), "these call otherwise than they are known to:\n{}", others.join("\n"));
        let counted: BTreeSet<_> = self
            .rows
            .iter()
            .chain(&self.at_once)
            .flat_map(|(_, trace, _)| seen.spans(*trace))
            .map(|s| &*s.name)
            .collect();
        for rpc in proto::RPCS {
            assert!(counted.contains(&rpc.path[1..]), "nobody counts the calls of {}", rpc.path);
        }
    }
}
