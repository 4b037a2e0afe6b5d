//! Contract §2, conventions: a POST that is repeated with its `Idempotency-Key` gives the first status and the resource
//! as it is now, whatever else has changed since, as long as the caller's account is alive.

use std::time::Duration;

use kit::mesh::{Answer, PASSWORD, Someone, TestMesh, answer};
use kit::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};

kit::on_each_env!(
    repeated_post_is_answered_alike_despite_changes,
    repeated_post_of_removed_resource_finds_nothing,
    repeated_post_by_deleted_account_is_rejected,
);

/// A POST with an idempotency key. The key is scoped to the caller and the RPC.
struct Post {
    who: Someone,
    path: String,
    key: &'static str,
    body: Value,
    /// Fields of another body that is valid too.
    other: Value,
    /// Fields of the answer that name the resource.
    names: &'static [&'static str],
}

impl Post {
    fn new(who: &Someone, path: impl Into<String>, body: Value, other: Value, names: &'static [&'static str]) -> Self {
        Self { who: who.clone(), path: path.into(), key: "k", body, other, names }
    }

    async fn send(&self, mesh: &TestMesh) -> Answer {
        self.send_body(mesh, &self.body).await
    }

    async fn send_other(&self, mesh: &TestMesh) -> Answer {
        let mut other = self.body.clone();
        other.as_object_mut().unwrap().extend(self.other.as_object().unwrap().clone());
        self.send_body(mesh, &other).await
    }

    async fn send_body(&self, mesh: &TestMesh, body: &Value) -> Answer {
        let request = mesh.request(Method::POST, &self.path).bearer_auth(&self.who.token);
        answer(request.header("idempotency-key", self.key).json(body)).await
    }

    /// Returns the values that name the resource.
    fn named(&self, made: &Value) -> Vec<Value> {
        let name = |name: &&str| made[name].clone();
        let named: Vec<_> = self.names.iter().map(name).collect();
        assert!(named.iter().all(Value::is_string), "{}: {made}", self.path);
        named
    }
}

/// Two people with a relation, and what they use.
struct World {
    mesh: TestMesh,
    asha: Someone,
    noor: Someone,
}

const PAIR: &[&str] = &["clientId", "therapistId"];

impl World {
    async fn new(mesh: TestMesh) -> Self {
        let (asha, noor) = (mesh.client("Asha").await, mesh.therapist("Noor", "Grief", "110001").await);
        Self { mesh, asha, noor }
    }

    async fn change(&self, method: Method, path: &str, who: &Someone, body: Option<Value>) -> Value {
        let changed = self.mesh.ask(method, path, Some(who), body).await;
        assert!((200..300).contains(&changed.status), "{path}: {}", changed.body);
        changed.body
    }

    /// Adds an available session of the therapist, at this hour of 1 January 2100.
    async fn offer(&self, hour: u32) -> Value {
        self.change(Method::POST, "/sessions", &self.noor, Some(slot(hour))).await
    }

    fn message(&self, from: &Someone, to: &Someone) -> Post {
        let body = json!({"receiverId": to.id, "message": "Hello."});
        Post::new(from, "/messages", body, json!({"message": "Hello?"}), &["messageId"])
    }

    fn entry(&self) -> Post {
        let body = json!({"emotion": "calm", "intensity": 3, "timestamp": "2100-01-01T00:00:00Z"});
        Post::new(&self.asha, format!("/journal/{}", self.asha.id), body, json!({"intensity": 4}), &["entryId"])
    }

    fn session(&self, hour: u32) -> Post {
        Post::new(&self.noor, "/sessions", slot(hour), json!({"privateNotes": "mine"}), &["sessionId"])
    }

    fn appointment(&self, offered: &Value) -> Post {
        let body = json!({
            "therapistId": self.noor.id, "sessionId": offered["sessionId"], "appointmentDate": offered["sessionDate"],
        });
        Post::new(&self.asha, "/appointments", body, json!({"sessionId": ""}), &["appointmentId"])
    }

    fn map(&self) -> Post {
        let path = format!("/mapping/{}", self.asha.id);
        Post::new(&self.asha, path, json!({"therapistId": self.noor.id}), json!({"therapistId": self.asha.id}), PAIR)
    }

    fn request(&self, kind: &'static str, other: &str) -> Post {
        let path = format!("/mapping/{}/request", self.asha.id);
        let post = Post::new(&self.noor, path, json!({"requestType": kind}), json!({"requestType": other}), PAIR);
        Post { key: kind, ..post }
    }

    fn invitation(&self) -> Post {
        let body = json!({"email": "nobody.at.all@example.org", "requestType": "MAPPING"});
        Post::new(&self.noor, "/invitations", body, json!({"requestType": "JOURNAL_ACCESS"}), &[])
    }
}

fn slot(hour: u32) -> Value {
    json!({"sessionDate": format!("2100-01-01T{hour:02}:00:00Z"), "endTime": format!("{hour:02}:30")})
}

fn profile(who: &Someone, kind: &'static str, name: &'static [&'static str]) -> Post {
    let body = json!({"name": "Ravi", "email": who.email, "specialty": "Sleep", "pincode": "110001"});
    Post::new(who, format!("/{kind}"), body, json!({"name": "Mira"}), name)
}

async fn repeated_post_is_answered_alike_despite_changes(env: TestEnv) {
    let world = World::new(TestMesh::start(env).await).await;
    let World { mesh, asha, noor } = &world;
    let (ben, omar) = (mesh.client("Ben").await, mesh.therapist("Omar", "Sleep", "110001").await);
    let (client, therapist) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    let offered = world.offer(1).await;
    let both = |client: &Someone, therapist: &Someone| json!({"clientId": client.id, "therapistId": therapist.id});
    let map_client =
        |who, client, therapist, other| Post::new(who, "/therapists/map-client", both(client, therapist), other, PAIR);
    let entry = world.entry();
    let mut posts = [
        profile(&client, "clients", &["clientId"]),
        profile(&therapist, "therapists", &["therapistId"]),
        world.invitation(),
        world.request("MAPPING", "JOURNAL_ACCESS"),
        world.map(),
        world.request("JOURNAL_ACCESS", "MAPPING"),
        map_client(asha, asha, &omar, json!({"therapistId": noor.id})),
        map_client(&omar, &ben, &omar, json!({"clientId": asha.id})),
        Post { path: format!("/clients/{}/journals", asha.id), key: "another", ..world.entry() },
        entry,
        world.session(2),
        world.appointment(&offered),
        world.message(asha, noor),
        world.message(noor, asha),
    ];
    let mut first = Vec::new();
    for post in &posts {
        let made = post.send(mesh).await;
        assert!(matches!(made.status, 201 | 202), "{}: {}", post.path, made.body);
        first.push((made.status, post.named(&made.body)));
    }

    // Another client gets the session; every relation ends; the profiles change; the sessions are over.
    let wish = Post { who: ben.clone(), ..world.appointment(&offered) };
    let wish = wish.send(mesh).await.expect(201);
    let status = format!("/appointments/{}/status", wish["appointmentId"].as_str().unwrap());
    world.change(Method::PUT, &status, noor, Some(json!({"status": "ACCEPTED"}))).await;
    let relation =
        |client: &Someone, therapist: &Someone| format!("/mapping/{}?therapistId={}", client.id, therapist.id);
    world.change(Method::PUT, &relation(&ben, &omar), &ben, Some(json!({"status": "ACCEPTED"}))).await;
    for (client, therapist) in [(asha, noor), (asha, &omar), (&ben, &omar)] {
        let path = relation(client, therapist);
        world.change(Method::DELETE, &path, client, None).await;
    }
    for (who, kind) in [(&client, "clients"), (&therapist, "therapists")] {
        let body = json!({"name": "Noor", "email": who.email, "specialty": "Grief", "pincode": "560001"});
        world.change(Method::PUT, &format!("/{kind}/{}", who.id), who, Some(body)).await;
    }
    mesh.ask(Method::POST, "/messages", Some(noor), Some(json!({"receiverId": asha.id, "message": "?"})))
        .await
        .refused(404, "NOT_FOUND");
    mesh.pass(Duration::from_secs(4 * 3600));
    for post in &mut posts {
        post.who = mesh.login(&post.who.email, PASSWORD).await;
    }

    for (post, (status, named)) in posts.iter().zip(&first) {
        let again = post.send(mesh).await;
        assert_eq!(again.status, *status, "{}: {}", post.path, again.body);
        assert_eq!(post.named(&again.body), *named, "{}", post.path);
        if post.names == PAIR {
            assert_eq!(again.body["mappingStatus"], "ENDED", "{}: as it is now", post.path);
        }
        post.send_other(mesh).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    }
    world.mesh.stop().await;
}

async fn repeated_post_of_removed_resource_finds_nothing(env: TestEnv) {
    let world = World::new(TestMesh::shared(env).await).await;
    let World { mesh, asha, noor } = &world;
    let entry = world.entry();
    let appointment = world.appointment(&world.offer(1).await);
    for (post, of) in [
        (&entry, format!("/journal/{}?entryId=", asha.id)),
        (&world.session(2), "/sessions/".to_owned()),
        (&appointment, "/appointments/".to_owned()),
    ] {
        let made = post.send(mesh).await.expect(201);
        let path = format!("{of}{}", post.named(&made)[0].as_str().unwrap());
        world.change(Method::DELETE, &path, &post.who, None).await;
        post.send(mesh).await.refused(404, "NOT_FOUND");
        post.send_other(mesh).await.refused(409, "IDEMPOTENCY_KEY_REUSED");
    }
    // A conversation is removed with its client's account, and the relation is not.
    let (request, message) = (world.request("MAPPING", "JOURNAL_ACCESS"), world.message(noor, asha));
    for post in [&request, &world.map(), &message] {
        post.send(mesh).await.expect(201);
    }
    world.change(Method::DELETE, &format!("/clients/{}", asha.id), asha, None).await;
    kit::wait::until("the message is gone", async || message.send(mesh).await.status == 404).await;
    kit::wait::until("the relation is over", async || request.send(mesh).await.expect(201)["mappingStatus"] == "ENDED")
        .await;
    world.mesh.stop().await;
}

async fn repeated_post_by_deleted_account_is_rejected(env: TestEnv) {
    let world = World::new(TestMesh::shared(env).await).await;
    let World { mesh, asha, noor } = &world;
    let (client, therapist) = (mesh.join("CLIENT").await, mesh.join("THERAPIST").await);
    let offered = world.offer(1).await;
    // Those that require an open login say that it is over.
    let posts = [
        (profile(&client, "clients", &[]), "ACCOUNT_ENDED"),
        (profile(&therapist, "therapists", &[]), "ACCOUNT_ENDED"),
        (world.invitation(), "LOGIN_ENDED"),
        (world.request("MAPPING", "JOURNAL_ACCESS"), "LOGIN_ENDED"),
        (world.map(), "LOGIN_ENDED"),
        (world.entry(), "ACCOUNT_ENDED"),
        (world.session(2), "ACCOUNT_ENDED"),
        (world.appointment(&offered), "ACCOUNT_ENDED"),
        (world.message(asha, noor), "ACCOUNT_ENDED"),
        (world.message(noor, asha), "ACCOUNT_ENDED"),
    ];
    for (post, _) in &posts {
        let made = post.send(mesh).await;
        assert!(matches!(made.status, 201 | 202), "{}: {}", post.path, made.body);
    }
    for (who, kind) in [(asha, "clients"), (&client, "clients"), (noor, "therapists"), (&therapist, "therapists")] {
        world.change(Method::DELETE, &format!("/{kind}/{}", who.id), who, None).await;
    }
    for (post, reason) in &posts {
        let what = format!("POST {} by {} is refused: {reason}", post.path, post.who.email);
        kit::wait::until(&what, async || {
            let again = post.send(mesh).await;
            (again.status, again.reason()) == (401, *reason)
        })
        .await;
    }
    world.mesh.stop().await;
}
