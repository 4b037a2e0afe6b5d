//! How often each RPC calls DynamoDB, and how: the price of a request is known, and a change of it is seen.

use std::collections::BTreeSet;

use kit::mesh::{PASSWORD, Someone};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::watched::{Seen, Trace, Watched};

mod consent;
mod practice;

/// What was asked, in which trace, and what DynamoDB is asked for it; the order is that of the calls' beginnings.
type Row = (&'static str, Trace, &'static [&'static str]);

pub(crate) struct Calls {
    rows: Vec<Row>,
    /// Those of which parts run at once: their calls have no order.
    at_once: Vec<Row>,
}

struct Book<'a> {
    watched: &'a Watched,
    rows: Vec<Row>,
    at_once: Vec<Row>,
    /// They read on as long as somebody is there: until everything is played.
    streams: Vec<Response>,
}

impl Book<'_> {
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

    /// A row of the end of an account, which many are told of at once.
    async fn ending(&mut self, what: &'static str, request: RequestBuilder, calls: &'static [&'static str]) {
        self.row(what, request, calls).await;
        self.at_once.extend(self.rows.pop());
    }

    /// A row of an answer that comes in events: begun, and read up to the first one, if there will be one.
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
        if comes {
            assert!(response.chunk().await.unwrap().is_some(), "{what}");
        }
        self.streams.push(response);
        self.rows.push((what, trace, calls));
    }
}

pub(crate) async fn play(watched: &Watched) -> Calls {
    let mut book = Book { watched, rows: Vec::new(), at_once: Vec::new(), streams: Vec::new() };
    let (client, therapist) = accounts(&mut book).await;
    profiles_of_clients(&mut book, &client, &therapist).await;
    profiles_of_therapists(&mut book, &therapist).await;
    practice::play(&mut book).await;
    consent::play(&mut book).await;
    Calls { rows: book.rows, at_once: book.at_once }
}

async fn accounts(book: &mut Book<'_>) -> (Someone, Someone) {
    let account = json!({"email": "counted@example.org", "password": PASSWORD, "role": "CLIENT"});
    let request = book.request(Method::POST, "/auth/register", None, Some(&account));
    // The failures of the source, its budgets, the credential that isn't there; what is spent of a budget.
    let calls =
        &["GetItem Users", "BatchGetItem Users", "GetItem Users", "UpdateItem Users", "TransactWriteItems Users"];
    book.row("Register", request, calls).await;

    let login = json!({"email": "counted@example.org", "password": PASSWORD});
    let request = book.request(Method::POST, "/auth/login", None, Some(&login));
    // The failures of the address and its credential, those of the source before and after the wait for a thread; then
    // the account.
    let calls = &["GetItem Users", "GetItem Users", "GetItem Users", "GetItem Users", "GetItem Users", "PutItem Users"];
    let first = Someone::of(&book.row("Login", request, calls).await);

    let refresh = json!({"refreshToken": first.refresh});
    let request = book.request(Method::POST, "/auth/refresh", None, Some(&refresh));
    // The account and the login.
    let calls = &["GetItem Users", "GetItem Users", "UpdateItem Users"];
    let client = Someone::of(&book.row("Refresh", request, calls).await);

    let request = book.request(Method::GET, "/auth/me", Some(&client), None);
    book.row("GetMe", request, &["GetItem Users"]).await;
    let request = book.request(Method::GET, "/.well-known/jwks.json", None, None);
    book.row("GetJwks", request, &[]).await;

    let password = json!({"currentPassword": PASSWORD, "newPassword": "eight loud sparrows"});
    let request = book.request(Method::PUT, "/auth/password", Some(&client), Some(&password));
    let calls = &[
        "GetItem Users",
        "GetItem Users",
        "GetItem Users",
        "GetItem Users",
        "GetItem Users",
        "TransactWriteItems Users",
    ];
    book.row("ChangePassword", request, calls).await;

    let leaving = book.watched.mesh.join("CLIENT").await;
    let request = book.request(Method::POST, "/auth/logout", Some(&leaving), None);
    book.row("Logout", request, &["DeleteItem Users"]).await;
    (client, book.watched.mesh.join("THERAPIST").await)
}

async fn profiles_of_clients(book: &mut Book<'_>, client: &Someone, therapist: &Someone) {
    let mut profile = json!({"name": "Asha", "email": "counted@example.org", "pincode": "110001"});
    let request = book.request(Method::POST, "/clients", Some(client), Some(&profile));
    // The address of the account first.
    book.row("CreateClient", request, &["GetItem Users", "PutItem Clients"]).await;

    let keyed = book.watched.mesh.join("CLIENT").await;
    let other = json!({"name": "Ben", "email": keyed.email, "pincode": "110001"});
    let request = || book.request(Method::POST, "/clients", Some(&keyed), Some(&other)).header("idempotency-key", "k");
    let (first, again) = (request(), request());
    book.row("CreateClient with a key", first, &["GetItem Clients", "GetItem Users", "TransactWriteItems Clients"])
        .await;
    book.row("CreateClient with a key, again", again, &["GetItem Clients", "GetItem Clients"]).await;

    let path = format!("/clients/{}", client.id);
    let request = book.request(Method::GET, &path, Some(client), None);
    book.row("GetClient", request, &["GetItem Clients"]).await;
    profile["name"] = "Asha Rao".into();
    let request = book.request(Method::PUT, &path, Some(client), Some(&profile));
    book.row("UpdateClient", request, &["GetItem Users", "GetItem Clients", "PutItem Clients"]).await;

    let request = book.request(Method::GET, "/clients", Some(client), None);
    book.row("ListClients, the own", request, &["GetItem Clients"]).await;
    let request = book.request(Method::GET, "/clients?email=counted@example.org", Some(therapist), None);
    book.row("ListClients by address: nobody is related", request, &["Query Mappings"]).await;
    let request = book.request(Method::GET, "/clients", Some(therapist), None);
    book.row("ListClients, the related: none", request, &["Query Mappings"]).await;

    let request = book.request(Method::DELETE, &path, Some(client), None);
    let calls = &[
        "GetItem Clients",
        // Whether the login is open.
        "BatchGetItem Users",
        "TransactWriteItems Clients",
        "GetItem Users",
        "TransactWriteItems Users",
        "Query Users",
        "DeleteItem Users",
        "DeleteItem Users",
        // The relations: a marker, and those that there are.
        "PutItem Mappings",
        "Query Mappings",
        // The data key, and what it sealed: nothing.
        "PutItem DataKeys",
        "Query Journals",
        // The practice: the conversations, a marker and the appointments, the sessions.
        "Query Messages",
        "PutItem Appointments",
        "Query Appointments",
        "Query Sessions",
        "UpdateItem Clients",
    ];
    book.ending("DeleteClient", request, calls).await;
}

async fn profiles_of_therapists(book: &mut Book<'_>, therapist: &Someone) {
    let mut profile = json!({"name": "Noor", "email": therapist.email, "specialty": "Grief", "pincode": "110001"});
    let request = book.request(Method::POST, "/therapists", Some(therapist), Some(&profile));
    book.row("CreateTherapist", request, &["GetItem Users", "PutItem Therapists"]).await;

    let keyed = book.watched.mesh.join("THERAPIST").await;
    let other = json!({"name": "Ravi", "email": keyed.email, "specialty": "Sleep", "pincode": "110001"});
    let request =
        || book.request(Method::POST, "/therapists", Some(&keyed), Some(&other)).header("idempotency-key", "k");
    let (first, again) = (request(), request());
    let calls = &["GetItem Therapists", "GetItem Users", "TransactWriteItems Therapists"];
    book.row("CreateTherapist with a key", first, calls).await;
    book.row("CreateTherapist with a key, again", again, &["GetItem Therapists", "GetItem Therapists"]).await;

    let path = format!("/therapists/{}", therapist.id);
    let request = book.request(Method::GET, &path, Some(therapist), None);
    book.row("GetTherapist", request, &["GetItem Therapists"]).await;
    profile["name"] = "Noor Haddad".into();
    let request = book.request(Method::PUT, &path, Some(therapist), Some(&profile));
    book.row("UpdateTherapist", request, &["GetItem Users", "GetItem Therapists", "PutItem Therapists"]).await;

    for filter in ["", "?specialty=grief", "?pincode=110001", "?name=n", "?specialty=grief&pincode=110001&name=n"] {
        let request = book.request(Method::GET, &format!("/therapists{filter}"), Some(therapist), None);
        book.row("ListTherapists", request, &["Query Therapists"]).await;
    }
    let first = book.request(Method::GET, "/therapists?pageSize=1", Some(therapist), None);
    let token = kit::mesh::answer(first).await.headers["x-next-page-token"].to_str().unwrap().to_owned();
    let path_of_next = format!("/therapists?pageSize=1&pageToken={token}");
    let request = book.request(Method::GET, &path_of_next, Some(therapist), None);
    book.row("ListTherapists, the next page", request, &["Query Therapists"]).await;

    let request = book.request(Method::DELETE, &path, Some(therapist), None);
    let calls = &[
        "GetItem Therapists",
        // Whether the login is open.
        "BatchGetItem Users",
        "TransactWriteItems Therapists",
        "GetItem Users",
        "TransactWriteItems Users",
        "Query Users",
        "DeleteItem Users",
        "DeleteItem Users",
        // The relations: a marker, and those that there are.
        "PutItem Mappings",
        "Query Mappings",
        // The data key, and what it sealed: nothing.
        "PutItem DataKeys",
        "Query Journals",
        // The practice: a marker and the appointments, and the sessions to come and the notes.
        "PutItem Appointments",
        "Query Appointments",
        "Query Sessions",
        "Query Sessions",
        "UpdateItem Therapists",
    ];
    book.ending("DeleteTherapist", request, calls).await;
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
