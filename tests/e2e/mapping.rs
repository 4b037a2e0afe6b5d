//! Contract §2, rows /mapping, and rules 4, 5, 7 and 14: relations and consent.

mod endings;
mod logins;
mod refusals;

use std::time::Duration;

use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    mapping_by_client_is_visible_to_both_sides,
    therapist_request_is_answered_by_client,
    mapping_gives_no_journal_access_until_granted,
    mapping_end_by_either_side_revokes_access,
    unanswered_request_expires_after_30_days,
    client_name_is_visible_from_agreement_on,
    repeated_post_with_key_returns_same_relation,
    parallel_posts_with_key_return_one_relation,
    pages_of_any_size_list_all,
);

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Well-formed id of no person or thing.
const NOBODY: &str = "01933b5e-7a4c-7def-8abc-0123456789ab";

/// A client and a therapist, with requests about their relation.
struct Two<'a> {
    mesh: &'a TestMesh,
    client: Someone,
    therapist: Someone,
}

impl<'a> Two<'a> {
    async fn join(mesh: &'a TestMesh) -> Self {
        Self { mesh, client: mesh.client("Asha").await, therapist: mesh.therapist("Noor", "Grief", "110001").await }
    }

    async fn client(&self, method: Method, path: &str, body: Value) -> Answer {
        self.mesh.ask(method, path, Some(&self.client), Some(body).filter(|body| !body.is_null())).await
    }

    async fn therapist(&self, method: Method, path: &str, body: Value) -> Answer {
        self.mesh.ask(method, path, Some(&self.therapist), Some(body).filter(|body| !body.is_null())).await
    }

    fn mapping(&self) -> String {
        format!("/mapping/{}", self.client.id)
    }

    /// Returns the path with the therapist's id as parameter.
    fn of_both(&self, path: &str) -> String {
        format!("{path}?therapistId={}", self.therapist.id)
    }

    async fn map(&self) -> Answer {
        self.client(Method::POST, &self.mapping(), json!({"therapistId": self.therapist.id})).await
    }

    async fn request(&self, what: &str) -> Answer {
        let body = json!({"therapistId": self.therapist.id, "requestType": what});
        self.therapist(Method::POST, &format!("{}/request", self.mapping()), body).await
    }

    async fn reply(&self, status: &str) -> Answer {
        self.client(Method::PUT, &self.of_both(&self.mapping()), json!({"status": status})).await
    }

    async fn end(&self, who: &Someone) -> Answer {
        self.mesh.ask(Method::DELETE, &self.of_both(&self.mapping()), Some(who), None).await
    }

    async fn end_access(&self) -> Answer {
        self.client(Method::DELETE, &self.of_both(&format!("{}/access", self.mapping())), Value::Null).await
    }

    async fn access(&self, change: Value) -> Answer {
        self.client(Method::PUT, &self.of_both(&format!("/journal/{}/access", self.client.id)), change).await
    }

    async fn grant(&self) -> Answer {
        self.access(json!({"access": "ACCEPTED"})).await
    }

    async fn requests(&self) -> Value {
        self.mesh.get(&format!("{}/requests", self.mapping()), &self.client).await.expect(200)
    }

    /// Returns the relation as each side sees it.
    async fn seen(&self) -> (Value, Value) {
        let by_client = format!("/clients/{}/therapists", self.client.id);
        let by_therapist = format!("/therapists/{}/clients", self.therapist.id);
        let by_client = self.mesh.get(&by_client, &self.client).await.expect(200);
        let by_therapist = self.mesh.get(&by_therapist, &self.therapist).await.expect(200);
        (by_client[0].clone(), by_therapist[0].clone())
    }

    /// Logs both in again, after their tokens have expired.
    async fn log_in(&mut self) {
        self.client = self.mesh.login(&self.client.email, PASSWORD).await;
        self.therapist = self.mesh.login(&self.therapist.email, PASSWORD).await;
    }
}

#[track_caller]
fn states(relation: &Value, mapping: &str, access: &str) {
    assert_eq!((&relation["mappingStatus"], &relation["journalAccess"]), (&json!(mapping), &json!(access)));
    assert_eq!(relation["mappedSince"].is_string(), mapping == "ACTIVE", "{relation}");
    assert_eq!(relation["accessSince"].is_string(), access == "ACCEPTED", "{relation}");
    assert_eq!(relation["grantId"] != "", access == "ACCEPTED", "{relation}");
}

async fn mapping_by_client_is_visible_to_both_sides(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    assert_eq!(mesh.get(&two.mapping(), &two.client).await.expect(200), json!([]));
    let made = two.map().await.expect(201);
    assert_eq!((&made["clientId"], &made["therapistId"]), (&json!(two.client.id), &json!(two.therapist.id)));
    states(&made, "ACTIVE", "NONE");
    assert_eq!(made["mappedSince"], "2100-01-01T00:00:00Z");
    let (by_client, by_therapist) = two.seen().await;
    states(&by_client, "ACTIVE", "NONE");
    assert_eq!((&by_client["therapistName"], &by_client["specialty"]), (&json!("Noor"), &json!("Grief")));
    states(&by_therapist, "ACTIVE", "NONE");
    assert_eq!((&by_therapist["clientId"], &by_therapist["clientName"]), (&json!(two.client.id), &json!("Asha")));
    let list = async |filter| mesh.get(&format!("{}{filter}", two.mapping()), &two.client).await.expect(200);
    assert_eq!(list("").await, json!([by_client]));
    assert_eq!(list("?journalAccess=false").await, json!([by_client]));
    assert_eq!(list("?journalAccess=true").await, json!([]));
    two.grant().await.expect(200);
    assert_eq!(list("?journalAccess=true").await, json!([two.seen().await.0]));
    assert_eq!(list("?journalAccess=false").await, json!([]));
    mesh.get(&two.mapping(), &two.therapist).await.refused(403, "ROLE_NOT_ALLOWED");
    mesh.stop().await;
}

async fn therapist_request_is_answered_by_client(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let mut two = Two::join(&mesh).await;
    states(&two.request("MAPPING").await.expect(201), "REQUESTED", "NONE");
    let waiting = json!([{
        "therapistId": two.therapist.id, "therapistName": "Noor", "specialty": "Grief", "requestType": "MAPPING",
        "requestedAt": "2100-01-01T00:00:00Z", "expiresAt": "2100-01-31T00:00:00Z",
    }]);
    assert_eq!(two.requests().await, waiting);
    assert_eq!(mesh.get(&two.mapping(), &two.client).await.expect(200), json!([]), "a request is no mapping");
    for _ in 0..2 {
        states(&two.reply("REJECTED").await.expect(200), "REJECTED", "NONE");
    }
    two.reply("ACCEPTED").await.refused(400, "NO_PENDING_REQUEST");
    assert_eq!(two.requests().await, json!([]));

    mesh.pass(DAY * 7);
    two.log_in().await;
    // A request without the therapist's own id, and a repeated answer.
    let body = json!({"requestType": "MAPPING"});
    two.therapist(Method::POST, &format!("{}/request", two.mapping()), body).await.expect(201);
    for _ in 0..2 {
        states(&two.reply("ACCEPTED").await.expect(200), "ACTIVE", "NONE");
    }
    two.reply("REJECTED").await.refused(400, "NO_PENDING_REQUEST");

    states(&two.request("JOURNAL_ACCESS").await.expect(201), "ACTIVE", "PENDING");
    assert_eq!(two.requests().await[0]["requestType"], "JOURNAL_ACCESS");
    for _ in 0..2 {
        states(&two.access(json!({"access": "REJECTED"})).await.expect(200), "ACTIVE", "REJECTED");
    }
    assert_eq!(two.requests().await, json!([]));

    // A mapping by the client accepts the therapist's request.
    two.end(&two.therapist).await.expect(200);
    let both = json!({"clientId": two.client.id, "therapistId": two.therapist.id});
    states(&two.therapist(Method::POST, "/therapists/map-client", both).await.expect(201), "REQUESTED", "REJECTED");
    // The caller's own id may be left out.
    let other = json!({"therapistId": two.therapist.id});
    states(&two.client(Method::POST, "/therapists/map-client", other).await.expect(201), "ACTIVE", "REJECTED");
    assert_eq!(two.requests().await, json!([]));
    mesh.stop().await;
}

async fn mapping_gives_no_journal_access_until_granted(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let mut two = Two::join(&mesh).await;
    two.map().await.expect(201);
    let first = two.grant().await.expect(200);
    states(&first, "ACTIVE", "ACCEPTED");
    assert_eq!(two.grant().await.expect(200), first, "the same said again is the same grant");
    let limits =
        json!({"access": "ACCEPTED", "entriesFrom": "2099-06-01T00:00:00+02:00", "expiresAt": "2100-02-01T00:00:00Z"});
    let alias = format!("/therapists/{}/clients/{}/journal-access", two.therapist.id, two.client.id);
    let second = two.client(Method::PUT, &alias, limits).await.expect(200);
    states(&second, "ACTIVE", "ACCEPTED");
    assert_ne!(second["grantId"], first["grantId"]);
    assert_eq!(
        (&second["entriesFrom"], &second["expiresAt"]),
        (&json!("2099-05-31T22:00:00Z"), &json!("2100-02-01T00:00:00Z"))
    );
    let (by_client, by_therapist) = two.seen().await;
    for field in ["grantId", "entriesFrom", "expiresAt", "accessSince"] {
        assert_eq!((&by_client[field], &by_therapist[field]), (&second[field], &second[field]), "{field}");
    }
    mesh.pass(DAY * 31);
    two.log_in().await;
    let (by_client, by_therapist) = two.seen().await;
    states(&by_client, "ACTIVE", "EXPIRED");
    states(&by_therapist, "ACTIVE", "EXPIRED");
    two.grant().await.expect(200);
    for _ in 0..2 {
        states(&two.end_access().await.expect(200), "ACTIVE", "REVOKED");
    }
    states(&two.access(json!({"access": "REVOKED"})).await.expect(200), "ACTIVE", "REVOKED");
    mesh.stop().await;
}

/// Mapping and access end in one transition.
async fn mapping_end_by_either_side_revokes_access(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    for (number, who) in [&two.client, &two.therapist].into_iter().enumerate() {
        states(&two.map().await.expect(201), "ACTIVE", if number == 0 { "NONE" } else { "REVOKED" });
        two.grant().await.expect(200);
        for _ in 0..2 {
            states(&two.end(who).await.expect(200), "ENDED", "REVOKED");
        }
        let (by_client, by_therapist) = two.seen().await;
        states(&by_client, "ENDED", "REVOKED");
        states(&by_therapist, "ENDED", "REVOKED");
        assert_eq!(mesh.get(&two.mapping(), &two.client).await.expect(200), json!([]));
        two.grant().await.refused(400, "NOT_MAPPED");
    }
    // A pending request for access ends with the mapping. A mapping request is withdrawn by one side and rejected by
    // the other.
    two.map().await.expect(201);
    two.request("JOURNAL_ACCESS").await.expect(201);
    states(&two.end(&two.client).await.expect(200), "ENDED", "REVOKED");
    assert_eq!(two.requests().await, json!([]));
    two.map().await.expect(201);
    two.end(&two.therapist).await.expect(200);
    two.request("MAPPING").await.expect(201);
    states(&two.end(&two.therapist).await.expect(200), "ENDED", "REVOKED");
    two.request("MAPPING").await.expect(201);
    states(&two.end(&two.client).await.expect(200), "REJECTED", "REVOKED");
    mesh.stop().await;
}

async fn unanswered_request_expires_after_30_days(env: TestEnv) {
    let mesh = TestMesh::start(env).await;
    let mut two = Two::join(&mesh).await;
    two.request("MAPPING").await.expect(201);
    mesh.pass(DAY * 30 - Duration::from_secs(1));
    two.log_in().await;
    states(&two.seen().await.0, "REQUESTED", "NONE");
    two.request("MAPPING").await.refused(409, "REQUEST_PENDING");
    mesh.pass(Duration::from_secs(1));
    let (by_client, by_therapist) = two.seen().await;
    states(&by_client, "EXPIRED", "NONE");
    states(&by_therapist, "EXPIRED", "NONE");
    assert_eq!(two.requests().await, json!([]));
    two.reply("ACCEPTED").await.refused(400, "NO_PENDING_REQUEST");
    two.request("MAPPING").await.expect(201);
    two.reply("ACCEPTED").await.expect(200);
    two.request("JOURNAL_ACCESS").await.expect(201);
    mesh.pass(DAY * 30);
    two.log_in().await;
    states(&two.seen().await.0, "ACTIVE", "EXPIRED");
    two.access(json!({"access": "REJECTED"})).await.refused(400, "NO_PENDING_REQUEST");
    states(&two.grant().await.expect(200), "ACTIVE", "ACCEPTED");
    mesh.stop().await;
}

async fn client_name_is_visible_from_agreement_on(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let name = async || two.seen().await.1["clientName"].clone();
    two.request("MAPPING").await.expect(201);
    assert_eq!(name().await, "");
    two.reply("REJECTED").await.expect(200);
    assert_eq!(name().await, "");
    two.map().await.expect(201);
    assert_eq!(name().await, "Asha");
    two.end(&two.client).await.expect(200);
    assert_eq!(name().await, "Asha", "they know each other");
    mesh.stop().await;
}

async fn repeated_post_with_key_returns_same_relation(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let post = async |who: &Someone, path: &str, key: &str, body: &Value| {
        let request = mesh.request(Method::POST, path).bearer_auth(&who.token);
        answer(request.header("idempotency-key", key).json(body)).await
    };
    let both = json!({"clientId": two.client.id, "therapistId": two.therapist.id});
    let request = |what: &str| json!({"requestType": what});
    let asks = format!("{}/request", two.mapping());
    let rounds = [
        (&two.therapist, asks.clone(), request("MAPPING"), "REQUEST_PENDING"),
        (&two.client, two.mapping(), json!({"therapistId": two.therapist.id}), "MAPPING_EXISTS"),
        (&two.therapist, asks, request("JOURNAL_ACCESS"), "REQUEST_PENDING"),
    ];
    for (who, path, body, without) in &rounds {
        let first = post(who, path, &format!("k-{body}"), body).await.expect(201);
        assert_eq!(post(who, path, &format!("k-{body}"), body).await.expect(201), first);
        post(who, path, "another", body).await.refused(409, without);
    }
    let mut other = both.clone();
    other["therapistId"] = NOBODY.into();
    two.end(&two.client).await.expect(200);
    let map = "/therapists/map-client";
    let first = post(&two.client, map, "m", &both).await.expect(201);
    assert_eq!(post(&two.client, map, "m", &both).await.expect(201), first);
    post(&two.client, map, "m", &other).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(
        post(&two.client, map, "", &json!({"clientId": two.client.id})).await.bad_fields(),
        ["Idempotency-Key", "therapistId"]
    );
    // A repeated request returns the relation in its present state.
    two.end(&two.client).await.expect(200);
    states(&post(&two.client, map, "m", &both).await.expect(201), "ENDED", "REVOKED");
    mesh.stop().await;
}

async fn parallel_posts_with_key_return_one_relation(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let posts: Vec<_> = (0..8)
        .map(|_| {
            let request = mesh.request(Method::POST, &two.mapping()).bearer_auth(&two.client.token);
            let body = json!({"therapistId": two.therapist.id});
            tokio::spawn(answer(request.header("idempotency-key", "same").json(&body)))
        })
        .collect();
    for post in posts {
        states(&post.await.unwrap().expect(201), "ACTIVE", "NONE");
    }
    mesh.stop().await;
}

/// Returns the ids of each page.
async fn pages(mesh: &TestMesh, who: &Someone, path: &str, size: usize, id: &str) -> Vec<Vec<String>> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = mesh.get(&format!("{path}?pageSize={size}&pageToken={token}"), who).await;
        let next = page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned());
        let ids = page.expect(200).as_array().unwrap().iter().map(|it| it[id].as_str().unwrap().to_owned()).collect();
        all.push(ids);
        match next {
            Some(next) => token = next,
            None => return all,
        }
    }
}

async fn pages_of_any_size_list_all(env: TestEnv) {
    let mesh = TestMesh::shared(env).await;
    let two = Two::join(&mesh).await;
    let (mut therapists, mut mapped, mut asking) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..7 {
        let other = Two {
            mesh: &mesh,
            client: two.client.clone(),
            therapist: mesh.therapist(&format!("T{number}"), "Grief", "110001").await,
        };
        therapists.push(other.therapist.id.clone());
        if number % 2 == 0 {
            other.map().await.expect(201);
            mapped.push(other.therapist.id);
        } else {
            other.request("MAPPING").await.expect(201);
            asking.push(other.therapist.id);
        }
    }
    let all = format!("/clients/{}/therapists", two.client.id);
    for (path, expected) in
        [(two.mapping(), &mut mapped), (format!("{}/requests", two.mapping()), &mut asking), (all, &mut therapists)]
    {
        expected.sort();
        for size in [1, 3, 200] {
            let pages = pages(&mesh, &two.client, &path, size, "therapistId").await;
            assert_eq!(pages.concat(), *expected, "{path} by {size}");
        }
    }
    // The same from the other side; a page token is bound to its caller.
    let mut clients = Vec::new();
    for number in 0..3 {
        let client = mesh.client(&format!("C{number}")).await;
        let other = Two { mesh: &mesh, client, therapist: two.therapist.clone() };
        other.map().await.expect(201);
        clients.push(other.client.id);
    }
    clients.sort();
    let path = format!("/therapists/{}/clients", two.therapist.id);
    for size in [1, 2, 200] {
        assert_eq!(pages(&mesh, &two.therapist, &path, size, "clientId").await.concat(), clients, "by {size}");
    }
    let page = mesh.get(&format!("{path}?pageSize=1"), &two.therapist).await;
    let token = page.headers["x-next-page-token"].to_str().unwrap().to_owned();
    let foreign = mesh.get(&format!("{}?pageToken={token}", two.mapping()), &two.client).await;
    assert_eq!(foreign.bad_fields(), ["pageToken"]);
    mesh.stop().await;
}
